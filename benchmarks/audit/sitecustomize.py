"""Counts how often Airflow's triggerer lists or opens something below a folder: one byte a time in a file.

Python imports this module at its start when the folder lies on ``PYTHONPATH``; what the process forks inherits it.
"""

import os
import sys

_FOLDER = os.environ.get("WAITING_GATES_STORE", "")
_EVENTS = frozenset({"open", "os.listdir", "os.scandir"})

if _FOLDER and "triggerer" in sys.argv:
    _counter = os.open(os.environ["WAITING_GATES_READS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def _count(event: str, arguments: tuple[object, ...]) -> None:
        if event in _EVENTS and str(arguments[0]).startswith(_FOLDER):
            os.write(_counter, b".")

    sys.addaudithook(_count)
