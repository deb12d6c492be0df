"""Runs before any test module: gives this process an Airflow home of its own, and Ctrl-C its usual meaning."""

from __future__ import annotations

import signal

from tests.support.airflow_env import isolate_airflow
from tests.support.wheel import built

__all__ = ["built"]

isolate_airflow()

# A script that starts pytest in the background has it ignore Ctrl-C, and what ignores it hands that down to every
# process it starts: the tests of how ours end on Ctrl-C would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
