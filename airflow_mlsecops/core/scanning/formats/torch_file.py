"""torch's zip files: ``data.pkl``, whose tensors lie in members of their own. And TorchScript, which carries code.

Source: ``torch/serialization.py`` (``_save``) and ``caffe2/serialize/inline_container.h``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_mlsecops.core.scanning.formats.pickle_file import one_pickle
from airflow_mlsecops.core.scanning.formats.zip_file import members, open_member
from airflow_mlsecops.core.scanning.pickles.refusal import Refusal

if TYPE_CHECKING:
    from airflow_mlsecops.core.scanning.part import Part
    from airflow_mlsecops.core.scanning.scan import Scan

_SMALL = {"version", "byteorder", ".format_version", ".storage_alignment", ".data/serialization_id"}
MAX_SMALL = 4096


def scan_torch(scan: Scan, part: Part) -> None:
    """The pickle, then every tensor's storage against what the pickle says of it.

    Raises:
        Refusal: if there are two roots, code, a member that nothing refers to, or a size that doesn't fit.
    """
    found = members(scan, part)
    roots = {info.filename.split("/")[0] for info in found}
    if len(roots) != 1:
        raise Refusal("archive-irregular", f"a torch file with {len(roots)} roots")
    root = roots.pop()
    by_name = {info.filename.removeprefix(f"{root}/"): info for info in found if not info.is_dir()}
    code = [name for name in by_name if name.startswith("code/") or name in ("constants.pkl", "model.json")]
    if code:
        scan.outcome.add(
            "embedded-code", f"TorchScript carries code ({code[0][:80]}), which runs when it is used", part.name
        )
    inner = open_member(scan, part, by_name.pop("data.pkl"))
    reading = one_pickle(scan, inner, tensors=True, joblib=False)
    if not reading.complete:
        return
    if reading.end != inner.size:
        scan.outcome.add("trailing-bytes", "bytes after the pickle of a torch file", inner.name)
    for key, size in reading.storages.items():
        name = f"data/{key.decode(errors='replace')}"
        info = by_name.pop(name, None)
        if info is None:
            raise Refusal("truncated", f"the storage {name[:80]!r} is missing")
        if info.file_size != size:
            raise Refusal("header-bounds", f"{name[:80]!r} has {info.file_size} bytes, and the pickle says {size}")
        open_member(scan, part, info)
    for name, info in by_name.items():
        small = open_member(scan, part, info)
        if name in _SMALL and small.size <= MAX_SMALL:
            continue
        if name.startswith("code/"):
            continue
        if name.startswith("data/"):
            scan.outcome.add("not-examined", "a storage that the pickle doesn't refer to", small.name)
        else:
            scan.part(small)
