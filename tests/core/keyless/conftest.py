from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import keyless
from tests.support.loopback_sigstore import LoopbackSigstore

KINDS = {"v1": (1, True), "v1-promise-only": (1, False), "v2": (2, True)}


@pytest.fixture(scope="session", autouse=True)
def no_proxy() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        patch.setenv("no_proxy", "127.0.0.1")
        yield


@pytest.fixture(scope="session")
def sigstore(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackSigstore]:
    """The instance that everybody trusts. Tests that spoil a service use :func:`rogue`."""
    with LoopbackSigstore(tmp_path_factory.mktemp("sigstore")) as instance:
        yield instance


@pytest.fixture
def rogue(tmp_path: Path) -> Iterator[LoopbackSigstore]:
    """An instance of its own, to be spoilt."""
    with LoopbackSigstore(tmp_path / "rogue") as instance:
        yield instance


@pytest.fixture(scope="session")
def cases(sigstore: LoopbackSigstore) -> dict[str, keyless.Case]:
    made = {}
    for name, (version, with_tsa) in KINDS.items():
        signer = keyless.signer(sigstore, version, with_tsa)
        # Neighbours in the log, so that the proofs have something to prove.
        signed = signer.sign_all([keyless.statement("before"), keyless.statement(), keyless.statement("after")])[1]
        made[name] = keyless.Case(signed, sigstore.trusted_root(), keyless.worker(sigstore))
    return made


@pytest.fixture(params=list(KINDS))
def case(request: pytest.FixtureRequest, cases: dict[str, keyless.Case]) -> keyless.Case:
    """A good signature of each kind."""
    return cases[request.param]
