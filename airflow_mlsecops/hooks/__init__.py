"""Hooks: they turn Airflow connections into objects of the core."""
