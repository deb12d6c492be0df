"""Keras: ``.keras`` (a zip of configuration and weights) and ``.h5``; what their configurations may name.

Keras makes objects from names in the configuration. Refused: Lambda layers, wrappers that load other formats, modules
outside of Keras, registered custom objects, functions that aren't activations.
Source: ``keras/src/saving/serialization_lib.py``;
CVE-2025-1550, CVE-2025-8747, CVE-2025-9905, CVE-2025-9906, CVE-2025-12058.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.scanning.formats.text_file import strict_json, walk
from airflow_mlsecops.core.scanning.formats.zip_file import members, open_member
from airflow_mlsecops.core.scanning.pickles.refusal import Refusal

if TYPE_CHECKING:
    from airflow_mlsecops.core.scanning.part import Part
    from airflow_mlsecops.core.scanning.scan import Scan

CODE_CLASSES = {
    "Lambda",
    "TFOpLambda",
    "SlicingOpLambda",
    "TorchModuleWrapper",
    "TFSMLayer",
    "JaxLayer",
    "FlaxLayer",
    "__lambda__",
    "function",
    "__typespec__",
}
MODULES = re.compile(
    r"keras(?:\.src)?(?:\.(?:layers|initializers|regularizers|constraints|optimizers|losses|metrics|models|activations|"
    r"dtype_policies|engine|legacy)(?:\.\w+)*)?|tensorflow\.keras\.\w+|builtins"
)
ACTIVATIONS = {
    "relu",
    "relu6",
    "softmax",
    "sigmoid",
    "tanh",
    "linear",
    "elu",
    "selu",
    "gelu",
    "swish",
    "silu",
    "softplus",
    "softsign",
    "exponential",
    "hard_sigmoid",
    "leaky_relu",
    "log_softmax",
    "mish",
}


def check_object(scan: Scan, item: dict[str, Any], where: str) -> None:
    """One serialized object in a configuration."""
    name, module, registered = item.get("class_name"), item.get("module"), item.get("registered_name")
    if name == "function" and item.get("config") in ACTIVATIONS:
        return
    if name in CODE_CLASSES or not isinstance(name, str):
        scan.outcome.add("embedded-code", f"an object of class {str(name)[:60]!r}, which carries or names code", where)
    if module is not None and (not isinstance(module, str) or not MODULES.fullmatch(module)):
        scan.outcome.add("embedded-code", f"an object of the module {str(module)[:60]!r}, which isn't Keras's", where)
    if (isinstance(registered, str) and ">" in registered) or (isinstance(name, str) and ">" in name):
        scan.outcome.add("embedded-code", f"a custom object {str(registered or name)[:60]!r}, which needs code", where)
    config = item.get("config")
    if isinstance(config, dict) and isinstance(config.get("vocabulary"), str):
        scan.outcome.add("external-data", "a lookup layer that reads its vocabulary from a path", where)


def check_configuration(scan: Scan, text: bytes, where: str) -> None:
    """A whole configuration."""
    scan.leftovers.search(text, where)
    for item in walk(strict_json(text)):
        if "class_name" in item:
            check_object(scan, item, where)
        if item.get("custom_objects"):
            scan.outcome.add("embedded-code", "custom objects in a configuration", where)


def scan_keras(scan: Scan, part: Part) -> None:
    """``config.json``, ``metadata.json``, ``model.weights.h5``, and nothing else that isn't scanned by itself."""
    for info in members(scan, part):
        if info.is_dir():
            continue
        inner = open_member(scan, part, info)
        if info.filename == "config.json":
            if inner.size > scan.limits.header_bytes:
                raise Refusal("too-large", f"a configuration of {inner.size} bytes")
            check_configuration(scan, inner.at(0, inner.size), inner.name)
        else:
            scan.part(inner)


def scan_hdf5(scan: Scan, part: Part) -> None:
    """HDF5, with h5py when it is installed (extra ``hdf5``): configuration, links out of the file, odd types.

    Raises:
        Refusal: if it isn't, or the file can't be read.
    """
    try:
        import h5py
    except ImportError:
        raise Refusal("not-examined", "an HDF5 file; install airflow-mlsecops[hdf5] to look inside") from None
    part.stream.seek(0)
    try:
        with h5py.File(part.stream, "r") as file:
            for key in ("model_config", "training_config"):
                value = file.attrs.get(key)
                if value is not None:
                    text = value if isinstance(value, bytes) else str(value).encode()
                    check_configuration(scan, text, f"{part.name}!{key}")
            _walk(scan, part, file, h5py)
    except (OSError, RuntimeError, KeyError) as error:
        raise Refusal("malformed", f"the HDF5 file can't be read: {type(error).__name__}") from error


def _walk(scan: Scan, part: Part, file: Any, h5py: Any) -> None:
    left, count = [file], 0
    while left:
        group = left.pop()
        for name in group:
            count += 1
            if count > scan.limits.members:
                raise Refusal("too-large", "more objects than are followed")
            link = group.get(name, getlink=True)
            if isinstance(link, (h5py.ExternalLink, h5py.SoftLink)):
                scan.outcome.add("external-data", f"{name[:60]!r} is a link to another place", part.name)
                continue
            item = group[name]
            if isinstance(item, h5py.Group):
                left.append(item)
            elif isinstance(item, h5py.Dataset):
                if item.external or item.is_virtual:
                    scan.outcome.add("external-data", f"the data of {name[:60]!r} lie in another file", part.name)
                if item.dtype.kind == "O" and h5py.check_string_dtype(item.dtype) is None:
                    scan.outcome.add("untrusted-type", f"{name[:60]!r} holds references", part.name)
