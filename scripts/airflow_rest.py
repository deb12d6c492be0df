"""The rim of the REST client: log-in, requests, errors, pages."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx

_POLL_SECONDS = 0.5
# How often a request is sent while the database is locked. Airflow's api-server enters each action into its log on the
# very thread that has to end other requests' transactions. On SQLite, with one writer, the two then wait for each other
# until its patience ends: the answer is 500, nothing was done, and the same request goes through.
_TRIES = 6


class AirflowApiError(RuntimeError):
    """The API refused a request or did not answer.

    Attributes:
        status: The HTTP status, 0 when there was no answer.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message, status)
        self.status = status

    def __str__(self) -> str:
        return str(self.args[0])


class RestClient:
    """Talks to one Airflow as one user. The token is fetched at the first request that needs one.

    Args:
        base_url: As in `[api] base_url`.
        username: Empty for what needs no log-in.
        password: Of that user.
        boot_seconds: How long a refused connection is tried again. Apart from that, a request is sent again only when
            Airflow couldn't write to its database, in which case it did nothing.
        timeout: Seconds to wait for an answer.
    """

    def __init__(
        self,
        base_url: str,
        username: str = "",
        password: str = "",
        *,
        boot_seconds: float = 0.0,
        timeout: float = 60.0,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.username = username
        self._password = password
        self._boot_seconds = boot_seconds
        self._token: str | None = None
        # trust_env=False: a proxy of the surroundings has no business with a server on this machine.
        self._client = httpx.Client(base_url=self.base_url, timeout=timeout, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def token(self) -> str:
        """Return the user's token, logging in when needed; `AirflowApiError` with status 401 on a wrong password."""
        if self._token is None:
            body = {"username": self.username, "password": self._password}
            self._token = str(decode(self.send("POST", "/auth/token", json=body))["access_token"])
        return self._token

    def request(self, method: str, path: str, *, json: Any = None, params: Mapping[str, Any] | None = None) -> Any:
        """Send a request to `/api/v2<path>` and return the decoded JSON (None for an empty answer).

        Raises:
            AirflowApiError: On an answer of 400 and above, with its status and detail; on none, or none in JSON.
        """
        headers = {"Authorization": f"Bearer {self.token()}", "Accept": "application/json"}
        response = self.send(method, f"/api/v2{path}", json=json, params=params, headers=headers)
        return decode(response) if response.content else None

    def send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Send a request without a token, `arguments` being those of httpx; errors as in `request`."""
        deadline, tries = time.monotonic() + self._boot_seconds, _TRIES
        while True:
            try:
                response = self._client.request(method, path, **arguments)
                tries -= 1
                if not tries or not _was_locked(response):
                    break
                time.sleep(_POLL_SECONDS)
            except httpx.ConnectError as error:
                if time.monotonic() >= deadline:
                    raise AirflowApiError(f"{method} {self.base_url}{path}: {error}") from error
                time.sleep(_POLL_SECONDS)
            except httpx.HTTPError as error:
                raise AirflowApiError(f"{method} {self.base_url}{path}: {error!r}") from error
        if response.is_error:
            raise AirflowApiError(
                f"{method} {path} as {self.username or 'nobody'}: {response.status_code} {_detail(response)}",
                response.status_code,
            )
        return response

    def pages(self, path: str, key: str, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return the rows under `key` of all pages of a listing."""
        rows: list[dict[str, Any]] = []
        while True:
            page = self.request("GET", path, params={**(params or {}), "limit": 100, "offset": len(rows)})
            rows += page[key]
            if not page[key] or len(rows) >= page["total_entries"]:
                return rows


def decode(response: httpx.Response) -> Any:
    """Return the JSON of an answer; `AirflowApiError` when it is something else, from another server, say."""
    try:
        return response.json()
    except ValueError:
        raise AirflowApiError(f"no JSON from {response.url}: {response.text[:200]!r}", response.status_code) from None


def _was_locked(response: httpx.Response) -> bool:
    if response.status_code != httpx.codes.INTERNAL_SERVER_ERROR:
        return False
    try:
        return bool(response.json()["detail"]["reason"] == "Database error")
    except (ValueError, KeyError, TypeError):
        return False


def _detail(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return response.text[:500]
