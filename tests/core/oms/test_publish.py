"""A signature at its place: created once, kept if it is the same signer's, never overwritten unasked."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.oms import (
    CertificateTrust,
    OmsExistsError,
    OmsNotFoundError,
    publish_oms,
    published_oms,
    verify_oms,
)
from airflow_mlsecops.core.oms import publish as publish_module
from airflow_mlsecops.core.oms import sign as sign_module
from airflow_mlsecops.core.oms.errors import OmsFilesError
from airflow_mlsecops.core.pinning import Access, Pin, pin, verified_copy
from tests.support.oms_models import FILES, signed, signer, stranger, verify, write_model
from tests.support.oms_pki import DURING, intermediate, leaf, root
from tests.support.s3_server import S3Server, s3_server

__all__ = ["s3_server"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "digits")


def _pin(model: Path, **how: Any) -> Pin:
    return pin(str(model), kind=Kind.MODEL, **how)


# --- what a signature in the folder changes: nothing ------------------------------------------------------------------


def test_signing_does_not_change_what_is_signed(model: Path, tmp_path: Path) -> None:
    before = _pin(model)

    done = publish_oms(before, signer())

    assert done.written
    assert done.uri == (model / "model.sig").as_uri()
    assert _pin(model) == before
    copy = tmp_path / "copy"
    copy.mkdir()
    assert sorted(p.name for p in verified_copy(before.artifact, copy).iterdir()) == sorted(
        {n.split("/")[0] for n in FILES}
    )
    assert verify((model / "model.sig").read_bytes(), model).ignored == ()


@pytest.mark.parametrize(
    "change",
    [
        lambda model: (model / "config.json").write_bytes(b"{}"),
        lambda model: (model / "extra.py").write_bytes(b"import os"),
        lambda model: (model / "config.json").unlink(),
        lambda model: (model / "model.sig").write_bytes(b"{}"),
        lambda model: (model / "model.sig").write_bytes((model / "model.sig").read_bytes()[:-1]),
        lambda model: (model / "model.sig").rename(model / "weights" / "model.sig"),
        lambda model: (model / "model.sig").rename(model / "other.sig"),
    ],
    ids=["changed-file", "extra-file", "missing-file", "no-signature", "truncated", "in-a-subfolder", "renamed"],
)
def test_a_signature_about_anything_else_is_a_file_like_others(model: Path, change: Callable[[Path], object]) -> None:
    before = _pin(model)
    publish_oms(before, signer())
    (model / "model.sig").chmod(0o644)
    change(model)

    after = _pin(model)

    assert any(entry.name.endswith(".sig") for entry in after.manifest.entries)
    assert after.artifact.digest != before.artifact.digest


def test_whose_signature_it_is_does_not_matter_for_the_digest_and_every_file_can_be_asked_for(model: Path) -> None:
    before = _pin(model)
    publish_oms(before, stranger())

    assert _pin(model) == before
    names = [entry.name for entry in _pin(model, every_file=True).manifest.entries]
    assert "model.sig" in names


def test_a_signature_of_one_file_in_a_folder_is_a_file(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m", {"model.bin": b"1"})
    bundle = publish_oms(_pin(folder / "model.bin"), signer()).bundle
    (folder / "model.bin.sig").unlink()
    (folder / "model.sig").write_bytes(bundle)

    assert len(_pin(folder).manifest.entries) == 2


# --- where it lies ----------------------------------------------------------------------------------------------------


def test_beside_a_file_it_has_the_files_name(model: Path) -> None:
    first, second = model / "weights-1.bin", model / "config.json"
    for file in (first, second):
        done = publish_oms(_pin(file), signer())
        assert done.uri == file.as_uri() + ".sig"
        assert verify(file.with_name(file.name + ".sig").read_bytes(), file)
    assert published_oms(_pin(first).artifact) != published_oms(_pin(second).artifact)


def test_names_that_a_uri_writes_otherwise(tmp_path: Path) -> None:
    model = write_model(tmp_path / "a b%20ü#", FILES)

    publish_oms(_pin(model), signer())

    assert verify((model / "model.sig").read_bytes(), model)


def test_nothing_else_is_left_in_the_folder(model: Path) -> None:
    before = {path.name for path in model.iterdir()}
    publish_oms(_pin(model), signer())
    publish_oms(_pin(model), stranger(), replace=True)

    assert {path.name for path in model.iterdir()} == before | {"model.sig"}


def test_none_is_an_error(model: Path) -> None:
    with pytest.raises(OmsNotFoundError):
        published_oms(_pin(model).artifact)


# --- create-only ------------------------------------------------------------------------------------------------------


def test_signing_again_changes_nothing(model: Path) -> None:
    first = publish_oms(_pin(model), signer())
    again = publish_oms(_pin(model), signer(), replace=True)

    assert (again.written, again.bundle) == (False, first.bundle)


@pytest.mark.parametrize(
    "there",
    [
        lambda model: publish_oms(_pin(model), stranger()).bundle,
        lambda model: b"",
        lambda model: b"{}",
        lambda model: signed(write_model(model.parent / "other", {"a": b"1"})),
        lambda model: publish_oms(_pin(model), signer(), name="another").bundle,
    ],
    ids=["stranger", "empty", "no-bundle", "other-model", "other-name"],
)
def test_another_file_is_an_error_or_replaced_if_asked(model: Path, there: Callable[[Path], bytes]) -> None:
    pinned, data = _pin(model), there(model)
    (model / "model.sig").unlink(missing_ok=True)
    (model / "model.sig").write_bytes(data)

    with pytest.raises(OmsExistsError):
        publish_oms(pinned, signer())
    assert (model / "model.sig").read_bytes() == data
    assert publish_oms(pinned, signer(), replace=True).written
    assert verify((model / "model.sig").read_bytes(), model)


def test_a_stale_signature_that_was_pinned_is_never_replaced(model: Path) -> None:
    """It is part of what was checked: without it, the folder would be another artifact."""
    publish_oms(_pin(model), signer())
    (model / "config.json").write_bytes(b"{}")
    stale = (model / "model.sig").read_bytes()

    for replace in (False, True):
        with pytest.raises(OmsExistsError, match="part of the model"):
            publish_oms(_pin(model), signer(), replace=replace)
    assert (model / "model.sig").read_bytes() == stale


def test_a_link_is_never_followed(model: Path, tmp_path: Path) -> None:
    pinned = _pin(model)
    (tmp_path / "target").write_bytes(b"")
    (model / "model.sig").symlink_to(tmp_path / "target")

    with pytest.raises(OmsExistsError, match="link"):
        publish_oms(pinned, signer(), replace=True)
    assert (tmp_path / "target").read_bytes() == b""


def test_whoever_is_quicker_is_looked_at_again(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = _pin(model)
    rival = signed(model)
    real = sign_module.sign_oms

    def slow(*args: Any, **kwargs: Any) -> bytes:
        if not (model / "model.sig").exists():
            (model / "model.sig").write_bytes(rival)
        return real(*args, **kwargs)

    monkeypatch.setattr(publish_module, "sign_oms", slow)
    assert publish_oms(pinned, signer()).bundle == rival  # the same signer's: kept
    (model / "model.sig").unlink()
    with pytest.raises(OmsExistsError):
        publish_oms(pinned, stranger())


def test_a_replacement_that_somebody_changed_meanwhile_is_not_overwritten(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned, place = _pin(model), model / "model.sig"
    place.write_bytes(b"0")
    real, seen = sign_module.sign_oms, list[bytes]()

    def slow(*args: Any, **kwargs: Any) -> bytes:
        seen.append(place.read_bytes())
        place.write_bytes(b"%d" % len(seen))
        return real(*args, **kwargs)

    monkeypatch.setattr(publish_module, "sign_oms", slow)
    with pytest.raises(OmsExistsError, match="others"):
        publish_oms(pinned, signer(), replace=True)
    assert seen == [b"0", b"1", b"2"]
    assert place.read_bytes() == b"3"


def test_with_a_certificate(model: Path) -> None:
    chain = [leaf().certificate, intermediate().certificate]
    first = publish_oms(_pin(model), leaf().signer, certificates=chain)

    assert verify_oms(first.bundle, model, trust=CertificateTrust((root().certificate,)), at=DURING)
    assert not publish_oms(_pin(model), leaf().signer, certificates=chain).written
    with pytest.raises(OmsExistsError):  # by the bare key it would be another signature
        publish_oms(_pin(model), leaf().signer)


def test_a_damaged_signature_of_the_same_signer_is_no_signature(model: Path) -> None:
    done, place = publish_oms(_pin(model), signer()), model / "model.sig"
    place.chmod(0o644)
    head, tail = done.bundle.split(b'"sig":"', 1)
    place.write_bytes(head + b'"sig":"' + (b"A" if tail[8:9] != b"A" else b"B").join([tail[:8], tail[9:]]))

    with pytest.raises(OmsExistsError):
        publish_oms(_pin(model), signer())


# --- on a bucket ------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["plain", "versioned"])
def place(request: pytest.FixtureRequest, s3_server: S3Server) -> tuple[str, S3Server]:
    bucket = s3_server.bucket if request.param == "versioned" else s3_server.plain_bucket
    return f"s3://{bucket}/{s3_server.prefix()}", s3_server


def _upload(place: tuple[str, S3Server], name: str, data: bytes) -> None:
    bucket, _, prefix = place[0].removeprefix("s3://").partition("/")
    place[1].client().put_object(Bucket=bucket, Key=prefix + name, Body=data)


@pytest.mark.s3
def test_in_a_prefix(place: tuple[str, S3Server]) -> None:
    uri, access = place[0] + "digits/", place[1].access()
    for name, data in FILES.items():
        _upload(place, f"digits/{name}", data)
    before = pin(uri, kind=Kind.MODEL, access=access)

    first = publish_oms(before, signer(), access=access)

    assert first.uri == uri + "model.sig"
    assert pin(uri, kind=Kind.MODEL, access=access).artifact == before.artifact
    assert published_oms(before.artifact, access) == first.bundle
    assert not publish_oms(before, signer(), access=access).written
    with pytest.raises(OmsExistsError):
        publish_oms(before, stranger(), access=access)
    assert publish_oms(before, stranger(), access=access, replace=True).written
    every = pin(uri, kind=Kind.MODEL, access=access, every_file=True)
    bundle = published_oms(before.artifact, access)
    assert verify_oms(bundle, every, trust=stranger().public_key, at=DURING)
    _upload(place, "digits/extra.py", b"import os")
    with pytest.raises(OmsFilesError):
        again = pin(uri, kind=Kind.MODEL, access=access, every_file=True)
        verify_oms(bundle, again, trust=stranger().public_key, at=DURING)


@pytest.mark.s3
def test_beside_an_object(place: tuple[str, S3Server]) -> None:
    access: Access = place[1].access()
    _upload(place, "one.bin", b"1")
    uri = place[0] + "one.bin"

    done = publish_oms(pin(uri, kind=Kind.MODEL, access=access), signer(), access=access)

    assert done.uri == uri + ".sig"
    assert verify_oms(done.bundle, pin(uri, access=access), trust=signer().public_key, at=DURING)


def test_the_file_is_readable_and_whole(model: Path) -> None:
    done = publish_oms(_pin(model), signer())
    assert (model / "model.sig").read_bytes() == done.bundle
    assert os.access(model / "model.sig", os.R_OK)
