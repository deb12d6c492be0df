"""What travels through XCom: references, never data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow.sdk import XComArg

from airflow_mlsecops.core.artifact import Artifact, Kind
from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.pinning import Reuse
from airflow_mlsecops.hooks.mlsecops import MlsecopsHook

ArtifactLike = Artifact | Mapping[str, Any] | str | XComArg
"""A pinned artifact, what a task of ours returned (or will return), or a URI that is pinned now."""


def resolve_artifact(
    value: Any,
    hook: MlsecopsHook,
    *,
    name: str = "",
    kind: Kind | str = Kind.DATASET,
    keep: bool = True,
    reuse: Reuse | None = None,
    remember_local: bool = False,
) -> Artifact:
    """The pinned artifact behind ``value``.

    A reference keeps the digest it was pinned with; a URI is pinned now, and its manifest kept if ``keep``. What it is
    pinned with is told at :func:`airflow_mlsecops.core.pinning.pin`.

    Raises:
        ConfigurationError: if it is none of these.
        StatementError: if a reference is malformed.
    """
    found = pinned_or_uri(value)
    if isinstance(found, Artifact):
        return found
    return hook.pin(found, name=name, kind=kind, keep=keep, reuse=reuse, remember_local=remember_local)


def pinned_or_uri(value: Any) -> Artifact | str:
    """The pinned artifact that ``value`` refers to, or the URI of one that is yet to be pinned.

    Raises:
        ConfigurationError: if it is neither.
        StatementError: if a reference is malformed.
    """
    if isinstance(value, Artifact):
        return value
    if isinstance(value, Mapping):
        return Artifact.from_dict(value.get("artifact", value))
    if isinstance(value, str) and value.lstrip().startswith("{"):
        return Artifact.from_dict(_parsed(value))
    if isinstance(value, str) and value.strip() and value != "None":
        return value
    raise ConfigurationError(
        f"expected an artifact's URI or a reference from another task, got {type(value).__name__}",
        "hand over a path, an s3:// URI, or the .output of a task that pins; did that task run?",
    )


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(
            "a template turned the artifact's reference into text",
            "hand over `task.output`, or use `| tojson` in the template",
        ) from error
    nested = value.get("artifact", value) if isinstance(value, dict) else None
    if not isinstance(nested, dict):
        raise ConfigurationError(f"expected an artifact's reference, got {text[:80]!r}")
    return nested
