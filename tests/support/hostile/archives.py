"""Exports: an archive that is read as an evidence store. What is wrong with it is the work of each case's ``make.py``,
which gets ``archive`` (bytes) and ``files`` (name -> bytes), and leaves ``archive``; ``[[raw]]`` works on the bytes.
"""

from __future__ import annotations

from airflow_mlsecops.core.store.archive import open_export
from airflow_mlsecops.core.store.tar import tar_chunks
from tests.support.evidence import bundle
from tests.support.hostile import Bench
from tests.support.hostile.edits import edit_bytes

EDITS = {"raw"}
_BLOB = "9372c470eeadd5ecd9c3c74c2b3cb633f8e2f2fad799250a0f70d652b6b825e4"


def judge(bench: Bench) -> None:
    """Pack, spoil, read everything."""
    good = bundle()
    subject = good.statement.subjects[0][1]
    key = f"bundles/{subject}/signature/{good.digest}.sigstore.json"
    files = {"README.txt": b"hello\n", f"blobs/{_BLOB}": b"model", key: good.raw}
    archive = edit_bytes(b"".join(tar_chunks(files)), bench.edits("raw"))
    things = bench.spoil(archive=archive, files=files, key=key)
    (bench.folder / "export.tar").write_bytes(things["archive"])
    store = open_export(bench.folder / "export.tar")
    (found,) = store.find(subject)
    assert found.bundle is not None, found.broken
    assert store.get_blob(_BLOB) == b"model"
