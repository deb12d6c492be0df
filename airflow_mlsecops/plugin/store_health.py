"""How the evidence store and its log are, seen now; and how far behind the index is."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from airflow_mlsecops.core.errors import MlsecopsError
from airflow_mlsecops.core.index.overview import State, state_of
from airflow_mlsecops.plugin.indexes import kept_for
from airflow_mlsecops.plugin.source import Source, memory_of


@dataclass(frozen=True)
class LogHealth:
    """The evidence log.

    Attributes:
        origin: its name; empty if the trust policy names none.
        required: whether evidence has to be in it to count.
        size: how many entries its newest checkpoint signs.
        root: the root hash that it signs, in hex; remember it, to notice a log that was rolled back.
        whole: whether all entries were read and lead to that root.
        problem: what is wrong with it; empty if nothing is.
    """

    origin: str
    required: bool
    size: int
    root: str
    whole: bool
    problem: str


@dataclass(frozen=True)
class Health:
    """All of it.

    Attributes:
        ok: whether nothing is wrong.
        checked_at: when this was looked at.
        embedded: whether it is the embedded store, for trying out only.
        trust_policy: SHA-256 of the trust policy.
        log: the evidence log.
        index: the index behind the lists.
        problems: what is wrong, one sentence each.
    """

    ok: bool
    checked_at: datetime
    embedded: bool
    trust_policy: str
    log: LogHealth
    index: State
    problems: tuple[str, ...]


def health_of(source: Source, connection: sqlite3.Connection, now: datetime) -> Health:
    """Look at the log and at the index.

    Raises:
        StoreUnavailableError: if the store can't be reached.
    """
    log, state = _log(source), state_of(connection)
    problems = [log.problem] if log.problem else []
    if not state.built:
        problems.append(f"The index is being made: {state.statements:,} read, {state.pending:,} to go")
    if kept_for(source).failed is not None:
        problems.append("The index can't be refreshed, so lists may be old: the api-server's log says why")
    broken = sum(state.not_counted.get(code, 0) for code in ("evidence-broken", "evidence-withheld"))
    if broken:
        problems.append(
            f"{broken} piece{' of evidence is' if broken == 1 else 's of evidence are'} gone or not what the name says"
        )
    return Health(not problems, now, source.embedded, source.trust.digest, log, state, tuple(problems))


def _log(source: Source) -> LogHealth:
    rule = source.trust.log
    if rule is None:
        return LogHealth("", False, 0, "", False, "")
    size, root, whole, problem = 0, "", False, ""
    try:
        reader = source.store.log_reader(rule.trust)
        checkpoint = reader.checkpoint()
        if checkpoint is not None:
            size, root = checkpoint.size, checkpoint.root.hex()
            whole = memory_of(source.store, source.trust).grow(reader, checkpoint)
            problem = (
                "" if whole else "The log's entries don't lead to its newest checkpoint: run `mlsecops log verify`"
            )
    except MlsecopsError as error:
        if error.transient:
            raise
        problem = f"The evidence log can't be read: {error.code}"
    return LogHealth(rule.trust.origin, rule.required, size, root, whole, problem)
