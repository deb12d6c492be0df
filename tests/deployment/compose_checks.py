"""What must hold for docker-compose.yml. Each check takes the parsed file and returns complaints; none means good."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import jsonschema

from tests.deployment.compose_file import ROOT, Document, env_example, interpolated, services, strings, variables

Check = Callable[[Document], list[str]]

ROOT_JOB = "volumes"
PUBLISHED = {"api-server": "8080"}
# Who may know what. A worker runs other people's code; only a worker signs.
HOLDERS = {
    "sql_alchemy_conn": {"migrate", "users", "api-server", "scheduler", "dag-processor", "triggerer"},
    "fernet_key": {"migrate", "users", "api-server", "scheduler", "dag-processor", "triggerer"},
    "jwt_private_key": {"api-server", "scheduler"},
    "api_secret_key": {"api-server"},
    "broker_url": {"scheduler", "worker"},
    "result_backend": {"scheduler", "worker"},
    "signing_key": {"worker"},
    "airflow_users": {"users"},
    "s3_identities": {"s3", "buckets"},
    "postgres_password": {"postgres"},
    "redis_password": {"redis"},
}
REACHES = {
    "metadata": {"postgres", "migrate", "users", "api-server", "scheduler", "dag-processor", "triggerer"},
    "queue": {"redis", "scheduler", "worker"},
    "store": {"s3", "buckets", "api-server", "triggerer", "worker"},
    "web": {"api-server"},
}
_SECRET_NAME = re.compile(r"PASSWORD|PASSPHRASE|SECRET|TOKEN|KEY|CREDENTIAL|SQL_ALCHEMY|BROKER_URL|RESULT_BACKEND")
_SECRET_PATH = re.compile(r"/run/secrets/(\w+)")
_USERINFO = re.compile(r"\w+://[^/\s]*:[^/\s@]+@")


def schema(document: Document) -> list[str]:
    """The compose specification's own JSON schema, as check-jsonschema carries it."""
    resource = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    definition = json.loads(resource.read_text(encoding="utf-8"))
    validator = jsonschema.validators.validator_for(definition)(definition)
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in validator.iter_errors(document)]


def commands(document: Document) -> list[str]:
    """Each Airflow component is there, with the command of deploy/components.toml, and no other runs `airflow`."""
    table = tomllib.loads((ROOT / "deploy" / "components.toml").read_text(encoding="utf-8"))["components"]
    found = services(document)
    complaints = [f"{name}: the component has no service" for name in table.keys() - found.keys()]
    for name, service in found.items():
        command = service.get("command")
        if name in table and command != table[name]["command"]:
            complaints.append(f"{name}: command {command}, but components.toml has {table[name]['command']}")
        if name in table and is_job(service) != (table[name]["runs"] == "once"):
            complaints.append(f"{name}: its restart policy does not fit runs = {table[name]['runs']!r}")
        if name not in table and isinstance(command, list) and command[:1] == ["airflow"]:
            complaints.append(f"{name}: runs airflow, but is not in components.toml")
    return complaints


def settings(document: Document) -> list[str]:
    """Every variable stands in .env.example with the same default, and nothing else does."""
    required, optional = env_example()
    used = variables(document)
    complaints = [f"{name}: not in .env.example" for name in used.keys() - required - optional.keys()]
    complaints += [f"{name}: in .env.example, but not used" for name in (required | optional.keys()) - used.keys()]
    for name, defaults in used.items():
        wanted: set[str | None] = {optional[name]} if name in optional else {None}
        # The user id may have a default too: `docker compose config` works before any secret is made.
        if name != "AIRFLOW_UID" and (name in optional or name in required) and defaults != wanted:
            complaints.append(f"{name}: has the defaults {defaults}, .env.example says {wanted}")
    return complaints


def references(document: Document) -> list[str]:
    """What a service names is declared, and what is declared is used."""
    used: dict[str, set[str]] = {"secrets": set(), "configs": set(), "volumes": set(), "networks": set()}
    complaints: list[str] = []
    for name, service in services(document).items():
        for kind in ("secrets", "configs"):
            used[kind] |= {item if isinstance(item, str) else item["source"] for item in service.get(kind, [])}
        used["networks"] |= set(service.get("networks", []))
        used["volumes"] |= {mount["source"] for mount in mounts(service) if mount["type"] == "volume"}
        targets = set(service.get("depends_on", {}))
        if (mode := str(service.get("network_mode", ""))).startswith("service:"):
            targets.add(mode.removeprefix("service:"))
        complaints += [f"{name}: there is no service {target}" for target in targets - services(document).keys()]
    for kind, names in used.items():
        declared = set(document.get(kind, {}))
        complaints += [f"{kind}: {name} is not declared" for name in names - declared]
        complaints += [f"{kind}: {name} is declared, but not used" for name in declared - names]
    return complaints


def secret_values(document: Document) -> list[str]:
    """No secret stands in the file: they come from secret files or from required variables."""
    complaints = []
    for name, service in services(document).items():
        for key, value in service.get("environment", {}).items():
            if _SECRET_NAME.search(key) and not _is_indirect(key, str(value)):
                complaints.append(f"{name}: {key} has a literal value")
        complaints += [
            f"{name}: a connection has a literal login or password"
            for text in strings(service.get("environment", {}))
            for field in re.findall(r'"(?:password|login)":\s*"([^"]*)"', text)
            if not re.fullmatch(r"\$\{\w+:\?[^}]+\}", field)
        ]
    complaints += [f"an address has a password in it: {text}" for text in strings(document) if _USERINFO.search(text)]
    for name, secret in document["secrets"].items():
        if not str(secret.get("file", "")).startswith("${MLSECOPS_SECRETS:-"):
            complaints.append(f"secrets: {name} is not a file below MLSECOPS_SECRETS")
    return complaints


def _is_indirect(key: str, value: str) -> bool:
    if key.endswith("_CMD"):
        return re.fullmatch(r"cat /run/secrets/\w+", value) is not None
    is_path = key.endswith(("_FILE", "_SECRET", "_PATH", "IDENTITIES")) and value.startswith("/")
    return is_path or re.fullmatch(r"\$\{\w+:\?[^}]+\}", value) is not None


def secret_holders(document: Document) -> list[str]:
    """Each secret is known to exactly those who need it, and whoever holds one also uses it."""
    complaints = []
    holders: dict[str, set[str]] = {name: set() for name in document["secrets"]}
    for name, service in services(document).items():
        granted = set(service.get("secrets", []))
        named = {found for text in strings(without_secrets(service)) for found in _SECRET_PATH.findall(text)}
        for secret in granted:
            holders.setdefault(secret, set()).add(name)
        # The readers' connection names a signer whose key is not there: that is what keeps them from signing.
        absent = {"signing_key"} if name in {"api-server", "triggerer"} else set()
        complaints += [f"{name}: uses the secret {secret} without holding it" for secret in named - granted - absent]
        complaints += [f"{name}: holds the secret {secret} without using it" for secret in granted - named]
    for secret, names in holders.items():
        if names != HOLDERS.get(secret):
            complaints.append(f"{secret}: held by {sorted(names)}, expected {sorted(HOLDERS.get(secret, set()))}")
    return complaints


def hardening(document: Document) -> list[str]:
    """Nobody is root, privileged, capable or can become so; one job may change owners, and has no network."""
    complaints = []
    for name, service in services(document).items():
        caps = ["CHOWN"] if name == ROOT_JOB else []
        user = str(service.get("user", ""))
        complaints += [
            f"{name}: {problem}"
            for problem, wrong in {
                "is privileged": service.get("privileged", False),
                "does not drop all capabilities": service.get("cap_drop") != ["ALL"],
                f"has capabilities other than {caps}": service.get("cap_add", []) != caps,
                "can gain privileges": "no-new-privileges:true" not in service.get("security_opt", []),
                "switches confinement off": any("unconfined" in str(o) for o in service.get("security_opt", [])),
                "runs as root or as an unsaid user": name != ROOT_JOB and not user.startswith("${AIRFLOW_UID:-50000}:"),
                "is root with a network": name == ROOT_JOB and service.get("network_mode") != "none",
                "shares a namespace with the host": "host" in [service.get(k) for k in ("network_mode", "pid", "ipc")],
                "has devices": bool(service.get("devices")),
                "reaches the engine": any("docker.sock" in text for text in strings(service.get("volumes", []))),
                "has no limit of processes": not service.get("pids_limit"),
            }.items()
            if wrong
        ]
    return complaints


def lifecycle(document: Document) -> list[str]:
    """Services come back and say how they are; jobs end; nobody waits for what can't happen."""
    found = services(document)
    complaints = []
    for name, service in found.items():
        probe = service.get("healthcheck", {})
        if is_job(service):
            if not probe.get("disable"):
                complaints.append(f"{name}: a job has no health; disable the check")
        elif service.get("restart") != "unless-stopped":
            complaints.append(f"{name}: a service must restart")
        elif probe.get("disable") or not probe.get("test") or probe["test"][0] not in {"CMD", "CMD-SHELL"}:
            complaints.append(f"{name}: a service must have a health check")
        elif missing := {"interval", "timeout", "start_period", "retries"} - probe.keys():
            complaints.append(f"{name}: the health check lacks {sorted(missing)}")
        for target, how in service.get("depends_on", {}).items():
            ends = how["condition"] == "service_completed_successfully"
            if target in found and (ends != is_job(found[target]) or how["condition"] == "service_started"):
                complaints.append(f"{name}: waits for {target} to be {how['condition']}, which does not fit it")
    return complaints + _circles(found)


def _circles(found: dict[str, Document]) -> list[str]:
    waiting = {name: set(service.get("depends_on", {})) & found.keys() for name, service in found.items()}
    while ready := [name for name, targets in waiting.items() if not targets]:
        waiting = {name: targets - set(ready) for name, targets in waiting.items() if name not in ready}
    return [f"wait for each other: {sorted(waiting)}"] if waiting else []


def ports(document: Document) -> list[str]:
    """Only the api-server is published, and on the loopback address unless somebody says otherwise."""
    complaints = []
    for name, service in services(document).items():
        published = interpolated(service.get("ports", []), {})
        expected = [f"127.0.0.1:{PUBLISHED[name]}:{PUBLISHED[name]}"] if name in PUBLISHED else []
        if published != expected:
            complaints.append(f"{name}: publishes {published}, expected {expected}")
    return complaints


def networks(document: Document) -> list[str]:
    """Who can talk to whom; and only `web` leads out."""
    complaints = [
        f"{name}: must {'not ' if name == 'web' else ''}be internal"
        for name, network in document["networks"].items()
        if (network or {}).get("internal", False) == (name == "web")
    ]
    for network, members in REACHES.items():
        found = {name for name, service in services(document).items() if network in service.get("networks", [])}
        if found != members:
            complaints.append(f"{network}: joined by {sorted(found)}, expected {sorted(members)}")
    return complaints


def folders(document: Document) -> list[str]:
    """Whatever comes from the host is read-only, Dags above all, and logs are written by those who log."""
    complaints = []
    for name, service in services(document).items():
        for mount in mounts(service):
            if mount["type"] == "bind" and not mount.get("read_only"):
                complaints.append(f"{name}: {mount['source']} of the host is mounted writable")
            if mount["type"] == "bind" and not (ROOT / mount["source"]).exists():
                complaints.append(f"{name}: {mount['source']} is not in the repository")
            if mount["type"] == "volume" and not mount.get("volume", {}).get("nocopy"):
                complaints.append(f"{name}: {mount['source']} would take over the owner of the image's folder")
    prepared = {mount["source"] for mount in mounts(services(document)[ROOT_JOB])}
    complaints += [f"volumes: {name} is given to nobody" for name in set(document["volumes"]) - prepared]
    return complaints


def mounts(service: Document) -> list[dict[str, Any]]:
    """Return the mounts of a service; a short form is spelled out."""
    found = []
    for mount in service.get("volumes", []):
        if isinstance(mount, str):
            source, target, *mode = mount.split(":")
            kind = "bind" if source.startswith((".", "/", "~", "$")) else "volume"
            found.append({"type": kind, "source": source, "target": target, "read_only": mode == ["ro"]})
        else:
            found.append(mount)
    return found


def is_job(service: Document) -> bool:
    """Whether a service ends by itself."""
    return str(service.get("restart", "")).startswith("on-failure")


def without_secrets(service: Document) -> Document:
    """Return a service without its list of secrets."""
    return {key: value for key, value in service.items() if key != "secrets"}


ALL: dict[str, Check] = {
    check.__name__: check
    for check in (
        schema,
        commands,
        settings,
        references,
        secret_values,
        secret_holders,
        hardening,
        lifecycle,
        ports,
        networks,
        folders,
    )
}
