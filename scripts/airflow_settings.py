"""The configuration of a self-contained Airflow: every setting, secret and port of one home folder.

All of it is written to `<home>/airflow.cfg`, so that `AIRFLOW_HOME=<home> airflow ...` in any shell talks to the same
Airflow. The environment of the components carries no setting of its own, and none of the user's.
"""

from __future__ import annotations

import base64
import getpass
import json
import os
import random
import secrets
import socket
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from airflow_guard import StackError
from airflow_processes import MARKER

# Below the range from which Linux and macOS take the ports of outgoing connections, so that nobody's passing
# connection can sit on a port between its choice here and the moment, seconds later, when Airflow opens it.
_PORTS = range(20_000, 32_000)
# The last one because the api-server fetches the log of a running task from the machine's name.
_LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1", socket.gethostname())
# SQLite has one writer at a time. By default the others give up after five seconds, which a busy machine takes now and
# then, and the API answers with 500. No longer than this: two of the api-server's own can wait for each other, and go
# on only when one of them gives up (see `airflow_rest`).
_WRITER_SECONDS = 10

COMPONENTS = Path(__file__).resolve().parent.parent / "deploy" / "components.toml"
SERVICES = ("api-server", "scheduler", "dag-processor", "triggerer")

Settings = dict[str, dict[str, str]]


def load_commands(path: Path = COMPONENTS) -> dict[str, list[str]]:
    """Return the command of each component: `migrate` and the four services.

    Raises:
        StackError: When the file lacks one of them.
    """
    table = tomllib.loads(path.read_text(encoding="utf-8")).get("components", {})
    try:
        return {name: [str(word) for word in table[name]["command"]] for name in ("migrate", *SERVICES)}
    except KeyError as error:
        raise StackError(f"{path} has no command for the component {error}") from None


def checked_dags_folder(dags_folder: Path, home: Path) -> Path:
    """Return the folder; `StackError` when it does not exist or contains the home."""
    if not dags_folder.is_dir():
        raise StackError(f"no such folder of Dags: {dags_folder}")
    if home.is_relative_to(dags_folder):
        # Its logs would be taken for Dags, and Airflow's dag-processor ends when it meets its own link to today's.
        raise StackError(f"the home {home} must not lie inside the Dags' folder {dags_folder}")
    return dags_folder


def free_ports(count: int) -> list[int]:
    """Return `count` different TCP ports that nothing listens on, on any address.

    Raises:
        OSError: When the machine has no such ports.
    """
    found: list[int] = []
    for port in random.SystemRandom().sample(_PORTS, 500):
        if is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise OSError(f"no {count} free ports in {_PORTS.start}-{_PORTS.stop}")


def is_free(port: int) -> bool:
    """Tell whether nothing listens on a TCP port, on any IPv4 address."""
    try:
        # Sets SO_REUSEADDR, as the servers do: a port in TIME_WAIT is free.
        with socket.create_server(("", port)):
            return True
    except OSError:
        return False


def write_private(path: Path, text: str) -> None:
    """Write `text` to `path`, never readable by others; an interrupted write leaves the old file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    draft.replace(path)


def keep_secrets(path: Path) -> dict[str, str]:
    """Return the secrets of a home folder, made on first use.

    They are kept, because the connections in the database are encrypted with one of them.
    """
    kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    made = {
        # A Fernet key is 32 random bytes in URL-safe base64 (github.com/fernet/spec).
        "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "secret_key": secrets.token_urlsafe(32),
        # HS512, Airflow's default algorithm here, wants 64 bytes (RFC 7518, section 3.2).
        "jwt_secret": secrets.token_urlsafe(64),
    }
    if missing := made.keys() - kept.keys():
        kept |= {name: made[name] for name in missing}
        write_private(path, json.dumps(kept, indent=2) + "\n")
    return kept


def keep_passwords(path: Path, users: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    """Write the password file of Airflow's simple auth manager: given, else kept from earlier, else random."""
    kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    passwords = {user: given.get(user) or kept.get(user) or secrets.token_urlsafe(12) for user in users}
    write_private(path, json.dumps(passwords) + "\n")
    return passwords


def settings(
    home: Path, dags_folders: Sequence[Path], users: Mapping[str, str], *, ports: Sequence[int], paused: bool
) -> Settings:
    """Return the settings that differ from Airflow's defaults, by section.

    Args:
        home: Where everything lies.
        dags_folders: One Dag bundle is made of each; the first is named `dags-folder`.
        users: Name -> role (`admin`, `op`, `user`, `viewer`).
        ports: Of the api-server, of the scheduler's and of the triggerer's log server.
        paused: Whether Dags wait for somebody to switch them on.
    """
    api, worker_logs, trigger_logs = ports
    base_url = f"http://127.0.0.1:{api}"
    kept = keep_secrets(home / "secrets.json")
    return {
        "core": _core(home, users)
        | {
            "dags_folder": str(dags_folders[0]),
            "dags_are_paused_at_creation": str(paused),
            "fernet_key": kept["fernet_key"],
            "execution_api_server_url": f"{base_url}/execution/",
        },
        "database": {
            "sql_alchemy_conn": f"sqlite:///{home / 'airflow.db'}?timeout={_WRITER_SECONDS}",
            # Each component would look again at what `db migrate` has just done.
            "check_migrations": "False",
        },
        "api": {
            "host": "127.0.0.1",
            "port": str(api),
            "base_url": base_url,
            "workers": "1",
            "secret_key": kept["secret_key"],
        },
        "api_auth": {"jwt_secret": kept["jwt_secret"]},
        "logging": {
            "base_log_folder": str(home / "logs"),
            "dag_processor_child_process_log_directory": str(home / "logs" / "dag_processor"),
            "worker_log_server_port": str(worker_logs),
            "trigger_log_server_port": str(trigger_logs),
            "colored_console_log": "False",
        },
        "scheduler": {"enable_health_check": "False", "scheduler_idle_sleep_time": "0.5"},
        "dag_processor": _dag_processor(home, dags_folders),
    }


def _core(home: Path, users: Mapping[str, str]) -> dict[str, str]:
    return {
        "executor": "LocalExecutor",
        # So many worker processes are forked at the start. Tasks are short, and two cores have to do.
        "parallelism": "4",
        "load_examples": "False",
        "simple_auth_manager_users": ",".join(f"{name}:{role}" for name, role in users.items()),
        "simple_auth_manager_passwords_file": str(home / "passwords.json"),
        # The default asks the name service, which takes seconds on a machine without one.
        "hostname_callable": "socket.gethostname",
        "min_serialized_dag_update_interval": "5",
    }


def _dag_processor(home: Path, dags_folders: Sequence[Path]) -> dict[str, str]:
    bundles = [
        {
            "name": f"dags-folder-{number}" if number else "dags-folder",
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": str(folder), "refresh_interval": 5},
        }
        for number, folder in enumerate(dags_folders)
    ]
    return {
        "dag_bundle_config_list": json.dumps(bundles),
        "dag_bundle_storage_path": str(home / "bundles"),
        "bundle_refresh_check_interval": "2",
        # A changed file is parsed at once; this is for the unchanged ones.
        "min_file_process_interval": "60",
    }


def render(sections: Settings) -> str:
    """Return the text of an `airflow.cfg`; `%` is doubled, since Airflow's parser interpolates."""
    lines: list[str] = []
    for section, options in sections.items():
        lines += [f"[{section}]", *(f"{name} = {value.replace('%', '%%')}" for name, value in options.items()), ""]
    return "\n".join(lines)


def environment(home: Path, bin_folder: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the components: the user's without what steers Airflow or Python, plus `extra`."""
    dropped = {"PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "PYTHONSAFEPATH", "VIRTUAL_ENV", MARKER}
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW_", "_AIRFLOW_")) and name not in dropped
    }
    env["AIRFLOW_HOME"] = str(home)
    env[MARKER] = str(home)
    env["PATH"] = os.pathsep.join([str(bin_folder), env.get("PATH", os.defpath)])
    env["PYTHONUNBUFFERED"] = "1"
    # Without it, setproctitle overwrites the environment in /proc/<pid>/environ, and the marker with it.
    env["SPT_NOENV"] = "1"
    try:
        getpass.getuser()
    except (KeyError, OSError):
        # A bare uid, as in a container. Airflow wants a name, for its log of who did what.
        env["LOGNAME"] = f"uid{os.getuid()}"
    for name in ("NO_PROXY", "no_proxy"):
        listed = [item.strip() for item in env.get(name, "").split(",") if item.strip()]
        env[name] = ",".join([*listed, *(host for host in _LOCAL_HOSTS if host not in listed)])
    return env | dict(extra)
