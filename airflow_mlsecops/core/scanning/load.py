"""Load a model where it is served: its evidence verified, its bytes scanned, and only the pinned names importable.

::

    from airflow_mlsecops.core.scanning.load import open_scanned

    with open_scanned("s3://models/digits.joblib", store, trust, policy) as model:
        classifier = model.load()

Nothing can be swapped between check and load, because what is scanned and loaded is the copy that was hashed. And what
is loaded can name no more than what the scan saw in those bytes, and what the evidence about them pinned.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from airflow_mlsecops.core.artifact import Artifact, Form
from airflow_mlsecops.core.controls.model_scan import scan_model
from airflow_mlsecops.core.errors import ArtifactNotFoundError, MissingExtraError, MlsecopsError
from airflow_mlsecops.core.loading import VerifiedBytes, open_verified
from airflow_mlsecops.core.pinning import Access
from airflow_mlsecops.core.policy import ReleasePolicy
from airflow_mlsecops.core.report import Report
from airflow_mlsecops.core.scanning.pinned import imports_of
from airflow_mlsecops.core.scanning.rules import IMPORTS_BLOB
from airflow_mlsecops.core.store import EvidenceStore
from airflow_mlsecops.core.trust import TrustPolicy


class UnsafeModelError(MlsecopsError):
    """The bytes are verified, and could still attack whoever loads them: nothing was loaded."""

    code = "unsafe-model"


@dataclass(frozen=True)
class ScannedModel:
    """A model that may be loaded. Made by :func:`open_scanned`; a context manager, at whose end the bytes are gone.

    Attributes:
        bytes: the verified bytes.
        report: what the scan here said of them.
        imports: the names that loading may ask for, and no other.
    """

    bytes: VerifiedBytes
    report: Report
    imports: frozenset[str]

    @property
    def path(self) -> Path:
        """The private copy, for a loader of your own; nothing limits what that one imports."""
        return self.bytes.path

    def load(self, name: str = "") -> Any:
        """Make the object of a pickle, a joblib or a torch file.

        Args:
            name: of the file, where the model is a folder.

        Raises:
            UnsafeModelError: if it asks for a name that isn't pinned.
            MissingExtraError: if the library that wrote it isn't installed.
            ArtifactNotFoundError: if the model has no such file.
        """
        with self.bytes.open(name):
            path = self.bytes.path if self.bytes.artifact.form is Form.FILE else self.bytes.path / name
            return _load(path, self.imports)

    def close(self) -> None:
        """Remove the copy."""
        self.bytes.close()

    def __enter__(self) -> ScannedModel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_scanned(
    uri: str,
    store: EvidenceStore,
    trust: TrustPolicy,
    policy: ReleasePolicy | None,
    now: datetime | None = None,
    access: Access | None = None,
    *,
    in_memory: bool = False,
    allow_lists: Sequence[bytes] = (),
) -> ScannedModel:
    """Verify, scan, and hand out what may be loaded.

    1. Copy and verify the bytes; see :func:`~airflow_mlsecops.core.loading.open_verified`.
    2. Take the pinned imports from the verified scan of these very bytes: without one the answer is NO.
    3. Scan the copy, here and now: what was allowed when it was signed may be refused today.
    4. What the copy names must be what was pinned.

    The caller still owes: that each of ``allow_lists`` was signed; see
    :func:`~airflow_mlsecops.core.scanning.pinned.check_allow_list`.

    Raises:
        NotVerifiedError: if the evidence says NO.
        UnsafeModelError: if the scan does, or the imports aren't the pinned ones.
        ArtifactError, StoreError: if nobody can tell.
    """
    # 1.
    verified = open_verified(uri, store, trust, policy, now, access, in_memory=in_memory)
    try:
        artifact = verified.artifact
        # 2.
        evidence = verified.verification.dossier.sets[artifact.digest]
        pinned = imports_of(evidence, store)
        if pinned is None:
            raise UnsafeModelError(f"no trusted scan of {artifact} is in the evidence", "scan it before it is released")
        # 3.
        report = scan_model(artifact, verified.path, allow_lists=allow_lists, pinned_imports=pinned)
        if not report:
            raise UnsafeModelError(f"{artifact} was refused: {report.summary}", "don't load it; find out who signed it")
        # 4.
        imports = frozenset(json.loads(report.blobs[IMPORTS_BLOB]))
        if not imports <= set(pinned):
            new = ", ".join(sorted(imports - set(pinned))[:5])
            raise UnsafeModelError(f"{artifact} needs names that aren't pinned: {new}", "scan and release it again")
    except BaseException:
        verified.close()
        raise
    return ScannedModel(verified, report, imports)


def load_scanned(artifact: Artifact, path: Path, name: str = "", *, allow_lists: Sequence[bytes] = ()) -> Any:
    """Scan a private copy of a model that isn't signed yet, and load it with the names that the scan saw.

    The caller still owes: that ``path`` is a private copy of the artifact's pinned bytes.

    Args:
        artifact: what it is.
        path: the copy.
        name: of the file, where the model is a folder.
        allow_lists: users' lists that were signed.

    Raises:
        UnsafeModelError: if the scan refuses it.
        MissingExtraError: if the library that wrote it isn't installed.
        ArtifactNotFoundError: if the model has no such file.
    """
    report = scan_model(artifact, path, allow_lists=allow_lists)
    if not report:
        raise UnsafeModelError(f"{artifact} was refused: {report.summary}", "don't load it; find out who made it")
    entry = path if artifact.form is Form.FILE else path / name
    if not entry.is_file() or entry.resolve() not in (path.resolve(), *path.resolve().rglob("*")):
        raise ArtifactNotFoundError(f"{artifact} has no file {name[:200]!r}", "name the file that is the model")
    return _load(entry, frozenset(json.loads(report.blobs[IMPORTS_BLOB])))


def _load(path: Path, imports: frozenset[str]) -> Any:
    with path.open("rb") as stream:
        head = stream.read(4)
    return (_load_torch if head == b"PK\x03\x04" else _load_joblib)(path, imports)


def _check(module: str, name: str, imports: frozenset[str]) -> None:
    if f"{module}.{name}" not in imports or "." in name:
        raise UnsafeModelError(f"loading asked for {module}.{name}, which isn't pinned", "don't load it")


def _load_joblib(path: Path, imports: frozenset[str]) -> Any:
    """Pickle's own format and joblib's, compressed or not, by an unpickler that can import nothing else."""
    try:
        from joblib import numpy_pickle
        from joblib.numpy_pickle_utils import _validate_fileobject_and_memmap
    except ImportError:
        raise MissingExtraError("joblib isn't installed", "pip install joblib") from None

    class Restricted(numpy_pickle.NumpyUnpickler):
        def find_class(self, module: str, name: str) -> Any:
            _check(module, name, imports)
            return super().find_class(module, name)

    with path.open("rb") as raw, _validate_fileobject_and_memmap(raw, str(path), None) as (stream, _):
        return Restricted(str(path), stream, ensure_native_byte_order=True).load()


def _load_torch(path: Path, imports: frozenset[str]) -> Any:
    """Torch's zip format; ``torch.load`` takes the unpickler from a module that it is given."""
    import pickle
    from types import ModuleType

    try:
        import torch
    except ImportError:
        raise MissingExtraError("torch isn't installed", "pip install torch") from None

    class Restricted(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            _check(module, name, imports)
            return super().find_class(module, name)

    restricted = ModuleType("restricted_pickle")
    restricted.Unpickler = Restricted  # type: ignore[attr-defined]
    restricted.load = _never  # type: ignore[attr-defined]
    return torch.load(path, map_location="cpu", pickle_module=restricted, weights_only=False)


def _never(*_: Any, **__: Any) -> Any:
    raise UnsafeModelError("torch took the way of its old format", "save the model again, as torch does now")
