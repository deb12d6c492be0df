"""Airflow's real api-server app in this process: a metadata database of its own, the simple auth manager, our plugin.

    server = AirflowServer.build(tmp_path, users={"alice": ("viewer", "red")}, dags={"train": "red"})
    with server.active():
        answer = server.client("alice").get("/api/v2/dags")

The plugin comes by its entry point, as in any installation. Nothing of log-in and authorisation is replaced: users
get tokens by ``POST /auth/token``, and which Dag one may read follows from teams, because that is how the simple auth
manager tells Dags apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

Users = Mapping[str, tuple[str, str]]
"""name -> role and team; the team is empty for nobody's."""
Dags = Mapping[str, str]
"""Dag id -> team; empty for a Dag that is no team's."""


@dataclass(frozen=True)
class AirflowServer:
    """The app and how to log in."""

    app: FastAPI
    _environment: Mapping[str, str]
    _passwords: Mapping[str, str]
    _tokens: dict[str, str] = field(default_factory=dict)

    @classmethod
    def build(cls, home: Path, *, users: Users, dags: Dags) -> AirflowServer:
        """Make database and app, which takes a few seconds.

        Args:
            home: an empty folder for database and passwords.
            users: who can log in.
            dags: the Dags that the metadata database has.
        """
        passwords = {name: f"password of {name}" for name in users}
        (home / "passwords.json").write_text(json.dumps(passwords))
        (home / "plugins").mkdir()
        environment = _environment(home, users)
        with _settings(environment):
            _fill_database(users, dags)
            from airflow.api_fastapi.app import create_app

            return cls(create_app(apps="core"), environment, passwords)

    @contextmanager
    def active(self) -> Iterator[AirflowServer]:
        """Let this process be the server's, as far as Airflow keeps things per process; afterwards it is as before."""
        from airflow.api_fastapi.app import _AuthManagerState

        with _settings(self._environment), pytest.MonkeyPatch.context() as patch:
            patch.setattr(_AuthManagerState, "instance", self.app.state.auth_manager)
            yield self

    def token(self, user: str) -> str:
        """A token of this user, from the real log-in."""
        if user not in self._tokens:
            body = {"username": user, "password": self._passwords[user]}
            answer = TestClient(self.app).post("/auth/token", json=body)
            assert answer.status_code == 201, answer.text
            self._tokens[user] = answer.json()["access_token"]
        return self._tokens[user]

    def client(self, user: str = "", *, root_path: str = "", raising: bool = True) -> TestClient:
        """A browser-like client that follows no redirects; logged in unless ``user`` is empty.

        Args:
            user: who it is.
            root_path: where a proxy serves this Airflow.
            raising: whether what goes wrong in the server is raised here too.
        """
        headers = {"Authorization": f"Bearer {self.token(user)}"} if user else {}
        return TestClient(
            self.app,
            headers=headers,
            follow_redirects=False,
            root_path=root_path,
            raise_server_exceptions=raising,
        )


@contextmanager
def _settings(environment: Mapping[str, str]) -> Iterator[None]:
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            _apply_settings()
            yield
    finally:
        _apply_settings()


def _environment(home: Path, users: Users) -> dict[str, str]:
    entries = [":".join(part for part in (name, role, team) if part) for name, (role, team) in users.items()]
    return {
        # As airflow.api_fastapi.main does: connections come from the metadata database too.
        "_AIRFLOW_PROCESS_CONTEXT": "server",
        "AIRFLOW__API_AUTH__JWT_SECRET": "a secret that is long enough for every algorithm that signs tokens here",
        "AIRFLOW__CORE__MULTI_TEAM": "True",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(home / "plugins"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(entries),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
    }


def _apply_settings() -> None:
    """Make Airflow forget what it remembered of earlier settings, and read the present ones."""
    from airflow import plugins_manager
    from airflow import settings as typed_settings
    from airflow.api_fastapi.app import purge_cached_app
    from airflow.api_fastapi.auth.managers.base_auth_manager import BaseAuthManager

    purge_cached_app()
    methods = (getattr(item, "__func__", None) for item in vars(BaseAuthManager).values())
    for cached in (*methods, *vars(plugins_manager).values()):
        if hasattr(cached, "cache_clear"):
            cached.cache_clear()
    settings: Any = typed_settings  # without annotations of its own
    settings.configure_vars()
    settings.reconfigure_orm()


def _fill_database(users: Users, dags: Dags) -> None:
    from airflow.models import dag as dag_models
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.team import Team
    from airflow.utils.db import initdb
    from airflow.utils.session import create_session

    models: Any = dag_models  # without annotations of its own
    initdb()
    with create_session() as session:
        teams = {name: Team(name=name) for name in {*dags.values(), *(team for _, team in users.values())} if name}
        session.add_all(teams.values())
        for dag_id, team in dags.items():
            bundle = DagBundleModel(name=f"bundle of {dag_id}")
            bundle.teams = [teams[team]] if team else []
            session.add(bundle)
            session.flush()
            session.add(
                models.DagModel(dag_id=dag_id, bundle_name=bundle.name, fileloc="d.py", timetable_description="")
            )
