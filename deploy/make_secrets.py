"""Make the secrets of the deployment: `deploy/.env` and the files under `deploy/secrets/`.

    python3 deploy/make_secrets.py [--folder FOLDER] [--uid UID]

What exists is kept, so it can be run again. To change one secret, delete its file or empty its line first; what is
made from it (an address with a password in it, the store's identities) follows. The signing key is not made here but
by `mlsecops keygen`, with the passphrase that this script puts into `.env`: deploy/README.md says how. Needs nothing
but Python.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import secrets
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEFAULT_UID = 50000
USERS = "admin:Admin,alice:User,bob:User,carol:User,dave:Viewer"


def token(size: int = 32) -> str:
    """Return `size` random bytes in letters, digits, `-` and `_`: safe in an address, in JSON and in a shell."""
    return secrets.token_urlsafe(size)


def fernet_key() -> str:
    """Return a Fernet key: 32 random bytes in URL-safe base64 (github.com/fernet/spec)."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def ed25519_key() -> str:
    """Return a private key for Ed25519 in PEM: any 32 random bytes are one (RFC 8032, 5.1.5; RFC 8410, section 7)."""
    # SEQUENCE { version 0, SEQUENCE { OID 1.3.101.112 }, OCTET STRING { OCTET STRING of 32 bytes } }
    der = bytes.fromhex("302e020100300506032b657004220420") + secrets.token_bytes(32)
    return f"-----BEGIN PRIVATE KEY-----\n{base64.b64encode(der).decode()}\n-----END PRIVATE KEY-----\n"


def read_settings(text: str) -> dict[str, str]:
    """Return the `NAME=value` lines of an env file; comments and empty lines are left out."""
    pairs = (line.split("=", 1) for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    return {name.strip(): value.strip() for name, value in pairs}


def fill_settings(text: str, uid: int) -> str:
    """Return an env file with every empty setting filled in: a user id, or something random."""

    def filled(line: str) -> str:
        name, separator, value = line.partition("=")
        if line.startswith("#") or not separator or value.strip():
            return line
        return f"{name}={uid if name == 'AIRFLOW_UID' else token(16 if name.endswith('ACCESS_KEY') else 32)}"

    return "\n".join(filled(line) for line in text.splitlines()) + "\n"


def store_identities(settings: dict[str, str], earlier: str) -> str:
    """Return the store's identities as SeaweedFS reads them: who has which key and may do what to which bucket.

    Args:
        settings: Of the env file; the keys of writer and reader stand there.
        earlier: The text of this file so far, or nothing; the administrator's key is taken from it.
    """
    buckets = [settings.get("EVIDENCE_BUCKET", "evidence"), settings.get("ARTIFACT_BUCKET", "artifacts")]
    known = {entry["name"]: entry for entry in json.loads(earlier)["identities"]} if earlier else {}
    new_key = {"accessKey": token(16), "secretKey": token()}
    admin = known.get("admin", {"name": "admin", "credentials": [new_key], "actions": ["Admin"]})

    def identity(name: str, role: str, actions: list[str]) -> dict[str, object]:
        key = {"accessKey": settings[f"{role}_ACCESS_KEY"], "secretKey": settings[f"{role}_SECRET_KEY"]}
        allowed = [f"{action}:{bucket}" for bucket in buckets for action in actions]
        return {"name": name, "credentials": [key], "actions": allowed}

    identities = [
        admin,
        identity("writer", "EVIDENCE_WRITER", ["Read", "List", "Write"]),
        identity("reader", "EVIDENCE_READER", ["Read", "List"]),
    ]
    return json.dumps({"identities": identities}, indent=2) + "\n"


def user_passwords(settings: dict[str, str], earlier: str) -> str:
    """Return name -> password as JSON; `earlier` is the text of this file so far, or nothing."""
    known = json.loads(earlier) if earlier else {}
    names = [entry.split(":")[0].strip() for entry in settings.get("AIRFLOW_USERS", USERS).split(",")]
    return json.dumps({name: known.get(name) or token(15) for name in names}, indent=2) + "\n"


def write_private(path: Path, text: str, mode: int, uid: int) -> None:
    """Write a file that only `uid` can read; an interrupted write leaves the old one."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as stream:
        stream.write(text)
    if os.geteuid() == 0:
        os.chown(draft, uid, -1)
    draft.replace(path)


def make(folder: Path, uid: int) -> list[Path]:
    """Make what is missing below `folder`, bring up to date what depends on it, and return the files written.

    Args:
        folder: Gets `.env` and `secrets/`.
        uid: The user id that the containers run as, when `.env` doesn't say it yet.

    Raises:
        KeyError: When a setting that `.env.example` has is missing from an existing `.env`.
    """
    env_file, store = folder / ".env", folder / "secrets"
    store.mkdir(mode=0o700, parents=True, exist_ok=True)
    written: list[Path] = []

    def update(path: Path, text: str, mode: int = 0o400, owner: int = os.geteuid()) -> None:
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_private(path, text, mode, owner)
            written.append(path)

    update(env_file, fill_settings(_text(env_file) or _text(HERE / ".env.example"), uid), mode=0o600)
    settings = read_settings(_text(env_file))
    owner = int(settings["AIRFLOW_UID"])
    if os.geteuid() == 0:
        os.chown(store, owner, -1)

    def keep(name: str, made: str) -> str:
        update(store / name, _text(store / name) or made, owner=owner)
        return _text(store / name)

    def derive(name: str, text: str) -> None:
        update(store / name, text, owner=owner)

    postgres, redis = keep("postgres_password", token()), keep("redis_password", token())
    derive("sql_alchemy_conn", f"postgresql+psycopg2://airflow:{postgres}@postgres:5432/airflow")
    derive("broker_url", f"redis://:{redis}@redis:6379/0")
    derive("result_backend", f"redis://:{redis}@redis:6379/1")
    keep("fernet_key", fernet_key())
    keep("jwt_private_key", ed25519_key())
    keep("api_secret_key", token())
    derive("airflow_users", user_passwords(settings, _text(store / "airflow_users")))
    derive("s3_identities", store_identities(settings, _text(store / "s3_identities")))
    return written


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, default=HERE, help="where .env and secrets/ go (default: deploy/)")
    parser.add_argument("--uid", type=int, default=os.geteuid() or DEFAULT_UID, help="user id of the containers")
    arguments = parser.parse_args()
    try:
        written = make(arguments.folder, arguments.uid)
    except KeyError as error:
        sys.exit(f"{arguments.folder / '.env'} lacks the setting {error.args[0]}; deploy/.env.example has it")
    for path in written:
        sys.stdout.write(f"wrote {path}\n")
    if not written:
        sys.stdout.write("everything is there already; nothing was changed\n")


if __name__ == "__main__":
    main()
