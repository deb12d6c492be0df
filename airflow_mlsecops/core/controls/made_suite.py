"""A suite that a function makes when the task runs, so that parsing the Dag doesn't import Great Expectations."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def made_by(make: Callable[..., Any]) -> Any:
    """Call a function that makes a suite, and hand back what it made, unchecked.

    Args:
        make: takes nothing and returns whatever ``load_suite`` reads; or is a ``configure_expectations`` as Great
            Expectations' own Airflow provider takes it: given a context, it returns a suite or a single expectation.
            The context is nowhere on disk and forgotten afterwards.

    Source: airflow-provider-great-expectations 1.0, ``GXValidateDataFrameOperator``.
    """
    if not _wants_context(make):
        return make()
    import great_expectations as gx
    from great_expectations.expectations.expectation import Expectation

    from airflow_mlsecops.core.controls.gx_pandas import quiet_context

    made = make(quiet_context())
    if not isinstance(made, Expectation):
        return made
    return gx.ExpectationSuite(name=getattr(make, "__name__", "configured"), expectations=[made])


def _wants_context(make: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(make).parameters.values()
    except (TypeError, ValueError):  # something built in
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(each.kind in positional and each.default is each.empty for each in parameters)
