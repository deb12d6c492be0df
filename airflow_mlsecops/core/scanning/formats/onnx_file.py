"""ONNX: operators of known domains, and tensors that lie in the file or in one beside it.

Source: onnx/onnx.proto (ModelProto, GraphProto, NodeProto, TensorProto) and ExternalData.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_mlsecops.core.scanning.formats.protobuf import BYTES, VARINT, Span, Wire
from airflow_mlsecops.core.scanning.pickles.refusal import Refusal

if TYPE_CHECKING:
    from airflow_mlsecops.core.scanning.part import Part
    from airflow_mlsecops.core.scanning.scan import Scan

DOMAINS = {
    "",
    "ai.onnx",
    "ai.onnx.ml",
    "ai.onnx.training",
    "ai.onnx.preview.training",
    "com.microsoft",
    "com.microsoft.nchwc",
}
_PYTHON = {"PythonOp", "PythonOpGrad", "PyOp", "ATen"}
MAX_DEPTH = 16
_EXTERNAL = 1


class _Model:
    def __init__(self, scan: Scan, part: Part) -> None:
        self.scan, self.part, self.wire = scan, part, Wire(part)
        self.seen_graph = False

    def add(self, rule: str, message: str) -> None:
        self.scan.outcome.add(rule, message, self.part.name)

    def model(self, span: Span) -> None:
        version = 0
        for field in self.wire.fields(span):
            if field.number == 1 and field.wire == VARINT:
                version = field.value
            elif field.number == 7 and field.wire == BYTES:
                self.seen_graph = True
                self.graph(field.span, 0)
            elif field.number == 8:
                self.check_domain(self._named(field.span, 1))
            elif field.number == 14:
                self.scan.leftovers.search(self.wire.bytes(field.span), self.part.name)
            elif field.number == 25:
                self.function(field.span)
            elif field.number not in (2, 3, 4, 5, 6, 20, 26):
                raise Refusal("malformed", f"a model with a field {field.number}, which ONNX hasn't")
        if not self.seen_graph or not 0 < version < 100:
            raise Refusal("malformed", "a model without a graph")

    def _named(self, span: Span, number: int) -> str:
        return next((self.wire.text(item.span) for item in self.wire.fields(span) if item.number == number), "")

    def check_domain(self, domain: str) -> None:
        if domain not in DOMAINS:
            self.add("custom-operator", f"operators of the domain {domain[:80]!r}, which needs code of its own")

    def function(self, span: Span) -> None:
        for field in self.wire.fields(span):
            if field.number == 7:
                self.node(field.span, 1)

    def graph(self, span: Span, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise Refusal("too-large", "graphs within graphs")
        for field in self.wire.fields(span):
            if field.number == 1 and field.wire == BYTES:
                self.node(field.span, depth)
            elif field.number == 5:
                self.tensor(field.span)
            elif field.number == 15:
                for inner in self.wire.fields(field.span):
                    if inner.number in (1, 2):
                        self.tensor(inner.span)

    def node(self, span: Span, depth: int) -> None:
        kind = domain = ""
        for field in self.wire.fields(span):
            if field.number == 4:
                kind = self.wire.text(field.span)
            elif field.number == 7:
                domain = self.wire.text(field.span)
            elif field.number == 5:
                self.attribute(field.span, depth)
        self.check_domain(domain)
        if kind in _PYTHON:
            self.add("custom-operator", f"the operator {kind}, which calls Python")

    def attribute(self, span: Span, depth: int) -> None:
        for field in self.wire.fields(span):
            if field.wire != BYTES:
                continue
            if field.number in (5, 10):
                self.tensor(field.span)
            elif field.number in (6, 11):
                self.graph(field.span, depth + 1)
            elif field.number in (22, 23):
                for inner in self.wire.fields(field.span):
                    if inner.number in (1, 2):
                        self.tensor(inner.span)

    def tensor(self, span: Span) -> None:
        external, entries = False, dict[str, str]()
        for field in self.wire.fields(span):
            if field.number == 14 and field.wire == VARINT:
                external = field.value == _EXTERNAL
            elif field.number == 13:
                pair = {item.number: self.wire.text(item.span) for item in self.wire.fields(field.span)}
                entries[pair.get(1, "")] = pair.get(2, "")
        if external or entries:
            self.external(entries)

    def external(self, entries: dict[str, str]) -> None:
        """A tensor that lies in another file: it has to be a plain one in the same folder of the artifact."""
        location = entries.get("location", "")
        parts = location.replace("\\", "/").split("/")
        if not location or location.startswith(("/", "~")) or ":" in location or ".." in parts or "\\" in location:
            self.add("external-data", f"a tensor's data lie at {location[:80]!r}, which leads elsewhere")
            return
        folder = self.part.name.rsplit("/", 1)[0] + "/" if "/" in self.part.name else ""
        if folder + location not in self.scan.siblings:
            self.add("external-data", f"a tensor's data lie at {location[:80]!r}, which isn't part of the artifact")
            return
        self.scan.outside.setdefault(folder + location, "onnx")


def scan_onnx(scan: Scan, part: Part) -> None:
    """Follow the model's graphs.

    Raises:
        Refusal: if it isn't one.
    """
    _Model(scan, part).model(Span(0, part.size))
