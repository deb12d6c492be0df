"""Text for a screen."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlsecops.plugin import text
from airflow_mlsecops.plugin.links import Links

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))


@given(ANY_TEXT)
def test_whatever_is_shown_can_be_seen_and_sent(value: str) -> None:
    shown = text.clean(value)
    assert all(char.isprintable() for char in shown)
    shown.encode()
    assert len(shown) <= text.MAX_CHARS + 1


@given(
    st.recursive(ANY_TEXT | st.integers() | st.none(), lambda inner: st.dictionaries(ANY_TEXT, inner) | st.lists(inner))
)
def test_whatever_a_statement_holds_becomes_json(value: Any) -> None:
    json.dumps(text.plain(value), ensure_ascii=False).encode()


@given(ANY_TEXT)
def test_a_word_to_copy_is_one_word_and_no_option(value: str) -> None:
    quoted = text.shell(value)
    words = shlex.split(quoted)
    assert len(words) == 1
    assert not words[0].startswith("-")


def test_ordinary_text_stays_as_it_is() -> None:
    value = "9,4 % der Beschriftungen: überprüft ✓ (日本語)"
    assert text.clean(value) == value


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (timedelta(seconds=59), "just now"),
        (timedelta(seconds=60), "1 minute ago"),
        (timedelta(minutes=119), "1 hour ago"),
        (timedelta(days=3), "3 days ago"),
        (timedelta(seconds=-2), "in the future"),
    ],
)
def test_ago(age: timedelta, words: str) -> None:
    assert text.ago(NOW - age, NOW) == words


def test_moment() -> None:
    assert text.moment(NOW) == "1 Mar 2026, 12:00:00 UTC"
    assert text.moment(None) == "–"


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.00667779, "0.006678"), (1797, "1,797"), (True, "yes"), (None, "–"), ([1, "a"], "1, a"), ({"k": 0.5}, "k: 0.5")],
)
def test_number(value: Any, words: str) -> None:
    assert text.number(value) == words


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 bytes"), (999, "999 bytes"), (4_201_337, "4.2 MB"), (5 * 10**12, "5,000.0 GB")]
)
def test_size(count: int, words: str) -> None:
    assert text.size(count) == words


@given(ANY_TEXT, ANY_TEXT)
def test_a_link_stays_on_its_site(run_id: str, task_id: str) -> None:
    link = Links.under("/", "/mlsecops").task({"dag_id": "d", "run_id": run_id, "task_id": task_id, "map_index": 3})
    assert link == "" or (link.startswith("/dags/d/runs/") and link.endswith("/mapped/3") and link.count("/") == 8)
