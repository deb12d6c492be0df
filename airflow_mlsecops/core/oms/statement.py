"""The statement in a ``model.sig``: an in-toto Statement v1 whose predicate lists every file with its SHA-256.

Format: OpenSSF Model Signing v1.0, predicate type ``https://model_signing/signature/v1.0``. Its reference
implementation is ``model_signing``, whose habits are followed where the specification leaves room:

- A single file is the resource ``.``; the file's name stands in the subject alone.
- The root digest is the SHA-256 of all files' raw digests, in the order of the list. It binds no names.
- The specification sorts names by code points, ``model_signing`` by path components (``a/b`` before ``a-b``).
  What is written here follows the specification, which every implementation takes; both orders are read.

The JSON is written by hand, because protobuf's ``Struct`` would turn whole numbers into floats.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from airflow_mlsecops.core.canonical import strict_json
from airflow_mlsecops.core.digest import Sha256, parse_sha256
from airflow_mlsecops.core.errors import ArtifactRefusedError, StatementError
from airflow_mlsecops.core.manifest import Manifest, safe_name
from airflow_mlsecops.core.oms.errors import OmsFormatError, OmsNamesError, OmsRootDigestError
from airflow_mlsecops.core.oms.fields import constant, items, record, text
from airflow_mlsecops.core.statement import STATEMENT_TYPE

PREDICATE_TYPE = "https://model_signing/signature/v1.0"
SINGLE_FILE = "."
MAX_STATEMENT_BYTES = 48 * 1024 * 1024
"""About 250,000 files as ``model_signing`` writes them."""


@dataclass(frozen=True)
class OmsStatement:
    """What a statement says. Believe nothing of it before the signature is verified.

    Attributes:
        name: the subject's name: the model's folder or file when it was signed.
        root: the root digest, checked against the files.
        files: normalised name -> SHA-256; of a single file its one entry has the subject's name.
        single_file: whether the model was signed as one file, not as a folder.
        ignored: names that the signer says it left out; information only, nothing is excused by it.
    """

    name: str
    root: Sha256
    files: dict[str, Sha256]
    single_file: bool
    ignored: tuple[str, ...]


def root_digest(digests: Iterable[str]) -> Sha256:
    """SHA-256 over the concatenated raw digests, given in hexadecimal."""
    return Sha256(hashlib.sha256(bytes.fromhex("".join(digests))).hexdigest())


def under(paths: Iterable[str]) -> Callable[[str], bool]:
    """What tells whether a name is one of ``paths``, or lies in a folder that is; for asking about many names."""
    folders = tuple(f"{path}/" for path in paths)
    return lambda name: f"{name}/".startswith(folders)


def is_under(name: str, paths: Iterable[str]) -> bool:
    """Whether ``name`` is one of ``paths``, or lies in a folder that is."""
    return under(paths)(name)


def oms_statement(
    manifest: Manifest, *, name: str, single_file: bool = False, ignore_paths: Sequence[str] = ()
) -> bytes:
    """Write the statement about a model's files.

    Args:
        manifest: the pinned files.
        name: of the subject: the model's folder; of a single file its file name.
        single_file: whether the model is one file, not a folder.
        ignore_paths: names (of files, or of folders with all below) that are left out, relative to the root.

    Raises:
        OmsNamesError: if nothing is left to sign, or a single file comes with anything else.
        ArtifactRefusedError: if a path to ignore isn't a safe relative name.
    """
    ignored = sorted({safe_name(path) for path in ignore_paths})
    if single_file:
        if len(manifest.entries) != 1:
            raise OmsNamesError(f"expected one file, got {len(manifest.entries)}", "sign it as a folder")
        listed = [(SINGLE_FILE, manifest.entries[0].sha256)]
    else:
        is_ignored = under(ignored)
        listed = [(entry.name, entry.sha256) for entry in manifest.entries if not is_ignored(entry.name)]
    if not listed:
        raise OmsNamesError("no file is left to sign", f"ignored: {', '.join(ignored)}")
    value = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": root_digest(digest for _, digest in listed)}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": ignored,
            },
            "resources": [{"name": file, "algorithm": "sha256", "digest": digest} for file, digest in listed],
        },
    }
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def parse_statement(payload: bytes) -> OmsStatement:
    """Read a statement's bytes.

    1. Strict JSON of a bounded size, with known keys only.
    2. An in-toto Statement v1 with the OMS v1.0 predicate and exactly one subject.
    3. Whole files by SHA-256, links not followed. (Shards, other hashes and followed links aren't read here.)
    4. Names are safe, sorted, and none stands twice, also after Unicode normalisation, or for a file and a folder.
    5. The root digest is the one of the listed files.

    Raises:
        OmsFormatError: if a step fails.
    """
    # 1.
    try:
        value = strict_json(payload, "OMS statement", limit=MAX_STATEMENT_BYTES)
    except StatementError as error:
        raise OmsFormatError(error.message, error.advice) from error
    record(value, "statement", {"_type", "subject", "predicateType", "predicate"})
    # 2.
    constant(value["_type"], "statement of type", STATEMENT_TYPE)
    constant(value["predicateType"], "predicate type", PREDICATE_TYPE)
    subjects = items(value["subject"], "subjects")
    if len(subjects) != 1:
        raise OmsFormatError(f"expected exactly one subject, got {len(subjects)}")
    subject = record(subjects[0], "subject", {"name", "digest"})
    name, digest = text(subject["name"], "subject's name"), record(subject["digest"], "subject's digest", {"sha256"})
    predicate = record(value["predicate"], "predicate", {"resources", "serialization"})
    # 3.
    ignored = _serialization(predicate["serialization"])
    # 4.
    listed = [_resource(item) for item in items(predicate["resources"], "resources")]
    single_file = [file for file, _ in listed] == [SINGLE_FILE]
    if single_file:
        listed = [(name, listed[0][1])]
    files = _files(listed)
    # 5.
    root = _digest(digest["sha256"])
    if root_digest(digest for _, digest in listed) != root:
        raise OmsRootDigestError(
            "the root digest isn't the one of the listed files", "don't use it; it was put together from two signatures"
        )
    return OmsStatement(name, root, files, single_file, ignored)


def _serialization(value: Any) -> tuple[str, ...]:
    record(value, "serialization", {"method", "hash_type", "allow_symlinks"}, {"ignore_paths"})
    constant(value["method"], "serialization method", "files")
    constant(value["hash_type"], "hash type", "sha256")
    constant(value["allow_symlinks"], "allow_symlinks", False)
    return tuple(_name(path) for path in items(value.get("ignore_paths", []), "ignore_paths"))


def _resource(item: Any) -> tuple[str, Sha256]:
    record(item, "resource", {"name", "algorithm", "digest"})
    constant(item["algorithm"], "algorithm", "sha256")
    return text(item["name"], "resource's name"), _digest(item["digest"])


def _files(listed: Sequence[tuple[str, Sha256]]) -> dict[str, Sha256]:
    """Normalised name -> digest, in a tree that can lie on a disk."""
    if not listed:
        raise OmsNamesError("the signature lists no files", "an empty model can't be signed")
    names = [name for name, _ in listed]
    files = {_name(name): digest for name, digest in listed}
    if len(files) != len(listed):
        raise OmsNamesError("the signature lists one name twice", "two files can't have the same name")
    by_code_points = all(before < after for before, after in pairwise(names))
    if not by_code_points and not all(before.split("/") < after.split("/") for before, after in pairwise(names)):
        raise OmsNamesError("the listed names are not sorted", "the root digest is defined over the sorted list")
    for name in files:
        folder = name.rpartition("/")[0]
        while folder:
            if folder in files:
                raise OmsNamesError(f"{folder[:200]!r} is listed both as a file and as a folder")
            folder = folder.rpartition("/")[0]
    return files


def _name(name: Any) -> str:
    try:
        return safe_name(name)
    except ArtifactRefusedError as error:
        raise OmsNamesError(f"unsafe name in the signature: {error.message}", "don't use it") from error


def _digest(value: Any) -> Sha256:
    try:
        return parse_sha256(value)
    except StatementError as error:
        raise OmsFormatError(error.message, error.advice) from error
