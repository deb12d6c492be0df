"""A reader that remembers says exactly what one says that reads everything anew."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlsecops.core.log import LogMemory, LogReader, RememberingLogReader
from airflow_mlsecops.core.log.errors import LogBrokenError, LogError
from airflow_mlsecops.core.log.tiles import encode_entries
from tests.support.logs import MemoryLogBackend, log_entries, log_entry, log_trust, made_log, sha


def both(backend: MemoryLogBackend, memory: LogMemory, subjects: list[str]) -> tuple[Any, Any]:
    """What the plain reader says about the newest checkpoint, and what the remembering one says; errors by class."""
    told: list[Any] = []
    plain = LogReader(backend, log_trust())
    for reader in (plain, RememberingLogReader(plain, memory)):
        checkpoint = reader.checkpoint()
        assert checkpoint is not None
        try:
            told.append(reader.about_all(subjects, checkpoint))
        except LogError as error:
            told.append(type(error))
    return told[0], told[1]


@given(st.lists(st.integers(1, 700), min_size=1, max_size=4))
def test_it_grows_to_what_the_whole_log_says(sizes: list[int]) -> None:
    memory = LogMemory()
    asked = [sha("subject e0"), sha("subject e255"), sha("subject e256"), sha("subject e600"), sha("nobody")]
    for size in sorted(sizes):
        backend, checkpoint = made_log(log_entries(size))
        plain, remembered = both(backend, memory, asked)
        assert remembered == plain
        assert len(memory) == checkpoint.size


def test_only_what_is_new_is_read() -> None:
    memory = LogMemory()
    both(made_log(log_entries(600))[0], memory, [])
    backend, _ = made_log(log_entries(601))
    reader = RememberingLogReader(LogReader(backend, log_trust()), memory)
    checkpoint = reader.checkpoint()
    assert checkpoint is not None
    for key in [key for key in backend.objects if "/entries/000" in key or "/entries/001" in key]:
        del backend.objects[key]
    assert [place for place, _ in reader.about_all([sha("subject e600")], checkpoint)[sha("subject e600")]] == [600]
    with pytest.raises(LogBrokenError):
        LogReader(backend, log_trust()).about_all([sha("subject e600")], checkpoint)


def test_an_older_checkpoint_is_read_as_a_whole() -> None:
    memory = LogMemory()
    both(made_log(log_entries(600))[0], memory, [])
    plain, remembered = both(made_log(log_entries(300))[0], memory, [sha("subject e299"), sha("subject e300")])
    assert remembered == plain
    assert remembered[sha("subject e300")] == []
    assert len(memory) == 600


def test_another_log_of_the_same_name_makes_it_forget() -> None:
    memory = LogMemory()
    both(made_log(log_entries(300))[0], memory, [])
    plain, remembered = both(made_log(log_entries(400, "f"))[0], memory, [sha("subject f1"), sha("subject e1")])
    assert remembered == plain
    assert remembered[sha("subject e1")] == []
    assert len(memory) == 0


def test_entries_that_were_changed_are_refused_and_not_remembered() -> None:
    memory = LogMemory()
    both(made_log(log_entries(256))[0], memory, [])
    backend, _ = made_log(log_entries(300))
    key = next(key for key in backend.objects if "/entries/" in key and "/001" in key)
    backend.objects[key] = encode_entries(log_entries(44, "forged"))
    plain, remembered = both(backend, memory, [sha("subject e299")])
    assert plain is remembered is LogBrokenError
    assert len(memory) == 0


def test_an_entry_that_is_none_stops_whoever_asks_about_its_subject() -> None:
    odd = log_entry("odd", "here").encode().replace(b'"kind"', b' "kind"')
    backend, _ = made_log([*log_entries(3), odd])
    for subject in (sha("here"), sha("bundle odd"), sha("subject e1")):
        plain, remembered = both(backend, LogMemory(), [subject])
        assert remembered == plain
