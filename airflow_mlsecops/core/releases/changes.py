"""What is different between two versions of a model: a pure comparison of what verified evidence says about each.

What speaks here speaks for nothing: changes are for people who read a request, an approval or a history. What can't be
read is told as such, never taken for "no change".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from airflow_mlsecops.core.canonical import strict_json
from airflow_mlsecops.core.errors import MlsecopsError, StatementError
from airflow_mlsecops.core.evidence import Evidence, EvidenceSet
from airflow_mlsecops.core.policy import Dossier
from airflow_mlsecops.core.predicates import PROVENANCE, TEST_RESULT, control_run, provenance
from airflow_mlsecops.core.predicates.fields import digest_set, objects
from airflow_mlsecops.core.scanning.rules import IMPORTS_BLOB

MAX_ROWS = 100
"""How many rows of each kind stand in a statement; ``total`` says how many there are."""
MAX_TEXT = 300
KINDS = ("data", "verdict", "metric", "finding", "code", "package", "import")

Blob = Callable[[str], bytes]


@dataclass
class Facts:
    """What verified evidence says about one version: kind of fact -> name -> value.

    Attributes:
        values: ``data``, ``verdict``, ``metric``, ``finding``, ``code``, ``package`` and ``import``.
        unreadable: what can't be compared, and why.
    """

    values: dict[str, dict[str, Any]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    unreadable: list[str] = field(default_factory=list)


class Change(NamedTuple):
    """One thing that is different; ``None`` where it wasn't there."""

    kind: str
    name: str
    before: Any
    after: Any

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.kind} {self.name}: new, {_short(self.after)}"
        if self.after is None:
            return f"{self.kind} {self.name}: gone, was {_short(self.before)}"
        return f"{self.kind} {self.name}: {_short(self.before)} -> {_short(self.after)}"


@dataclass(frozen=True)
class Changes:
    """All that is different.

    Attributes:
        since: evidence digest of the promotion that is compared with; empty if there is none.
        rows: sorted by kind and name.
        unreadable: what couldn't be compared.
    """

    since: str
    rows: tuple[Change, ...]
    unreadable: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Bounded, for a statement."""
        kept: list[Change] = []
        for kind in KINDS:
            kept += [row for row in self.rows if row.kind == kind][:MAX_ROWS]
        return {
            **({"since": {"digest": {"sha256": self.since}}} if self.since else {}),
            "rows": [
                {
                    "kind": row.kind,
                    "name": row.name[:MAX_TEXT],
                    "before": _bounded(row.before),
                    "after": _bounded(row.after),
                }
                for row in kept
            ],
            "total": len(self.rows),
            "unreadable": [text[:MAX_TEXT] for text in self.unreadable[:MAX_ROWS]],
        }

    def lines(self) -> list[str]:
        """One line each, for people; escape it where it is shown."""
        if not self.since:
            return ["the first version at this stage: there is nothing to compare with"]
        told = [str(row) for row in self.rows] or ["nothing that the evidence tells is different"]
        return [*told, *(f"can't be compared: {text}" for text in self.unreadable)]


def facts_of(dossier: Dossier, blob: Blob) -> Facts:
    """Collect what the evidence says about a model, and the data sets and models that it came from.

    Args:
        dossier: the verified evidence.
        blob: reads a blob of the store by digest, checked.

    Raises:
        StoreUnavailableError: if the store can't be reached.
    """
    facts = Facts()
    bases = {f"base model {each.name}": each.digest for each in dossier.sources if each.direct and not each.is_data}
    facts.values["data"] = {**dict(dossier.datasets), **bases}
    about: dict[str, str] = {source.digest: str(source) for source in dossier.sources}
    about[dossier.model] = "model"
    for subject, evidence in dossier.sets.items():
        _controls(facts, about[subject], evidence, blob)
    _made_with(facts, dossier.sets[dossier.model], blob)
    return facts


def changes_between(before: Facts | None, after: Facts, *, since: str = "") -> Changes:
    """Compare two versions.

    Args:
        before: the earlier one; ``None`` if there is none, and then there are no changes.
        after: the later one.
        since: evidence digest of the earlier one's promotion.
    """
    if before is None:
        return Changes("", (), tuple(after.unreadable))
    rows = []
    for kind in KINDS:
        old, new = before.values[kind], after.values[kind]
        different = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
        rows += [Change(kind, name, old.get(name), new.get(name)) for name in different]
    unreadable = [f"before: {text}" for text in before.unreadable] + [f"now: {text}" for text in after.unreadable]
    return Changes(since, tuple(rows), tuple(unreadable))


def _controls(facts: Facts, about: str, evidence: EvidenceSet, blob: Blob) -> None:
    """Verdict, metrics, findings and imports of the newest result of each control."""
    newest: dict[str, tuple[control_run.ControlResult, Evidence]] = {}
    for item in evidence.of(TEST_RESULT.slug):
        try:
            result = control_run.parse(item.statement)
        except StatementError as error:
            facts.unreadable.append(f"a control's result about the {about}: {error.message}")
            continue
        known = newest.get(result.control)
        if known is None or (result.finished_at, item.digest) > (known[0].finished_at, known[1].digest):
            newest[result.control] = (result, item)
    for control, (result, item) in newest.items():
        place = f"{control} of the {about}"
        facts.values["verdict"][place] = result.verdict.value
        facts.values["metric"] |= {
            f"{name}, {place}": value for name, value in result.metrics.items() if isinstance(value, str | int | float)
        }
        for finding in result.findings:
            name = f"{finding.get('rule', '?')}, {place}"
            facts.values["finding"][name] = facts.values["finding"].get(name, 0) + 1
        _imports(facts, place, item, blob)


def _imports(facts: Facts, place: str, item: Evidence, blob: Blob) -> None:
    try:
        blobs = objects(item.statement.predicate[control_run.CONTROL_RUN], "blobs")
        digests = [digest_set(each) for each in blobs if each.get("name") == IMPORTS_BLOB]
    except StatementError as error:
        facts.unreadable.append(f"imports, {place}: {error.message}")
        return
    for digest in digests:
        for name in _read(facts, f"imports, {place}", digest, blob):
            facts.values["import"][str(name)] = True


def _made_with(facts: Facts, evidence: EvidenceSet, blob: Blob) -> None:
    """Code and packages, from the newest provenance that names some."""
    made = []
    for item in evidence.of(PROVENANCE.slug):
        try:
            made.append(provenance.parse(item.statement))
        except StatementError as error:
            facts.unreadable.append(f"provenance: {error.message}")
    for said in sorted(made, key=lambda each: each.finished_at):
        code = {part.name: part.digest for part in said.dependencies if part.kind in ("code", "image")}
        facts.values["code"] = code or facts.values["code"]
        for part in said.dependencies:
            if part.kind == "packages":
                pairs = _read(facts, "packages", part.digest, blob)
                found = {str(pair[0]): str(pair[1]) for pair in pairs if isinstance(pair, list) and len(pair) == 2}
                facts.values["package"] = found or facts.values["package"]


def _read(facts: Facts, what: str, digest: str, blob: Blob) -> Iterable[Any]:
    try:
        value = strict_json(blob(digest), what)
    except MlsecopsError as error:
        if error.transient:
            raise
        facts.unreadable.append(f"{what}: {error.message}")
        return ()
    if not isinstance(value, list):
        facts.unreadable.append(f"{what}: expected a list")
        return ()
    return value


def _bounded(value: Any) -> Any:
    return value[:MAX_TEXT] if isinstance(value, str) else value


def _short(value: Any) -> str:
    text = "here" if value is True else f"{value:.6g}" if isinstance(value, float) else str(value)
    return f"{text[:16]}…" if len(text) == 64 else text[:120]


def changes_told(value: Mapping[str, Any]) -> list[str]:
    """The changes in a promotion statement, one line each.

    Raises:
        StatementError: if they can't be read.
    """
    rows = tuple(
        Change(str(row.get("kind")), str(row.get("name")), row.get("before"), row.get("after"))
        for row in objects(value, "rows")
    )
    since = digest_set(value["since"]) if isinstance(value.get("since"), dict) else ""
    unreadable = value.get("unreadable")
    told = Changes(since, rows, tuple(map(str, unreadable if isinstance(unreadable, list) else ()))).lines()
    total = value.get("total")
    hidden = total - len(rows) if isinstance(total, int) else 0
    return [*told, f"and {hidden} more"] if hidden > 0 else told
