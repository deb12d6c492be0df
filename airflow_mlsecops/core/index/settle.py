"""What follows from several statements together: which counts, which is the newest, what is told about an artifact."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

from airflow_mlsecops.core.errors import RevokedError
from airflow_mlsecops.core.predicates import REVOCATION, TEST_RESULT, VERIFICATION_SUMMARY
from airflow_mlsecops.core.telling import Tone

SECONDS_A_DAY = 86400
_BADNESS = {Tone.BAD: 2, Tone.WARN: 1}

Logged = Callable[[str], frozenset[str] | None]
"""The bundles that the log names about a subject; ``None`` where it doesn't matter."""


def revoked_by(connection: sqlite3.Connection, revocations: Iterable[str]) -> set[str]:
    """The subjects about which something was said by, or is, what was revoked."""
    found = connection.execute(
        "SELECT DISTINCT subject FROM statement WHERE digest IN (SELECT value FROM json_each(:subjects)) "
        "OR signed_with IN (SELECT value FROM json_each(:subjects))",
        {"subjects": json.dumps(sorted(revocations))},
    )
    return {row[0] for row in found}


def settle(connection: sqlite3.Connection, subjects: Iterable[str], logged: Logged) -> None:
    """Decide anew about all statements of these subjects.

    1. A statement counts if it did by itself, nothing revokes it or its signer, and the log has it where it has to.
       Of a signer that was revoked nothing counts here; a page about one artifact asks since when.
    2. Of a series the newest that counts is current, the worse of two that are equally new.
    3. An artifact is told for each Dag apart, because not everybody may read each. That it was revoked is told to all:
       whoever did that, from a command line as a rule, names no Dag.
    """
    for subject in subjects:
        rows = connection.execute("SELECT * FROM statement WHERE subject = ?", (subject,)).fetchall()
        # 1.
        codes = _codes(connection, rows, logged(subject))
        # 2.
        current = _current(row for row in rows if not codes[row["id"]])
        for row in rows:
            code, newest = codes[row["id"]], int(row["id"] in current)
            if code != row["code"] and row["slug"] == TEST_RESULT.slug:
                day = int(row["at"] // SECONDS_A_DAY)
                connection.execute("INSERT OR IGNORE INTO dirty_day VALUES (?)", (day,))
            if (code, newest) != (row["code"], row["current"]):
                connection.execute("UPDATE statement SET code = ?, current = ? WHERE id = ?", (code, newest, row["id"]))
                connection.execute(
                    "UPDATE finding SET open = ? WHERE statement = ?", (int(not code and newest), row["id"])
                )
        # 3.
        revoked = {row["id"] for row in rows if row["slug"] == REVOCATION.slug and not codes[row["id"]]}
        connection.execute("DELETE FROM presence WHERE subject = ?", (subject,))
        by_dag: dict[str, list[sqlite3.Row]] = {}
        for row in rows:
            by_dag.setdefault(row["dag_id"], []).append(row)
        connection.executemany(
            "INSERT INTO presence VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(subject, dag, *_presence(connection, of_dag, codes, current, revoked)) for dag, of_dag in by_dag.items()],
        )


def count_days(connection: sqlite3.Connection, days: Iterable[int]) -> None:
    """Count the verdicts of these days anew."""
    for day in days:
        connection.execute("DELETE FROM daily WHERE day = ?", (day,))
        connection.execute(
            "INSERT INTO daily SELECT :day, dag_id, verdict, count(*) FROM statement "
            "WHERE slug = :slug AND code = '' AND at >= :start AND at < :end GROUP BY dag_id, verdict",
            {
                "day": day,
                "slug": TEST_RESULT.slug,
                "start": day * SECONDS_A_DAY,
                "end": (day + 1) * SECONDS_A_DAY,
            },
        )


def _codes(connection: sqlite3.Connection, rows: list[sqlite3.Row], logged: frozenset[str] | None) -> dict[int, str]:
    names = sorted({row["digest"] for row in rows} | {row["signed_with"] for row in rows if row["signed_with"]})
    revoked = {
        found[0]
        for found in connection.execute(
            "SELECT subject FROM statement WHERE slug = ? AND refused = '' "
            "AND subject IN (SELECT value FROM json_each(?))",
            (REVOCATION.slug, json.dumps(names)),
        )
    }
    codes = {}
    for row in rows:
        code = row["refused"]
        if not code and row["slug"] != REVOCATION.slug:
            if row["digest"] in revoked or row["signed_with"] in revoked:
                code = RevokedError.code
            elif logged is not None and row["digest"] not in logged:
                code = "not-logged"
        codes[row["id"]] = code
    return codes


def _current(rows: Iterable[sqlite3.Row]) -> set[int]:
    ordered = sorted(rows, key=lambda row: (row["at"], _BADNESS.get(row["tone"], 0)), reverse=True)
    seen: set[str] = set()
    current = set()
    for row in ordered:
        if row["series"] not in seen:
            current.add(row["id"])
        if row["series"]:
            seen.add(row["series"])
    return current


def _presence(
    connection: sqlite3.Connection, rows: list[sqlite3.Row], codes: dict[int, str], current: set[int], revoked: set[int]
) -> tuple[Any, ...]:
    counting = sorted((row for row in rows if not codes[row["id"]]), key=lambda row: row["at"], reverse=True)
    now = [row for row in counting if row["id"] in current]
    tones = [row["tone"] for row in now]
    severities = {2: 0, 1: 0, 0: 0}
    with_findings = [row["id"] for row in now if row["findings"]]
    for statement in with_findings:
        for rank, number in connection.execute(
            "SELECT rank, count(*) FROM finding WHERE statement = ? GROUP BY rank", (statement,)
        ):
            severities[rank] += number
    told = sorted((row for row in rows if not row["refused"]), key=lambda row: row["at"], reverse=True)
    gates = [row for row in now if row["slug"] == VERIFICATION_SUMMARY.slug]
    return (
        next((row["name"] for row in told if row["name"]), ""),
        next((row["kind"] for row in told if row["kind"]), ""),
        len(rows),
        len(rows) - len(counting),
        told[0]["at"] if told else 0.0,
        len(revoked.union(row["id"] for row in now if row["tone"] == Tone.BAD.value)),
        tones.count(Tone.WARN.value),
        severities[2],
        severities[1],
        severities[0],
        gates[0]["verdict"] if gates else "",
        gates[0]["at"] if gates else 0.0,
    )
