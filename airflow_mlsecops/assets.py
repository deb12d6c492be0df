"""Assets that stand for what stands at a stage: ``mlsecops://production/digits``.

The promotion's task names one among its ``outlets``, and a Dag that uses the model is scheduled on it. Airflow asks
:func:`sanitize_uri` about every asset of this scheme while it reads a Dag, so a mistyped one is an import error. An
event proves nothing: the Dag that it triggers verifies what it names (``airflow_mlsecops.taskflow.released_model``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult

from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.predicates.promotion import Release

if TYPE_CHECKING:
    from airflow.sdk import Asset

SCHEME = "mlsecops"


def model_at(model_name: str, stage: str = "production", **kwargs: Any) -> Asset:
    """The asset of a model's stage.

    Args:
        model_name: as it is promoted, such as ``digits`` or ``fraud/scoring``.
        stage: as it is promoted.
        kwargs: what else Airflow's ``Asset`` takes.

    Raises:
        ValueError: if nothing can be promoted under these names.
    """
    from airflow.sdk import Asset

    return Asset(uri=f"{SCHEME}://{stage}/{model_name}", **kwargs)


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Refuse what names no stage of a model; named in the provider's ``asset-uris``.

    Raises:
        ValueError: with what it has to look like.
    """
    try:
        Release(uri.path.removeprefix("/"), "0", uri.netloc).check()
    except StatementError as error:
        raise ValueError(f"expected {SCHEME}://STAGE/MODEL: {error.message}") from None
    if uri.query:
        raise ValueError(f"expected {SCHEME}://STAGE/MODEL, without a query")
    return uri


def names_another(uri: str, model_name: str, stage: str) -> bool:
    """Whether an asset of this scheme stands for anything but this model at this stage."""
    return uri.startswith(f"{SCHEME}://") and uri != f"{SCHEME}://{stage}/{model_name}"
