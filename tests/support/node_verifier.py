"""sigstore-js as a second opinion on keyless bundles: another code base, in another language.

Its packages are installed on demand, at the versions and digests of ``tests/support/sigstore_js/package-lock.json``.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from airflow_mlsecops.core.signing.keyless_verify import KeylessIdentity

PROJECT = Path(__file__).resolve().parent / "sigstore_js"
_INSTALL_SECONDS = 120
_DONE = PROJECT / "node_modules" / ".installed"


class NodeUnavailableError(Exception):
    """Node, npm or the packages can't be had here; the text says which."""


@dataclass(frozen=True)
class Opinion:
    """What sigstore-js says.

    Attributes:
        verified: whether it accepts the bundle.
        code: its error's code, empty if there is none.
        message: its error's text, or identity and issuer.
    """

    verified: bool
    code: str
    message: str


def install() -> None:
    """Have Node and the packages.

    Raises:
        NodeUnavailableError: if there is no Node, no npm, or no package registry to be reached.
    """
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise NodeUnavailableError(f"{program} is not installed")
    lock = (PROJECT / "package-lock.json").read_text(encoding="utf-8")
    if _DONE.exists() and _DONE.read_text(encoding="utf-8") == lock:
        return
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=20000"]
    try:
        subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True, timeout=_INSTALL_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise NodeUnavailableError(f"npm ci didn't end within {_INSTALL_SECONDS} s") from error
    except subprocess.CalledProcessError as error:
        raise NodeUnavailableError(f"npm ci failed: {error.stderr.strip()[-300:]}") from error
    _DONE.write_text(lock, encoding="utf-8")


def ask(bundle: Path, root: Path, who: KeylessIdentity, digest: str = "payload") -> Opinion:
    """Ask sigstore-js about a bundle.

    Args:
        bundle: the bundle's file.
        root: the trust root's file.
        who: who is expected to have signed.
        digest: ``payload`` or ``pae``; see ``verify.mjs``.
    """
    command = ["node", str(PROJECT / "verify.mjs"), str(bundle), str(root), who.identity, who.issuer, digest]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode not in (0, 1):
        raise AssertionError(f"verify.mjs broke: {done.stderr}")
    answer = json.loads(done.stdout)
    assert answer["verified"] == (done.returncode == 0)
    if answer["verified"]:
        return Opinion(True, "", f"{answer['identity']} {answer['issuer']}")
    return Opinion(False, answer["code"], answer["message"])
