"""Who is who between the trust policy's people and an auth manager's users."""

from __future__ import annotations

import pytest
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.trust_people import Person
from airflow_mlsecops.hooks.accounts import Accounts, auth_manager

UUID = "5a3f1c0e-8f0e-4b8e-9d43-0f6c1b1f2a77"
PEOPLE = (Person("alice", accounts={"fab": "3", "keycloak": UUID}), Person("bob"))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager", "simple"),
        ("airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager", "fab"),
        ("airflow.providers.keycloak.auth_manager.keycloak_auth_manager.KeycloakAuthManager", "keycloak"),
        ("acme.LdapAuthManager", "LdapAuthManager"),
    ],
)
def test_the_configuration_says_which_auth_manager_it_is(path: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__AUTH_MANAGER", path)
    assert auth_manager() == kind


def test_the_simple_auth_manager_lets_in_whom_we_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against Airflow's own: the id that is assigned is the id that it compares."""
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "False")
    accounts = Accounts(PEOPLE, auth_manager())
    manager = SimpleAuthManager()  # type: ignore[no-untyped-call]
    assigned = {accounts.user(person)["id"] for person in ("alice", "bob")}
    for name, allowed in (("alice", True), ("bob", True), ("mallory", False)):
        somebody = SimpleAuthManagerUser(username=name, role="user")
        assert manager.is_authorized_hitl_task(assigned_users=assigned, user=somebody) is allowed
        assert accounts.person(somebody.get_id()) == name


@pytest.mark.parametrize(
    ("kind", "account"), [("fab", "3"), ("keycloak", UUID), ("simple", "alice"), ("Ldap", "alice")]
)
def test_a_person_and_an_account_lead_to_each_other(kind: str, account: str) -> None:
    accounts = Accounts(PEOPLE, kind)
    assert accounts.user("alice") == {"id": account, "name": "alice"}
    assert accounts.person(account) == "alice"


@pytest.mark.parametrize(("kind", "account"), [("fab", "7"), ("keycloak", UUID.replace("5", "6"))])
def test_an_account_of_nobody_stands_for_itself(kind: str, account: str) -> None:
    accounts = Accounts(PEOPLE, kind)
    assert accounts.user(account)["id"] == accounts.person(account) == account


@pytest.mark.parametrize(("kind", "name"), [("fab", "bob"), ("fab", "٣"), ("keycloak", "bob"), ("simple", " ")])
def test_an_id_that_no_user_can_have_is_refused(kind: str, name: str) -> None:
    with pytest.raises(ConfigurationError, match="is no user of the auth manager"):
        Accounts(PEOPLE, kind).user(name)
