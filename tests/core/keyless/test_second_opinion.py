"""The same bundles before sigstore-js, which shares no code with what signed them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_mlsecops.core.signing.keyless_verify import KeylessIdentity
from tests.support import keyless, node_verifier
from tests.support.keyless import Case, Json, entry_of

DIGEST = {"v1": "payload", "v1-promise-only": "payload", "v2": "pae"}


@pytest.fixture(scope="session", autouse=True)
def node() -> None:
    try:
        node_verifier.install()
    except node_verifier.NodeUnavailableError as error:
        pytest.skip(f"NO SECOND OPINION: sigstore-js can't run here: {error}")


def opinion(
    folder: Path, bundle: Json, root: Json, who: KeylessIdentity, digest: str = "payload"
) -> node_verifier.Opinion:
    (folder / "bundle.json").write_bytes(keyless.to_bytes(bundle))
    (folder / "root.json").write_bytes(keyless.to_bytes(root))
    return node_verifier.ask(folder / "bundle.json", folder / "root.json", who, digest)


@pytest.mark.parametrize("kind", list(DIGEST))
def test_accepted(cases: dict[str, Case], kind: str, tmp_path: Path) -> None:
    case = cases[kind]
    said = opinion(tmp_path, case.bundle, case.root, case.worker, DIGEST[kind])
    assert said == node_verifier.Opinion(True, "", f"{case.worker.identity} {case.worker.issuer}")


def test_rekor_v2_envelopes_are_still_beyond_it(cases: dict[str, Case], tmp_path: Path) -> None:
    """Left as it is, it expects the digest of the payload in Rekor v2's entry, where its specification has the PAE's.

    When this fails, a newer sigstore-js has caught up, and ``pae`` can go from ``verify.mjs``.
    """
    case = cases["v2"]
    said = opinion(tmp_path, case.bundle, case.root, case.worker)
    assert (said.verified, said.code, said.message) == (False, "TLOG_BODY_ERROR", "digest mismatch")


@pytest.mark.parametrize("kind", list(DIGEST))
@pytest.mark.parametrize("part", ["identity", "issuer"])
def test_somebody_else(cases: dict[str, Case], kind: str, part: str, tmp_path: Path) -> None:
    case = cases[kind]
    other = KeylessIdentity(**{**vars(case.worker), part: "https://other.test"})
    said = opinion(tmp_path, case.bundle, case.root, other, DIGEST[kind])
    assert (said.verified, said.code) == (False, "UNTRUSTED_SIGNER_ERROR")


def spoil_payload(bundle: Json) -> None:
    envelope = bundle["dsseEnvelope"]
    envelope["payload"] = keyless.edited(envelope["payload"], keyless.flipped)


def spoil_entry(bundle: Json) -> None:
    entry = entry_of(bundle)
    entry["canonicalizedBody"] = keyless.edited(
        entry["canonicalizedBody"], lambda data: data.replace(b"0.0.", b"0.0 .")
    )


def spoil_checkpoint(bundle: Json) -> None:
    checkpoint = entry_of(bundle)["inclusionProof"]["checkpoint"]
    checkpoint["envelope"] = checkpoint["envelope"].replace("127.0.0.1", "127.0.0.9", 1)


def strip_entry(bundle: Json) -> None:
    bundle["verificationMaterial"]["tlogEntries"] = []


@pytest.mark.parametrize("kind", list(DIGEST))
@pytest.mark.parametrize("spoil", [spoil_payload, spoil_entry, spoil_checkpoint, strip_entry])
def test_spoilt(cases: dict[str, Case], kind: str, spoil: Callable[[Json], None], tmp_path: Path) -> None:
    bundle = cases[kind].bundle
    spoil(bundle)
    assert not opinion(tmp_path, bundle, cases[kind].root, cases[kind].worker, DIGEST[kind]).verified
