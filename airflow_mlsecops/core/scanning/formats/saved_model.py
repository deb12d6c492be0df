"""TensorFlow's SavedModel: a graph of operators, some of which read and write files or call Python.

Source: tensorflow/core/protobuf/saved_model.proto, meta_graph.proto; core/framework/graph.proto, function.proto.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_mlsecops.core.scanning.formats.protobuf import BYTES, Span, Wire
from airflow_mlsecops.core.scanning.pickles.refusal import Refusal

if TYPE_CHECKING:
    from airflow_mlsecops.core.scanning.part import Part
    from airflow_mlsecops.core.scanning.scan import Scan

REFUSED = {
    "ReadFile",
    "WriteFile",
    "MatchingFiles",
    "PyFunc",
    "PyFuncStateless",
    "EagerPyFunc",
    "ReadFileV2",
    "LookupTableExportV2",
    "DecodeProtoV2",
    "EncodeProto",
    "PrintV2",
    "Print",
    "DebugIdentityV2",
    "DebugIdentityV3",
    "DebugIdentity",
    "Save",
    "SaveSlices",
    "FixedLengthRecordReader",
    "FixedLengthRecordReaderV2",
    "TextLineReader",
    "TextLineReaderV2",
    "TFRecordReader",
    "TFRecordReaderV2",
    "WholeFileReader",
    "WholeFileReaderV2",
    "LMDBReader",
    "TextLineDataset",
    "TFRecordDataset",
    "TFRecordDatasetV2",
    "FixedLengthRecordDataset",
    "FixedLengthRecordDatasetV2",
    "SaveDataset",
    "SaveDatasetV2",
    "LoadDataset",
    "SnapshotDataset",
    "SnapshotDatasetV2",
    "SqlDataset",
    "LMDBDataset",
    "MatchingFilesDataset",
    "GeneratorDataset",
    "CreateSummaryFileWriter",
    "CreateSummaryDbWriter",
    "WriteSummary",
    "ImmutableConst",
    "RpcCall",
    "RpcClient",
    "RpcServer",
    "TryRpc",
    "Rpc",
    "XlaLaunch",
    "XlaLaunchV2",
    "CustomCall",
    "CompositeTensorVariantToComponents",
    "InitializeTableFromTextFile",
    "InitializeTableFromTextFileV2",
    "DataServiceDataset",
    "RemoteCall",
    "DeleteFile",
    "FileSystemSetConfiguration",
}
_PLAIN = re.compile(r"[A-Z_][A-Za-z0-9_]*")
_LAMBDA = re.compile(rb'"class_name"\s*:\s*"(Lambda|TFOpLambda|SlicingOpLambda)"')
MAX_METADATA = 64 * 1024 * 1024


def scan_saved_model(scan: Scan, part: Part) -> None:
    """Follow every graph and function to its operators.

    Raises:
        Refusal: if it isn't a SavedModel.
    """
    wire, graphs = Wire(part), 0
    for field in wire.fields(Span(0, part.size)):
        if field.number == 2 and field.wire == BYTES:
            graphs += 1
            for inner in wire.fields(field.span):
                if inner.number == 2 and inner.wire == BYTES:
                    _graph(scan, part, wire, inner.span)
        elif field.number != 1:
            raise Refusal("malformed", f"a SavedModel with a field {field.number}, which it hasn't")
    if not graphs:
        raise Refusal("malformed", "a SavedModel without a graph")


def _graph(scan: Scan, part: Part, wire: Wire, span: Span) -> None:
    for field in wire.fields(span):
        if field.number == 1:
            _node(scan, part, wire, field.span)
        elif field.number == 2 and field.wire == BYTES:
            for function in wire.fields(field.span):
                if function.number == 1:
                    for node in wire.fields(function.span):
                        if node.number == 3:
                            _node(scan, part, wire, node.span)


def _node(scan: Scan, part: Part, wire: Wire, span: Span) -> None:
    operator = next((wire.text(field.span) for field in wire.fields(span) if field.number == 2), "")
    if operator in REFUSED:
        scan.outcome.add(
            "file-or-shell-operator", f"the operator {operator}, which reaches out of the model", part.name
        )
    elif not _PLAIN.fullmatch(operator):
        scan.outcome.add("custom-operator", f"the operator {operator[:80]!r}, which needs code of its own", part.name)


def scan_keras_metadata(scan: Scan, part: Part) -> None:
    """``keras_metadata.pb``: configurations as text inside a message."""
    if part.size > MAX_METADATA:
        raise Refusal("too-large", f"metadata of {part.size} bytes")
    text = part.at(0, part.size)
    scan.leftovers.search(text, part.name)
    found = _LAMBDA.search(text)
    if found is not None:
        scan.outcome.add("embedded-code", f"a {found.group(1).decode()} layer, which carries code", part.name)
