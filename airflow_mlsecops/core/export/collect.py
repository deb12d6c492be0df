"""Collect what a third party needs to verify a release."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from airflow_mlsecops.core.artifact import Artifact, Form
from airflow_mlsecops.core.bundle import Bundle, pre_authentication_encoding
from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import EvidenceNotFoundError, StatementError
from airflow_mlsecops.core.export.commands import Certified, Signed
from airflow_mlsecops.core.export.policies import with_extended
from airflow_mlsecops.core.export.readme import readme
from airflow_mlsecops.core.export.recording import RecordingBackend
from airflow_mlsecops.core.loading import refuse
from airflow_mlsecops.core.log.checkpoint import LogTrust
from airflow_mlsecops.core.log.entry import Entry
from airflow_mlsecops.core.log.reader import LogReader
from airflow_mlsecops.core.log.tiles import ROOT as LOG
from airflow_mlsecops.core.pinning import Pin
from airflow_mlsecops.core.predicates import SIGNATURE, TEST_RESULT
from airflow_mlsecops.core.predicates import signature as signature_predicate
from airflow_mlsecops.core.predicates.control_run import CONTROL_RUN
from airflow_mlsecops.core.predicates.fields import digest_set, mapping, objects
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.store import EvidenceStore
from airflow_mlsecops.core.trust import TrustPolicy
from airflow_mlsecops.core.verification import Verification, verify_release

BUNDLES = "bundles/"


@dataclass(frozen=True)
class Documents:
    """The two files by which a release is judged: their exact bytes, because digests of them stand in the evidence.

    Attributes:
        trust: the trust policy.
        policy: the release policy.
        read: reads the files that the trust policy names by relative paths; without it, it may name none.
        read_policy: reads the policies that the release policy extends; without it, it may extend shipped ones only.
    """

    trust: bytes
    policy: bytes
    read: Callable[[str], bytes] | None = None
    read_policy: Callable[[str], bytes] | None = None

    def trust_policy(self) -> TrustPolicy:
        """The trust policy, read.

        Raises:
            TrustError: if it can't be.
        """
        return TrustPolicy.from_bytes(self.trust, self.read)


@dataclass(frozen=True)
class Export:
    """What goes into the file.

    Attributes:
        verification: the YES that it is about.
        files: name -> bytes.
        missing: addresses of manifests and reports that statements name, but the store no longer has.
    """

    verification: Verification
    files: Mapping[str, bytes]
    missing: tuple[str, ...]


@dataclass
class _Collector:
    """What was taken from the store so far.

    Attributes:
        store: where from.
        files: name in the export -> bytes.
        missing: addresses of blobs that aren't there.
        keys: name in the export of each bundle -> the bundle.
    """

    store: EvidenceStore
    files: dict[str, bytes] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    keys: dict[str, Bundle] = field(default_factory=dict)

    def bundles(self, subjects: Iterable[str]) -> dict[str, Bundle]:
        """Take every bundle about the subjects along; by digest."""
        for subject in sorted(subjects):
            for found in self.store.find(subject):
                if found.bundle is not None:
                    self.files[found.key], self.keys[found.key] = found.bundle.raw, found.bundle
        return {bundle.digest: bundle for bundle in self.keys.values()}

    def blobs(self, subjects: Collection[str], *, every_blob: bool) -> None:
        """Take what the bundles name along: blobs, and of subjects that are trees their manifests."""
        statements = [bundle.statement for bundle in self.keys.values()]
        named = {digest for statement in statements for digest in _named(statement, every_blob)}
        identities = {identity for statement in statements for identity in statement.identities}
        trees = {item.digest for item in identities if item.form == Form.TREE.value and item.digest in subjects}
        for digest in sorted(named | trees):
            try:
                self.files[f"blobs/{digest}"] = self.store.get_blob(digest)
            except EvidenceNotFoundError:
                self.missing.add(digest)

    def manifest(self, pinned: Pin) -> None:
        """The model's own manifest is at hand, whether the store has it or not."""
        self.files[f"blobs/{pinned.artifact.digest}"] = pinned.manifest.to_bytes()
        self.missing.discard(pinned.artifact.digest)
        self.files["model.sha256"] = _sums({entry.name: entry.sha256 for entry in pinned.manifest.entries})


def collect(
    pinned: Pin,
    store: EvidenceStore,
    documents: Documents,
    now: datetime,
    *,
    log: LogTrust | None = None,
    every_blob: bool = False,
) -> Export:
    """Collect the evidence about a released model and its data sets.

    1. The release is verified; a NO isn't exported.
    2. Every bundle about the model and its data sets comes along, byte for byte, also those that don't count; and what
       was found about the keys and statements themselves: their revocations.
    3. With them the blobs that they name: manifests, full reports, OMS signatures; on request also the rows that
       controls listed, which say something about the data.
    4. Beside each bundle that counts and that a key signed: the signed bytes and the signature, for OpenSSL.
    5. Both policies, the signers' public keys and, from a log, each bundle's proof of inclusion, and all of the log
       that was read: the checkpoint and those tiles. Where the trust policy asks for the log, that is all of its
       entries, because a verification reads them all.

    Args:
        pinned: the model; or :func:`~airflow_mlsecops.core.export.release.pin_of_release`.
        store: where the evidence lies.
        documents: trust policy and release policy.
        now: the time at which to judge.
        log: which evidence log the store has, if it has one; by default the one that the trust policy names.
        every_blob: take everything along that statements name.

    Raises:
        NotVerifiedError: if the model isn't released.
        NotLoggedError: if a bundle isn't in the log.
        PolicyError, TrustError: if a document can't be read.
        EvidenceBrokenError: if a blob isn't what its address says.
        StoreUnavailableError: if the store can't be reached.
    """
    # 1.
    recorder = RecordingBackend(store.backend)
    store = EvidenceStore(recorder)
    trust, (policy, policies) = documents.trust_policy(), with_extended(documents.policy, documents.read_policy)
    answer = verify_release(pinned.artifact, store, trust, policy, now)
    refuse(answer)
    # 2. and 3.
    collector = _Collector(store)
    bundles = collector.bundles(answer.dossier.sets)
    collector.blobs(answer.dossier.sets, every_blob=every_blob)
    if pinned.artifact.form is Form.TREE:
        collector.manifest(pinned)
    # 4. and 5.
    counted = {item.digest for item in answer.dossier.verified}
    signed = [item for digest in sorted(counted) if (item := _signed(bundles.get(digest), trust)) is not None]
    certified = [one for key in collector.keys if (one := _certified(key, collector, counted)) is not None]
    for item in signed:
        collector.files[item.pae] = pre_authentication_encoding(item.bundle.statement.payload)
        collector.files[item.signature] = item.bundle.signature
        collector.files[item.key] = item.public_key.pem.encode()
    if log is None and trust.log is not None:
        log = trust.log.trust
    if log is not None:
        collector.files |= _proofs(LogReader(recorder, log), bundles)
    collector.files |= {key: data for key, data in recorder.read_back.items() if key.startswith((LOG, BUNDLES))}
    collector.files |= {"trust.yaml": documents.trust, "policy.yaml": documents.policy, **policies}
    collector.files["artifact.json"] = canonical_json(_artifact(answer.artifact))
    files, missing = dict(collector.files), tuple(sorted(collector.missing))
    files["SHA256SUMS"] = _sums({name: sha256_bytes(data) for name, data in files.items()})
    oms = _oms(bundles, files)
    files["README.txt"] = readme(answer, policy, signed, certified, oms, missing, files).encode()
    return Export(answer, files, missing)


def _artifact(artifact: Artifact) -> dict[str, object]:
    """What was exported, without where it lay: that is nobody's business elsewhere."""
    told = artifact.to_dict()
    return {key: told[key] for key in ("name", "kind", "form", "digest")}


def _signed(bundle: Bundle | None, trust: TrustPolicy) -> Signed | None:
    """A bundle that counts, if a key signed it."""
    signer = None if bundle is None else trust.signers.get(bundle.key_hint)
    if bundle is None or signer is None or signer.key is None:
        return None
    return Signed(bundle, signer.name, signer.key)


def _certified(key: str, collector: _Collector, counted: Collection[str]) -> Certified | None:
    bundle = collector.keys[key]
    return Certified.of(bundle, key, counts=bundle.digest in counted) if bundle.certificate else None


def _named(statement: Statement, every_blob: bool) -> Iterator[str]:
    """The blobs that a statement names; one that is malformed names none, because it doesn't count either."""
    try:
        if statement.predicate_type == TEST_RESULT.uri:
            extension = mapping(statement.predicate, CONTROL_RUN)
            yield digest_set(mapping(extension, "report"))
            if every_blob:
                # Row lists and the like.
                yield from (digest_set(item) for item in objects(extension, "blobs"))
        elif statement.predicate_type == SIGNATURE.uri:
            oms = signature_predicate.parse(statement).oms
            if oms is not None:
                yield oms
    except StatementError:
        return


def _oms(bundles: Mapping[str, Bundle], files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The OMS signatures that came along: name in the export -> bytes."""
    signatures = [bundle.statement for bundle in bundles.values() if bundle.statement.predicate_type == SIGNATURE.uri]
    names = {f"blobs/{digest}" for statement in signatures for digest in _named(statement, every_blob=False)}
    return {name: files[name] for name in sorted(names) if name in files}


def _proofs(log: LogReader, bundles: Mapping[str, Bundle]) -> dict[str, bytes]:
    checkpoint = log.checkpoint()
    if checkpoint is None:
        raise EvidenceNotFoundError("the evidence log is empty", "give no log, or find out who removed it")
    tree = log.tree(checkpoint)
    proofs = {digest: log.prove(Entry.of(bundle).encode(), checkpoint, tree) for digest, bundle in bundles.items()}
    return {f"proofs/{digest}.tlog-proof": proof.encode() for digest, proof in proofs.items()}


def _sums(digests: Mapping[str, str]) -> bytes:
    """As ``sha256sum --check`` reads it; no name has a line break or a backslash in it."""
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode()
