"""The files must be exactly the signed files: what ``model_signing`` lets through, too."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import ArtifactNotFoundError, ArtifactRefusedError
from airflow_mlsecops.core.manifest import FileEntry, Manifest
from airflow_mlsecops.core.oms import Method, sign_oms
from airflow_mlsecops.core.oms.errors import OmsFilesError, OmsNamesError
from airflow_mlsecops.core.pinning import pin
from tests.support.oms_models import FILES, sign_statement, signed, signer, statement, verify, write_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "digits")


def test_a_signed_model_verifies(model: Path) -> None:
    bundle = signed(model)

    found = verify(bundle, model)

    assert (found.name, found.method, found.signer) == ("digits", Method.KEY, signer().public_key.hint)
    assert [entry.name for entry in found.manifest.entries] == sorted(FILES)
    assert (found.ignored, found.log_entries) == ((), 0)


def test_wherever_it_lies_and_whatever_its_folder_is_called(model: Path) -> None:
    bundle = signed(model)

    model.rename(model.with_name("elsewhere"))

    assert verify(bundle, model.with_name("elsewhere")).name == "digits"


def test_a_pin_or_a_manifest_will_do(model: Path) -> None:
    bundle, pinned = signed(model), pin(str(model), kind=Kind.MODEL)

    assert verify(bundle, pinned) == verify(bundle, pinned.manifest) == verify(bundle, model)  # type: ignore[arg-type]


def test_the_signature_itself_may_lie_in_the_folder(model: Path) -> None:
    bundle = signed(model)
    (model / "model.sig").write_bytes(bundle)

    assert verify(bundle, model).ignored == ()
    again = signed(model)  # the file that lies there is left out when it is signed again, and is then another's
    assert verify(again, model, ignore=["model.sig"]).ignored == ("model.sig",)


@pytest.mark.parametrize("name", ["model.sig", "sub/model.sig", "other.sig"])
def test_any_other_file_that_looks_like_it_is_unsigned(model: Path, name: str) -> None:
    bundle = signed(model)
    write_model(model, {name: bundle + (b" " if name == "model.sig" else b"")})

    with pytest.raises(OmsFilesError) as caught:
        verify(bundle, model)
    assert caught.value.unsigned == (name,)


def _rename(model: Path) -> None:
    (model / "config.json").rename(model / "config2.json")


def _swap(model: Path) -> None:
    (model / "config.json").rename(model / "kept")
    (model / "weights-1.bin").rename(model / "config.json")
    (model / "kept").rename(model / "weights-1.bin")


def _move(model: Path) -> None:
    (model / "config.json").rename(model / "weights" / "config.json")


def _case(model: Path) -> None:
    (model / "config.json").rename(model / "Config.json")


def _flip(model: Path) -> None:
    data = bytearray((model / "weights-1.bin").read_bytes())
    data[1234] ^= 1
    (model / "weights-1.bin").write_bytes(data)


def _append(model: Path) -> None:
    with (model / "weights.txt").open("ab") as stream:
        stream.write(b"\0")


CHANGES: dict[str, tuple[Callable[[Path], object], dict[str, tuple[str, ...]]]] = {
    "renamed": (_rename, {"missing": ("config.json",), "unsigned": ("config2.json",)}),
    "moved": (_move, {"missing": ("config.json",), "unsigned": ("weights/config.json",)}),
    "in-another-case": (_case, {"missing": ("config.json",), "unsigned": ("Config.json",)}),
    "swapped": (_swap, {"changed": ("config.json", "weights-1.bin")}),
    "one-bit": (_flip, {"changed": ("weights-1.bin",)}),
    "empty-file-filled": (_append, {"changed": ("weights.txt",)}),
    "missing": (lambda model: (model / "config.json").unlink(), {"missing": ("config.json",)}),
    "missing-empty": (lambda model: (model / "weights.txt").unlink(), {"missing": ("weights.txt",)}),
    "extra": (lambda model: write_model(model, {"a.py": b"x"}), {"unsigned": ("a.py",)}),
    "extra-empty": (lambda model: write_model(model, {"a.py": b""}), {"unsigned": ("a.py",)}),
    "extra-hidden": (lambda model: write_model(model, {".a": b"x"}), {"unsigned": (".a",)}),
    "extra-copy": (lambda model: write_model(model, {"c": FILES["config.json"]}), {"unsigned": ("c",)}),
    "extra-git": (lambda model: write_model(model, {".git/hook": b"x"}), {"unsigned": (".git/hook",)}),
    "extra-gitignore": (lambda model: write_model(model, {".gitignore": b"x"}), {"unsigned": (".gitignore",)}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_refused_and_named(model: Path, change: str) -> None:
    bundle = signed(model)
    alter, expected = CHANGES[change]

    alter(model)

    with pytest.raises(OmsFilesError) as caught:
        verify(bundle, model)
    found = {kind: getattr(caught.value, kind) for kind in ("missing", "changed", "unsigned")}
    assert found == {"missing": (), "changed": (), "unsigned": (), **expected}
    for names in expected.values():
        assert all(repr(name) in str(caught.value) for name in names)
    assert ("renamed" in caught.value.advice) == (change in ("renamed", "moved", "in-another-case"))


def test_what_was_found_survives_pickling(model: Path) -> None:
    bundle = signed(model)
    _rename(model)

    with pytest.raises(OmsFilesError) as caught:
        verify(bundle, model)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.missing, copy.unsigned, str(copy)) == (("config.json",), ("config2.json",), str(caught.value))


def _to_link(model: Path) -> None:
    (model / "config.json").rename(model.parent / "config.json")
    (model / "config.json").symlink_to(model.parent / "config.json")


@pytest.mark.parametrize(
    "alter",
    [
        _to_link,
        lambda model: (model / "link").symlink_to(model / "config.json"),
        lambda model: (model / "link").symlink_to("/", target_is_directory=True),
        lambda model: (model / "link").symlink_to(model / "nowhere"),
        lambda model: os.mkfifo(model / "pipe"),
    ],
    ids=["signed-file-becomes-a-link", "extra-link", "link-to-a-folder", "dangling-link", "pipe"],
)
@pytest.mark.parametrize("ignore", [(), ("link", "pipe")])
def test_links_and_devices_are_refused_also_where_they_would_be_ignored(
    model: Path, alter: Callable[[Path], object], ignore: tuple[str, ...]
) -> None:
    bundle = signed(model)

    alter(model)

    with pytest.raises(ArtifactRefusedError):
        verify(bundle, model, ignore=ignore)


def test_a_link_to_the_folder_is_refused(model: Path) -> None:
    bundle = signed(model)
    model.with_name("alias").symlink_to(model)

    with pytest.raises(ArtifactRefusedError):
        verify(bundle, model.with_name("alias"))


def test_no_folder_at_all(model: Path) -> None:
    with pytest.raises(ArtifactNotFoundError):
        verify(signed(model), model / "nothing")


# --- ignoring ---------------------------------------------------------------------------------------------------------


def test_unsigned_files_are_ignored_only_where_that_is_asked(model: Path) -> None:
    bundle = signed(model)
    write_model(model, {"logs/a": b"", "logs/b/c": b"", "README": b""})

    found = verify(bundle, model, ignore=["logs", "README"])

    assert set(found.ignored) == {"logs/a", "logs/b/c", "README"}
    for ignore in (["logs"], ["README"], ["log", "README"], ["logs/a", "README"], []):
        with pytest.raises(OmsFilesError):
            verify(bundle, model, ignore=ignore)


def test_what_the_signer_ignored_excuses_nothing(model: Path) -> None:
    write_model(model, {"cache/x": b"1"})
    bundle = sign_oms(pin(str(model)), signer(), ignore_paths=["cache"])

    with pytest.raises(OmsFilesError) as caught:
        verify(bundle, model)
    assert caught.value.unsigned == ("cache/x",)
    assert verify(bundle, model, ignore=["cache"]).ignored == ("cache/x",)


def test_signed_files_are_never_ignored(model: Path) -> None:
    bundle = signed(model)
    (model / "config.json").write_bytes(b"{}")

    with pytest.raises(OmsFilesError) as caught:
        verify(bundle, model, ignore=["config.json"])
    assert caught.value.changed == ("config.json",)


@pytest.mark.parametrize("path", ["..", ".", "/", "*/..", "", "a//b"])
def test_an_unsafe_path_to_ignore_is_refused(model: Path, path: str) -> None:
    with pytest.raises(ArtifactRefusedError):
        verify(signed(model), model, ignore=[path])


def test_traversal_is_refused_also_when_unsigned_files_are_ignored(model: Path) -> None:
    (model.parent / "secret").write_bytes(b"s")
    bundle = sign_statement(statement(sorted({**FILES, "../secret": b"s"}.items())))

    with pytest.raises(OmsNamesError):
        verify(bundle, model, ignore=list(FILES))


def test_names_are_compared_after_unicode_normalisation(tmp_path: Path) -> None:
    model = write_model(tmp_path / "m", {"e\u0301": b"1"})

    assert verify(sign_statement(statement([("e\u0301", b"1")])), model)
    assert verify(sign_statement(statement([("\u00e9", b"1")])), model)


# --- single files -----------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_model(tmp_path / "one", {"model.pkl": b"weights"}) / "model.pkl"


def test_a_single_file(file: Path) -> None:
    found = verify(signed(file), file)

    assert (found.name, [entry.name for entry in found.manifest.entries]) == ("model.pkl", ["model.pkl"])


def test_a_single_file_is_signed_with_its_file_name_whatever_the_artifact_is_called(file: Path) -> None:
    pinned = pin(str(file), name="digits-model", kind=Kind.MODEL)

    bundle = sign_oms(pinned, signer(), name="something else")

    assert verify(bundle, pinned).name == "model.pkl"  # type: ignore[arg-type]


def test_a_changed_single_file(file: Path) -> None:
    bundle = signed(file)
    file.write_bytes(b"Weights")

    with pytest.raises(OmsFilesError) as caught:
        verify(bundle, file)
    assert caught.value.changed == ("model.pkl",)
    with pytest.raises(OmsFilesError):
        verify(bundle, file, name="model.pkl")


def test_a_renamed_single_file_needs_its_name(file: Path) -> None:
    bundle = signed(file)
    renamed = file.rename(file.with_name("other.pkl"))

    with pytest.raises(OmsFilesError, match="not about 'other"):
        verify(bundle, renamed)
    assert verify(bundle, renamed, name="model.pkl").name == "model.pkl"
    renamed.write_bytes(b"else")
    with pytest.raises(OmsFilesError):
        verify(bundle, renamed, name="model.pkl")


def test_a_files_signature_is_not_a_folders_nor_the_other_way_round(file: Path) -> None:
    of_file, of_folder = signed(file), signed(file.parent)

    with pytest.raises(OmsFilesError, match="folder"):
        verify(of_file, file.parent)
    assert verify(of_folder, file.parent)


def test_a_manifest_of_two_files_is_no_single_file(file: Path) -> None:
    entries = [FileEntry(name, 7, sha256_bytes(b"weights")) for name in ("model.pkl", "other")]

    assert verify(signed(file), Manifest.of(entries[:1]))  # type: ignore[arg-type]
    with pytest.raises(OmsFilesError):
        verify(signed(file), Manifest.of(entries))  # type: ignore[arg-type]


def test_a_single_file_under_its_name_as_the_specification_has_it(file: Path) -> None:
    bundle = sign_statement(statement([("model.pkl", b"weights")]))

    assert verify(bundle, file)
    with pytest.raises(OmsFilesError):
        verify(bundle, file.rename(file.with_name("other.pkl")))


def test_the_expected_name_of_a_folder(model: Path) -> None:
    bundle = signed(model)

    assert verify(bundle, model, name="digits")
    with pytest.raises(OmsFilesError, match="another model"):
        verify(bundle, model, name="letters")
