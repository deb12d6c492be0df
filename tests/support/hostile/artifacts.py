"""Artifacts: a folder that is pinned, pinned again after it was changed, or checked against its signature.

``[[file]]`` changes the folder before it is pinned, ``[[swap]]`` after that, before its bytes are taken again.
"""

from __future__ import annotations

from airflow_mlsecops.core.pinning import pin, verified_copy
from tests.support.hostile import Bench
from tests.support.hostile.edits import edit_files
from tests.support.oms_models import write_model

EDITS = {"file", "swap"}


def judge(bench: Bench) -> None:
    """Pin, and get the very same bytes again."""
    model = write_model(bench.folder / "digits")
    edit_files(model, bench.edits("file"))
    bench.spoil(model=model)
    pinned = pin(str(bench.things["model"]))
    edit_files(model, bench.edits("swap"))
    (bench.folder / "copy").mkdir()
    verified_copy(pinned.artifact, bench.folder / "copy")
