"""Nothing that reaches code, files, processes or the network is an allowed name, in whatever is installed here."""

from __future__ import annotations

import _compat_pickle
import io
import os
from collections.abc import Iterable
from importlib.metadata import packages_distributions

import pytest

from airflow_mlsecops.core.scanning.allow_list import Use, packaged
from airflow_mlsecops.core.scanning.limits import Limits
from airflow_mlsecops.core.scanning.pickles.machine import Machine
from airflow_mlsecops.core.scanning.pickles.reader import Reader
from airflow_mlsecops.core.scanning.pickles.reconstructors import RECONSTRUCTORS
from tests.support import pickle_assembler as p
from tests.support.gadget_census import package, standard_library

PACKAGES = ["joblib", "numpy", "sklearn", "cloudpickle", "dill", "yaml", "great_expectations", "requests", "setuptools"]
WHOLE = bool(os.environ.get("MLSECOPS_WHOLE_CENSUS"))
"""Every installed package, which takes minutes; by default those that models come from, and some well-known ones."""


def passing(gadgets: Iterable[tuple[str, str]]) -> tuple[int, list[str]]:
    """How many gadgets there are, and which of them a pickle may name, call or make."""
    allowed, limits, passed, count = packaged(), Limits(), [], 0
    for module, name in gadgets:
        count += 1
        for use in (p.EMPTY_TUPLE + p.REDUCE, p.EMPTY_TUPLE + p.NEWOBJ, b""):
            data = p.proto(4) + p.stacked(module, name) + use + p.STOP
            reading = Machine(Reader(io.BytesIO(data), len(data)), allowed, limits).read()
            if not reading.hits:
                passed.append(f"{module}.{name}")
    return count, passed


def test_standard_library() -> None:
    count, passed = passing(standard_library())
    assert count > 300
    assert passed == []


@pytest.mark.parametrize("name", PACKAGES)
def test_package(name: str) -> None:
    count, passed = passing(package(name))
    assert passed == []
    if name in ("numpy", "joblib"):
        assert count >= 10


@pytest.mark.skipif(not WHOLE, reason="takes minutes: set MLSECOPS_WHOLE_CENSUS=1")
def test_every_installed_package() -> None:
    found = {name: passing(package(name))[1] for name in sorted(packages_distributions()) if name.isidentifier()}
    assert {name: passed for name, passed in found.items() if passed} == {}


def test_no_allowed_name_means_another_one_in_old_protocols() -> None:
    """CPython renames modules and names of protocols 0 to 2; what was allowed must not become something else."""
    plain = {"__builtin__", "copy_reg"}
    names = packaged().names
    for item in names.values():
        renamed = _compat_pickle.NAME_MAPPING.get((item.module, item.name))
        # What a name becomes has to be allowed for all that the old name is.
        assert renamed is None or names[renamed[0].encode(), renamed[1].encode()].uses >= item.uses, item
        assert item.module not in _compat_pickle.IMPORT_MAPPING or item.module in plain, item


def test_only_reviewed_functions_are_called() -> None:
    for item in packaged().names.values():
        if Use.REBUILD in item.uses:
            assert (item.module, item.name) in RECONSTRUCTORS
        assert not (item.module == "builtins" and Use.NEW in item.uses)


def test_distributions_of_scipy_are_not_allowed() -> None:
    """Their state is run through exec."""
    assert not [item for item in packaged().names.values() if item.module.startswith("scipy.stats")]
