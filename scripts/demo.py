"""The demo: see ``scripts/demo --help``."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import make_demo_data
from airflow_stack import AirflowStack, StackError, Terminated
from demo_keyless import IDENTITY, LoopbackInstance
from demo_progress import Progress, heading, say, tell_evidence

from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.evidence import collect
from airflow_mlsecops.core.store import open_store
from airflow_mlsecops.core.trust import TrustPolicy

ROOT = Path(__file__).resolve().parent.parent
DAG = "secure_training_pipeline"
GATE = "approve_model"
SCAN_DAG = "example_scan_model"
USERS = {"admin": "admin", "alice": "user", "bob": "user", "dave": "viewer"}
TRIGGERS, APPROVES = "alice", "bob"
RUN_TIMEOUT, ANSWER_TIMEOUT = 900.0, 24 * 3600.0


class DemoFailed(Exception):  # noqa: N818 - it is the demo's answer, not a defect
    """Something did not go as it should have."""


class Demo:
    """One Airflow, two runs, and a look at the evidence they left."""

    def __init__(self, stack: AirflowStack, data: Path, approve: bool) -> None:
        self.stack = stack
        self.data = data
        self.approve = approve
        self.page = ""
        self.policy = ROOT / "dags" / "policies" / "digits_release.yaml"
        self.released = Path()

    @property
    def evidence(self) -> Path:
        """The embedded default's folder."""
        return self.stack.home / "mlsecops"

    def run_clean(self) -> None:
        """Trigger on the clean data, wait for the approval and the release."""
        heading(f"1. {TRIGGERS} triggers the pipeline on clean data")
        api, progress = self.stack.api(TRIGGERS), Progress()
        run_id = api.trigger(DAG, {"dataset": str(self.data / "digits_clean.csv")})
        api.wait_for_request(DAG, run_id, GATE, timeout=RUN_TIMEOUT, progress=progress)
        if self.approve:
            say(f"  → {APPROVES}, who did not trigger it, approves through the REST API")
            answer = {"reason": "Both checks passed; approved by the demo."}
            self.stack.api(APPROVES).respond(DAG, run_id, GATE, ["Approve"], answer)
        else:
            say(f"\n  The pipeline waits for a person who isn't {TRIGGERS}. Log in as {APPROVES} and answer here:")
            say(f"  {self.stack.base_url}/dags/{DAG}/runs/{run_id}/tasks/{GATE}/required_actions")
        run = api.wait_for_run(DAG, run_id, timeout=ANSWER_TIMEOUT, progress=progress)
        if run.state != "success":
            raise DemoFailed(f"the clean run was expected to succeed: {run}")
        self.released = Path(unquote(urlsplit(api.xcom(DAG, run_id, "publish")).path))
        self.explain(run_id, "train", "the model as it was trained")
        digest = self.explain(run_id, "describe_model", "the model with its description, which is released")
        self.page = f"{self.stack.base_url}/mlsecops/dags/{DAG}/artifacts/{digest}"
        self.explain(run_id, "ingest", "the data set it was trained on")

    def run_poisoned(self) -> None:
        """Trigger on the poisoned copy; it must stop at the poisoning check, before training."""
        heading(f"2. {TRIGGERS} triggers the same pipeline on a poisoned copy of the data")
        api = self.stack.api(TRIGGERS)
        run_id = api.trigger(DAG, {"dataset": str(self.data / "digits_poisoned.csv")})
        run = api.wait_for_run(DAG, run_id, timeout=RUN_TIMEOUT, progress=Progress())
        states = {task.task_id: task.state for task in run.tasks}
        expected = {"validate_data": "success", "detect_label_poisoning": "failed", "train": "upstream_failed"}
        if run.state != "failed" or not expected.items() <= states.items():
            raise DemoFailed(f"the poisoned run was expected to stop at detect_label_poisoning: {run}")
        self.explain(run_id, "ingest", "the poisoned data set")

    def run_trojaned(self) -> None:
        """Scan a copy of the released model that runs a command when it is loaded; it must be stopped unsigned."""
        heading("3. Somebody hands in the released model with a shell command hidden in it")
        (model,) = self.released.glob("*.joblib")
        trojan = make_demo_data.write_trojaned(self.data / "digits-trojan.joblib", model)
        api = self.stack.api(TRIGGERS)
        run_id = api.trigger(SCAN_DAG, {"model": str(trojan)})
        run = api.wait_for_run(SCAN_DAG, run_id, timeout=RUN_TIMEOUT, progress=Progress())
        states = {task.task_id: task.state for task in run.tasks}
        if states != {"scan": "failed", "sign": "upstream_failed"}:
            raise DemoFailed(f"the trojaned model was expected to stop at the scan: {run}")
        reference = api.xcom(SCAN_DAG, run_id, "scan", key="mlsecops")
        say(f"  {reference['control']}: {reference['verdict'].upper()} - {reference['summary']}")

    def explain(self, run_id: str, task_id: str, what: str) -> str:
        """Print what signed evidence says about the artifact that a task pinned; return its digest."""
        reference = self.stack.api(TRIGGERS).xcom(DAG, run_id, task_id)
        digest = str(reference["artifact"]["digest"])
        say(f"\n  Signed evidence about {what} (sha256:{digest[:16]}…):")
        trust = TrustPolicy.from_bytes((self.evidence / "trust.yaml").read_bytes())
        tell_evidence(collect(open_store(str(self.evidence / "evidence")), digest, trust, utcnow()))
        return digest

    def verify(self) -> None:
        """Verify the released model as its user would, and a copy of it with one byte changed."""
        heading("4. Verify the released model where it is used, without Airflow")
        say(f"  {_short(str(self.released))}: {', '.join(sorted(path.name for path in self.released.iterdir()))}")
        if self._mlsecops_verify(self.released) != 0:
            raise DemoFailed("the released model was expected to verify")
        heading("5. The same model with one byte changed")
        forged = shutil.copytree(self.released, self.released.with_name("forged"))
        (model,) = forged.glob("*.joblib")
        data = bytearray(model.read_bytes())
        data[len(data) // 2] ^= 1
        model.write_bytes(bytes(data))
        if self._mlsecops_verify(forged) != 1:
            raise DemoFailed("the changed model was expected to be refused")

    def _mlsecops_verify(self, model: Path) -> int:
        command = [
            str(Path(sys.executable).with_name("mlsecops")), "verify", str(model),
            "--store", str(self.evidence / "evidence"),
            "--trust", str(self.evidence / "trust.yaml"),
            "--policy", str(self.policy),
        ]  # fmt: skip
        say("  $ mlsecops verify " + " ".join(_short(word) for word in command[2:]))
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        for line in (done.stdout + done.stderr).splitlines():
            say(f"    {line}")
        say(f"    (exit code {done.returncode})")
        return done.returncode


def _short(word: str) -> str:
    path = Path(word)
    return str(path.relative_to(ROOT)) if path.is_absolute() and path.is_relative_to(ROOT) else word


def parse(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/demo", description="One secured training pipeline in a real Airflow: clean, poisoned, trojaned."
    )
    parser.add_argument("--approve", action="store_true", help=f"let {APPROVES} approve by REST instead of waiting")
    parser.add_argument("--keep", action="store_true", help="leave Airflow running at the end, until Ctrl-C")
    parser.add_argument(
        "--signer",
        choices=("key", "keyless"),
        default="key",
        help="sign with a key made on first use, or keyless with a Sigstore of its own on 127.0.0.1",
    )
    parser.add_argument("--port", type=int, help="port of Airflow's UI (default: a free one)")
    parser.add_argument(
        "--home", type=Path, default=ROOT / ".demo", help="folder for all that it writes (emptied first)"
    )
    return parser.parse_args(argv)


def prepare(home: Path) -> None:
    """Empty the demo's folder, but nothing that isn't the demo's."""
    marker = home / ".mlsecops-demo"
    if home.exists() and any(home.iterdir()) and not marker.exists():
        raise DemoFailed(f"{home} is not empty and not the demo's; name another folder with --home")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    marker.touch()


def main(argv: list[str]) -> int:
    """Run the demo; exit code 0 only if everything went as it should."""
    options, started = parse(argv), time.monotonic()
    try:
        prepare(options.home)
        data = options.home / "data"
        data.mkdir()
        make_demo_data.write_clean(data / "digits_clean.csv")
        make_demo_data.write_poisoned(data / "digits_poisoned.csv")
        with contextlib.ExitStack() as running:
            environment = {}
            if options.signer == "keyless":
                heading("Starting a Sigstore on 127.0.0.1: token issuer, certificate authority, log, time stamps")
                sigstore = running.enter_context(LoopbackInstance(options.home / "sigstore"))
                environment = sigstore.deploy(options.home / "airflow" / "mlsecops")
                say(f"  All tasks sign as {IDENTITY}")
                say(f"  by issuer {sigstore.issuer}; no key lies anywhere.")
            heading("Starting Airflow (about 20 s)")
            home, dags = options.home / "airflow", ROOT / "dags"
            stack = AirflowStack(home, dags, users=USERS, port=options.port, extra_env=environment, say=say)
            running.enter_context(stack)
            say(f"  Airflow's UI: {stack.base_url}")
            for user, role in USERS.items():
                say(f"    log in as {user:<6} ({role}), password {stack.passwords[user]}")
            stack.api("admin").wait_for_dag(DAG)
            demo = Demo(stack, data, options.approve)
            demo.run_clean()
            demo.run_poisoned()
            demo.run_trojaned()
            demo.verify()
            took = time.monotonic() - started
            stopped = "the poisoned data and the trojaned model were stopped"
            heading(f"Done in {took:.0f} s: the clean model is released, {stopped}.")
            say(f"  What this model is, whether to trust it, and why:\n  {demo.page}")
            if options.keep:
                say(f"Airflow goes on at {stack.base_url} until Ctrl-C.")
                while True:
                    stack.check()
                    time.sleep(1)
        say("Airflow is stopped; with --keep it goes on, and that page can be looked at.")
    except (DemoFailed, StackError) as error:
        say(f"\nscripts/demo: {error}")
        return 1
    except (KeyboardInterrupt, Terminated):
        say("\nStopped; no process is left.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
