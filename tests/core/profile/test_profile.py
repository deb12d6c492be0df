"""A profile is the same whatever the order of the rows and however they are split, and counts what is there."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import airflow_mlsecops.core.profile
from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.errors import DataError
from airflow_mlsecops.core.profile import categories
from airflow_mlsecops.core.profile.categories import masked_name
from airflow_mlsecops.core.profile.compute import profile_table
from airflow_mlsecops.core.profile.edges import rounded_outward
from airflow_mlsecops.core.profile.errors import ProfileError
from airflow_mlsecops.core.profile.model import BINS, Profile
from airflow_mlsecops.core.profile.table_schema import digest_of
from tests.core.profile.tables import parquet, sample

SCHEMA = Path(next(iter(airflow_mlsecops.core.profile.__path__))) / "schemas" / "data-profile-v1.json"
FLOATS = st.one_of(st.none(), st.floats(), st.sampled_from([0.0, -0.0, 1.0, 5e-324, 1.7e308, -1.7e308]))
INTS = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(-3, 3))
TEXTS = st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5))
ROWS = st.lists(st.tuples(FLOATS, INTS, TEXTS, st.one_of(st.none(), st.booleans())), min_size=1, max_size=25)


def table(rows: list[tuple[Any, ...]]) -> pa.Table:
    kinds = zip("fitb", (pa.float64(), pa.int64(), pa.string(), pa.bool_()), zip(*rows, strict=True), strict=True)
    return pa.table({name: pa.array(values, kind) for name, kind, values in kinds})


def counted(column: Any, edges: tuple[float, ...]) -> tuple[int, ...]:
    values = column.to_numpy(zero_copy_only=False).astype(float)
    places = np.searchsorted(edges, values[~np.isnan(values)], side="left")
    return tuple(np.bincount(places, minlength=len(edges) + 1).tolist())


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, order=st.randoms(use_true_random=False), cut=st.integers(0, 25), mask=st.booleans())
def test_order_and_parts_change_nothing_and_nothing_is_lost(
    rows: list[tuple[Any, ...]], order: Any, cut: int, mask: bool, tmp_path: Path
) -> None:
    whole = profile_table(parquet(tmp_path / "t.parquet", table(rows)), mask=mask)
    shuffled = order.sample(rows, len(rows))
    parts = tmp_path / "parts"
    parts.mkdir(exist_ok=True)
    for old in parts.iterdir():
        old.unlink()
    for number, part in enumerate(filter(None, (shuffled[:cut], shuffled[cut:]))):
        parquet(parts / f"{number}.parquet", table(part))
    assert profile_table(parts, mask=mask).to_bytes() == whole.to_bytes()
    assert Profile.from_bytes(whole.to_bytes()) == whole
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_bytes())).validate(json.loads(whole.to_bytes()))
    for column, values in zip(whole.columns, zip(*rows, strict=True), strict=True):
        held = [value for value in values if value is not None and value == value]
        assert column.nulls == len(rows) - len(held)
        if column.name in ("i", "t", "b") and column.categories is not None:
            named = Counter(str(value).lower() if isinstance(value, bool) else str(value) for value in held)
            assert column.categories.counts == {
                masked_name(column.name, value) if mask else value: count for value, count in named.items()
            }
            assert column.distinct == len(named)
        if column.name == "f" and column.histogram is not None:
            assert column.histogram.counts == counted(table(rows)["f"], column.histogram.edges)


@pytest.mark.parametrize("shape", ["normal", "lognormal", "outlier", "far bulk", "zeros", "whole", "few"])
def test_a_bin_holds_little_unless_one_value_does(shape: str, tmp_path: Path) -> None:
    rng, rows = np.random.default_rng(1), 30_000
    values = {
        "normal": rng.normal(size=rows),
        "lognormal": rng.lognormal(0, 3, rows),
        "outlier": np.r_[rng.normal(size=rows - 1), 1e12],
        "far bulk": 1.7e9 + rng.random(rows),
        "zeros": np.where(rng.random(rows) < 0.5, 0, rng.exponential(size=rows)),
        "whole": rng.integers(0, 10**9, rows),
        "few": rng.integers(0, 7, rows),
    }[shape]
    column = profile_table(parquet(tmp_path / "t.parquet", pa.table({"x": values}))).columns[0]
    assert column.histogram is not None
    assert len(column.histogram.edges) <= BINS
    assert column.histogram.counts == counted(pa.chunked_array([values]), column.histogram.edges)
    edges = (float("-inf"), *column.histogram.edges)
    for low, high, count in zip(edges, edges[1:], column.histogram.counts, strict=False):
        most = Counter(values[(values > low) & (values <= high)].tolist()).most_common(1)
        assert count <= 2.5 * rows / BINS + (most[0][1] if most else 0)
    assert (column.low, column.high) == (values.min(), values.max())


def test_csv_and_parquet_have_the_same_numbers(tmp_path: Path) -> None:
    made = sample(500, 3, nulls=0.1)
    pa.csv.write_csv(made, tmp_path / "t.csv")
    first, second = profile_table(tmp_path / "t.csv"), profile_table(parquet(tmp_path / "t.parquet", made))
    assert first.to_bytes() == second.to_bytes()


def test_masked_values_are_digests_and_extremes_are_gone(tmp_path: Path) -> None:
    path = parquet(
        tmp_path / "t.parquet", pa.table({"who": ["Ada", "Bob"] * 9, "x": [1234.5678 + i for i in range(18)]})
    )
    masked = profile_table(path, mask=True).to_bytes()
    assert b"Ada" in profile_table(path).to_bytes()
    for value in (b"Ada", b"Bob", b"1234.5678", b"1251.5678"):
        assert value not in masked
    assert masked_name("who", "Ada") != masked_name("friend", "Ada")


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_a_rounded_range_holds_the_range(a: float, b: float) -> None:
    low, high = rounded_outward(min(a, b), max(a, b))
    assert low <= min(a, b)
    assert max(a, b) <= high


def test_rare_values_are_folded_and_many_are_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(categories, "MAX_CATEGORIES", 2)
    monkeypatch.setattr(categories, "MAX_DISTINCT", 50)
    made = pa.table({"t": list("aaabbcd") * 20, "id": [f"r{i}" for i in range(140)]})
    folded, ids = profile_table(parquet(tmp_path / "t.parquet", made)).columns
    assert folded.categories is not None
    assert (dict(folded.categories.counts), folded.categories.other_values) == ({"a": 60, "b": 40}, 2)
    assert folded.categories.other_rows == 40
    assert ids.categories is None
    with pytest.raises(DataError, match="'t' holds more"):
        profile_table(tmp_path / "t.parquet", label="t")


def test_a_label_that_is_not_there_or_an_empty_table_is_an_error(tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", sample(10, 1))
    with pytest.raises(DataError, match="no column 'gone'"):
        profile_table(path, label="gone")
    with pytest.raises(DataError, match="no rows"):
        profile_table(parquet(tmp_path / "e.parquet", sample(10, 1).slice(0, 0)))


@pytest.mark.parametrize("name", ['"; DROP TABLE x; --', "a'b", "ü\u202e", "select"])
def test_hostile_names_are_names(name: str, tmp_path: Path) -> None:
    made = profile_table(parquet(tmp_path / "t.parquet", pa.table({name: ["'; --", "x"], "y": [1.5, 2.5]})))
    assert made.columns[0].name == name
    assert made.columns[0].categories is not None
    assert set(made.columns[0].categories.counts) == {"'; --", "x"}


def _value(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(profile_table(path).to_bytes())
    return value


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.update(version=2),
        lambda v: v.update(rows=v["rows"] + 1),
        lambda v: v.update(rows=True),
        lambda v: v.update(columns=[]),
        lambda v: v.update(masked="no"),
        lambda v: v.update(schema_sha256="0" * 64),
        lambda v: v["columns"].append(v["columns"][0]),
        lambda v: v["columns"].reverse(),
        lambda v: v["columns"][0].update(family="date"),
        lambda v: v["columns"][0].update(nulls=-1),
        lambda v: v["columns"][0]["histogram"]["counts"].append(0),
        lambda v: v["columns"][0]["histogram"]["edges"].reverse(),
        lambda v: v["columns"][0]["histogram"]["counts"].__setitem__(0, 99),
        lambda v: v["columns"][1]["categories"]["counts"].append(v["columns"][1]["categories"]["counts"][0]),
        lambda v: v["columns"][1]["categories"]["other"].update(rows=5),
        lambda v: v["columns"][1].pop("type"),
        lambda v: v.pop("$schema"),
    ],
)
def test_a_malformed_profile_is_refused(change: Any, tmp_path: Path) -> None:
    value = _value(parquet(tmp_path / "t.parquet", sample(40, 1)))
    Profile.from_bytes(canonical_json(value))
    change(value)
    with pytest.raises(ProfileError):
        Profile.from_bytes(canonical_json(value))


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"version":1}', b"null"])
def test_what_is_no_profile_is_refused(data: bytes) -> None:
    with pytest.raises(ProfileError):
        Profile.from_bytes(data)


def test_a_schemas_digest_tells_names_types_and_order(tmp_path: Path) -> None:
    tables = [
        pa.table({"a": [1], "b": ["x"]}),
        pa.table({"b": ["x"], "a": [1]}),
        pa.table({"a": [1.0], "b": ["x"]}),
        pa.table({"a": [1], "c": ["x"]}),
    ]
    digests = [profile_table(parquet(tmp_path / "t.parquet", each)).schema_digest for each in tables]
    assert len(set(digests)) == 4
    assert digests[0] == digest_of((("a", "int64"), ("b", "string")))
    large = pa.table({"a": pa.array([1]), "b": pa.array(["x"], pa.large_string()).dictionary_encode()})
    assert profile_table(parquet(tmp_path / "t.parquet", large)).schema_digest == digests[0]
