"""Load a model from the very bytes that were verified.

Between a check and a load, whoever can write to the model's place can swap the model. Here the bytes are copied while
they are hashed, in one pass, and what is handed out is that copy::

    from airflow_mlsecops.core.loading import open_verified

    with open_verified("s3://models/digits.joblib", store, trust, policy) as model:
        classifier = joblib.load(model.path)

Loading still runs the model's code if it is a pickle: a signature says who vouches for it, not that it is harmless.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, ClassVar

from airflow_mlsecops.core.artifact import Artifact, Form, Kind
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.errors import ArtifactNotFoundError, ConfigurationError, MlsecopsError
from airflow_mlsecops.core.manifest import Manifest
from airflow_mlsecops.core.pinning import Access, Pin, pin, pinned_copy
from airflow_mlsecops.core.policy import Reason, ReleasePolicy
from airflow_mlsecops.core.store import EvidenceStore
from airflow_mlsecops.core.trust import TrustPolicy
from airflow_mlsecops.core.verification import Verification, verify_release, verify_signature

_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class NotVerifiedError(MlsecopsError):
    """The answer is NO: these bytes must not be used.

    Attributes:
        reasons: why not.
    """

    code: ClassVar[str] = "not-verified"

    def __init__(self, message: str, advice: str = "", reasons: tuple[Reason, ...] = ()) -> None:
        super().__init__(message, advice)
        self.reasons = reasons


class VerifiedBytes:
    """The bytes that were verified. Made by :func:`open_verified`; a context manager, at whose end they are gone.

    Attributes:
        verification: the YES, with what it rests on.
        manifest: name, size and digest of each file.
        path: the private copy: of a file the file, of a folder the folder.
    """

    def __init__(self, verification: Verification, manifest: Manifest, path: Path, stack: ExitStack) -> None:
        self.verification = verification
        self.manifest = manifest
        self.path = path
        self._stack = stack

    @property
    def artifact(self) -> Artifact:
        """What was verified."""
        return self.verification.artifact

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all files."""
        return tuple(entry.name for entry in self.manifest.entries)

    def open(self, name: str = "") -> IO[bytes]:
        """Open one file for reading.

        Args:
            name: its name in the folder; needn't be given of a single file.

        Raises:
            ArtifactNotFoundError: if the artifact has no such file.
        """
        single = self.artifact.form is Form.FILE
        if name not in self.names and not (single and not name):
            raise ArtifactNotFoundError(
                f"{self.artifact} has no file {name[:200]!r}", f"it has {', '.join(self.names[:10])}"
            )
        return (self.path if single else self.path / name).open("rb")

    def read(self, name: str = "") -> bytes:
        """All bytes of one file; see :meth:`open`.

        Raises:
            ArtifactNotFoundError: if the artifact has no such file.
        """
        with self.open(name) as stream:
            return stream.read()

    def close(self) -> None:
        """Remove the copy."""
        self._stack.close()

    def __enter__(self) -> VerifiedBytes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_verified(
    uri: str,
    store: EvidenceStore,
    trust: TrustPolicy,
    policy: ReleasePolicy | None,
    now: datetime | None = None,
    access: Access | None = None,
    *,
    kind: Kind = Kind.MODEL,
    in_memory: bool = False,
) -> VerifiedBytes:
    """Copy what lies at ``uri`` while hashing it, verify that, and hand out the copy.

    1. Copy and hash in one pass: of an object on S3 one version, of a folder exactly its files, links refused.
    2. Verify the digest against the evidence: a release under ``policy`` or, without one, a signature.
    3. On a NO remove the copy, and raise.

    The copy lies in a new folder that only this user can enter, read-only; other processes of the same user could still
    write to it. With ``in_memory`` it is sealed by the kernel: nobody can change it any more, this process included.

    Args:
        uri: a path, ``file:`` or ``s3:`` URI.
        store: where the evidence lies.
        trust: who may sign what.
        policy: the release policy that the gate used; None asks for a signature alone.
        now: the time at which to judge; by default now.
        access: how to reach S3.
        kind: as what the artifact is to be used.
        in_memory: keep a single file in sealed memory instead of on disk (Linux only).

    Raises:
        NotVerifiedError: if the answer is NO, with the reasons.
        ConfigurationError: if a folder is to be kept in memory.
        ArtifactError, StoreError: if nobody can tell: the bytes or the evidence can't be read.
    """
    stack = ExitStack()
    try:
        # 1.
        pinned, path = (_in_memory if in_memory else _on_disk)(uri, kind, access, stack)
        # 2.
        at = now or utcnow()
        if policy is None:
            answer = verify_signature(pinned.artifact, store, trust, at)
        else:
            answer = verify_release(pinned.artifact, store, trust, policy, at)
        # 3.
        refuse(answer)
    except BaseException:
        stack.close()
        raise
    return VerifiedBytes(answer, pinned.manifest, path, stack)


def refuse(answer: Verification) -> None:
    """Turn a NO into an error.

    Raises:
        NotVerifiedError: on a NO, with its reasons.
    """
    if not answer:
        reasons = answer.decision.reasons
        raise NotVerifiedError(
            f"{answer.artifact} at {answer.artifact.uri} is not to be used: {'; '.join(map(str, reasons))}",
            "don't load it; `mlsecops verify` shows all the evidence",
            reasons,
        )


def _on_disk(uri: str, kind: Kind, access: Access | None, stack: ExitStack) -> tuple[Pin, Path]:
    folder = Path(tempfile.mkdtemp(prefix="mlsecops-"))
    stack.callback(_remove, folder)
    root = folder / "artifact"
    root.mkdir(mode=0o700)
    pinned, place = pinned_copy(uri, root, kind=kind, access=access)
    for path in [root, *root.rglob("*")]:
        path.chmod(0o500 if path.is_dir() else 0o400)
    return pinned, place


def _remove(folder: Path) -> None:
    for path, _, _ in os.walk(folder):
        Path(path).chmod(0o700)
    shutil.rmtree(folder)


def _in_memory(uri: str, kind: Kind, access: Access | None, stack: ExitStack) -> tuple[Pin, Path]:
    """Source: memfd_create(2), and "File sealing" in fcntl(2)."""
    if not hasattr(os, "memfd_create"):
        raise ConfigurationError("this system has no sealed memory", "leave in_memory out")
    descriptor = os.memfd_create("mlsecops", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    stack.callback(os.close, descriptor)
    names: list[str] = []

    def create(name: str) -> IO[bytes]:
        names.append(name)
        if len(names) > 1:
            raise ConfigurationError(f"{uri} is a folder", "only a single file can be kept in memory")
        return os.fdopen(os.dup(descriptor), "wb")

    pinned = pin(uri, kind=kind, access=access, copy=create)
    if pinned.artifact.form is Form.TREE:
        raise ConfigurationError(f"{uri} is a folder", "only a single file can be kept in memory")
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    return pinned, Path(f"/proc/self/fd/{descriptor}")
