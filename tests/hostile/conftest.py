"""What some kinds of cases need running; started when the first of them asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.loopback_sigstore import LoopbackSigstore


@pytest.fixture(scope="session")
def sigstore(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackSigstore]:
    """A Sigstore instance of these tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        patch.setenv("no_proxy", "127.0.0.1")
        with LoopbackSigstore(tmp_path_factory.mktemp("sigstore")) as instance:
            yield instance
