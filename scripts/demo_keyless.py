"""The demo's keyless half: a loopback Sigstore beside Airflow, a workload's token, and who is trusted then."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parent.parent
SUBJECT = "system:serviceaccount:airflow:worker"
IDENTITY = "https://kubernetes.io/namespaces/airflow/serviceaccounts/worker"
ROLES = ["control", "provenance", "sign", "approve", "ask", "gate"]


class LoopbackInstance:
    """A Sigstore on 127.0.0.1 as a child process; it ends with this program, however that ends.

    Args:
        home: folder for its keys, logs, configuration and the workload's token.

    Attributes:
        issuer: who vouches for the workload.
    """

    def __init__(self, home: Path) -> None:
        self.home = home.absolute()
        self.issuer = ""
        self._child: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        command = [
            sys.executable, "-m", "tests.support.loopback_sigstore", "--home", str(self.home),
            "--workload", f"{SUBJECT}={self.token}", "--until-stdin-closes",
        ]  # fmt: skip
        self._child = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._child.stdout is not None
        ready, _, self.issuer = self._child.stdout.readline().strip().partition(" ")
        if ready != "ready":
            self._end()
            raise OSError("the loopback Sigstore didn't start; see above")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def token(self) -> Path:
        """The file in which the platform keeps the workload's token fresh."""
        return self.home / "token"

    def deploy(self, folder: Path) -> dict[str, str]:
        """Make an evidence store and a trust policy; return the environment that names them to Airflow."""
        (folder / "evidence").mkdir(parents=True)
        signer = {"name": "worker", "identity": IDENTITY, "issuer": self.issuer, "sigstore": "loopback", "roles": ROLES}
        root = (self.home / "trusted_root.json").read_text(encoding="utf-8")
        trust = {"version": 1, "signers": [signer], "sigstore": [{"name": "loopback", "trusted_root": root}]}
        (folder / "trust.yaml").write_text(json.dumps(trust, indent=2) + "\n", encoding="utf-8")
        query = urlencode({"identity": IDENTITY, "issuer": self.issuer, "token": self.token})
        extra = {
            "evidence_root": str(folder / "evidence"),
            "trust_policy": str(folder / "trust.yaml"),
            "signer": f"sigstore:{self.home}/rekor-v2.json?{query}",
        }
        connection = json.dumps({"conn_type": "mlsecops", "extra": extra})
        # Services on one loopback interface are never asked through a proxy.
        return {"AIRFLOW_CONN_MLSECOPS_DEFAULT": connection, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}

    def _end(self) -> None:
        if self._child is None:
            return
        for stream in (self._child.stdin, self._child.stdout):
            if stream is not None:
                stream.close()
        try:
            self._child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child = None
