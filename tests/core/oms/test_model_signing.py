"""Interoperability with ``model_signing``, in both directions; and what it lets through, but we don't."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.core.bundle import pre_authentication_encoding
from airflow_mlsecops.core.errors import ArtifactRefusedError, MlsecopsError
from airflow_mlsecops.core.oms import CertificateTrust, OmsVerification, sign_oms, verify_oms
from airflow_mlsecops.core.oms.bundle import build_bundle
from airflow_mlsecops.core.oms.certificates import der
from airflow_mlsecops.core.oms.errors import (
    OmsCertificateTimeError,
    OmsFilesError,
    OmsFormatError,
    OmsLogEntryError,
    OmsNamesError,
    OmsSignatureError,
)
from airflow_mlsecops.core.pinning import pin
from tests.support.model_signing_tool import VERSION, Keys, need_model_signing
from tests.support.oms_logs import key_entry
from tests.support.oms_models import FILES, edited, statement, statement_of, write_model
from tests.support.oms_pki import DURING, START, Identity, intermediate, issue, leaf, root

METHODS, CURVES = ["key", "certificate"], ["secp256r1", "secp384r1"]


@pytest.fixture(autouse=True)
def tool() -> Iterator[None]:
    need_model_signing()
    from importlib.metadata import version

    assert version("model-signing") == VERSION, "look again at what this release lets through"
    yield


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "digits")


def _keys(folder: Path, curve: str = "secp256r1") -> Keys:
    place = folder / "keys"
    place.mkdir()
    return Keys(place, leaf(curve), intermediate(), root())


def _sign(model: Path, method: str, identity: Identity) -> bytes:
    chain = [identity.certificate, intermediate().certificate] if method == "certificate" else []
    return sign_oms(pin(str(model)), identity.signer, certificates=chain)


def _verify(bundle: bytes, model: Path, method: str, identity: Identity, **how: Any) -> OmsVerification:
    trust: Any = identity.signer.public_key if method == "key" else CertificateTrust((root().certificate,))
    return verify_oms(bundle, model, **{"trust": trust, "at": DURING, **how})


# --- both directions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("single", [False, True], ids=["folder", "file"])
def test_it_verifies_ours(tmp_path: Path, model: Path, method: str, curve: str, single: bool) -> None:
    keys, place = _keys(tmp_path, curve), model / "weights-1.bin" if single else model
    signature = tmp_path / "model.sig"
    signature.write_bytes(_sign(place, method, leaf(curve)))

    assert keys.verify(method, place, signature)
    (model / "weights-1.bin").write_bytes(b"other")
    assert not keys.verify(method, place, signature)


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("single", [False, True], ids=["folder", "file"])
def test_we_verify_its(tmp_path: Path, model: Path, method: str, curve: str, single: bool) -> None:
    keys, place = _keys(tmp_path, curve), model / "weights-1.bin" if single else model
    keys.sign(method, place, tmp_path / "model.sig")
    bundle = (tmp_path / "model.sig").read_bytes()

    found = _verify(bundle, place, method, leaf(curve))

    assert (found.name, found.method.value) == (place.name, method)
    (model / "weights-1.bin").write_bytes(b"other")
    with pytest.raises(OmsFilesError):
        _verify(bundle, place, method, leaf(curve))


def test_a_signature_in_the_folder_and_git_files(tmp_path: Path, model: Path) -> None:
    write_model(model, {".gitattributes": b"*.bin filter=lfs", ".git/config": b""})
    keys = _keys(tmp_path)
    (model / "model.sig").write_bytes(_sign(model, "key", leaf()))

    assert keys.verify("key", model, model / "model.sig")
    theirs = tmp_path / "theirs.sig"
    keys.sign("key", model, theirs, "--ignore-paths", model / "model.sig")
    ignore = [".git", ".gitattributes"]
    assert _verify((model / "model.sig").read_bytes(), model, "key", leaf(), ignore=ignore)
    assert _verify(theirs.read_bytes(), model, "key", leaf(), ignore=[*ignore, "model.sig"])
    with pytest.raises(OmsFilesError):
        _verify(theirs.read_bytes(), model, "key", leaf())


def test_both_say_the_same_about_the_same_files(tmp_path: Path) -> None:
    """Where names sort alike by text and by parts, all but the ignored paths is the same, also the root digest."""
    model = write_model(tmp_path / "m", {"config.json": b"{}", "a/b.bin": b"1", "a/c/d": b"", "z": b"2"})
    keys = _keys(tmp_path)
    keys.sign("key", model, tmp_path / "theirs.sig")

    ours, theirs = statement_of(_sign(model, "key", leaf())), statement_of((tmp_path / "theirs.sig").read_bytes())

    ignored = [set(item["predicate"]["serialization"].pop("ignore_paths")) for item in (ours, theirs)]
    assert ignored[0] - ignored[1] == {"model.sig"}
    assert not ignored[1] - ignored[0]
    assert ours == theirs


def test_its_library_reads_an_odd_name_as_we_wrote_it(tmp_path: Path) -> None:
    model = write_model(tmp_path / "m", {'a "quoted" name': b"1", "emoji 😀": b"2", "a:b": b"3", "ʼ\u200b": b"4"})
    (tmp_path / "s").write_bytes(_sign(model, "key", leaf()))

    assert _keys(tmp_path).verify("key", model, tmp_path / "s")


# --- what it lets through ---------------------------------------------------------------------------------------------


class Attack:
    """One attack: what is changed, what their command is told, and how we refuse."""

    def __init__(
        self,
        make: Callable[[Path, Keys], bytes],
        refusal: type[MlsecopsError],
        *options: str,
        method: str = "key",
        ignore: tuple[str, ...] = (),
    ) -> None:
        self.make, self.refusal, self.options = make, refusal, options
        self.method, self.ignore = method, ignore


def _signed(
    model: Path, value: dict[str, Any], encode: Callable[[bytes], bytes] = pre_authentication_encoding
) -> bytes:
    payload = json.dumps(value).encode()
    return build_bundle(payload, leaf().signer._sign(encode(payload)), key_hint=leaf().signer.public_key.hint)


def _traversal(model: Path, keys: Keys) -> bytes:
    (model.parent / "secret").write_bytes(b"s")
    return _signed(model, statement(sorted({**FILES, "../secret": b"s"}.items())))


def _unsorted(model: Path, keys: Keys) -> bytes:
    return _signed(model, statement(sorted(FILES.items(), reverse=True)))


def _twice(model: Path, keys: Keys) -> bytes:
    return _signed(model, statement(sorted([*FILES.items(), ("config.json", FILES["config.json"])])))


def _second_signature(model: Path, keys: Keys) -> bytes:
    bundle = _sign(model, "key", leaf())
    return edited(bundle, lambda value: value["dsseEnvelope"]["signatures"].append({"sig": "AAAA", "keyid": ""}))


def _extra_unsigned(model: Path, keys: Keys) -> bytes:
    bundle = _sign(model, "key", leaf())
    write_model(model, {"modeling_custom.py": b"import os"})
    return bundle


def _extra_in_git(model: Path, keys: Keys) -> bytes:
    bundle = _sign(model, "key", leaf())
    write_model(model, {".git/hooks/post-checkout": b"#!/bin/sh"})
    return bundle


def _signer_says_ignore(model: Path, keys: Keys) -> bytes:
    bundle = _signed(model, statement(sorted(FILES.items()), ignore_paths=["plugins"]))
    write_model(model, {"plugins/x.py": b"import os"})
    return bundle


def _renamed_file(model: Path, keys: Keys) -> bytes:
    bundle = _sign(model / "config.json", "key", leaf())
    (model / "config.json").rename(model / "generation.json")
    return bundle


def _linked(model: Path, keys: Keys) -> bytes:
    bundle = _sign(model, "key", leaf())
    (model / "config.json").rename(model.parent / "config.json")
    (model / "config.json").symlink_to(model.parent / "config.json")
    return bundle


def _unrelated_entry(model: Path, keys: Keys) -> bytes:
    bundle = _sign(model, "key", leaf())
    other = _signed(model, statement([("other", b"model")]))
    entry = key_entry(other, "dsse", "0.0.1", leaf().signer.public_key.pem)
    return edited(bundle, lambda value: value["verificationMaterial"].update(tlogEntries=[entry]))


def _old_encoding(model: Path, keys: Keys) -> bytes:
    kind = "application/vnd.in-toto+json"
    value = statement(sorted(FILES.items()))
    return _signed(model, value, lambda data: f"DSSEV1 {len(kind)} {kind} {len(data)} {data!r}".encode())


def _old_predicate(model: Path, keys: Keys) -> bytes:
    value = statement(sorted(FILES.items()))
    subjects = [{"name": i["name"], "digest": {"sha256": i["digest"]}} for i in value["predicate"]["resources"]]
    value |= {"predicateType": "https://model_signing/Digests/v0.1", "subject": subjects, "predicate": {}}
    return _signed(model, value)


def _expired(model: Path, keys: Keys) -> bytes:
    short = issue("Short", root(), end=START + timedelta(days=1))
    bundle = _signed(model, statement(sorted(FILES.items())))
    signature = short.signer._sign(pre_authentication_encoding(_payload(bundle)))
    return build_bundle(_payload(bundle), signature, certificates=[der(short.certificate)])


def _for_servers(model: Path, keys: Keys) -> bytes:
    from cryptography.x509.oid import ExtendedKeyUsageOID

    server = issue("Server", root(), purposes=[ExtendedKeyUsageOID.SERVER_AUTH])
    bundle = _signed(model, statement(sorted(FILES.items())))
    signature = server.signer._sign(pre_authentication_encoding(_payload(bundle)))
    return build_bundle(_payload(bundle), signature, certificates=[der(server.certificate)])


def _payload(bundle: bytes) -> bytes:
    from airflow_mlsecops.core.oms import OmsBundle

    return OmsBundle.parse(bundle).payload


LET_THROUGH = {
    "traversal": Attack(_traversal, OmsNamesError, "--ignore_unsigned_files", ignore=("x",)),
    "unsorted": Attack(_unsorted, OmsNamesError),
    "name-twice": Attack(_twice, OmsNamesError),
    "second-signature": Attack(_second_signature, OmsFormatError),
    "unsigned-file": Attack(_extra_unsigned, OmsFilesError, "--ignore_unsigned_files"),
    "unsigned-in-git": Attack(_extra_in_git, OmsFilesError),
    "signer-says-ignore": Attack(_signer_says_ignore, OmsFilesError),
    "links": Attack(_linked, ArtifactRefusedError, "--allow_symlinks"),
    "unrelated-log-entry": Attack(_unrelated_entry, OmsLogEntryError),
    "encoding-of-v0.2": Attack(_old_encoding, OmsSignatureError),
    "predicate-of-v0.2": Attack(_old_predicate, OmsFormatError),
    "expired-certificate": Attack(_expired, OmsCertificateTimeError, method="certificate"),
    "server-certificate": Attack(_for_servers, MlsecopsError, method="certificate"),
}


@pytest.mark.parametrize("attack", LET_THROUGH)
def test_what_it_lets_through_is_refused_here(tmp_path: Path, model: Path, attack: str) -> None:
    keys, case, signature = _keys(tmp_path), LET_THROUGH[attack], tmp_path / "attack.sig"
    bundle = case.make(model, keys)
    signature.write_bytes(bundle)

    assert keys.verify(case.method, model, signature, *case.options), "it refuses that by now"
    with pytest.raises(case.refusal):
        _verify(bundle, model, case.method, leaf(), ignore=case.ignore)


def test_a_renamed_single_file_which_it_lets_through_is_refused_here(tmp_path: Path, model: Path) -> None:
    keys, signature = _keys(tmp_path), tmp_path / "attack.sig"
    signature.write_bytes(_renamed_file(model, keys))

    assert keys.verify("key", model / "generation.json", signature)
    with pytest.raises(OmsFilesError, match="renamed"):
        _verify(signature.read_bytes(), model / "generation.json", "key", leaf())


def test_the_same_root_digest_under_other_names(tmp_path: Path) -> None:
    """The format's root digest binds no names; ours does, and names are compared beside it."""
    before = write_model(tmp_path / "a", {"a": b"1", "b": b"2"})
    after = write_model(tmp_path / "b", {"c": b"1", "d": b"2"})
    bundle, other = (_sign(model, "key", leaf()) for model in (before, after))

    assert statement_of(bundle)["subject"][0]["digest"] == statement_of(other)["subject"][0]["digest"]
    assert pin(str(before)).artifact.digest != pin(str(after)).artifact.digest
    with pytest.raises(OmsFilesError, match="renamed"):
        _verify(bundle, after, "key", leaf())


def test_shards_and_other_hashes_are_refused_not_misread(tmp_path: Path, model: Path) -> None:
    from model_signing import hashing, signing

    to_hash: Any = hashing.Config
    to_sign: Any = signing.Config
    keys = _keys(tmp_path)
    for number, how in enumerate(
        [to_hash().use_shard_serialization(), to_hash().use_file_serialization(hashing_algorithm="blake3")]
    ):
        place = tmp_path / f"{number}.sig"
        to_sign().use_elliptic_key_signer(private_key=keys.private).set_hashing_config(how).sign(model, place)
        with pytest.raises(OmsFormatError, match=r"serialization|hash type"):
            _verify(place.read_bytes(), model, "key", leaf())


def test_a_folder_signed_with_links_followed_is_refused(tmp_path: Path, model: Path) -> None:
    keys = _keys(tmp_path)
    (model / "link.json").symlink_to(model / "config.json")
    keys.sign("key", model, tmp_path / "model.sig", "--allow_symlinks")
    (model / "link.json").unlink()
    (model / "link.json").write_bytes(FILES["config.json"])

    with pytest.raises(OmsFormatError, match="allow_symlinks"):
        _verify((tmp_path / "model.sig").read_bytes(), model, "key", leaf())
