"""docker-compose.yml holds what compose_checks.py asks for; and each check sees the mistake it is there for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.deployment import compose_checks, compose_file
from tests.deployment.compose_file import Document

Mutation = Callable[[Document], object]


@pytest.mark.parametrize("name", compose_checks.ALL)
def test_the_file_as_it_is_has_nothing_to_complain_about(name: str) -> None:
    assert compose_checks.ALL[name](compose_file.load()) == []


def service(document: Document, name: str) -> Document:
    found: Document = document["services"][name]
    return found


def environment(document: Document, name: str) -> Document:
    # Merges give several services the same mapping: a mistake is made in one of them only.
    found = service(document, name)["environment"] = dict(service(document, name)["environment"])
    return found


# check, what goes wrong, part of the complaint
MISTAKES: list[tuple[str, Mutation, str]] = [
    ("schema", lambda d: service(d, "redis").update(restrat="always"), "restrat"),
    ("schema", lambda d: service(d, "redis").update(pids_limit=[1]), "pids_limit"),
    ("schema", lambda d: service(d, "redis")["healthcheck"].update(test=5), "healthcheck/test"),
    ("schema", lambda d: d.update(service={}), "service"),
    ("commands", lambda d: service(d, "scheduler").update(command=["airflow", "schedular"]), "schedular"),
    ("commands", lambda d: service(d, "worker").update(command="airflow celery worker --skip-serve-logs"), "worker"),
    ("commands", lambda d: d["services"].pop("triggerer"), "triggerer: the component has no service"),
    ("commands", lambda d: service(d, "users").update(command=["airflow", "users", "create"]), "not in components"),
    ("commands", lambda d: service(d, "api-server").update(restart="on-failure:3"), "restart policy"),
    ("commands", lambda d: service(d, "migrate").update(restart="unless-stopped"), "restart policy"),
    ("settings", lambda d: service(d, "redis").update(image="${REDIS_IMAGE:-redis:8}"), "REDIS_IMAGE"),
    ("settings", lambda d: service(d, "redis").update(image="redis:7"), "REDIS_IMAGE: in .env.example, but not used"),
    ("settings", lambda d: service(d, "redis").update(image="${RED_IMAGE:-redis:7}"), "RED_IMAGE: not in .env"),
    ("settings", lambda d: service(d, "redis").update(image="$REDIS_IMAGE"), "REDIS_IMAGE: has the defaults"),
    ("settings", lambda d: environment(d, "worker").update(A="${MLSECOPS_KEY_PASSPHRASE:-x}"), "PASSPHRASE: has the"),
    ("references", lambda d: service(d, "redis")["secrets"].append("redis_pass"), "redis_pass is not declared"),
    ("references", lambda d: d["secrets"].update(spare={"file": "./x"}), "spare is declared, but not used"),
    ("references", lambda d: d["volumes"].pop("s3-data"), "s3-data is not declared"),
    ("references", lambda d: service(d, "redis").update(volumes=["redis:/data"]), "redis is not declared"),
    ("references", lambda d: d["networks"].pop("store"), "store is not declared"),
    ("references", lambda d: d["configs"].pop("haproxy"), "haproxy is not declared"),
    ("references", lambda d: d["services"].pop("s3"), "s3-gateway: there is no service s3"),
    (
        "references",
        lambda d: service(d, "worker")["depends_on"].update(cache={"condition": "service_healthy"}),
        "worker: there is no service cache",
    ),
    ("secret_values", lambda d: environment(d, "postgres").update(POSTGRES_PASSWORD="airflow"), "POSTGRES_PASSWORD"),
    ("secret_values", lambda d: environment(d, "postgres").update(POSTGRES_PASSWORD="${PG:-airflow}"), "PASSWORD"),
    ("secret_values", lambda d: environment(d, "worker").update(AIRFLOW__API__SECRET_KEY="0123"), "SECRET_KEY"),
    (
        "secret_values",
        lambda d: environment(d, "migrate").update(AIRFLOW__CORE__FERNET_KEY_CMD="echo 0123"),
        "AIRFLOW__CORE__FERNET_KEY_CMD has a literal value",
    ),
    (
        "secret_values",
        lambda d: environment(d, "worker").update(AIRFLOW_CONN_X='{"conn_type": "aws", "password": "hunter2"}'),
        "worker: a connection has a literal",
    ),
    ("secret_values", lambda d: environment(d, "worker").update(BROKER="redis://:pw@redis/0"), "has a password in it"),
    (
        "secret_values",
        lambda d: d["secrets"].update(jwt_private_key={"environment": "JWT"}),
        "jwt_private_key is not a file",
    ),
    (
        "secret_values",
        lambda d: d["secrets"].update(jwt_private_key={"file": "./deploy/jwt"}),
        "jwt_private_key is not a file",
    ),
    ("secret_holders", lambda d: service(d, "worker")["secrets"].append("jwt_private_key"), "without using it"),
    ("secret_holders", lambda d: service(d, "worker")["secrets"].append("jwt_private_key"), "jwt_private_key: held by"),
    ("secret_holders", lambda d: service(d, "triggerer")["secrets"].append("signing_key"), "signing_key: held by"),
    (
        "secret_holders",
        lambda d: environment(d, "worker").update(
            AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD="cat /run/secrets/sql_alchemy_conn"
        ),
        "worker: uses the secret sql_alchemy_conn without holding it",
    ),
    ("secret_holders", lambda d: service(d, "scheduler")["secrets"].remove("jwt_private_key"), "without holding it"),
    ("hardening", lambda d: service(d, "worker").update(privileged=True), "worker: is privileged"),
    ("hardening", lambda d: service(d, "worker").update(user="0:0"), "worker: runs as root"),
    ("hardening", lambda d: service(d, "postgres").pop("user"), "postgres: runs as root or as an unsaid user"),
    ("hardening", lambda d: service(d, "redis").pop("cap_drop"), "redis: does not drop"),
    ("hardening", lambda d: service(d, "redis").update(cap_add=["SYS_ADMIN"]), "redis: has capabilities"),
    ("hardening", lambda d: service(d, "volumes").update(cap_add=["CHOWN", "DAC_OVERRIDE"]), "volumes: has cap"),
    ("hardening", lambda d: service(d, "volumes").pop("network_mode"), "volumes: is root with a network"),
    ("hardening", lambda d: service(d, "s3").pop("security_opt"), "s3: can gain privileges"),
    (
        "hardening",
        lambda d: service(d, "s3").update(security_opt=["no-new-privileges:true", "seccomp:unconfined"]),
        "s3: switches confinement off",
    ),
    ("hardening", lambda d: service(d, "worker").update(network_mode="host"), "shares a namespace"),
    ("hardening", lambda d: service(d, "worker").update(pid="host"), "shares a namespace"),
    ("hardening", lambda d: service(d, "worker").update(devices=["/dev/kvm"]), "worker: has devices"),
    ("hardening", lambda d: service(d, "worker").pop("pids_limit"), "worker: has no limit of processes"),
    (
        "hardening",
        lambda d: service(d, "worker").update(volumes=["/var/run/docker.sock:/var/run/docker.sock"]),
        "worker: reaches the engine",
    ),
    ("lifecycle", lambda d: service(d, "worker").pop("healthcheck"), "worker: a service must have a health check"),
    ("lifecycle", lambda d: service(d, "s3").update(healthcheck={"disable": True}), "s3: a service must have"),
    ("lifecycle", lambda d: service(d, "redis").update(healthcheck={"test": ["NONE"]}), "redis: a service must have"),
    ("lifecycle", lambda d: service(d, "redis")["healthcheck"].pop("retries"), "redis: the health check lacks"),
    ("lifecycle", lambda d: service(d, "redis").pop("restart"), "redis: a service must restart"),
    ("lifecycle", lambda d: service(d, "buckets").pop("healthcheck"), "buckets: a job has no health"),
    (
        "lifecycle",
        lambda d: service(d, "api-server")["depends_on"].update(migrate={"condition": "service_healthy"}),
        "api-server: waits for migrate",
    ),
    (
        "lifecycle",
        lambda d: service(d, "worker")["depends_on"].update(redis={"condition": "service_started"}),
        "worker: waits for redis",
    ),
    (
        "lifecycle",
        lambda d: service(d, "postgres")["depends_on"].update(scheduler={"condition": "service_healthy"}),
        "wait for each other",
    ),
    ("ports", lambda d: service(d, "api-server").update(ports=["8080:8080"]), "api-server: publishes"),
    (
        "ports",
        lambda d: service(d, "api-server").update(ports=["${AIRFLOW_BIND:-0.0.0.0}:${AIRFLOW_PORT:-8080}:8080"]),
        "0.0.0.0",
    ),
    ("ports", lambda d: service(d, "s3").update(ports=["127.0.0.1:8888:8888"]), "s3: publishes"),
    ("ports", lambda d: service(d, "postgres").update(ports=[{"target": 5432}]), "postgres: publishes"),
    ("networks", lambda d: d["networks"].update(metadata={}), "metadata: must be internal"),
    ("networks", lambda d: d["networks"].update(egress=None), "egress: must be internal"),
    ("networks", lambda d: d["networks"].update(web={"internal": True}), "web: must not be internal"),
    ("networks", lambda d: service(d, "worker")["networks"].append("metadata"), "metadata: joined by"),
    ("networks", lambda d: service(d, "worker").pop("networks"), "queue: joined by"),
    (
        "folders",
        lambda d: service(d, "worker").update(volumes=["./dags:/opt/airflow/dags"]),
        "worker: ./dags of the host is mounted writable",
    ),
    ("folders", lambda d: service(d, "worker").update(volumes=["./dogs:/opt/airflow/dags:ro"]), "not in the repo"),
    ("folders", lambda d: service(d, "redis").update(volumes=["redis-data:/data"]), "redis: redis-data would take"),
    ("folders", lambda d: service(d, "volumes")["volumes"].pop(), "is given to nobody"),
]


@pytest.mark.parametrize(
    ("check", "mistake", "complaint"),
    MISTAKES,
    ids=[f"{number}-{check}" for number, (check, *_) in enumerate(MISTAKES)],
)
def test_a_mistake_is_seen(check: str, mistake: Mutation, complaint: str) -> None:
    document = compose_file.load()
    mistake(document)
    assert any(complaint in found for found in compose_checks.ALL[check](document))


def test_every_check_has_a_mistake() -> None:
    assert {check for check, *_ in MISTAKES} == compose_checks.ALL.keys()


def test_a_required_setting_that_is_missing_stops_the_deployment() -> None:
    required, _ = compose_file.env_example()
    values = dict.fromkeys(required, "value")
    compose_file.interpolated(compose_file.load(), values)
    for name in required - {"AIRFLOW_UID"}:
        with pytest.raises(KeyError, match=name):
            compose_file.interpolated(compose_file.load(), {key: value for key, value in values.items() if key != name})
