"""Where a request came in, as far as addresses depend on it."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from airflow_mlsecops.plugin.links import Links


@dataclass(frozen=True)
class Place:
    """The addresses around one request.

    Attributes:
        links: makes them.
        path: the path that was asked for, as the browser knows it.
    """

    links: Links
    path: str

    @classmethod
    def of(cls, request: Request) -> Place:
        """Read off a request. Only paths: the host that a client names is never repeated to it."""
        links = Links.under(request.base_url.path, request.app.state.prefix)
        return cls(links, request.url.path)
