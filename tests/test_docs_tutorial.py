"""The tutorial, followed to the letter: its files saved, its commands typed in, what they print compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.doc_pages import blocks, commands, marked, source_of

PAGE = "docs/tutorial/first-secured-dag.md"
SAYS_NO = ("NO ", "DagRun failed")


@dataclass
class Newcomer:
    """Somebody with an empty home and an environment in which the project is installed."""

    home: Path
    exported: list[str] = field(default_factory=list)

    def types(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a shell does that remembers what was exported."""
        if command.startswith("export "):
            self.exported.append(command)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "MLSECOPS"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            ["/bin/bash", "-c", "\n".join([*self.exported, command])],
            env=kept | {"HOME": str(self.home), "PATH": path},
            cwd=self.home, capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip


def told() -> Iterator[tuple[str, list[str]]]:
    """The page's commands in order, each with the lines that it is said to print."""
    for value, block in marked("run", "console"):
        if value != "tutorial":
            continue
        for part in re.split(r"^\$ ", block.code, flags=re.MULTILINE)[1:]:
            command, *lines = part.splitlines()
            yield command, lines


def prints(output: str, lines: list[str]) -> bool:
    """Whether the lines are there in this order; `…` stands for whatever."""
    pattern = r"[\s\S]*?".join(re.escape(line).replace("…", ".*") for line in lines)
    return re.search(pattern, output) is not None


@pytest.mark.e2e
def test_the_tutorial_can_be_followed(tmp_path: Path) -> None:
    shell = Newcomer(tmp_path)
    (setup,) = [commands(block) for block in blocks("console") if block.page == PAGE and "pip install" in block.code]
    for command in setup[1:]:  # the package is installed already
        assert shell.types(command).returncode == 0
    for reference, _ in [*marked("from"), *marked("from", "yaml")]:
        if "first_secured_dag" in reference:
            (tmp_path / "airflow" / "dags" / Path(reference).name).write_text(source_of(reference))
    followed = list(told())
    assert len(followed) == 8
    for command, lines in followed:
        done = shell.types(command)
        output = done.stdout + done.stderr
        assert (done.returncode != 0) == any(line.startswith(SAYS_NO) for line in lines), output[-3000:]
        assert prints(output, lines), f"{command} printed\n{output[-3000:]}"
