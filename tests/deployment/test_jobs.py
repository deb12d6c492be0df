"""The small programs of the deployment: secrets are made once, users get the passwords they were given, probes see."""

from __future__ import annotations

import base64
import json
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from airflow_mlsecops.core.trust_people import read_people
from deploy import make_secrets
from deploy.bin import create_buckets, install_users, probe
from tests.deployment import compose_file
from tests.deployment.compose_file import ROOT


class TestMakeSecrets:
    def test_everything_that_the_compose_file_asks_for_is_made(self, tmp_path: Path) -> None:
        make_secrets.make(tmp_path, 50000)
        required, _ = compose_file.env_example()
        settings = make_secrets.read_settings((tmp_path / ".env").read_text())
        assert {name for name, value in settings.items() if value} == required
        made = {path.name for path in (tmp_path / "secrets").iterdir()}
        assert made | {"signing_key"} == compose_file.load()["secrets"].keys()

    def test_only_the_owner_can_read_them(self, tmp_path: Path) -> None:
        for path in make_secrets.make(tmp_path, 50000):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
        assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700

    def test_a_second_run_changes_nothing(self, tmp_path: Path) -> None:
        assert make_secrets.make(tmp_path, 50000)
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        assert make_secrets.make(tmp_path, 50000) == []
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before

    def test_two_deployments_share_nothing(self, tmp_path: Path) -> None:
        for name in ("one", "two"):
            make_secrets.make(tmp_path / name, 50000)
        for path in (tmp_path / "one" / "secrets").iterdir():
            assert path.read_bytes() != (tmp_path / "two" / "secrets" / path.name).read_bytes(), path.name

    def test_what_is_made_from_a_secret_follows_it(self, tmp_path: Path) -> None:
        make_secrets.make(tmp_path, 50000)
        secrets = tmp_path / "secrets"
        (secrets / "redis_password").unlink()
        written = {path.name for path in make_secrets.make(tmp_path, 50000)}
        assert written == {"redis_password", "broker_url", "result_backend"}
        password = (secrets / "redis_password").read_text()
        assert (secrets / "broker_url").read_text() == f"redis://:{password}@redis:6379/0"

    def test_an_emptied_setting_is_made_anew_and_the_administrator_stays(self, tmp_path: Path) -> None:
        make_secrets.make(tmp_path, 50000)
        env, identities = tmp_path / ".env", tmp_path / "secrets" / "s3_identities"
        before = {entry["name"]: entry for entry in json.loads(identities.read_text())["identities"]}
        old = make_secrets.read_settings(env.read_text())["EVIDENCE_WRITER_SECRET_KEY"]
        env.write_text(env.read_text().replace(f"EVIDENCE_WRITER_SECRET_KEY={old}", "EVIDENCE_WRITER_SECRET_KEY="))
        assert {path.name for path in make_secrets.make(tmp_path, 50000)} == {".env", "s3_identities"}
        after = {entry["name"]: entry for entry in json.loads(identities.read_text())["identities"]}
        assert after["admin"] == before["admin"]
        assert after["reader"] == before["reader"]
        new = make_secrets.read_settings(env.read_text())["EVIDENCE_WRITER_SECRET_KEY"]
        assert after["writer"]["credentials"][0]["secretKey"] == new != old

    def test_an_env_file_without_a_setting_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("AIRFLOW_UID=50000\n")
        result = subprocess.run(
            [sys.executable, ROOT / "deploy" / "make_secrets.py", "--folder", tmp_path], capture_output=True, text=True
        )
        assert result.returncode == 1
        assert "lacks the setting EVIDENCE_WRITER_ACCESS_KEY" in result.stderr

    def test_a_new_user_gets_a_password_and_the_others_keep_theirs(self, tmp_path: Path) -> None:
        make_secrets.make(tmp_path, 50000)
        users = tmp_path / "secrets" / "airflow_users"
        before = json.loads(users.read_text())
        env = tmp_path / ".env"
        env.write_text(env.read_text() + "AIRFLOW_USERS=alice:User,erin:Op\n")
        make_secrets.make(tmp_path, 50000)
        after = json.loads(users.read_text())
        assert after.keys() == {"alice", "erin"}
        assert after["alice"] == before["alice"]

    def test_the_fernet_key_is_one(self) -> None:
        assert len(base64.urlsafe_b64decode(make_secrets.fernet_key())) == 32

    def test_the_key_of_the_tokens_is_an_ed25519_key_and_airflow_signs_with_it(self) -> None:
        from airflow.api_fastapi.auth.tokens import JWTGenerator, _guess_best_algorithm
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        pem = make_secrets.ed25519_key()
        key: Any = load_pem_private_key(pem.encode(), None)
        assert _guess_best_algorithm(key) == "EdDSA"
        token = JWTGenerator(private_key=pem, valid_for=60, audience="a", algorithm="EdDSA").generate({"sub": "x"})
        assert len(token.split(".")) == 3
        assert make_secrets.ed25519_key() != pem

    def test_the_users_of_both_files_are_the_same(self) -> None:
        assert compose_file.env_example()[1]["AIRFLOW_USERS"] == make_secrets.USERS


class Manager:
    """A security manager that knows roles and remembers people."""

    def __init__(self) -> None:
        self.people: dict[str, tuple[str, str]] = {}

    def find_role(self, name: str) -> str | None:
        return name if name in {"Admin", "User"} else None

    def find_user(self, username: str) -> object:
        return self.people.get(username)

    def add_user(self, name: str, first: str, last: str, address: str, role: str, password: str) -> bool:
        if name == "unwanted":
            return False
        self.people[name] = (role, password)
        return True


class TestInstallUsers:
    def test_each_gets_the_role_and_the_password_that_were_given(self) -> None:
        secret = json.dumps({"alice": "a" * 12, "bob": "b" * 20, "gone": "c" * 20})
        manager = Manager()
        assert install_users.install(install_users.chosen("alice:User, bob:Admin", secret), manager) == ["alice", "bob"]
        assert manager.people == {"alice": ("User", "a" * 12), "bob": ("Admin", "b" * 20)}

    def test_a_second_run_changes_nobody(self) -> None:
        manager = Manager()
        install_users.install(install_users.chosen("alice:User", '{"alice": "aaaaaaaaaaaa"}'), manager)
        later = install_users.chosen("alice:Admin,bob:User", '{"alice": "bbbbbbbbbbbb", "bob": "cccccccccccc"}')
        assert install_users.install(later, manager) == ["bob"]
        assert manager.people["alice"] == ("User", "a" * 12)

    def test_with_an_unknown_role_nobody_is_made(self) -> None:
        manager = Manager()
        people = install_users.chosen("alice:User,bob:Owner", '{"alice": "aaaaaaaaaaaa", "bob": "bbbbbbbbbbbb"}')
        with pytest.raises(install_users.UsersError, match="no role Owner"):
            install_users.install(people, manager)
        assert manager.people == {}

    def test_a_refusal_is_told(self) -> None:
        people = install_users.chosen("unwanted:User", '{"unwanted": "aaaaaaaaaaaa"}')
        with pytest.raises(install_users.UsersError, match="unwanted could not be made"):
            install_users.install(people, Manager())

    @pytest.mark.parametrize(
        ("users", "secret", "complaint"),
        [
            ("alice:User", "not json", "not JSON"),
            ("alice:User", '["alice"]', "JSON object"),
            ("alice:User,bob:User", '{"alice": "aaaaaaaaaaaa"}', "for: bob"),
            ("alice:User", '{"alice": "short"}', "at least 12"),
            ("alice:User", '{"alice": null}', "for: alice"),
            ("alice", '{"alice": "aaaaaaaaaaaa"}', "expected name:Role, got alice:"),
            (":User", "{}", "expected name:Role, got :User"),
            ("", "{}", "names nobody"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, users: str, secret: str, complaint: str) -> None:
        with pytest.raises(install_users.UsersError, match=complaint):
            install_users.chosen(users, secret)

    def test_the_trust_policy_is_told_whose_number_is_whose(self) -> None:
        people = [install_users.Person(name, "User", "a" * 12) for name in ('al"ice: {', "bob")]
        numbers = {person.name: number for number, person in enumerate(people, 2)}
        manager = SimpleNamespace(find_user=lambda username: SimpleNamespace(id=numbers[username]))
        read = read_people(yaml.safe_load(install_users.told(people, manager))["people"])
        assert {person.id: dict(person.accounts) for person in read} == {'al"ice: {': {"fab": "2"}, "bob": {"fab": "3"}}

    def test_a_password_is_never_shown(self) -> None:
        assert "aaaaaaaaaaaa" not in repr(install_users.chosen("alice:User", '{"alice": "aaaaaaaaaaaa"}'))

    def test_a_missing_setting_is_named(self) -> None:
        with pytest.raises(install_users.UsersError, match="MLSECOPS_USERS is not set"):
            install_users.main({})


class TestProbe:
    @pytest.fixture
    def url(self) -> Iterator[str]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answers: dict[str, tuple[int, bytes]] = {
                    "/ok": (200, b'{"metadatabase": {"status": "healthy"}}'),
                    "/sick": (200, b'{"metadatabase": {"status": "unhealthy"}}'),
                    "/text": (200, b"fine"),
                }
                status, body = answers.get(self.path, (503, b""))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()
            thread.join()

    def test_healthy(self, url: str) -> None:
        assert probe.complaint(f"{url}/text", []) == ""
        assert probe.complaint(f"{url}/ok", ["metadatabase.status=healthy"]) == ""

    @pytest.mark.parametrize(
        ("path", "expectations", "complaint"),
        [
            ("/sick", ["metadatabase.status=healthy"], "'unhealthy'"),
            ("/ok", ["scheduler.status=healthy"], "None"),
            ("/ok", ["metadatabase.status.deeper=healthy"], "None"),
            ("/text", ["metadatabase.status=healthy"], "JSON"),
            ("/away", [], "answered 503"),
        ],
    )
    def test_not_healthy(self, url: str, path: str, expectations: list[str], complaint: str) -> None:
        assert complaint in probe.complaint(url + path, expectations)

    def test_nobody_there(self) -> None:
        assert "does not answer" in probe.complaint("http://127.0.0.1:1/", [])

    def test_a_proxy_of_the_environment_does_not_stand_between(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        assert probe.complaint(f"{url}/ok", []) == ""

    def test_the_exit_code_says_it(self, url: str) -> None:
        script = ROOT / "deploy" / "bin" / "probe.py"
        assert subprocess.run([sys.executable, script, f"{url}/ok"], check=False).returncode == 0
        assert subprocess.run([sys.executable, script, f"{url}/away"], check=False, capture_output=True).returncode == 1


class TestBucketSettings:
    @pytest.fixture
    def environment(self, tmp_path: Path) -> dict[str, str]:
        make_secrets.make(tmp_path, 50000)
        return {
            "S3_ENDPOINT_URL": "http://127.0.0.1:1",
            "S3_REGION": "us-east-1",
            "S3_IDENTITIES": str(tmp_path / "secrets" / "s3_identities"),
            "EVIDENCE_BUCKET": "evidence",
            "ARTIFACT_BUCKET": "artifacts",
            "EVIDENCE_RETENTION_DAYS": "30",
            "EVIDENCE_RETENTION_MODE": "COMPLIANCE",
        }

    @pytest.mark.parametrize(
        ("change", "complaint"),
        [
            ({"EVIDENCE_RETENTION_DAYS": "soon"}, "whole number"),
            ({"EVIDENCE_RETENTION_DAYS": "-1"}, "0 or more"),
            ({"EVIDENCE_RETENTION_MODE": "NONE"}, "COMPLIANCE or GOVERNANCE"),
        ],
    )
    def test_a_wrong_setting_is_refused(
        self, environment: dict[str, str], change: dict[str, str], complaint: str
    ) -> None:
        with pytest.raises(create_buckets.BucketError, match=complaint):
            create_buckets.main(environment | change)

    def test_a_missing_setting_is_named(self, environment: dict[str, str]) -> None:
        del environment["S3_REGION"]
        with pytest.raises(create_buckets.BucketError, match="S3_REGION is not set"):
            create_buckets.main(environment)

    @pytest.mark.parametrize("text", ["{", "{}", '{"identities": [{"name": "admin"}]}', '{"identities": []}'])
    def test_identities_without_an_administrator_are_refused(self, text: str) -> None:
        with pytest.raises(create_buckets.BucketError):
            create_buckets.admin_credentials(text)

    def test_the_job_gets_exactly_the_settings_that_it_reads(self, environment: dict[str, str]) -> None:
        assert compose_file.load()["services"]["buckets"]["environment"].keys() == environment.keys()
