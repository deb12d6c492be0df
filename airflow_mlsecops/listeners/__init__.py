"""Listeners: what Airflow calls when a task changes its state. They observe, and never fail a task."""
