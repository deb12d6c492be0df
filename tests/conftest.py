"""Runs before any test module: an Airflow home of its own, Ctrl-C with its usual meaning, and steady property tests."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

from tests.support.airflow_env import isolate_airflow
from tests.support.wheel import built

__all__ = ["built"]

isolate_airflow()

# A script that starts pytest in the background has it ignore Ctrl-C, and what ignores it hands that down to every
# process it starts: the tests of how ours end on Ctrl-C would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# By default Hypothesis gives an example 200 ms and draws new ones each time, unless it knows the CI it runs in. A busy
# machine isn't a failure, and a commit that passed must pass again: `--hypothesis-profile explore` draws anew.
_UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", _UNTIMED)
settings.register_profile("steady", _UNTIMED, derandomize=True, database=None, print_blob=True)
settings.load_profile("steady")
