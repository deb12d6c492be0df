"""The error tree: one base, stable and distinct codes, safe to hand between processes."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pkgutil
from collections.abc import Iterator

import pytest

import airflow_mlsecops.core
from airflow_mlsecops.core import errors
from airflow_mlsecops.core.errors import MlsecopsError


def _all_errors() -> list[type[MlsecopsError]]:
    for module in pkgutil.walk_packages(airflow_mlsecops.core.__path__, "airflow_mlsecops.core."):
        importlib.import_module(module.name)

    def below(kind: type[MlsecopsError]) -> Iterator[type[MlsecopsError]]:
        yield kind
        for child in kind.__subclasses__():
            yield from below(child)

    found = {kind for kind in below(MlsecopsError) if kind.__module__.startswith("airflow_mlsecops.core")}
    return sorted(found, key=lambda kind: kind.__name__)


ERRORS = _all_errors()


def test_the_tree_is_the_one_in_the_module() -> None:
    declared = {item for _, item in inspect.getmembers(errors, inspect.isclass) if issubclass(item, MlsecopsError)}

    assert declared <= set(ERRORS)
    assert len(declared) > 15


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_survives_pickling(kind: type[MlsecopsError]) -> None:
    error = kind("expected A, got B", "do C")

    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is kind
    assert (copy.message, copy.advice, copy.code, copy.transient) == (
        "expected A, got B",
        "do C",
        kind.code,
        kind.transient,
    )
    assert str(copy) == str(error) == f"[{kind.code}] expected A, got B -> do C"
    assert str(kind("only a message")) == f"[{kind.code}] only a message"


def test_codes_are_distinct_and_machine_readable() -> None:
    codes = [kind.code for kind in ERRORS]

    assert len(set(codes)) == len(codes)
    assert all(code == code.lower() and code.replace("-", "").isalpha() for code in codes)


def test_only_what_a_retry_can_mend_is_transient() -> None:
    declared = {kind.__name__ for kind in ERRORS if kind.transient and kind.__module__ == errors.__name__}

    assert declared == {"StoreUnavailableError", "ArtifactUnavailableError"}


@pytest.mark.parametrize("kind", [kind for kind in ERRORS if kind is not MlsecopsError])
def test_each_says_what_it_means(kind: type[MlsecopsError]) -> None:
    assert kind.__doc__
    assert "code" in vars(kind)
