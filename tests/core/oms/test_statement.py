"""The statement in a ``model.sig``: what is written, and that nothing ambiguous is read."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import ArtifactRefusedError
from airflow_mlsecops.core.manifest import FileEntry, Manifest
from airflow_mlsecops.core.oms.errors import OmsFormatError, OmsNamesError, OmsRootDigestError
from airflow_mlsecops.core.oms.statement import MAX_STATEMENT_BYTES, oms_statement, parse_statement
from tests.support.oms_models import FILES, statement


def _manifest(files: dict[str, bytes]) -> Manifest:
    return Manifest.of(FileEntry(name, len(data), sha256_bytes(data)) for name, data in files.items())


def _payload(value: Any) -> bytes:
    return json.dumps(value).encode()


GOOD = statement(sorted(FILES.items()))


def test_what_is_written_is_the_format() -> None:
    written = json.loads(oms_statement(_manifest(FILES), name="digits", ignore_paths=["model.sig", ".git"]))

    names = ["config.json", "tokenizer/vöcab 词.txt", "weights-1.bin", "weights.txt", "weights/part-2.bin"]
    raw = b"".join(hashlib.sha256(FILES[name]).digest() for name in names)
    assert written == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "digits", "digest": {"sha256": hashlib.sha256(raw).hexdigest()}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": [".git", "model.sig"],
            },
            "resources": [
                {"name": name, "algorithm": "sha256", "digest": hashlib.sha256(FILES[name]).hexdigest()}
                for name in names
            ],
        },
    }


def test_a_single_file_is_a_dot() -> None:
    written = oms_statement(_manifest({"model.pkl": b"weights"}), name="model.pkl", single_file=True)

    digest = hashlib.sha256(b"weights")
    assert json.loads(written)["predicate"]["resources"] == [
        {"name": ".", "algorithm": "sha256", "digest": digest.hexdigest()}
    ]
    read = parse_statement(written)
    assert read.single_file
    assert read.files == {"model.pkl": digest.hexdigest()}
    assert read.root == hashlib.sha256(digest.digest()).hexdigest()


def test_ignored_paths_are_whole_names_or_folders_and_are_recorded() -> None:
    files = {**FILES, ".git/config": b"", ".git/a/b": b"", ".gitignore": b"", "sub/.git": b"kept", "model.sig": b""}

    read = parse_statement(oms_statement(_manifest(files), name="m", ignore_paths=[".git", "model.sig"]))

    assert set(read.files) == {*FILES, ".gitignore", "sub/.git"}
    assert read.ignored == (".git", "model.sig")


def test_nothing_left_to_sign_is_refused() -> None:
    with pytest.raises(OmsNamesError, match="left to sign"):
        oms_statement(_manifest({"a/b": b""}), name="m", ignore_paths=["a"])


@pytest.mark.parametrize("path", ["../a", "/a", "", ".", "a//b", "a\\b"])
def test_an_unsafe_path_to_ignore_is_refused(path: str) -> None:
    with pytest.raises(ArtifactRefusedError):
        oms_statement(_manifest(FILES), name="m", ignore_paths=[path])


def test_many_files_are_not_one() -> None:
    with pytest.raises(OmsNamesError):
        oms_statement(_manifest(FILES), name="m", single_file=True)


def test_what_is_written_is_read() -> None:
    read = parse_statement(oms_statement(_manifest(FILES), name="m"))

    assert read.files == {name: sha256_bytes(data) for name, data in FILES.items()}
    assert (read.name, read.single_file, read.ignored) == ("m", False, ())


def test_both_orders_are_read() -> None:
    by_text = sorted(FILES.items())
    by_parts = sorted(FILES.items(), key=lambda item: item[0].split("/"))
    assert by_text != by_parts

    assert parse_statement(_payload(statement(by_text))).files == parse_statement(_payload(statement(by_parts))).files


def _set(*path: Any) -> Callable[[Any, Any], None]:
    def change(value: Any, new: Any) -> None:
        for key in path[:-1]:
            value = value[key]
        value[path[-1]] = new

    return change


FIRST = ("predicate", "resources", 0)
WRONG: list[tuple[str, tuple[Any, ...], Any]] = [
    ("another statement version", ("_type",), "https://in-toto.io/Statement/v0.1"),
    ("the predicate of v0.2", ("predicateType",), "https://model_signing/Digests/v0.1"),
    ("another predicate", ("predicateType",), "https://slsa.dev/provenance/v1"),
    ("no subject", ("subject",), []),
    ("several subjects", ("subject",), GOOD["subject"] * 2),
    ("a subject without a name", ("subject", 0, "name"), ""),
    ("a subject that is no object", ("subject", 0), "model"),
    ("a second hash of the subject", ("subject", 0, "digest", "sha512"), "0" * 128),
    ("an upper-case root digest", ("subject", 0, "digest", "sha256"), "A" * 64),
    ("unknown key of the subject", ("subject", 0, "uri"), "s3://elsewhere/"),
    ("unknown key of the statement", ("extra",), 1),
    ("unknown key of the predicate", ("predicate", "extra"), 1),
    ("unknown key of the serialization", ("predicate", "serialization", "shard_size"), 1000),
    ("unknown key of a resource", (*FIRST, "uri"), "s3://elsewhere/"),
    ("shards", ("predicate", "serialization", "method"), "shards"),
    ("another hash", ("predicate", "serialization", "hash_type"), "blake3"),
    ("links", ("predicate", "serialization", "allow_symlinks"), True),
    ("links, said otherwise", ("predicate", "serialization", "allow_symlinks"), 0),
    ("ignored paths that are no list", ("predicate", "serialization", "ignore_paths"), "model.sig"),
    ("no resources", ("predicate", "resources"), []),
    ("resources that are no list", ("predicate", "resources"), {}),
    ("a resource that is no object", FIRST, "config.json"),
    ("a resource by another hash", (*FIRST, "algorithm"), "sha512"),
    ("a resource whose digest is too short", (*FIRST, "digest"), "0" * 62),
    ("a resource whose digest is upper-case", (*FIRST, "digest"), "A" * 64),
    ("a resource whose name is no text", (*FIRST, "name"), 1),
    ("no predicate", ("predicate",), None),
]


@pytest.mark.parametrize("path, new", [item[1:] for item in WRONG], ids=[item[0] for item in WRONG])
def test_a_wrong_part_is_refused(path: tuple[Any, ...], new: Any) -> None:
    value = copy.deepcopy(GOOD)
    parse_statement(_payload(value))

    _set(*path)(value, new)

    with pytest.raises(OmsFormatError):
        parse_statement(_payload(value))


@pytest.mark.parametrize("key", ["_type", "subject", "predicateType", "predicate"])
def test_a_missing_part_is_refused(key: str) -> None:
    with pytest.raises(OmsFormatError, match=key):
        parse_statement(_payload({name: item for name, item in GOOD.items() if name != key}))


UNSAFE = [
    "../x",
    "a/../../x",
    "/etc/passwd",
    "a//b",
    "./a",
    "a/.",
    "..",
    "",
    "a\\..\\x",
    "C:\\x",
    "a\nb",
    "a\u0085b",
    "\ud800",
    "x" * 1025,
    ".",
]


@pytest.mark.parametrize("name", UNSAFE)
def test_an_unsafe_name_is_refused(name: str) -> None:
    files = sorted([(name, b"1"), ("good", b"2")])

    with pytest.raises(OmsFormatError):
        parse_statement(_payload(statement(files)))


@pytest.mark.parametrize("path", ["../x", "/x", ".", "a//b"])
def test_an_unsafe_path_that_was_ignored_is_refused(path: str) -> None:
    with pytest.raises(OmsNamesError):
        parse_statement(_payload(statement([("a", b"1")], ignore_paths=[path])))


@pytest.mark.parametrize(
    "files",
    [
        [("a", b"1"), ("a", b"1")],
        [("a", b"1"), ("a", b"2")],
        [("e\u0301", b"1"), ("\u00e9", b"2")],
        [("a", b"1"), ("a/b", b"2")],
        [("a", b"1"), ("a-b", b"3"), ("a/b/c", b"2")],
        [("b", b"1"), ("a", b"2")],
        [("a/b", b"1"), ("a-b", b"2"), ("a/c", b"3")],
        [],
    ],
    ids=["same-twice", "twice", "unicode", "file-and-folder", "deep-folder", "unsorted", "half-sorted", "empty"],
)
def test_an_ambiguous_list_is_refused(files: list[tuple[str, bytes]]) -> None:
    with pytest.raises(OmsNamesError):
        parse_statement(_payload(statement(files)))


def test_a_root_digest_of_other_files_is_refused() -> None:
    value, other = copy.deepcopy(GOOD), statement([("x", b"y")])
    value["subject"] = other["subject"]

    with pytest.raises(OmsRootDigestError):
        parse_statement(_payload(value))


def test_a_root_digest_in_another_order_is_refused() -> None:
    value = copy.deepcopy(GOOD)
    value["predicate"]["resources"].reverse()

    with pytest.raises(OmsNamesError):
        parse_statement(_payload(value))


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_truncated_statement_is_refused(cut: int) -> None:
    with pytest.raises(OmsFormatError):
        parse_statement(_payload(GOOD)[:cut])


def test_an_oversized_statement_is_refused() -> None:
    with pytest.raises(OmsFormatError, match="more than"):
        parse_statement(_payload(GOOD) + b" " * MAX_STATEMENT_BYTES)


def test_a_key_twice_is_refused() -> None:
    payload = _payload(GOOD).replace(b'"predicateType"', b'"subject": [], "predicateType"', 1)

    with pytest.raises(OmsFormatError, match="duplicate"):
        parse_statement(payload)
