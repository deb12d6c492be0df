"""skops: a zip with a schema that names types, and arrays. Source: ``skops/io/_audit.py`` and ``_general.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_mlsecops.core.scanning.formats.text_file import strict_json, walk
from airflow_mlsecops.core.scanning.formats.zip_file import members, open_member
from airflow_mlsecops.core.scanning.pickles.refusal import Refusal

if TYPE_CHECKING:
    from airflow_mlsecops.core.scanning.part import Part
    from airflow_mlsecops.core.scanning.scan import Scan

LOADERS = {
    "ObjectNode",
    "DictNode",
    "ListNode",
    "TupleNode",
    "SetNode",
    "SliceNode",
    "JsonNode",
    "NdArrayNode",
    "TypeNode",
    "DatetimeNode",
    "DefaultDictNode",
    "BytesNode",
    "BytearrayNode",
    "MaskedArrayNode",
    "RandomStateNode",
    "RandomGeneratorNode",
    "DTypeNode",
    "SparseMatrixNode",
    "TreeNode",
    "LossNode",
    "SGDNode",
    "BunchNode",
    "CachedNode",
    "FunctionNode",
    "EnumNode",
    "_DictWithDeprecatedKeysNode",
}


def scan_skops(scan: Scan, part: Part) -> None:
    """Every type that the schema names has to be an allowed name, and every loader one that makes data."""
    for info in members(scan, part):
        inner = open_member(scan, part, info)
        if info.filename != "schema.json":
            scan.part(inner)
            continue
        if inner.size > scan.limits.header_bytes:
            raise Refusal("too-large", f"a schema of {inner.size} bytes")
        text = inner.at(0, inner.size)
        scan.leftovers.search(text, inner.name)
        for node in walk(strict_json(text)):
            if "__class__" in node or "__module__" in node or "__loader__" in node:
                _check(scan, node, inner.name)


def _check(scan: Scan, node: dict[str, object], where: str) -> None:
    module, name, loader = (str(node.get(key, "")) for key in ("__module__", "__class__", "__loader__"))
    if loader not in LOADERS:
        scan.outcome.add("untrusted-type", f"the loader {loader[:60]!r}", where)
    scan.outcome.globals.add(f"{module}.{name}"[:200])
    if scan.allow_list.find(module.encode(), name.encode()) is None:
        scan.outcome.add("untrusted-type", f"the type {module}.{name}"[:120], where)
    content = node.get("content")
    if loader in ("TypeNode", "FunctionNode") and isinstance(content, dict):
        inner = (str(content.get("module_path", module)), str(content.get("function", name)))
        if scan.allow_list.find(inner[0].encode(), inner[1].encode()) is None:
            scan.outcome.add("untrusted-type", f"the name {'.'.join(inner)}"[:120], where)
