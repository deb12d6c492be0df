"""Find an expectation suite: one that ships here, a file, a mapping or an object.

>>> sorted(shipped_suites())
['digits', 'image_manifest_security', 'tabular_basic', 'tabular_security', 'text_security']
>>> resolve_suite("digits")["name"]
'digits'
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from airflow_mlsecops.core.canonical import strict_json
from airflow_mlsecops.core.config_file import load_mapping
from airflow_mlsecops.core.errors import StatementError, SuiteError

_NAME = re.compile(r"[A-Za-z0-9_-]+\Z")
_ENDINGS = (".json", ".yaml", ".yml")


def shipped_suites() -> tuple[str, ...]:
    """Names of the suites in ``expectations/suites/``, sorted."""
    folder = files("airflow_mlsecops.expectations") / "suites"
    return tuple(sorted(item.name.removesuffix(".json") for item in folder.iterdir() if item.name.endswith(".json")))


def resolve_suite(source: Any) -> Any:
    """The suite that ``source`` names, unchecked: ``airflow_mlsecops.core.controls.validation.load_suite`` checks it.

    Args:
        source: a name of :func:`shipped_suites`; the path of a ``.json``, ``.yaml`` or ``.yml`` file; or a mapping or
            an ``ExpectationSuite``, which is handed back.

    Raises:
        SuiteError: if there is no such suite (naming those that there are), or its file can't be read.
    """
    if not isinstance(source, (str, Path)):
        return source
    text = str(source)
    if isinstance(source, str) and _NAME.match(text):
        if text not in shipped_suites():
            raise _no_such(text)
        resource = files("airflow_mlsecops.expectations") / "suites" / f"{text}.json"
        return _json(resource.read_bytes(), text)
    path = Path(source)
    if path.suffix.lower() not in _ENDINGS:
        raise _no_such(text)
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise _no_such(text, f" ({getattr(error, 'strerror', None) or error})") from error
    return _json(data, text) if path.suffix.lower() == ".json" else load_mapping(data, f"suite {text}", SuiteError)


def _json(data: bytes, what: str) -> Mapping[str, Any]:
    try:
        value = strict_json(data, f"suite {what}")
    except StatementError as error:
        raise SuiteError(error.message, "check it with a JSON linter") from error
    if not isinstance(value, dict):
        raise SuiteError(f"suite {what} is {type(value).__name__}, expected an object with name and expectations")
    return value


def _no_such(text: str, why: str = "") -> SuiteError:
    return SuiteError(
        f"no such suite: {text[:200]!r}{why}",
        f"shipped suites: {', '.join(shipped_suites())}; or give the path of a {', '.join(_ENDINGS)} file",
    )
