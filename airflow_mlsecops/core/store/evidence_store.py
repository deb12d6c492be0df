"""Evidence under one root.

The layout::

    bundles/<subject sha256>/<predicate slug>/<bundle sha256>.sigstore.json     create-only
    blobs/<sha256>                                                              manifests, full reports, row lists
    log/…                                                                       the evidence log, if there is one

Every object's name is the digest of its bytes, so that an overwritten object is noticed by whoever reads it, without
trust in the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.canonical import MAX_JSON_BYTES
from airflow_mlsecops.core.digest import Sha256, parse_sha256, sha256_bytes
from airflow_mlsecops.core.errors import EvidenceBrokenError, EvidenceNotFoundError, StatementError
from airflow_mlsecops.core.predicates import predicate_by_slug, predicate_by_uri
from airflow_mlsecops.core.store.backend import Backend
from airflow_mlsecops.core.store.spread import spread

if TYPE_CHECKING:
    from airflow_mlsecops.core.log import Checkpoint, EvidenceLog, LogReader, LogTrust, LogVerification

MAX_BLOB_BYTES = 1024 * 1024 * 1024
_SUFFIX = ".sigstore.json"


@dataclass(frozen=True)
class Found:
    """One object under a subject's folder: a bundle, or why it is none.

    Attributes:
        key: where it lies.
        digest: what its name says.
        bundle: the parsed bundle, not yet verified; ``None`` if broken.
        broken: why it can't be read; empty if it can.
    """

    key: str
    digest: str
    bundle: Bundle | None
    broken: str = ""


class EvidenceStore:
    """Puts and finds evidence. Two writers of the same bytes are no conflict: the name is the content."""

    def __init__(self, backend: Backend, log: EvidenceLog | Callable[[Backend], EvidenceLog] | None = None) -> None:
        """Nothing is dialled yet.

        Args:
            backend: where everything lies.
            log: the log on the same backend to which bundles are added; a function makes it when it is needed, so that
                whoever only reads needs no key.
        """
        self._backend = backend
        self._log = log
        self._mutex = Lock()

    def __str__(self) -> str:
        return str(self._backend)

    @property
    def backend(self) -> Backend:
        """What it lies on; the evidence log lies there, too."""
        return self._backend

    def put_blob(self, data: bytes) -> Sha256:
        """Keep ``data``; return its address.

        Raises:
            EvidenceBrokenError: if other bytes lie under that address.
            StoreUnavailableError: if the store can't be reached.
        """
        digest = sha256_bytes(data)
        self._put(f"blobs/{digest}", data)
        return digest

    def get_blob(self, digest: str, *, limit: int = MAX_BLOB_BYTES) -> bytes:
        """The bytes at this address, checked.

        Raises:
            EvidenceNotFoundError: if there are none, or more than ``limit``.
            EvidenceBrokenError: if they aren't those that the address says.
        """
        key = f"blobs/{parse_sha256(digest)}"
        data = self._backend.read(key, limit)
        if sha256_bytes(data) != digest:
            raise EvidenceBrokenError(
                f"{self}: {key} was changed", "restore it from a backup, and find out who wrote to the store"
            )
        return data

    def put(self, bundle: Bundle) -> Sha256:
        """Keep a bundle under each of its subjects, and log it if there is a log; return its digest.

        See :meth:`put_all`.
        """
        return self.put_all([bundle])[0]

    def put_all(self, bundles: Sequence[Bundle]) -> list[Sha256]:
        """Keep bundles and log them, which is cheaper than one by one; return their digests.

        Once this returns, all of them lie in the store and, with a log, in a published checkpoint. Safe to repeat after
        a crash half-way: what is there already stays, what is missing is added, and nothing is logged twice.

        Raises:
            StatementError: if a predicate type isn't known.
            EvidenceBrokenError: if other bytes lie under a bundle's address.
            LogError: if the log can't be written to; see :meth:`EvidenceLog.append`.
            SigningError: if the log's key can't sign.
            StoreUnavailableError: if the store can't be reached.
        """
        from airflow_mlsecops.core.log import Entry

        entries = [Entry.of(bundle) for bundle in bundles]

        def deposit() -> None:
            for bundle, entry in zip(bundles, entries, strict=True):
                for key in entry.keys:
                    self._put(key, bundle.raw)

        if self._log is None or not bundles:
            deposit()
        else:
            self._opened_log(self._log).append([entry.encode() for entry in entries], deposit)
        return [bundle.digest for bundle in bundles]

    def log_reader(self, trust: LogTrust) -> LogReader:
        """Reads the log that lies in this store, whether or not this object writes to it.

        Args:
            trust: which log is meant, and whose signature under its checkpoints counts.
        """
        from airflow_mlsecops.core.log import LogReader

        return LogReader(self._backend, trust)

    def verify_log(self, trust: LogTrust, since: Checkpoint | None = None) -> LogVerification:
        """Verify the whole log, and that log and store hold the same; see :func:`airflow_mlsecops.core.log.verify_log`.

        Raises:
            StoreUnavailableError: if the store can't be reached.
        """
        from airflow_mlsecops.core.log import verify_log

        return verify_log(self._backend, trust, since)

    def rebuild_log_index(self, trust: LogTrust) -> Checkpoint:
        """Make the log's index anew; see :func:`airflow_mlsecops.core.log.rebuild_index`.

        Raises:
            LogError: if the log can't be read, or isn't what its checkpoint signs.
            StoreUnavailableError: if the store can't be reached.
        """
        from airflow_mlsecops.core.log import rebuild_index

        return rebuild_index(self._backend, trust)

    def find(self, subject: str, slug: str = "") -> list[Found]:
        """Everything under a subject's folder, broken objects included: what can't be read must be able to say NO.

        Args:
            subject: SHA-256 of the artifact.
            slug: only this predicate, if given.

        Raises:
            StatementError: if the slug isn't one of those in use.
            StoreUnavailableError: if the store can't be reached.
        """
        return self.find_all([subject], slug)[subject]

    def find_all(self, subjects: Iterable[str], slug: str = "") -> dict[str, list[Found]]:
        """What :meth:`find` finds about each of these, several at once where the store is far.

        Raises:
            StatementError: if the slug isn't one of those in use.
            StoreUnavailableError: if the store can't be reached.
        """
        unique = list(dict.fromkeys(subjects))
        folders = spread(lambda subject: self._backend.list(_folder(subject, slug)), unique)
        places = [(subject, key) for subject, keys in zip(unique, folders, strict=True) for key in keys]
        found: dict[str, list[Found]] = {subject: [] for subject in unique}
        for (subject, _), item in zip(
            places, spread(lambda place: self._found(place[1], place[0]), places), strict=True
        ):
            found[subject].append(item)
        return found

    def names(self, subject: str, slug: str = "") -> frozenset[str]:
        """The digests that stand in the names of what :meth:`find` finds, without reading it.

        Raises:
            StatementError: if the slug isn't one of those in use.
            StoreUnavailableError: if the store can't be reached.
        """
        keys = self._backend.list(_folder(subject, slug))
        return frozenset(key.rpartition("/")[2].removesuffix(_SUFFIX) for key in keys)

    def subjects(self) -> list[str]:
        """All subjects that something is stored about.

        Raises:
            StoreUnavailableError: if the store can't be reached.
        """
        return sorted({key.split("/")[1] for key in self._backend.list("bundles/") if key.count("/") >= 2})

    def get(self, digest: str) -> Found:
        """The bundle with this digest, wherever it lies.

        Raises:
            EvidenceNotFoundError: if there is none.
        """
        wanted = f"/{parse_sha256(digest)}{_SUFFIX}"
        for key in self._backend.list("bundles/"):
            if key.endswith(wanted):
                return self._found(key, key.split("/")[1])
        raise EvidenceNotFoundError(f"{self}: no evidence {digest}", "see `mlsecops evidence list`")

    def at(self, key: str) -> Found:
        """What lies under a key that :meth:`Backend.list` named; broken, if nothing does.

        Raises:
            StoreUnavailableError: if the store can't be reached.
        """
        return self._found(key, key.split("/")[1])

    def _opened_log(self, log: EvidenceLog | Callable[[Backend], EvidenceLog]) -> EvidenceLog:
        with self._mutex:
            if callable(log):
                self._log = log = log(self._backend)
            return log

    def _found(self, key: str, subject: str) -> Found:
        digest = key.rsplit("/", 1)[-1].removesuffix(_SUFFIX)
        try:
            raw = self._backend.read(key, MAX_JSON_BYTES)
            if sha256_bytes(raw) != digest:
                raise EvidenceBrokenError(f"{key} was changed")
            bundle = Bundle.parse(raw)
            slug = predicate_by_uri(bundle.statement.predicate_type).slug
            if not bundle.statement.is_about(subject) or key != f"bundles/{subject}/{slug}/{digest}{_SUFFIX}":
                raise EvidenceBrokenError(f"{key} lies in a folder where it doesn't belong")
        except (StatementError, EvidenceBrokenError, EvidenceNotFoundError) as error:
            return Found(key, digest, None, error.message)
        return Found(key, digest, bundle)

    def _put(self, key: str, data: bytes) -> None:
        if not self._backend.create(key, data) and self._backend.read(key, MAX_BLOB_BYTES) != data:
            raise EvidenceBrokenError(
                f"{self}: other bytes lie under {key}", "the store was tampered with; find out by whom"
            )


def _folder(subject: str, slug: str) -> str:
    return f"bundles/{parse_sha256(subject)}/" + (f"{predicate_by_slug(slug).slug}/" if slug else "")
