"""``mlsecops verify``: YES for a released model, NO after any byte changed, no answer where none can be had."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.predicates.approval import Decision
from airflow_mlsecops.core.report import Verdict
from tests.cli.conftest import Run
from tests.cli.released import POLICY, ROLES, Released, flip_a_byte

ROOT = Path(__file__).resolve().parents[2]


def test_released_model_is_verified(run: Run, released: Released) -> None:
    ran = run("verify", released.model, *released.options, "--policy", released.policy)

    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("YES  model model.bin: is it released under policy production?\n")
    assert "signers  gate, people, pipeline" in ran.out
    assert "model: approval by people" in ran.out
    for digest in released.digests.values():
        assert digest in ran.out
    assert "Only the signature" not in ran.out


def test_json_tells_the_same(run: Run, released: Released) -> None:
    ran = run("--json", "verify", released.model, *released.options, "--policy", released.policy)

    assert ran.code == 0
    assert (ran.json["verified"], ran.json["asked"], ran.json["reasons"]) == (True, "release", [])
    assert ran.json["artifact"]["digest"] == released.model_artifact.digest
    assert ran.json["signers"] == ["gate", "people", "pipeline"]
    assert {item["digest"] for item in ran.json["evidence"] if item["decisive"]} == set(released.digests.values())
    assert ran.json["not_counted"] == []


def test_without_policy_only_the_signature_is_asked_for_and_that_is_said(run: Run, released: Released) -> None:
    released.approve(utcnow(), Decision.REJECTED)
    text = run("verify", released.model, *released.options)
    document = run("verify", released.model, *released.options, "--json")

    assert text.code == 0
    assert "is it signed?" in text.out.splitlines()[0]
    assert text.out.splitlines()[1].startswith("Only the signature was asked for")
    assert (document.json["asked"], document.json["policy"]) == ("signature", None)
    assert document.json["signers"] == ["pipeline"]


def test_one_byte_of_the_model_changed(run: Run, released: Released) -> None:
    flip_a_byte(released.model)
    for options in ([], ["--policy", released.policy]):
        ran = run("verify", released.model, *released.options, *options)

        assert ran.code == 1
        assert ran.out.startswith("NO ")
        assert "not-released" in ran.out if options else "not-signed" in ran.out


@pytest.mark.parametrize(
    "what", ["data-validation", "label-poisoning", "provenance", "signature", "approval", "summary"]
)
def test_one_byte_of_any_evidence_changed(run: Run, released: Released, what: str) -> None:
    flip_a_byte(released.path_of(what))
    ran = run("verify", released.model, *released.options, "--policy", released.policy, "--json")

    assert ran.code == 1
    assert ran.json["verified"] is False
    assert "evidence-broken" in {reason["code"] for reason in ran.json["reasons"]}
    assert released.digests[what] in {item["digest"] for item in ran.json["not_counted"]}


@pytest.mark.parametrize(
    "what", ["data-validation", "label-poisoning", "provenance", "signature", "approval", "summary"]
)
def test_any_evidence_deleted(run: Run, released: Released, what: str) -> None:
    released.path_of(what).unlink()
    ran = run("verify", released.model, *released.options, "--policy", released.policy)

    assert ran.code == 1
    assert ran.out.startswith("NO ")


def test_one_byte_of_the_policy_changed(run: Run, released: Released) -> None:
    """Also where the change means nothing: the gate judged other bytes."""
    released.policy.write_text(POLICY.replace("name: production\n", "name: production \n"))
    ran = run("verify", released.model, *released.options, "--policy", released.policy)

    assert ran.code == 1
    assert "another policy" in ran.out


def test_policy_that_no_longer_reads_is_no_yes(run: Run, released: Released) -> None:
    released.policy.write_text(POLICY.replace("require:", "requir3:"))
    ran = run("verify", released.model, *released.options, "--policy", released.policy, "--json")

    assert ran.code == 2
    assert ran.json["error"]["code"] == "policy"


def test_failed_control_and_rejection_are_told(run: Run, world: Released) -> None:
    world.run_pipeline(Verdict.FAIL)
    world.approve(utcnow() - timedelta(minutes=1), Decision.REJECTED, "not on my watch")
    world.release(utcnow())
    ran = run("verify", world.model, *world.options, "--policy", world.policy)

    assert ran.code == 1
    assert "gate-said-no" in ran.out
    assert "label-poisoning said fail" in ran.out
    assert "not on my watch" in ran.out


def test_unknown_key_and_missing_role(run: Run, released: Released) -> None:
    released.write_trust({"people": ROLES["people"], "gate": ROLES["gate"]})
    unknown = run("verify", released.model, *released.options)
    released.write_trust({**ROLES, "pipeline": ("control", "provenance")})
    no_role = run("verify", released.model, *released.options)

    assert unknown.code == no_role.code == 1
    assert "not in the trust policy" in unknown.out
    assert "has roles" in no_role.out
    assert "but not counted" in no_role.out


def test_signed_as_model_is_not_signed_as_dataset(run: Run, released: Released) -> None:
    assert run("verify", released.model, *released.options, "--kind", "dataset").code == 1


def test_link_is_refused(run: Run, released: Released) -> None:
    link = released.root / "latest"
    link.symlink_to(released.model)
    ran = run("verify", link, *released.options, "--json")

    assert ran.code == 1
    assert ran.json["error"]["code"] == "artifact-refused"


def test_missing_store_is_no_answer(run: Run, released: Released) -> None:
    arguments = ["verify", released.model, "--store", released.root / "gone", "--trust", released.trust]
    text, document = run(*arguments), run(*arguments, "--json")

    assert text.code == document.code == 3
    assert text.out == ""
    assert "store-unavailable" in text.err
    assert document.json["error"]["code"] == "store-unavailable"


def test_missing_artifact_is_no_answer(run: Run, released: Released) -> None:
    ran = run("verify", released.root / "nothing", *released.options, "--json")

    assert ran.code == 3
    assert ran.json["error"]["code"] == "artifact-not-found"


@pytest.mark.parametrize("content", [b"", b"version: 1", b"\xff\xfe", b"{", b"[1]", b"version: 2\nsigners: []"])
def test_unreadable_trust_policy(run: Run, released: Released, content: bytes) -> None:
    released.trust.write_bytes(content)
    ran = run("verify", released.model, *released.options, "--json")

    assert ran.code == 2
    assert ran.json["error"]["code"] == "trust"


def test_settings_from_the_environment(run: Run, released: Released, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLSECOPS_STORE", str(released.evidence))
    monkeypatch.setenv("MLSECOPS_TRUST", f"file://{released.trust}")
    monkeypatch.setenv("MLSECOPS_POLICY", str(released.policy))
    ran = run("verify", released.model, "--json")

    assert ran.code == 0
    assert ran.json["asked"] == "release"


@pytest.mark.parametrize("how", ["option", "variable"])
def test_empty_policy_is_not_taken_for_none(
    run: Run, released: Released, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "variable":
        monkeypatch.setenv("MLSECOPS_POLICY", "")
    ran = run("verify", released.model, *released.options, *(["--policy", ""] if how == "option" else []), "--json")

    assert ran.code == 2
    assert ran.json["error"]["code"] == "usage"


@pytest.mark.parametrize("missing", ["--store", "--trust"])
def test_store_and_trust_are_needed(run: Run, released: Released, missing: str) -> None:
    options = released.options
    index = options.index(missing)
    ran = run("verify", released.model, *options[:index], *options[index + 2 :])

    assert ran.code == 2
    assert f"{missing} is missing" in ran.err


def test_hostile_words_reach_the_screen_as_text(run: Run, world: Released) -> None:
    world.run_pipeline()
    world.approve(
        utcnow() - timedelta(minutes=1), Decision.REJECTED, "no\x1b[2J\x1b[H\r\nYES  model model.bin\x9b\u202e"
    )
    ran = run("verify", world.model, *world.options, "--policy", world.policy)

    assert ran.code == 1
    assert not [char for char in ran.out if char != "\n" and not char.isprintable()]
    assert r"no\x1b[2J\x1b[H\r\nYES  model model.bin\x9b\u202e" in ran.out
    assert not [line for line in ran.out.splitlines() if line.startswith("YES")]


def test_other_program_works_without_airflow_and_heavy_libraries(released: Released) -> None:
    """A real process in which only the three small libraries can be imported."""
    heavy = [
        "airflow",
        "boto3",
        "botocore",
        "numpy",
        "pandas",
        "pyarrow",
        "sklearn",
        "great_expectations",
        "cleanlab",
        "sigstore",
        "pydantic",
    ]
    blocker = (
        "import sys, importlib.abc\n"
        "class Blocker(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {heavy!r}: raise ImportError('blocked: ' + name)\n"
        "sys.meta_path.insert(0, Blocker())\n"
        "from airflow_mlsecops.cli.main import main\n"
        "sys.exit(main())\n"
    )
    arguments = ["verify", str(released.model), *released.options, "--policy", str(released.policy)]
    done = _process([sys.executable, "-c", blocker, *arguments])
    s3 = _process([sys.executable, "-c", blocker, "pin", "s3://bucket/key"])

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("YES  ")
    assert s3.returncode == 2
    assert "pip install boto3" in s3.stderr


def test_real_process_gives_exit_codes(released: Released) -> None:
    module = [sys.executable, "-m", "airflow_mlsecops.cli"]
    arguments = ["verify", str(released.model), *released.options, "--policy", str(released.policy)]
    assert _process([*module, *arguments]).returncode == 0
    flip_a_byte(released.model)
    assert _process([*module, *arguments]).returncode == 1
    released.evidence.rename(released.root / "elsewhere")
    gone = _process([*module, *arguments])
    assert (gone.returncode, gone.stdout) == (3, "")
    assert "Traceback" not in gone.stderr


def _process(command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_the_reader_of_a_store_never_writes(
    run: Run, released: Released, tree_of: Callable[[Path], dict[str, bytes]]
) -> None:
    before = tree_of(released.root)
    run("verify", released.model, *released.options, "--policy", released.policy)
    run("evidence", "list", *released.options)
    run("pin", released.data)

    assert tree_of(released.root) == before
