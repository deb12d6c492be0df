"""A model's own signature, in the model's folder, is not part of the model.

Otherwise signing would change what is signed: every statement about the folder would speak of another digest than the
one that the folder has once ``model.sig`` lies in it. What counts as such a signature follows from bytes alone, so that
everybody finds the same digest: see :func:`signature_beside`. Nobody has to trust it; private copies leave it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from airflow_mlsecops.core.digest import HashingSink
from airflow_mlsecops.core.errors import MlsecopsError
from airflow_mlsecops.core.manifest import FileEntry
from airflow_mlsecops.core.pinning.sources import Source, SourceFile

SIGNATURE_NAME = "model.sig"
_MAX_BYTES = 64 * 1024 * 1024


def signature_beside(source: Source, files: Sequence[SourceFile], entries: Sequence[FileEntry]) -> FileEntry | None:
    """The entry of a ``model.sig`` in the root of a tree that is a signature about all the other files, or ``None``.

    1. It is a well-formed OMS v1.0 bundle of a folder.
    2. It lists every other file with the digest that was found, but for those that ``model_signing`` never signs; and
       nothing else.

    Anything less (a signature that grew stale, one of another model, any other bytes) is a file like all others.

    Args:
        source: where the tree lies.
        files: all its files.
        entries: the same, hashed.

    Raises:
        ArtifactChangedError, ArtifactUnavailableError: see :meth:`Source.read`.
    """
    found = next((pair for pair in zip(files, entries, strict=True) if pair[1].name == SIGNATURE_NAME), None)
    if found is None or found[1].size > _MAX_BYTES or len(entries) < 2:
        return None
    file, entry = found
    data = BytesIO()
    sink = HashingSink(data)
    source.read(file, sink)
    same = sink.sha256() == entry.sha256  # else it changed since it was hashed: as a file, it is found out
    return entry if same and _is_about(data.getvalue(), [other for other in entries if other is not entry]) else None


def _is_about(bundle: bytes, others: Sequence[FileEntry]) -> bool:
    from airflow_mlsecops.core.oms.bundle import OmsBundle
    from airflow_mlsecops.core.oms.sign import DEFAULT_IGNORED
    from airflow_mlsecops.core.oms.statement import is_under, parse_statement

    try:
        # 1.
        statement = parse_statement(OmsBundle.parse(bundle).payload)
    except MlsecopsError:
        return False
    # 2.
    found = {entry.name: entry.sha256 for entry in others}
    listed = all(found.get(name) == digest for name, digest in statement.files.items())
    unlisted = [name for name in found if name not in statement.files]
    return not statement.single_file and listed and all(is_under(name, DEFAULT_IGNORED) for name in unlisted)
