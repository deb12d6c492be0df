"""The release policy is read strictly: what isn't exactly right is refused, never ignored."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import PolicyError
from airflow_mlsecops.core.policy import ReleasePolicy
from airflow_mlsecops.core.policy.release_policy import Of
from airflow_mlsecops.core.report import Verdict
from tests.support.refused import RELEASE_POLICIES, release_policy


def test_a_policy_as_people_write_it() -> None:
    data = b"""
version: 1
name: production
valid_for: 90d
require:
  - {evidence: test-result, control: data-validation, of: datasets, verdicts: [pass, warn], max_age: 7d}
  - {evidence: provenance, of: model}
  - {evidence: signature, of: model, signed_by: [pipeline, backup], max_age: 90m}
  - {evidence: approval, of: model, count: 2, max_age: 24h}
"""
    policy = ReleasePolicy.from_bytes(data)

    assert (policy.name, policy.valid_for, policy.digest) == ("production", timedelta(days=90), sha256_bytes(data))
    test, provenance, signature, approval = policy.require
    assert (test.evidence, test.control, test.of) == ("test-result", "data-validation", Of.DATASETS)
    assert test.verdicts == {Verdict.PASS, Verdict.WARN}
    assert test.max_age == timedelta(days=7)
    assert (provenance.evidence, provenance.max_age) == ("provenance", None)
    assert signature.signed_by == {"pipeline", "backup"}
    assert signature.max_age == timedelta(minutes=90)
    assert (approval.count, approval.max_age, approval.signed_by) == (2, timedelta(days=1), frozenset())


@pytest.mark.parametrize("case", RELEASE_POLICIES)
def test_a_policy_that_is_not_exactly_right_is_refused(case: str) -> None:
    with pytest.raises(PolicyError):
        ReleasePolicy.from_bytes(RELEASE_POLICIES[case])


@pytest.mark.parametrize(
    "data",
    [
        release_policy(name="half \ud800"),
        release_policy(name="a pair \U0001f600"),  # which JSON escapes in two halves, and YAML takes for two
        release_policy(groups={"\udfff": ["alice"]}),
        release_policy({"evidence": "signature", "of": "model", "signed_by": ["\ud800"]}),
        b'{version: 1, name: "\\udc80", require: [{evidence: signature, of: model}]}',
    ],
)
def test_half_a_character_is_refused_where_it_stands(data: bytes) -> None:
    with pytest.raises(PolicyError, match="half of a surrogate pair") as refused:
        ReleasePolicy.from_bytes(data)
    str(refused.value).encode()


@pytest.mark.parametrize(
    "template",
    [
        "{{version: {0}}}",
        "{{version: 1, name: {0}}}",
        "{{version: 1, name: a, require: [{0}]}}",
        "{{version: 1, name: a, require: [{{evidence: approval, of: model}}], valid_for: {0}}}",
        *(
            f"{{{{version: 1, name: a, require: [{{{{{fields}, {part}: {{0}}}}}}]}}}}"
            for part, fields in {
                "evidence": "of: model",
                "of": "evidence: approval",
                "control": "evidence: approval, of: model",
                "verdicts": "evidence: test-result, control: a, of: model",
                "max_age": "evidence: approval, of: model",
                "signed_by": "evidence: approval, of: model",
                "count": "evidence: approval, of: model",
            }.items()
        ),
    ],
)
def test_a_small_file_that_means_a_huge_value_is_refused_with_a_short_message(template: str) -> None:
    huge = "x"
    for level in range(12):  # each level stands ten times in the next: 10**12 items, if they were written out
        huge = f"[&a{level} {huge}, " + ", ".join([f"*a{level}"] * 9) + "]"

    with pytest.raises(PolicyError) as caught:
        ReleasePolicy.from_bytes(template.format(huge).encode())
    assert len(str(caught.value)) < 1000
    assert "can't be read" not in str(caught.value)  # it was the value that was refused, not the YAML


@given(
    st.dictionaries(
        st.sampled_from(["evidence", "of", "control", "verdicts", "max_age", "signed_by", "count", "x"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(max_size=5)
        | st.sampled_from(["signature", "test-result", "approval", "provenance", "model", "datasets", "1d", "pass"])
        | st.lists(st.sampled_from(["pass", "warn", "fail", "a", ""]), max_size=3),
    )
)
def test_any_requirement_is_read_or_refused_with_an_error_of_ours(requirement: dict[str, Any]) -> None:
    try:
        (read,) = ReleasePolicy.from_bytes(release_policy(requirement)).require
    except PolicyError:
        return
    assert read.verdicts <= {Verdict.PASS, Verdict.WARN}
    assert read.count >= 1
    assert read.max_age is None or read.max_age > timedelta(0)
    assert bool(read.control) is (read.evidence == "test-result")
    assert read.signed_by == frozenset(requirement.get("signed_by", []))
