"""Plans for what is compared with a baseline: counts from the shared scan, decided by pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_mlsecops.core.profile import categories, compare, sql
from airflow_mlsecops.core.profile.baseline import NoBaseline, current
from airflow_mlsecops.core.profile.compare import Compared, Seen
from airflow_mlsecops.core.profile.pinned_schema import judge_schema
from airflow_mlsecops.core.validation.plans import Answer, Ask, Plan, Table, exact_ints


def labels(kwargs: Mapping[str, Any], table: Table) -> Plan | None:
    """Shares of categories."""
    column, baseline = table.columns[kwargs["column"]], current().baseline
    if isinstance(baseline, NoBaseline):
        return _no(baseline.reason)
    if column.kind in ("float", "float32"):
        return None  # which may be whole numbers among nulls
    was = baseline.profile.column(column.name)
    why = compare.why_not_labels(was, column.name, sql.family_of(column))
    present, query = column.count, sql.category_counts(column, table.relation, categories.MAX_DISTINCT)

    def decide(ask: Ask) -> Answer:
        saw = ask(present)
        if why or not saw or was is None or was.categories is None:
            return _nothing(saw, why)
        seen = categories.seen_on(was.categories, column.name, saw, sql.named_counts(ask(query)))
        return answer(compare.labels(was, seen, kwargs))

    return Plan(decide, (present,), exact_ints(column))


def distribution(kwargs: Mapping[str, Any], table: Table) -> Plan:
    """The distribution of numbers, or of lengths of texts."""
    column, baseline = table.columns[kwargs["column"]], current().baseline
    if isinstance(baseline, NoBaseline):
        return _no(baseline.reason)
    was = baseline.profile.column(column.name)
    why = compare.why_not_distribution(was, column.name, sql.family_of(column))
    present = column.count
    edges = was.histogram.edges if not why and was is not None and was.histogram is not None else ()
    counted = sql.histogram(column, edges) if edges else ""

    def decide(ask: Ask) -> Answer:
        saw = ask(present)
        if why or not saw or was is None:
            return _nothing(saw, why)
        return answer(compare.distribution(was, Seen(saw, sql.counts_of(ask(counted), edges)), kwargs))

    return Plan(decide, (present, counted) if counted else (present,))


def schema(kwargs: Mapping[str, Any], table: Table) -> Plan:
    """Names and types, in order."""
    found = tuple((column.name, column.type) for column in table.columns.values())
    judged = judge_schema(found, kwargs.get("sha256"), current().baseline)
    return Plan(lambda _: Answer(judged.held, observed=judged.observed or None, trouble=judged.trouble))


def answer(compared: Compared) -> Answer:
    """A comparison as an answer."""
    told = compare.told(compared.statistics) or None
    if compared.trouble:
        return _nothing(compared.saw, compared.trouble)
    return Answer(compared.held, compared.saw, observed=told, compared=compared)


def _nothing(saw: int, why: str) -> Answer:
    """An answer about a column that can't be compared; of one that holds only nulls that is all there is to say."""
    return Answer(False, trouble=why) if saw else Answer(False, 0)


def _no(reason: str) -> Plan:
    return Plan(lambda _: Answer(False, trouble=reason))
