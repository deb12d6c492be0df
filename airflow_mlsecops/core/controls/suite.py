"""Read an expectation suite strictly: what can't be judged by every word of it isn't judged at all.

Great Expectations drops an unknown expectation with a line in the log, passes an empty suite, and hands a row condition
that is a string to ``DataFrame.query``, which runs code. Here each of these is an error that names the culprit.

The form is GX's own suite JSON: ``{"name", "expectations": [{"type", "kwargs", "severity"}, …]}``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_mlsecops.core.canonical import canonical_json, strict_json
from airflow_mlsecops.core.config_file import only_keys
from airflow_mlsecops.core.digest import Sha256, sha256_bytes
from airflow_mlsecops.core.errors import StatementError, SuiteError
from airflow_mlsecops.core.findings import Severity
from airflow_mlsecops.core.validation.custom import make_known
from airflow_mlsecops.core.validation.plain import is_plain
from airflow_mlsecops.core.validation.selectors import probe

_SUITE_KEYS = {"name", "expectations", "meta", "notes", "id", "suite_parameters"}
_ITEM_KEYS = {"type", "kwargs", "severity", "meta", "notes", "description", "id", "rendered_content"}
_PRESENTATION = {"result_format", "catch_exceptions"}
"""Arguments that say how a result is shown; the control decides that, and they never change a verdict."""
_OLD_KEYS = "a suite of GX 0.x is migrated by loading it with GX 1.x and saving it again"


@dataclass(frozen=True)
class LoadedSuite:
    """A suite that was read strictly.

    Attributes:
        name: its name.
        document: its JSON form, normalised: no ids, no library version, no arguments that only shape the output. What
            is run is built from it.
        digest: SHA-256 of the canonical JSON of ``document``.
        expectations: how many there are; at least one.
    """

    name: str
    document: Mapping[str, Any]
    digest: Sha256
    expectations: int


def load_suite(value: Any, *, allow_mostly_zero: bool = False) -> LoadedSuite:
    """Read a suite from its JSON form, or from an ``ExpectationSuite``.

    Great Expectations is only imported if one of the expectations isn't plain; see
    :mod:`airflow_mlsecops.core.validation.plain`.

    Args:
        value: the suite.
        allow_mostly_zero: take expectations with ``mostly=0`` too, which let every row fail.

    Raises:
        SuiteError: for no expectations, unknown types, unknown, missing or wrong arguments, duplicates, expectations
            that can't fail, run-time parameters, and row conditions that are code; it names the expectation.
    """
    document = _normalised(_as_mapping(value))
    items = document["expectations"]
    probes = [probe(item) for item in items]
    plain = all(map(is_plain, probes))
    built = [None] * len(items) if plain else build_expectations({**document, "expectations": probes})
    seen: dict[bytes, int] = {}
    for index, (item, expectation) in enumerate(zip(items, built, strict=True)):
        first = seen.setdefault(canonical_json([item["type"], item["kwargs"]]), index)
        if first != index:
            raise SuiteError(f"{label(index, item)} repeats expectation {first}", "remove one of them")
        _check_can_fail(index, item, expectation, allow_mostly_zero=allow_mostly_zero)
        for condition in conditions(expectation):
            _check_condition(index, item, condition)
    return LoadedSuite(document["name"], document, sha256_bytes(canonical_json(document)), len(built))


def build_expectations(document: Mapping[str, Any]) -> list[Any]:
    """The GX expectations that ``document`` describes, in its order; one for each item, or an error.

    Raises:
        SuiteError: naming the first expectation that GX doesn't know or doesn't take.
    """
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    make_known(item["type"] for item in document["expectations"])
    known = set(list_registered_expectation_implementations())
    built = []
    for index, item in enumerate(document["expectations"]):
        if item["type"] not in known:
            raise SuiteError(
                f"{label(index, item)}: Great Expectations knows no such type",
                "check its spelling; a custom expectation's module has to be imported before the suite is read",
            )
        configuration = {key: item[key] for key in ("type", "kwargs", "severity")}
        try:
            built.append(ExpectationConfiguration(**configuration, meta={"index": index}).to_domain_obj())
        except Exception as error:  # pydantic's, GX's and plain ValueErrors: whatever it is, the suite can't be run
            raise SuiteError(f"{label(index, item)}: {_reasons(error)}", "see the expectation's arguments") from error
    return built


def label(index: int, item: Mapping[str, Any]) -> str:
    """``expectation 3 (expect_column_values_to_not_be_null of 'age')``."""
    columns = named_columns(item)
    of = f" of {', '.join(repr(column) for column in columns[:5])}" if columns else ""
    return f"expectation {index} ({str(item.get('type'))[:100]}{of})"


def named_columns(item: Mapping[str, Any]) -> list[str]:
    """The columns whose values an expectation looks at."""
    kwargs = item.get("kwargs") or {}
    names = [kwargs.get(key) for key in ("column", "column_A", "column_B", "label_column", "split_column")]
    if item.get("type") != "expect_table_columns_to_match_ordered_list":  # there the list is what's expected
        names += kwargs.get("column_list") or []
    return [name for name in names if isinstance(name, str)]


def conditions(expectation: Any) -> Iterator[Any]:
    """The row condition of an expectation, taken apart into its comparisons; nothing when there is none."""
    waiting: list[Any] = [getattr(expectation, "row_condition", None)]
    while waiting:
        condition = waiting.pop()
        if condition is None:
            continue
        if hasattr(condition, "conditions"):
            waiting += condition.conditions
        else:
            yield condition


def _as_mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    from great_expectations import ExpectationSuite

    if not isinstance(value, ExpectationSuite):
        raise SuiteError(
            f"a suite is {type(value).__name__}, expected its JSON form or an ExpectationSuite",
            "load a file or a shipped suite with resolve_suite",
        )
    result: Mapping[str, Any] = value.to_json_dict()
    return result


def _normalised(value: Mapping[str, Any]) -> dict[str, Any]:
    """Check the outline, and keep what matters; equal suites become equal documents."""
    try:
        value = strict_json(canonical_json(dict(value)), "suite")
    except StatementError as error:
        raise SuiteError(f"the suite isn't JSON: {error.message}", "quote dates; use finite numbers") from error
    if "expectation_suite_name" in value:
        raise SuiteError("the suite has the form of GX 0.x", _OLD_KEYS)
    only_keys(dict(value), _SUITE_KEYS, "the suite", SuiteError)
    name, items = value.get("name"), value.get("expectations")
    if not isinstance(name, str) or not name.strip():
        raise SuiteError("the suite has no name", "add one: it stands in the evidence")
    if not isinstance(items, list) or not items:
        raise SuiteError(f"suite {name!r} holds no expectations", "an empty suite passes anything; add expectations")
    if value.get("suite_parameters"):
        raise SuiteError(
            f"suite {name!r} has suite_parameters", "write the values into the suite, so that its digest binds them"
        )
    meta = {key: item for key, item in (value.get("meta") or {}).items() if "great_expectations" not in key}
    extra = {"meta": meta, "notes": value.get("notes")}
    document = {"name": name, "expectations": [_item(index, item) for index, item in enumerate(items)]}
    return document | {key: item for key, item in extra.items() if item}


def _item(index: int, item: Any) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise SuiteError(f"expectation {index} is {type(item).__name__}, expected an object with type and kwargs")
    if "expectation_type" in item:
        raise SuiteError(f"expectation {index} has the form of GX 0.x ('expectation_type')", _OLD_KEYS)
    what = label(index, {"type": item.get("type")})
    only_keys(item, _ITEM_KEYS, what, SuiteError)
    kwargs = item.get("kwargs")
    if not isinstance(item.get("type"), str) or not isinstance(kwargs, dict):
        raise SuiteError(f"{what}: expected a type (text) and kwargs (object)", "see a suite in expectations/suites/")
    severity = item.get("severity") or Severity.CRITICAL.value
    if severity not in {each.value for each in Severity}:
        raise SuiteError(f"{what}: unknown severity {severity!r}", f"allowed: {', '.join(Severity)}")
    for name in ("batch_id", "windows"):
        if kwargs.get(name) is not None:
            raise SuiteError(f"{what}: argument {name!r} ties it to one run", "leave it out")
    if b'"$PARAMETER"' in canonical_json(kwargs):
        raise SuiteError(f"{what}: $PARAMETER is filled in at run time", "write the value into the suite")
    kept = {key: value for key, value in kwargs.items() if key not in _PRESENTATION and value is not None}
    result = {"type": item["type"], "kwargs": kept, "severity": severity}
    return result | {key: item[key] for key in ("meta", "notes", "description") if item.get(key)}


def _check_can_fail(index: int, item: Mapping[str, Any], expectation: Any, *, allow_mostly_zero: bool) -> None:
    """Refuse what passes whatever the data are; a suite of such would be an empty one in disguise."""
    kwargs = item["kwargs"]
    reason = ""
    if kwargs.get("mostly") == 0 and not allow_mostly_zero:
        reason = "mostly=0 lets every row fail"
    # Both, because some types inherit the fields and use neither, and quantiles are bounded in another way.
    # A plain expectation isn't built; what has bounds is plain only with one of them.
    bounded = item["type"].endswith("_to_be_between") and "min_value" in getattr(expectation, "__fields__", ())
    if bounded and not {"min_value", "max_value"} & kwargs.keys():
        reason = "it has neither min_value nor max_value"
    nested = kwargs.get("quantile_ranges")
    for name, value in {**kwargs, **(nested if isinstance(nested, dict) else {})}.items():
        if value == [] or (name == "value_ranges" and [None, None] in value):
            reason = f"argument {name!r} is empty, or has an empty range"
    if reason:
        raise SuiteError(f"{label(index, item)} says nothing: {reason}", "give it something to check, or remove it")


def _check_condition(index: int, item: Mapping[str, Any], condition: Any) -> None:
    """Row conditions end in ``DataFrame.query``, which runs what it's given; only plain comparisons may get there."""
    kind = getattr(condition, "type", None)
    if kind not in ("comparison", "nullity"):
        raise SuiteError(
            f"{label(index, item)}: its row_condition is code",
            "write it as a condition object, e.g. "
            '{"type": "comparison", "column": {"name": "age"}, "operator": ">", "parameter": 17}',
        )
    name = condition.column.name
    if "`" in name or not name.isprintable():
        raise SuiteError(f"{label(index, item)}: its row_condition has the column name {name!r}", "rename the column")


def _reasons(error: Exception) -> str:
    """Pydantic's list of what's wrong with which argument, or the first line of any other message."""
    errors = getattr(error, "errors", None)
    if not callable(errors):
        return f"{type(error).__name__}: {str(error).splitlines()[0][:300] if str(error) else ''}"
    return "; ".join(
        f"argument {'.'.join(str(part) for part in each['loc'])!r}: {each['msg']}" for each in errors()[:5]
    )
