"""Text beside a model: JSON, YAML, Markdown, notebooks; and code, which has no place there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.scanning.pickles.refusal import Refusal

if TYPE_CHECKING:
    from airflow_mlsecops.core.scanning.part import Part
    from airflow_mlsecops.core.scanning.scan import Scan

CODE = {
    ".py",
    ".pyc",
    ".pyw",
    ".pyx",
    ".so",
    ".dll",
    ".dylib",
    ".exe",
    ".sh",
    ".bat",
    ".ps1",
    ".js",
    ".jar",
    ".whl",
    ".pth.py",
}
_TEMPLATE_TRICKS = re.compile(
    r"__\w+__|\|\s*attr\b|\b(?:cycler|joiner|lipsum|self|config|request)\s*[.\[]|\bos\.|\bimport\b"
)
_OVERLAP = 256
_BOUNDARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def strict_json(text: bytes) -> Any:
    """Parse JSON in which no key stands twice: two readers would see two documents.

    Raises:
        Refusal: if it isn't such JSON.
    """
    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Refusal("malformed", f"not JSON: {str(error)[:100]}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object in a document, without recursion."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, dict):
            yield item
            left.extend(item.values())
        elif isinstance(item, list):
            left.extend(item)


def is_text(head: bytes) -> bool:
    """Whether this can be the beginning of text."""
    if _BOUNDARY.search(head):
        return False
    for cut in range(4):
        try:
            head[: len(head) - cut].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return True
    return False


def scan_text(scan: Scan, part: Part) -> None:
    """Search it for secrets; refuse it when it is code, or no text after all.

    Raises:
        Refusal: if it is code, or holds bytes that text hasn't.
    """
    first = part.at(0, 2)
    if part.suffix in CODE or first == b"#!":
        raise Refusal("embedded-code", "code beside a model runs with trust_remote_code and the like")
    tail = b""
    for chunk in part.chunks():
        if _BOUNDARY.search(chunk):
            raise Refusal("unknown-format", "text with bytes that text hasn't")
        scan.leftovers.search(tail + chunk, part.name)
        tail = chunk[-_OVERLAP:]


def scan_json(scan: Scan, part: Part) -> None:
    """JSON: valid, without duplicate keys, and without a way to code.

    Raises:
        Refusal: if it isn't.
    """
    if part.size > scan.limits.header_bytes:
        raise Refusal("too-large", f"JSON of {part.size} bytes")
    text = part.at(0, part.size)
    scan.leftovers.search(text, part.name)
    document = strict_json(text)
    if part.suffix == ".ipynb" or (isinstance(document, dict) and "nbformat" in document):
        _notebook(scan, part, document)
        return
    for item in walk(document):
        if "auto_map" in item:
            scan.outcome.add("embedded-code", "auto_map names code that is loaded with the model", part.name)
        for key in ("chat_template", "template"):
            for template in _texts(item.get(key)):
                check_template(scan, template, part.name)
        if "class_name" in item and ("config" in item or "module" in item):
            from airflow_mlsecops.core.scanning.formats.keras_file import check_object

            check_object(scan, item, part.name)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, dict):
                yield from _texts(item.get("template"))


def check_template(scan: Scan, template: str, where: str) -> None:
    """A chat template is a program for Jinja; nothing in one needs Python's internals."""
    found = _TEMPLATE_TRICKS.search(template)
    if found is not None:
        scan.outcome.add("template", f"a template that uses {found.group()[:40]!r}", where)


def _notebook(scan: Scan, part: Part, document: Any) -> None:
    scan.outcome.add("embedded-code", "a notebook beside a model", part.name)
    if any(item.get("outputs") for item in walk(document)):
        scan.outcome.add("notebook-output", "a notebook with its outputs, which may show data", part.name)
