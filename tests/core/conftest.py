"""Fixtures of the core's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.s3_server import s3_server
from tests.support.stores import StorePlace, local_place, s3_place

__all__ = ["s3_server"]

# No deadline: a shared machine stalls, and a slow example is no failure. No example database: runs don't depend on
# earlier ones.
settings.register_profile("core", deadline=None, database=None, max_examples=100)
settings.load_profile("core")


@pytest.fixture(
    params=["folder", pytest.param("s3", marks=pytest.mark.s3), pytest.param("s3-plain", marks=pytest.mark.s3)]
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> StorePlace:
    """An empty evidence store on a folder, on a versioned bucket and on one without versions, each in turn."""
    if request.param == "folder":
        return local_place(tmp_path / "evidence")
    server = request.getfixturevalue("s3_server")
    return s3_place(server, server.bucket if request.param == "s3" else server.plain_bucket)
