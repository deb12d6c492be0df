"""Nothing that reaches code, files, processes or the network is an allowed name, in whatever is installed here."""

from __future__ import annotations

import _compat_pickle
import ast
import io
from collections.abc import Iterable

from airflow_mlsecops.core.scanning.allow_list import Use, packaged
from airflow_mlsecops.core.scanning.limits import Limits
from airflow_mlsecops.core.scanning.pickles.machine import Machine
from airflow_mlsecops.core.scanning.pickles.reader import Reader
from airflow_mlsecops.core.scanning.pickles.reconstructors import RECONSTRUCTORS
from tests.support import pickle_assembler as p
from tests.support.gadget_census import gadgets, installed, standard_library


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
    assert count > 500
    assert passed == []


def test_every_installed_package() -> None:
    count, passed = passing(installed())
    assert count > 1500
    assert passed == []


def test_a_gadget_is_found_through_what_it_calls() -> None:
    """The census itself: directly, through functions and methods of the module, through a base class."""
    source = """
def direct(): exec("")
def indirect(): return direct()
def harmless(): return re.compile("") and [].pop()
class Made:
    def __init__(self): self.more()
    def more(self): indirect()
class Inherits(Made): pass
class Later:
    def used(self): direct()
def maker(): return Inherits()
"""
    assert list(gadgets(ast.parse(source))) == ["Inherits", "Made", "direct", "indirect", "maker"]


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
