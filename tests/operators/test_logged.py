"""What operators put is in the evidence log, if the connection names one; and in the embedded one without any."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.core.log import LogTrust
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.signing import PublicKey, generate_key, signer_from_uri
from airflow_mlsecops.core.signing.registry import key_signer_from_uri
from airflow_mlsecops.core.store import open_store
from airflow_mlsecops.core.trust_document import trust_document
from airflow_mlsecops.hooks.mlsecops import MlsecopsHook
from airflow_mlsecops.hooks.settings import EMBEDDED_LOG, embedded_settings
from airflow_mlsecops.operators.sign_artifact import SignArtifactOperator
from tests.support.deployment import Deployment
from tests.support.run_op import OpRun, run_op

pytestmark = pytest.mark.airflow
ORIGIN = "ml.example.com/evidence"


def sign(model: Path, deployment: Deployment, **extra: str) -> OpRun:
    connections = deployment.connections
    connections["mlsecops_default"]["extra"] |= extra
    return run_op(SignArtifactOperator(task_id="sign", artifact=str(model)), connections=connections)


def logged(root: Path, origin: str, key: PublicKey) -> int:
    """How many entries the log of a store has, once all of it is verified."""
    found = open_store(str(root)).verify_log(LogTrust(origin, (key,)))
    assert found, (found.faults, found.missing, found.unlogged)
    assert found.checkpoint is not None
    return found.checkpoint.size


def test_what_is_signed_is_logged_by_the_signer(model: Path, deployment: Deployment) -> None:
    first = sign(model, deployment, log_origin=ORIGIN)
    second = sign(model, deployment, log_origin=ORIGIN)

    assert (first.state, second.state) == ("success", "success")
    assert logged(deployment.evidence, ORIGIN, deployment.public) == 2
    reader = deployment.store.log_reader(LogTrust(ORIGIN, (deployment.public,)))
    checkpoint = reader.checkpoint()
    assert checkpoint is not None
    about = reader.about(pin(str(model)).artifact.digest, checkpoint)
    assert [entry.bundle for _, entry in about] == [_evidence(first), _evidence(second)]


def _evidence(run: OpRun) -> str:
    value = run.xcoms["return_value"]
    assert isinstance(value, Mapping)
    return str(value["evidence"])


def test_the_log_can_have_a_key_of_its_own(model: Path, deployment: Deployment, tmp_path: Path) -> None:
    pem, public = generate_key()
    (tmp_path / "log.pem").write_bytes(pem)

    assert sign(model, deployment, log_origin=ORIGIN, log_signer=f"file:{tmp_path / 'log.pem'}").state == "success"

    assert logged(deployment.evidence, ORIGIN, public) == 1
    assert not deployment.store.verify_log(LogTrust(ORIGIN, (deployment.public,)))


def ask_for_log(deployment: Deployment, *keys: PublicKey, origin: str = ORIGIN) -> None:
    """Let the trust policy ask for a log that these keys sign."""
    trust = LogTrust(origin, keys)
    deployment.trust_file.write_text(trust_document("pipeline", deployment.public, deployment.roles, log=trust))


def test_the_trust_policy_alone_names_the_log(model: Path, deployment: Deployment) -> None:
    ask_for_log(deployment, deployment.public)

    assert sign(model, deployment).state == "success"

    assert logged(deployment.evidence, ORIGIN, deployment.public) == 1
    assert len(deployment.about(pin(str(model)).artifact.digest).verified) == 1


def test_workers_with_different_log_signers_share_a_log(model: Path, deployment: Deployment, tmp_path: Path) -> None:
    pem, public = generate_key()
    (tmp_path / "log.pem").write_bytes(pem)
    ask_for_log(deployment, deployment.public, public)

    assert sign(model, deployment).state == "success"
    assert sign(model, deployment, log_signer=f"file:{tmp_path / 'log.pem'}").state == "success"
    assert sign(model, deployment).state == "success"

    assert len(deployment.about(pin(str(model)).artifact.digest).verified) == 3


@pytest.mark.parametrize("wrong", ["origin", "key"])
def test_a_log_that_the_trust_policy_does_not_mean_is_not_written_to(
    model: Path, deployment: Deployment, wrong: str
) -> None:
    ask_for_log(deployment, generate_key()[1] if wrong == "key" else deployment.public, origin=ORIGIN)

    failed = sign(model, deployment, **({"log_origin": "other.example/log"} if wrong == "origin" else {}))

    assert failed.state == "failed"
    assert "[configuration]" in str(failed.error)
    assert not deployment.bundles()


def test_without_an_origin_nothing_is_logged(model: Path, deployment: Deployment) -> None:
    assert sign(model, deployment).state == "success"
    assert not (deployment.evidence / "log").exists()


@pytest.mark.parametrize(
    ("extra", "code"),
    [
        ({"log_signer": "file:/nowhere/log.pem"}, "signing"),
        ({"log_signer": "nothing:at-all"}, "configuration"),
        ({"log_origin": "no blanks in a name"}, "log-signature"),
        ({"retention": "COMPLIANCE:1"}, "configuration"),
    ],
)
def test_where_it_cannot_be_logged_it_is_not_put(
    model: Path, deployment: Deployment, extra: dict[str, str], code: str
) -> None:
    failed = sign(model, deployment, **{"log_origin": ORIGIN, **extra})
    assert failed.state == "failed"
    assert f"[{code}]" in str(failed.error)
    assert not deployment.bundles()


def test_a_log_by_another_key_is_not_added_to(model: Path, deployment: Deployment, tmp_path: Path) -> None:
    (tmp_path / "other.pem").write_bytes(generate_key()[0])
    sign(model, deployment, log_origin=ORIGIN, log_signer=f"file:{tmp_path / 'other.pem'}")

    failed = sign(model, deployment, log_origin=ORIGIN)

    assert failed.state == "failed"
    assert "[log-signature]" in str(failed.error)


def test_whoever_only_reads_needs_no_key(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    extra: dict[str, Any] = dict(deployment.connections["mlsecops_default"]["extra"], log_origin=ORIGIN)
    del extra["signer"]
    connection = {"conn_type": "mlsecops", "extra": extra}
    run = run_op(
        SignArtifactOperator(task_id="sign", artifact=str(deployment.trust_file)),
        connections={"mlsecops_default": connection},
    )
    assert "[signing]" in str(run.error)
    monkeypatch.setattr(MlsecopsHook, "settings", _settings(extra))
    hook = MlsecopsHook()
    assert hook.store.subjects() == []
    with pytest.raises(Exception, match="names no signer for the evidence log"):
        _ = hook.log_signer


def _settings(extra: Mapping[str, str]) -> Any:
    from types import SimpleNamespace

    from airflow_mlsecops.hooks.settings import Settings

    return Settings.from_connection(SimpleNamespace(conn_id="c", extra_dejson=extra, password=""))


def test_the_test_button_says_where_it_is_logged_or_why_it_cannot_be(
    model: Path, deployment: Deployment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    extra = deployment.connections["mlsecops_default"]["extra"] | {"log_origin": ORIGIN}
    monkeypatch.setattr(MlsecopsHook, "settings", _settings(extra))
    usable, told = MlsecopsHook().test_connection()
    assert (usable, told.endswith(f"; logging to {ORIGIN}, which is empty")) == (True, True)

    sign(model, deployment, log_origin=ORIGIN)
    usable, told = MlsecopsHook().test_connection()
    assert (usable, f"; logging to {ORIGIN} at 1 (" in told) == (True, True)

    (tmp_path / "other.pem").write_bytes(generate_key()[0])
    for wrong in ({"log_signer": f"file:{tmp_path / 'other.pem'}"}, {"log_origin": "two words"}):
        monkeypatch.setattr(MlsecopsHook, "settings", _settings(extra | wrong))
        usable, told = MlsecopsHook().test_connection()
        assert (usable, "[log-signature]" in told) == (False, True)


def test_the_embedded_store_has_a_log(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))

    run = run_op(SignArtifactOperator(task_id="sign", artifact=str(model)), connections={})

    assert run.state == "success"
    settings = embedded_settings(make=False)
    assert settings.log_origin == EMBEDDED_LOG
    key = key_signer_from_uri(settings.signer).public_key
    assert logged(Path(settings.evidence_root), EMBEDDED_LOG, key) == 1
    assert signer_from_uri(settings.signer).name
