"""The notifier of the attacked deployment: one line of JSON for each alarm, in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airflow.sdk import BaseNotifier


class Pager(BaseNotifier):
    """Appends what it is told to the file at ``path``."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def notify(self, context: Any) -> None:
        """One alarm."""
        told = {name: context[name] for name in ("event", "user", "run", "evidence")}
        with Path(self.path).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(told) + "\n")
