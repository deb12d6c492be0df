"""The three expectations say the same in Great Expectations and in the fused engine, and fail without a baseline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import great_expectations as gx
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pytest

from airflow_mlsecops.core.controls.suite import LoadedSuite, load_suite
from airflow_mlsecops.core.controls.validation import validate_data
from airflow_mlsecops.core.errors import SuiteError
from airflow_mlsecops.core.findings import Severity
from airflow_mlsecops.core.profile import categories
from airflow_mlsecops.core.profile.baseline import NoBaseline, using
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.core.validation.engines import evaluate
from airflow_mlsecops.core.validation.outcome import Outcome
from airflow_mlsecops.core.validation.security.threats import techniques
from tests.core.profile.tables import baseline, parquet, sample
from tests.core.validation import pairs
from tests.support.labelled import dataset

FEATURE = "expect_column_distribution_to_match_baseline"
LABELS = "expect_column_labels_to_match_baseline"
SEEDS = 5
SCHEMA = "expect_table_schema_to_match_baseline"

pytestmark = pytest.mark.filterwarnings("ignore")


def suite(*items: tuple[str, Mapping[str, Any]]) -> LoadedSuite:
    return load_suite({"name": "s", "expectations": [{"type": kind, "kwargs": dict(kwargs)} for kind, kwargs in items]})


EVERYTHING: list[tuple[str, dict[str, Any]]] = [
    *((kind, {"column": name}) for kind in (FEATURE, LABELS) for name in ("x", "t", "label", "name", "ok", "gone")),
    (FEATURE, {"column": "x", "max_ks": 0.5, "alpha": 0.01}),
    (SCHEMA, {}),
    (SCHEMA, {"sha256": "0" * 64}),
]


def told(outcome: Outcome) -> tuple[Any, ...]:
    compared = outcome.compared
    return (
        bool(outcome),
        outcome.trouble,
        outcome.saw,
        outcome.observed,
        compared and (dict(compared.statistics), compared.drawing),
    )


def odd(table: pa.Table) -> pa.Table:
    """Columns that are something else than they were."""
    nothing = pa.nulls(len(table), pa.string())
    return table.set_column(0, "x", table["name"]).set_column(1, "t", nothing).set_column(4, "ok", table["label"])


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_both_engines_say_the_same(ending: str, mask: bool, tmp_path: Path) -> None:
    was = baseline(parquet(tmp_path / "was.parquet", sample(4000, 1, nulls=0.05)), mask=mask)
    tables = [
        sample(3000, 2, nulls=0.05),
        sample(3000, 3, scale=1.3, flipped=0.2),
        sample(50, 4, nulls=0.5),
        odd(sample(300, 5)),
    ]
    loaded, held = suite(*EVERYTHING), []
    for number, table in enumerate(tables):
        path = tmp_path / f"now{number}.{ending}"
        pa.csv.write_csv(table, path) if ending == "csv" else parquet(path, table)
        with using(was):
            fused, by_gx = (evaluate(path, loaded.document, engine=engine) for engine in ("fused", "gx"))
        assert fused.engine == "fused"
        assert [told(each) for each in fused.outcomes] == [told(each) for each in by_gx.outcomes]
        held.append([bool(each) for each in fused.outcomes])
    assert held[0] == [True, True, True, True, False, False, False, True, True, True, True, False, True, True, False]
    assert held[1][:3] == [False, True, False]
    assert held[1][8:10] == [False, False]
    assert held[3][13] is False


@pytest.mark.parametrize("seed", range(SEEDS))
def test_both_engines_say_the_same_about_odd_columns(seed: int, tmp_path: Path) -> None:
    """Dates, decimals, 32-bit floats, whole numbers beyond 2^53, infinities, odd text; each may have been another."""
    was = baseline(parquet(tmp_path / "was.parquet", pairs.table(seed + 100)), mask=seed % 3 == 0)
    table = pairs.table(seed)
    if seed % 4 == 1:
        table = table.rename_columns([*table.column_names[1:], table.column_names[0]])
    path = parquet(tmp_path / "now.parquet", table)
    loaded = suite(
        *((kind, {"column": name}) for kind in (FEATURE, LABELS) for name in table.column_names), (SCHEMA, {})
    )
    with using(was):
        fused, by_gx = (evaluate(path, loaded.document, engine=engine) for engine in ("fused", "gx"))
    assert [(*each.columns, *told(each)) for each in fused.outcomes] == [
        (*each.columns, *told(each)) for each in by_gx.outcomes
    ]


@pytest.mark.parametrize("engine", ["fused", "gx"])
def test_without_a_baseline_nothing_holds(engine: str, tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", sample(100, 1))
    loaded = suite((FEATURE, {"column": "x"}), (LABELS, {"column": "name"}), (SCHEMA, {}))
    for missing, why in ((None, "no baseline was given"), (NoBaseline("nobody signed it"), "nobody signed it")):
        with using(missing):
            found = evaluate(path, loaded.document, engine=engine)
        assert not any(found.outcomes)
        assert {each.trouble for each in found.outcomes} == {why}


@pytest.mark.parametrize("engine", ["fused", "gx"])
def test_a_flood_of_labels_is_a_trouble_and_not_taken_into_memory(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    was = baseline(parquet(tmp_path / "was.parquet", sample(100, 1)))
    monkeypatch.setattr(categories, "MAX_DISTINCT", 50)
    table = sample(60, 2)
    path = parquet(tmp_path / "now.parquet", table.set_column(3, "name", pa.array([f"c{i}" for i in range(60)])))
    with using(was):
        (outcome,) = evaluate(path, suite((LABELS, {"column": "name"})).document, engine=engine).outcomes
    assert (bool(outcome), outcome.trouble) == (
        False,
        "'name' holds more than 50 different values, too many to compare",
    )


def test_a_row_condition_is_heeded(tmp_path: Path) -> None:
    was = baseline(parquet(tmp_path / "was.parquet", sample(3000, 1)))
    condition = {"type": "comparison", "column": {"name": "label"}, "operator": "<", "parameter": 2}
    with using(was):
        found = evaluate(
            parquet(tmp_path / "now.parquet", sample(3000, 2)),
            suite((LABELS, {"column": "label"}), (LABELS, {"column": "label", "row_condition": condition})).document,
        )
    assert [bool(each) for each in found.outcomes] == [True, False]
    assert found.by_gx == (1,)


@pytest.mark.parametrize(
    ("kind", "kwargs"),
    [
        (FEATURE, {}),
        (FEATURE, {"column": "x", "max_ks": 1}),
        (FEATURE, {"column": "x", "max_psi": -1}),
        (FEATURE, {"column": "x", "alpha": 0}),
        (FEATURE, {"column": "x", "max_total_variation": 0.1}),
        (LABELS, {"column": "x", "max_new": 1}),
        (LABELS, {"column": "x", "baseline": "last-released"}),
        (SCHEMA, {"sha256": "0" * 63}),
        (SCHEMA, {"sha256": "Z" * 64}),
        (SCHEMA, {"column": "x"}),
    ],
)
def test_wrong_arguments_are_an_error(kind: str, kwargs: dict[str, Any]) -> None:
    with pytest.raises(SuiteError, match=kind):
        suite((kind, kwargs))


def test_great_expectations_alone_can_evaluate_them(tmp_path: Path) -> None:
    """As any custom expectation, with the baseline for the time of the call."""
    from airflow_mlsecops.expectations.expect_column_distribution_to_match_baseline import (
        ExpectColumnDistributionToMatchBaseline,
    )
    from airflow_mlsecops.expectations.expect_table_schema_to_match_baseline import ExpectTableSchemaToMatchBaseline

    table = sample(2000, 1)
    was, frame = baseline(parquet(tmp_path / "t.parquet", table)), table.to_pandas()
    batch = (
        gx.get_context(mode="ephemeral")
        .data_sources.add_pandas("p")
        .add_dataframe_asset("t")
        .add_batch_definition_whole_dataframe("all")
        .get_batch({"dataframe": frame})
    )
    for expectation in (ExpectColumnDistributionToMatchBaseline(column="x"), ExpectTableSchemaToMatchBaseline()):
        with using(was):
            assert batch.validate(expectation).success
        assert not batch.validate(expectation).success


def test_the_statement_names_the_baseline_and_the_page_draws_it_without_values(tmp_path: Path) -> None:
    was = baseline(parquet(tmp_path / "was.parquet", sample(3000, 1)))
    path = parquet(tmp_path / "now.parquet", sample(3000, 2, scale=2, flipped=0.3))
    document = {
        "name": "s",
        "expectations": [
            {"type": FEATURE, "kwargs": {"column": "x"}},
            {"type": LABELS, "kwargs": {"column": "name"}, "severity": "warning"},
        ],
    }
    report = validate_data(dataset(path), path, suite=document, baseline=was)
    assert report.verdict is Verdict.FAIL
    assert report.parameters["baseline"] == was.to_dict()
    assert [finding.severity for finding in report.findings] == [Severity.CRITICAL, Severity.WARNING]
    assert "ks 0." in report.findings[0].message
    assert all(finding.techniques == techniques(finding.rule.partition("/")[2]) != () for finding in report.findings)
    assert report.details["results"][0]["statistics"]["ks"] > 0.1
    page = report.blobs["report.html"].decode()
    assert page.count("<svg") == 2
    assert "Distributions against the baseline" in page
    assert "class 0" not in page
    assert was.dataset in page
    shown = validate_data(dataset(path), path, suite=document, baseline=was, show_values=True)
    assert b"class 0" in shown.blobs["report.html"]
    kept = {name: blob for name, blob in shown.blobs.items() if name != "report.html"}
    assert "class 0" not in str((shown.to_dict(), kept))


def evaluated(path: Path, document: Mapping[str, Any], was: Any) -> tuple[Outcome, ...]:
    with using(was):
        return evaluate(path, load_suite(document).document).outcomes


def test_a_baseline_that_is_missing_fails_even_where_nothing_needs_it(tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", sample(100, 1))
    report = validate_data(
        dataset(path),
        path,
        suite={"name": "s", "expectations": [{"type": "expect_table_row_count_to_equal", "kwargs": {"value": 100}}]},
        baseline=NoBaseline("nobody signed it", "last-released"),
    )
    assert report.verdict is Verdict.FAIL
    assert [finding.rule for finding in report.findings] == ["data-validation/no-baseline"]
    assert report.parameters["baseline"] == {"asked": "last-released", "missing": "nobody signed it"}


def test_names_of_a_hostile_baseline_are_escaped(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    was = baseline(parquet(tmp_path / "was.parquet", pa.table({hostile: [hostile, "b"] * 50})))
    path = parquet(tmp_path / "now.parquet", pa.table({hostile: ["b"] * 100}))
    document = {"name": "s", "expectations": [{"type": LABELS, "kwargs": {"column": hostile}}]}
    page = validate_data(dataset(path), path, suite=document, baseline=was).blobs["report.html"]
    assert b"<script" not in page
    assert b"&lt;script&gt;" in page


def test_whole_numbers_among_nulls_are_the_same_labels(tmp_path: Path) -> None:
    was = baseline(parquet(tmp_path / "was.parquet", pa.table({"y": [1, 2] * 50})))
    path = tmp_path / "now.parquet"
    pd.DataFrame({"y": [1.0, 2.0] * 50 + [None]}).to_parquet(path, index=False)
    (outcome,) = evaluated(path, {"name": "s", "expectations": [{"type": LABELS, "kwargs": {"column": "y"}}]}, was)
    assert (bool(outcome), outcome.saw) == (True, 100)


@pytest.mark.parametrize("engine", ["fused", "gx"])
def test_a_schema_pinned_in_the_suite_needs_no_baseline(engine: str, tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", sample(20, 1))
    pinned = suite((SCHEMA, {"sha256": baseline(path).profile.schema_digest}))
    other = parquet(tmp_path / "o.parquet", sample(20, 1).drop_columns(["ok"]))
    held = [evaluate(each, pinned.document, engine=engine).outcomes[0] for each in (path, other)]
    assert [(bool(each), each.trouble) for each in held] == [(True, ""), (False, "")]
