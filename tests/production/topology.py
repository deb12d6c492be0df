"""The deployment of docker-compose.yml as processes on this machine: its commands, its settings, its secrets.

Everything comes from the compose file and from ``deploy/``; what differs is where things lie and on which port they
listen. Each Airflow component has the environment of its service and a home of its own, so one that lacks a secret
there lacks it here.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import airflow_settings
import yaml
from airflow_api import AirflowApi, AirflowApiError
from airflow_guard import locked, signals_raise, watched

from airflow_mlsecops.core.log import LogTrust
from airflow_mlsecops.core.pinning import Access
from airflow_mlsecops.core.signing import PublicKey, key_signer_from_uri
from airflow_mlsecops.core.store import EvidenceStore, open_store
from airflow_mlsecops.core.trust import TrustPolicy
from airflow_mlsecops.core.trust_document import trust_document
from deploy import make_secrets
from deploy.bin import create_buckets
from tests.deployment import compose_file
from tests.deployment.native import free_ports
from tests.production.processes import Processes, Restarts
from tests.production.servers import Postgres, Redis, Store

ROLES = ("control", "provenance", "describe", "sign", "approve", "ask", "gate")
BOARD = ("bob", "carol", "admin")
"""Who may approve, two of them together."""
LOG = "production.test/evidence"
# So that a killed worker is noticed within a test. Everything else is as in the compose file.
QUICK = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "25",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "20",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "90",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
}
AIRFLOW = ("api-server", "scheduler", "dag-processor", "triggerer")
WORKERS = ("worker-1", "worker-2")


class Topology:
    """All of it; see :func:`running_topology`.

    Args:
        home: where everything lies; readable by others, because PostgreSQL runs as one.
        store_data: the folder of the store's data.
        programs: the folder of the programs that the deployment's lock installs.
        processes: starts and ends them.
    """

    def __init__(self, home: Path, store_data: Path, programs: Path, processes: Processes) -> None:
        self.home = home
        self.programs = programs
        self.processes = processes
        self.deploy = home / "deploy"
        self.secrets = self.deploy / "secrets"
        self.ports = dict(
            zip(("api", "health", "health-2", "postgres", "redis", "s3", "door"), free_ports(7), strict=True)
        )
        self.base_url = f"http://127.0.0.1:{self.ports['api']}"
        self.endpoint = f"http://127.0.0.1:{self.ports['door']}"
        weed = Path(sys.executable).with_name("weed")
        self.postgres = Postgres(home / "postgres", self.ports["postgres"], processes)
        self.redis = Redis(home / "redis", self.ports["redis"], self.secrets, processes)
        self.store = Store.of(store_data, self.ports["s3"], self.ports["door"], self.secrets, weed, processes)

    def start(self) -> None:
        """Bring everything up, in the order of the compose file, and return when all of it is healthy."""
        for name in ("postgres", "redis", "logs", "components"):
            (self.home / name).mkdir()
        shutil.copytree(compose_file.ROOT / "dags", self.home / "dags")
        shutil.copytree(Path(__file__).parent / "dags", self.home / "dags" / "production")
        self._make_secrets()
        self.postgres.create(self.secrets / "postgres_password")
        self.redis.start()
        self.store.start()
        self.store.open_door()
        for job in ("migrate", "users", "buckets"):
            self.processes.once(job, self.command(job), self.environment(job))
        self._name_the_board()
        begin = datetime.now(UTC)
        for name in AIRFLOW:
            self.start_component(name)
        for name in WORKERS:
            self.start_component(name)
        self.wait_until_healthy(begin)

    def start_component(self, name: str) -> None:
        """Start a component of Airflow; a worker has a number, and so has a second scheduler."""
        service = name.rstrip("-0123456789")
        command = self.command(service)
        if service == "worker":
            # In containers the host's name tells them apart.
            command += ["--celery-hostname", f"{name}@%h"]
        more = {"AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(self.ports["health"])}
        if name == "scheduler-2":
            more = {"AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(self.ports["health-2"])}
        self.processes.spawn(name, command, self.environment(service, name) | more)

    def mend(self) -> None:
        """Start what isn't running, and wait until all of it is healthy."""
        begin, running = datetime.now(UTC), self.processes.running
        servers = {"postgres": self.postgres.start, "redis": self.redis.start, "s3": self.store.start}
        for name, start in {**servers, "s3-gateway": self.store.open_door}.items():
            if name not in running:
                start()
        if "scheduler-2" in running:
            self.processes.stop("scheduler-2")
        for name in {*AIRFLOW, *WORKERS} - running.keys():
            self.start_component(name)
        self.wait_until_healthy(begin)

    def command(self, service: str) -> list[str]:
        """The command of a service, with the programs of the deployment's lock."""
        first, *rest = compose_file.load()["services"][service]["command"]
        places = {"/opt/mlsecops/bin": str(compose_file.ROOT / "deploy" / "bin")}
        return [str(self.programs / first), *(_placed(word, places) for word in rest)]

    def environment(self, service: str, name: str = "") -> dict[str, str]:
        """The environment of a service, with the places of this machine, and nothing of the surroundings."""
        document = compose_file.interpolated(compose_file.load()["services"][service], self.settings)
        home = self.home / "components" / (name or service)
        home.mkdir(exist_ok=True)
        places = {
            "/run/secrets/": f"{self.secrets}/",
            "/opt/mlsecops/trust.yaml": str(self.trust_file),
            "http://api-server:8080": self.base_url,
            "http://s3:8333": self.endpoint,
        }
        own = {key: _placed(str(value), places) for key, value in document["environment"].items()}
        here = {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.home / "dags"),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.home / "logs"),
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(home / "bundles"),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.ports["api"]),
            "AIRFLOW__API__WORKERS": "1",
        }
        return self.processes.environment | own | here | QUICK

    @cached_property
    def settings(self) -> dict[str, str]:
        """The settings of the deployment's ``.env``."""
        made = make_secrets.read_settings((self.deploy / ".env").read_text())
        return made | {"AIRFLOW_BASE_URL": self.base_url, "WORKER_CONCURRENCY": "2", "EVIDENCE_LOG": LOG}

    def wait_until_healthy(self, begin: datetime) -> None:
        """Wait for the heartbeat of every component, and for the workers to take work.

        Raises:
            RuntimeError: if one ended or isn't ready in time.
        """
        for name in WORKERS:
            if name in self.processes.running:
                log = self.processes.log(name)
                self.processes.until(name, lambda log=log: " ready." in log.read_text(errors="replace"))  # type: ignore[misc]
        with AirflowApi(self.base_url, timeout=10.0) as api:

            def healthy() -> bool:
                try:
                    return not api.unhealthy(since=begin)
                except AirflowApiError:
                    return False

            self.processes.until("api-server", healthy)

    def api(self, user: str) -> AirflowApi:
        """A client that acts as somebody of the deployment's users; it waits for a server that starts again."""
        return AirflowApi(self.base_url, user, self.passwords[user], boot_seconds=90.0)

    @property
    def passwords(self) -> dict[str, str]:
        """Of the deployment's people."""
        made: dict[str, str] = json.loads((self.secrets / "airflow_users").read_text())
        return made

    def user_id(self, name: str) -> str:
        """What the auth manager calls somebody."""
        import jwt

        token = self.api(name).token()
        return str(jwt.decode(token, options={"verify_signature": False})["sub"])

    @property
    def trust_file(self) -> Path:
        """The trust policy, which every component is given."""
        return self.deploy / "trust.yaml"

    @property
    def trust(self) -> TrustPolicy:
        """The same, read."""
        return TrustPolicy.from_file(self.trust_file)

    @cached_property
    def s3(self) -> Any:
        """A client of the store that goes through the door, as its administrator."""
        import boto3
        from botocore.config import Config

        keys = create_buckets.admin_credentials((self.secrets / "s3_identities").read_text())
        retries = Config(retries={"max_attempts": 3, "mode": "standard"}, connect_timeout=5, read_timeout=20)
        return boto3.session.Session().client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1", config=retries,
            aws_access_key_id=keys[0], aws_secret_access_key=keys[1],
        )  # fmt: skip

    @property
    def evidence(self) -> EvidenceStore:
        """The evidence store."""
        return open_store("s3://evidence/", Access(s3=lambda: self.s3))

    def _make_secrets(self) -> None:
        """As deploy/README.md tells, then with this machine's addresses in place of the services' names."""
        self.deploy.mkdir(mode=0o700)
        make_secrets.make(self.deploy, os.geteuid())
        hosts = {
            "@postgres:5432": f"@127.0.0.1:{self.ports['postgres']}",
            "@redis:6379": f"@127.0.0.1:{self.ports['redis']}",
        }
        for name in ("sql_alchemy_conn", "broker_url", "result_backend"):
            text = _placed((self.secrets / name).read_text(), hosts)
            make_secrets.write_private(self.secrets / name, text, 0o400, os.geteuid())
        passphrase = self.settings["MLSECOPS_KEY_PASSPHRASE"]
        key = self.secrets / "signing_key"
        keygen = [str(self.programs / "mlsecops"), "keygen", str(key), "--passphrase-env", "MLSECOPS_KEY_PASSPHRASE"]
        environment = self.processes.environment | {"MLSECOPS_KEY_PASSPHRASE": passphrase}
        self.processes.once("keygen", [*keygen, "--roles", ",".join(ROLES)], environment)
        public: PublicKey = key_signer_from_uri(f"file:{key}", passphrase).public_key
        log = LogTrust(LOG, (public,))
        self.trust_file.write_text(trust_document("workers", public, ROLES, log=log))

    def _name_the_board(self) -> None:
        """Tell the trust policy who may be asked, by the numbers that the job `users` has printed."""
        printed = [line for line in self.processes.log("users").read_text().splitlines() if line.startswith("  - {")]
        people = [entry for entry in yaml.safe_load("\n".join(printed)) if entry["id"] in BOARD]
        assert len(people) == len(BOARD), self.processes.tail("users")
        for entry in people:
            entry["roles"] = ["model-board"]
        with self.trust_file.open("a") as file:
            file.write(yaml.safe_dump({"people": people}))


def _placed(text: str, places: Mapping[str, str]) -> str:
    for old, new in places.items():
        text = text.replace(old, new)
    return text


@contextlib.contextmanager
def running_topology(programs: Path, store_data: Path | None = None) -> Iterator[Topology]:
    """Bring it up in a folder of its own; end every process and remove everything afterwards.

    Args:
        programs: the folder of the programs that the deployment's lock installs.
        store_data: the folder of the store's data, if it isn't to lie with the rest.
    """
    home = Path(tempfile.mkdtemp(prefix="mlsecops-production-"))
    home.chmod(0o755)
    try:
        with locked(home / "lock") as lock, signals_raise(), watched(home, lock) as announce:
            environment = airflow_settings.environment(home, programs, {})
            processes = Processes(home, environment, announce)
            data = store_data or home / "s3"
            data.mkdir(exist_ok=True)
            topology = Topology(home, data, programs, processes)
            try:
                topology.start()
                with Restarts(processes, (*AIRFLOW, "scheduler-2", *WORKERS), topology.start_component):
                    yield topology
            finally:
                processes.end()
    finally:
        shutil.rmtree(home, ignore_errors=True)
