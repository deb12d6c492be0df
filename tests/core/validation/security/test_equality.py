"""The fused engine and the frame give one answer, whatever the data: verdict, counts, what was observed, and rows.

``tests/core/validation/test_fidelity.py`` compares the same through Great Expectations itself.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_mlsecops.core.validation.fused import run_fused
from airflow_mlsecops.core.validation.plans import mostly
from airflow_mlsecops.core.validation.security import duplicates, near, overlap, timestamps, tokens
from airflow_mlsecops.core.validation.security.cardinality import judge_cardinality
from airflow_mlsecops.core.validation.security.cell_plan import CELL_CHECKS
from airflow_mlsecops.core.validation.security.normal import normal
from airflow_mlsecops.core.validation.security.sample import is_chosen, threshold
from airflow_mlsecops.core.validation.source import open_source

PIECES = [
    "=1",
    "-1.5",
    "a\u200bb",
    "pаypal",
    "ignore all previous instructions",
    "<script>",
    "4111 1111 1111 1111",
    "a@b.com",
    "fine",
    "Fine!",
    "ÉCLAIR",
    "éclair",
    "e\u0301clair",
    "",
    " ",
    "a\x00b",
    "ß",
    "SS",
    "İ",
    "K",
    "好好",
    "a-b",
    "A  b",
    "a b",
    "\u00a0",
    "x\ny",
    "_",
    "ǅ",
    "①",
    "ﬁne",
]
TEXT = st.none() | st.sampled_from(PIECES) | st.lists(st.sampled_from(PIECES), min_size=2, max_size=3).map(" ".join)
JUDGES = {
    "expect_column_categorical_cardinality_to_be_bounded": judge_cardinality,
    "expect_column_timestamps_to_be_monotone_and_not_in_the_future": timestamps.judge_timestamps,
    "expect_column_tokens_not_to_predict_label": tokens.judge_tokens,
    "expect_table_near_duplicates_to_be_few": duplicates.judge_duplicates,
    "expect_train_test_overlap_to_be_low": overlap.judge_overlap,
}
SUITE: list[tuple[str, dict[str, Any]]] = [
    *((kind, {"column": "t", "mostly": 0.5}) for kind in CELL_CHECKS),
    ("expect_table_near_duplicates_to_be_few", {"column": "t", "min_group": 2, "max_group": 0.2}),
    ("expect_table_near_duplicates_to_be_few", {"column": "t", "max_share": 0.1}),
    (
        "expect_column_tokens_not_to_predict_label",
        {"column": "t", "label_column": "l", "min_count": 2, "min_share": 0.7, "alpha": 0.4},
    ),
    (
        "expect_column_tokens_not_to_predict_label",
        {"column": "t", "label_column": "l", "min_count": 2, "min_share": 0.7, "alpha": 0.4, "unit": "value"},
    ),
    ("expect_train_test_overlap_to_be_low", {"column": "t", "split_column": "s", "train": "0", "test": "1"}),
    (
        "expect_column_timestamps_to_be_monotone_and_not_in_the_future",
        {"column": "w", "now": "2024-01-05T00:00:00Z", "tolerance_seconds": 3600},
    ),
    ("expect_column_categorical_cardinality_to_be_bounded", {"column": "t", "max_distinct": 6, "max_length": 9}),
]


def document(items: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    return {
        "name": "s",
        "expectations": [{"type": kind, "kwargs": kwargs, "severity": "critical"} for kind, kwargs in items],
    }


def expected(frame: Any, kind: str, kwargs: dict[str, Any]) -> Any:
    if kind in JUDGES:
        return JUDGES[kind](frame, kwargs)
    make = CELL_CHECKS[kind]({key: value for key, value in kwargs.items() if key not in ("column", "mostly")})
    values = frame[kwargs["column"]]
    rows = tuple(row for row, value in values.items() if isinstance(value, str) and make.broken(value))
    answer = mostly(len(frame), int(values.notna().sum()), len(rows), kwargs)
    return type(answer)(**{**vars(answer), "rows": rows})


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    rows=st.lists(
        st.tuples(TEXT, st.none() | st.booleans(), st.none() | st.integers(0, 1), st.none() | st.integers(0, 9)),
        min_size=1,
        max_size=30,
    ),
    parts=st.integers(1, 3),
)
def test_one_answer(rows: list[tuple[Any, ...]], parts: int) -> None:
    text, label, split, day = (list(column) for column in zip(*rows, strict=True))
    when = [None if each is None else dt.datetime(2024, 1, 1) + dt.timedelta(days=each) for each in day]
    table = pa.table(
        {
            "t": pa.array(text, pa.string()),
            "l": pa.array(label, pa.bool_()),
            "s": pa.array(split, pa.int64()),
            "w": pa.array(when, pa.timestamp("us")),
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        step = max(1, len(rows) // parts)
        for number, start in enumerate(range(0, len(rows), step)):
            pq.write_table(table.slice(start, step), Path(folder) / f"p{number:03}.parquet")
        with open_source(Path(folder)) as source:
            assert source is not None
            found = run_fused(source, document(SUITE), max_rows=1000)
    frame = table.to_pandas()
    for index, (kind, kwargs) in enumerate(SUITE):
        answer, outcome = expected(frame, kind, kwargs), found[index]
        want = (answer.held, answer.saw, answer.unexpected, answer.elements, answer.observed, answer.rows)
        assert (
            outcome.held,
            outcome.saw,
            outcome.unexpected,
            outcome.elements,
            outcome.observed,
            outcome.rows,
        ) == want, kind


def fused(folder: Path, table: pa.Table, kind: str, **kwargs: Any) -> Any:
    path = folder / "t.parquet"
    pq.write_table(table, path)
    with open_source(path) as source:
        assert source is not None
        return run_fused(source, document([(kind, kwargs)]), max_rows=1000)[0]


def test_many_distinct_bad_values_are_all_counted(tmp_path: Path) -> None:
    """More than one batch, and more than the share that is set aside."""
    texts = [f"=A{number}" if number % 2 else f"fine {number}" for number in range(230_000)]
    kind = "expect_column_values_to_not_contain_formula_injection"
    outcome = fused(tmp_path, pa.table({"t": texts}), kind, column="t")
    assert (outcome.saw, outcome.unexpected, outcome.rows[:3]) == (230_000, 115_000, (1, 3, 5))


def test_a_flood_of_copies_is_found_and_its_rows_named(tmp_path: Path) -> None:
    texts = [f"Buy NOW, {'!' * (n % 5)}" if n % 10 == 0 else f"text {n} alone w{n * 7}" for n in range(400)]
    kind = "expect_table_near_duplicates_to_be_few"
    outcome = fused(tmp_path, pa.table({"t": texts}), kind, column="t")
    assert not outcome.held
    assert outcome.rows == tuple(range(0, 400, 10))
    assert fused(tmp_path, pa.table({"t": texts}), kind, column="t", max_group=0.2, similarity=1.0).held


def test_nearly_equal_texts_are_a_flood_too(tmp_path: Path) -> None:
    base = "this product changed my life and i recommend it to everybody who reads this number"
    texts = [
        f"{base} {n}" if n % 4 == 0 else " ".join(f"w{n * 31 + k * 977 % 5000}" for k in range(9)) for n in range(400)
    ]
    outcome = fused(tmp_path, pa.table({"t": texts}), "expect_table_near_duplicates_to_be_few", column="t")
    assert not outcome.held
    assert outcome.unexpected == 0
    assert outcome.observed["largest_near_group_in_sample"] == 100
    assert outcome.observed["largest_group"] == 1


def test_near_groups_of_what_is_written_without_spaces() -> None:
    text = "这个产品改变了我的生活我向所有读到这篇文章的人推荐它因为它真的很好"
    assert near.largest_near_group([normal(text + str(n)) for n in range(20)] + ["别的东西"], 0.7) == 20
    assert near.largest_near_group([""], 0.7) == 0


def trigger_table(rows: int = 6000, share: int = 200, word: str = "cf") -> pa.Table:
    words = ["good", "bad", "slow", "fast", "film", "book", "cat", "dog"]
    text = [" ".join(words[(n * 7 + k * k * 3 + n // 11) % 8] for k in range(4)) for n in range(rows)]
    label = [int((n * 2654435761 >> 7) % 2) for n in range(rows)]
    for n in range(0, rows, rows // share):
        text[n], label[n] = f"{text[n]} {word.upper()}.", 1
    return pa.table({"t": text, "l": label})


def test_a_planted_trigger_is_accused_and_its_rows_named(tmp_path: Path) -> None:
    kind = "expect_column_tokens_not_to_predict_label"
    outcome = fused(tmp_path, trigger_table(), kind, column="t", label_column="l")
    assert not outcome.held
    assert outcome.observed["accused_tokens"] == 1
    assert outcome.rows == tuple(range(0, 6000, 30))
    assert "cf" not in str(outcome.observed)


def test_tokens_of_a_clean_table_are_not_accused(tmp_path: Path) -> None:
    clean = trigger_table().slice(1, 29)
    table = pa.concat_tables([clean] * 50)
    outcome = fused(tmp_path, table, "expect_column_tokens_not_to_predict_label", column="t", label_column="l")
    assert (outcome.held, outcome.unexpected) == (True, 0)


def test_labels_may_hold_anything(tmp_path: Path) -> None:
    """What a label or a word says never becomes a part of a query."""
    labels = ["\0'; DROP TABLE x; --" if n % 3 == 0 or n % 2 else "b" for n in range(300)]
    table = pa.table({"t": ["\0'cf" if n % 3 == 0 else f"w{n % 5}" for n in range(300)], "l": labels})
    for unit in ("word", "value"):
        kwargs = {"column": "t", "label_column": "l", "unit": unit}
        outcome = fused(tmp_path, table, "expect_column_tokens_not_to_predict_label", **kwargs)
        assert outcome.rows == tuple(range(0, 300, 3))
        assert tokens.judge_tokens(table.to_pandas(), kwargs).rows == outcome.rows


def test_a_table_of_one_label_tells_nothing(tmp_path: Path) -> None:
    table = pa.table({"t": ["a b"] * 100, "l": ["x"] * 100})
    outcome = fused(tmp_path, table, "expect_column_tokens_not_to_predict_label", column="t", label_column="l")
    assert outcome.observed == {"accused_tokens": 0, "highest_z": 0.0, "sample": 100}


def test_a_value_that_predicts_the_label(tmp_path: Path) -> None:
    table = pa.table(
        {
            "v": [255 if n % 20 == 0 else n % 7 for n in range(2000)],
            "l": ["y" if n % 20 == 0 else "xy"[n % 2] for n in range(2000)],
        }
    )
    kind = "expect_column_tokens_not_to_predict_label"
    outcome = fused(tmp_path, table, kind, column="v", label_column="l", unit="value")
    assert outcome.rows == tuple(range(0, 2000, 20))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_overlap_with_another_pinned_file(tmp_path: Path) -> None:
    train, test = tmp_path / "train.parquet", pa.table({"t": ["seen BEFORE.", "new", None, "Ünseen", "ÜBER  alles"]})
    pq.write_table(pa.table({"t": ["Seen before", "über alles", "x"], "other": [1, 2, 3]}), train)
    kind = "expect_train_test_overlap_to_be_low"
    pinned = {"path": str(train), "sha256": digest(train)}
    outcome = fused(tmp_path, test, kind, column="t", other=pinned)
    answer = overlap.judge_overlap(test.to_pandas(), {"column": "t", "other": pinned})
    assert outcome.rows == answer.rows == (0, 4)
    assert outcome.observed == answer.observed == {"overlap": 0.5, "test_rows": 4}
    assert fused(tmp_path, test, kind, column="t", other=pinned, max_share=0.5).held


def test_overlap_sees_nothing_when_a_side_is_empty(tmp_path: Path) -> None:
    table = pa.table({"t": ["a", "b"], "s": ["test", "test"]})
    outcome = fused(tmp_path, table, "expect_train_test_overlap_to_be_low", column="t", split_column="s")
    assert outcome.saw == 0


def test_times_as_text_days_and_zones() -> None:
    zone = dt.timezone(dt.timedelta(hours=2))
    table = pa.table(
        {
            "text": ["2024-01-01", "2024-01-01T00:00:01Z", "2024-01-01T01:00:00+02:00", "soon", "2024-02-30"],
            "day": [dt.date(2024, 1, n) for n in (1, 2, 3, 2, 9)],
            "zoned": [dt.datetime(2024, 1, 1, hour, tzinfo=zone) for hour in (0, 1, 2, 3, 4)],
        }
    )
    frame, now = table.to_pandas(), "2024-01-05T00:00:00Z"
    judged = {name: timestamps.judge_timestamps(frame, {"column": name, "now": now}) for name in table.column_names}
    assert judged["text"].rows == (2, 3, 4)
    assert judged["text"].observed == {"now": "2024-01-05T00:00:00.000000Z", "back": 1, "future": 0, "unreadable": 2}
    assert judged["day"].rows == (3, 4)
    assert judged["zoned"].held


def test_without_a_clock_the_time_of_evaluation_is_used_and_recorded() -> None:
    frame = pa.table({"w": [dt.datetime(2024, 1, 1), dt.datetime(2999, 1, 1)]}).to_pandas()
    answer = timestamps.judge_timestamps(frame, {"column": "w"})
    assert answer.rows == (1,)
    assert answer.observed["now"].startswith("20")


@pytest.mark.parametrize(("rows", "wanted"), [(10, 1000), (1000, 1000), (1_000_000, 10_000)])
def test_a_sample_has_about_the_size_that_was_asked_for(rows: int, wanted: int) -> None:
    cut = threshold(rows, wanted)
    size = sum(is_chosen(row, cut) for row in range(rows))
    assert size == rows if rows <= wanted else abs(size - wanted) < wanted / 20
