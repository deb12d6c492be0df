"""Many requests at once, as `mlsecops requests` reads them: one look at the log, and each told as if it were alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_mlsecops.core.approving.requests import open_case, open_requests, read_requests
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.evidence_reader import EvidenceReader
from tests.support.attacked import Attacked
from tests.support.evidence import approval_request_statement


def test_many_requests_take_one_look_at_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attacked = Attacked(tmp_path / "deployment")
    for name in ("one", "two", "three"):
        request = approval_request_statement(attacked.model(name), ["bob", "carol"], utcnow(), quorum=2)
        attacked.put(request, "gates")
    late = approval_request_statement(attacked.model("four"), ["bob"], utcnow().replace(year=2020))
    attacked.put(late, "gates")

    looks = 0
    complete = EvidenceReader.complete

    def counted(self: EvidenceReader, *args: object) -> object:
        nonlocal looks
        looks += 1
        return complete(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(EvidenceReader, "complete", counted)
    now = utcnow()
    cases, found = open_requests(attacked.store, attacked.trust, now)
    assert looks == 2  # the requests, and all that they are about

    assert len(found.asked) == 4
    assert [case.asked.about.name for case in cases] == ["one.bin", "two.bin", "three.bin"]
    asked = read_requests(attacked.store, attacked.trust, now).asked[1:]  # the oldest one is over
    assert cases == [open_case(each, attacked.store, attacked.trust, now) for each in asked]
    # What it says isn't empty: the model's provenance and signature are there, and count.
    assert all({item.slug for item in case.dossier.verified} >= {"provenance", "signature"} for case in cases)
