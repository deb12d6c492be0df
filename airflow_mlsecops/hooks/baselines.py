"""The baseline that a task names: the signed profile of a data set, or the data set itself."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.errors import ArtifactChangedError, MlsecopsError
from airflow_mlsecops.core.profile.baseline import Baseline, NoBaseline
from airflow_mlsecops.core.profile.find import LAST_RELEASED, find_baseline
from airflow_mlsecops.core.profile.place import signed_place
from airflow_mlsecops.core.profile.released import last_released
from airflow_mlsecops.hooks.references import resolve_artifact

if TYPE_CHECKING:
    from airflow_mlsecops.core.artifact import Artifact, Identity
    from airflow_mlsecops.hooks.mlsecops import MlsecopsHook

_DIGEST = re.compile(r"(?:sha256:)?[0-9a-f]{64}\Z")
_log = logging.getLogger(__name__)


def resolve_baseline(value: Any, artifact: Artifact, hook: MlsecopsHook) -> Baseline | NoBaseline | None:
    """The baseline that ``value`` names, for comparing ``artifact`` with it; ``None`` if it names none.

    One that can't be found, or doesn't count, is an answer and no error: what needs it fails, and that is signed.

    Args:
        value: a data set's SHA-256, ``last-released``, or what :func:`resolve_artifact` takes.
        artifact: what will be compared; ``last-released`` looks for its name.
        hook: of the connection.

    Raises:
        StoreUnavailableError, ArtifactUnavailableError: if trying again later can help.
    """
    if value is None:
        return None
    asked = _text(value)
    try:
        wanted: str | Identity
        if isinstance(value, str) and (value == LAST_RELEASED or _DIGEST.match(value)):
            wanted = value
        else:
            wanted = resolve_artifact(value, hook, keep=False).identity
        found = find_baseline(wanted, artifact.name, hook.store, hook.trust, utcnow())
    except MlsecopsError as error:
        if error.transient:
            raise
        _log.warning("No baseline: %s", error)
        return NoBaseline(error.message, asked)
    _log.info("Baseline %s sha256:%s, signed by %s", found.name, found.dataset, ", ".join(found.signers))
    _log.info("  profile in evidence sha256:%s", found.evidence)
    return found


def trusted_dataset(value: Any, artifact: Artifact, hook: MlsecopsHook) -> Artifact:
    """The data set that ``value`` names, for those who compare rows and not profiles.

    The caller still owes: that somebody who is trusted signed it.

    Args:
        value: a data set's SHA-256, ``last-released``, or what :func:`resolve_artifact` takes.
        artifact: what will be compared; ``last-released`` looks for its name.
        hook: of the connection.

    Raises:
        BaselineError: if there is no such data set.
        ArtifactChangedError: if other bytes lie there by now.
    """
    if not isinstance(value, str) or not (value == LAST_RELEASED or _DIGEST.match(value)):
        return resolve_artifact(value, hook, keep=False)
    now = utcnow()
    digest: str = value.removeprefix("sha256:")
    if value == LAST_RELEASED:
        digest = last_released(artifact.name, hook.store, hook.trust, now).dataset.digest
    place = signed_place(digest, hook.store, hook.trust, now)
    found = hook.pin(place, name=artifact.name, keep=False)
    if found.digest != digest:
        raise ArtifactChangedError(
            f"at {place} lies sha256:{found.digest[:16]}…, expected {digest[:16]}…, the baseline",
            "keep versions that others are compared with under names of their own",
        )
    return found


def _text(value: Any) -> str:
    return value[:500] if isinstance(value, str) else "a reference from another task"
