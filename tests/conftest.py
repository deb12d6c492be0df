"""Runs before any test module: gives this process an Airflow home of its own."""

from __future__ import annotations

from tests.support.airflow_env import isolate_airflow

isolate_airflow()
