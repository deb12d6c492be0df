"""Which bytes belong to which format, and which names may stand on them: two visible tables."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

from airflow_mlsecops.core.scanning.formats import archives, boosters, pickle_file
from airflow_mlsecops.core.scanning.formats.gguf_file import scan_gguf
from airflow_mlsecops.core.scanning.formats.keras_file import scan_hdf5, scan_keras
from airflow_mlsecops.core.scanning.formats.numpy_file import scan_npy
from airflow_mlsecops.core.scanning.formats.onnx_file import scan_onnx
from airflow_mlsecops.core.scanning.formats.safetensors_file import scan_safetensors
from airflow_mlsecops.core.scanning.formats.saved_model import scan_keras_metadata, scan_saved_model
from airflow_mlsecops.core.scanning.formats.skops_file import scan_skops
from airflow_mlsecops.core.scanning.formats.text_file import CODE, is_text, scan_json, scan_text
from airflow_mlsecops.core.scanning.formats.torch_file import scan_torch
from airflow_mlsecops.core.scanning.pickles.machine import Machine
from airflow_mlsecops.core.scanning.pickles.reader import Reader
from airflow_mlsecops.core.scanning.pickles.refusal import Refusal

if TYPE_CHECKING:
    from airflow_mlsecops.core.scanning.part import Part
    from airflow_mlsecops.core.scanning.scan import Handler, Scan

HEAD = 512
_OLD_PICKLES = b"(]})cIFSUVXKJMGTNLiBP\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x95\x96"


def _unknown(scan: Scan, part: Part) -> None:
    raise Refusal("unknown-format", "no format that is followed begins like this")


def _empty(scan: Scan, part: Part) -> None:
    """Nothing can hide in no bytes."""


def _raw(scan: Scan, part: Part) -> None:
    """Numbers that a neighbour describes: ONNX's external data, SavedModel's variables."""


def _unsupported(scan: Scan, part: Part) -> None:
    raise Refusal("archive-nested", "an archive of a kind that isn't followed")


HANDLERS: dict[str, Handler] = {
    "empty": _empty,
    "unknown": _unknown,
    "tensor-data": _raw,
    "pickle": pickle_file.scan_pickles,
    "torch-legacy": pickle_file.scan_torch_legacy,
    "zip": archives.scan_zip,
    "npz": archives.scan_zip,
    "torch": scan_torch,
    "keras": scan_keras,
    "skops": scan_skops,
    "gzip": archives.scan_compressed,
    "zlib": archives.scan_compressed,
    "bzip2": archives.scan_compressed,
    "xz": archives.scan_compressed,
    "tar": archives.scan_tar,
    "7z": archives.scan_7z,
    "other-archive": _unsupported,
    "npy": scan_npy,
    "hdf5": scan_hdf5,
    "safetensors": scan_safetensors,
    "gguf": scan_gguf,
    "onnx": scan_onnx,
    "saved-model": scan_saved_model,
    "keras-metadata": scan_keras_metadata,
    "ubjson": boosters.scan_ubjson,
    "lightgbm": boosters.scan_lightgbm,
    "catboost": boosters.scan_catboost,
    "json": scan_json,
    "text": scan_text,
}
MAGICS: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x93NUMPY", "npy"),
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"GGUF", "gguf"),
    (b"CBM1", "catboost"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!", "other-archive"),
    (b"\x28\xb5\x2f\xfd", "other-archive"),
    (b"\x04\x22\x4d\x18", "other-archive"),
    (pickle_file.TORCH_MAGIC_PICKLE, "torch-legacy"),
    (b"\x80\x02" + pickle_file.TORCH_MAGIC_PICKLE, "torch-legacy"),
)
_COMPRESSED = {"gzip", "zlib", "bzip2", "xz"}
_PICKLES = {"pickle", *_COMPRESSED}
_TORCH = {"torch", "torch-legacy", "pickle", "safetensors", "zip"}
EXPECTED: dict[str, set[str]] = {
    ".pkl": _PICKLES, ".pickle": _PICKLES, ".joblib": _PICKLES, ".dill": _PICKLES, ".p": _PICKLES,
    ".pt": _TORCH, ".pth": _TORCH, ".ckpt": _TORCH,
    ".npy": {"npy"}, ".npz": {"npz"},
    ".h5": {"hdf5"}, ".hdf5": {"hdf5"}, ".keras": {"keras", "hdf5"},
    ".safetensors": {"safetensors"}, ".gguf": {"gguf"}, ".onnx": {"onnx"}, ".pb": {"saved-model", "keras-metadata"},
    ".cbm": {"catboost"}, ".ubj": {"ubjson"}, ".skops": {"skops"}, ".lgb": {"lightgbm"},
    ".zip": {"zip", "npz", "torch", "keras", "skops"}, ".tar": {"tar"}, ".7z": {"7z"},
    ".gz": {"gzip"}, ".tgz": {"gzip"}, ".bz2": {"bzip2"}, ".xz": {"xz"}, ".z": {"zlib"},
    ".json": {"json", "text"}, ".txt": {"text", "json", "lightgbm"}, ".md": {"text"}, ".yaml": {"text", "json"},
    ".yml": {"text", "json"}, ".csv": {"text"}, ".ipynb": {"json"},
}  # fmt: skip


def recognise(scan: Scan, part: Part) -> tuple[str, Handler]:
    """The format of a part, by its bytes; a name that says otherwise is a finding."""
    kind = _by_bytes(scan, part)
    expected = EXPECTED.get(part.suffix)
    if expected is not None and kind not in expected and kind not in ("empty", "unknown", "tensor-data"):
        scan.outcome.add("extension-mismatch", f"the name ends in {part.suffix}, and the bytes are {kind}", part.name)
    if part.suffix in CODE and kind not in ("text", "json"):
        scan.outcome.add("embedded-code", f"a file that ends in {part.suffix} beside a model", part.name)
    return kind, HANDLERS[kind]


def _by_bytes(scan: Scan, part: Part) -> str:
    if not part.size:
        return "empty"
    head = part.at(0, HEAD)
    for magic, kind in MAGICS:
        if head.startswith(magic):
            return _zip_kind(part) if kind == "zip" else kind
    if head[257:262] == b"ustar":
        return "tar"
    if part.short_name == "saved_model.pb":
        return "saved-model"
    if part.short_name in ("keras_metadata.pb", "fingerprint.pb"):
        return "keras-metadata"
    kind = archives.compression(head) or _by_form(scan, part, head)
    if kind == "unknown" and (part.name in scan.outside or _is_variables(scan, part)):
        return "tensor-data"
    return kind


def _zip_kind(part: Part) -> str:
    try:
        with zipfile.ZipFile(part.stream) as archive:
            names = archive.namelist()
    except Exception:  # whatever is wrong with it, the strict reader says so
        return "zip"
    if any(name.count("/") == 1 and name.endswith("/data.pkl") for name in names):
        return "torch"
    if "schema.json" in names:
        return "skops"
    if "config.json" in names and any(name.endswith(".weights.h5") for name in names):
        return "keras"
    return "npz" if names and all(name.endswith(".npy") for name in names) else "zip"


def _by_form(scan: Scan, part: Part, head: bytes) -> str:
    if head[0] == 0x80 and len(head) > 1 and head[1] <= 8:
        return "pickle"
    length = int.from_bytes(head[:8], "little")
    if part.size >= 10 and head[8:9] == b"{" and length <= part.size:
        return "safetensors"
    if head.startswith((b"tree\n", b"tree\r\n")):
        return "lightgbm"
    if head[:1] == b"{" and head[1:2] in b"iUIlL$#" and not is_text(head[:16]):
        return "ubjson"
    if part.suffix == ".onnx":
        return "onnx"
    if part.suffix in (".pkl", ".pickle", ".joblib", ".dill", ".p", ".pt", ".pth", ".ckpt"):
        return "pickle"
    if head[0] in _OLD_PICKLES and _is_old_pickle(scan, part):
        return "pickle"
    if is_text(head):
        return "json" if head.lstrip()[:1] in (b"{", b"[") else "text"
    return "onnx" if head[0] == 0x08 and part.suffix != ".bin" else "unknown"


def _is_old_pickle(scan: Scan, part: Part) -> bool:
    """Protocols 0 and 1 have no magic: it is one if it can be followed to its end, or names something on the way."""
    reading = Machine(Reader(part.stream, part.size), scan.allow_list, scan.limits).read()
    return bool(reading.globals) or (reading.complete and reading.end == part.size)


def _is_variables(scan: Scan, part: Part) -> bool:
    """SavedModel's ``variables/variables.data-…`` and ``.index``, beside its ``saved_model.pb``."""
    folder, _, name = part.name.rpartition("/")
    if part.depth or not folder.endswith("variables") or not name.startswith("variables."):
        return False
    return f"{folder.removesuffix('variables')}saved_model.pb" in scan.siblings
