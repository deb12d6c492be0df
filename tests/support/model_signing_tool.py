"""``model_signing``, the format's reference implementation: what it makes of our bundles, and its own for us to verify.

A test tool only; the product never imports it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.oms_pki import Identity

VERSION = "1.1.1"
"""The release that was looked at: what it lets through, later ones may refuse."""


def need_model_signing() -> None:
    """Skip the test, saying why, where the tool isn't installed."""
    pytest.importorskip(
        "model_signing", reason="model-signing and pyopenssl are not installed (dependency group 'test')"
    )


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run its command."""
    command = [sys.executable, "-m", "model_signing", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


class Keys:
    """Key files, as its command wants them."""

    def __init__(self, folder: Path, identity: Identity, *others: Identity) -> None:
        self.private, self.public = folder / "key.pem", folder / "key.pub"
        self.certificate, self.root = folder / "leaf.pem", folder / "root.pem"
        self.between = [folder / f"between-{number}.pem" for number in range(len(others) - 1)]
        self.private.write_bytes(identity.private_pem)
        self.public.write_text(identity.signer.public_key.pem)
        self.certificate.write_bytes(identity.pem)
        for path, other in zip([*self.between, self.root], others, strict=True):
            path.write_bytes(other.pem)

    def sign(self, method: str, model: Path, signature: Path, *options: str | Path) -> None:
        """Sign with its command, by ``key`` or ``certificate``."""
        how: list[str | Path] = ["--private_key", self.private, "--signature", signature]
        if method == "certificate":
            how += ["--signing_certificate", self.certificate]
            for path in self.between:
                how += ["--certificate_chain", path]
        done = run("sign", method, model, *how, *options)
        assert done.returncode == 0, done.stderr

    def verify(self, method: str, model: Path, signature: Path, *options: str | Path) -> bool:
        """Whether its command accepts the model."""
        trust: list[str | Path] = (
            ["--public_key", self.public] if method == "key" else ["--certificate_chain", self.root]
        )
        done = run("verify", method, model, "--signature", signature, *trust, *options)
        assert done.returncode == (0 if "Verification succeeded" in done.stdout else 1), done.stderr
        assert done.returncode == 0 or "Verification failed" in done.stderr, done.stderr
        return done.returncode == 0
