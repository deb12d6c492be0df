"""Pinning files and folders: what is in the digest, and what is refused."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest

from airflow_mlsecops.core.artifact import Form, Kind
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import (
    ArtifactNotFoundError,
    ArtifactRefusedError,
    ArtifactUnavailableError,
    ConfigurationError,
    MlsecopsError,
)
from airflow_mlsecops.core.manifest import FileEntry, Manifest
from airflow_mlsecops.core.pinning import pin
from tests.support.privileges import open_folder, unprivileged


def _tree(root: Path) -> Path:
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "a.txt").write_bytes(b"alpha")
    (root / "sub" / "b.txt").write_bytes(b"beta")
    (root / "sub" / "deep" / "ü c.txt").write_bytes(b"")
    return root


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "my data.csv"
    path.write_bytes(b"a,b\n1,2\n")

    pinned = pin(str(path))

    assert pinned.artifact.digest == sha256_bytes(b"a,b\n1,2\n")
    assert (pinned.artifact.form, pinned.artifact.files, pinned.artifact.size) == (Form.FILE, 1, 8)
    assert pinned.artifact.uri == path.as_uri()
    assert pinned.artifact.name == "my data.csv"
    assert pinned.blobs == ()


def test_a_tree_is_the_digest_of_its_manifest(tmp_path: Path) -> None:
    root = _tree(tmp_path / "data")

    pinned = pin(str(root), name="words", kind=Kind.DATASET)

    expected = Manifest.of(
        [
            FileEntry("a.txt", 5, sha256_bytes(b"alpha")),
            FileEntry("sub/b.txt", 4, sha256_bytes(b"beta")),
            FileEntry("sub/deep/ü c.txt", 0, sha256_bytes(b"")),
        ]
    )
    assert pinned.manifest == expected
    assert pinned.artifact.digest == sha256_bytes(expected.to_bytes())
    assert (pinned.artifact.form, pinned.artifact.files, pinned.artifact.size) == (Form.TREE, 3, 9)
    assert pinned.artifact.uri == root.as_uri() + "/"
    assert pinned.blobs == (expected.to_bytes(),)


@pytest.mark.parametrize("spelling", ["{0}", "{0}/", "file://{1}", "file://localhost{1}", "file://{1}/"])
def test_every_spelling_of_a_path_gives_the_same_reference(tmp_path: Path, spelling: str) -> None:
    root = _tree(tmp_path / "dä ta")

    assert pin(spelling.format(root, quote(str(root)))) == pin(str(root))


def test_a_relative_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _tree(tmp_path / "data")
    monkeypatch.chdir(tmp_path)

    assert pin("data") == pin(str(tmp_path / "data"))


def test_the_same_files_elsewhere_have_the_same_digest(tmp_path: Path) -> None:
    one, two = pin(str(_tree(tmp_path / "one"))), pin(str(_tree(tmp_path / "two")))

    assert one.artifact.digest == two.artifact.digest
    assert one.artifact.uri != two.artifact.uri


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "a.txt").write_bytes(b"alphA"),
        lambda root: (root / "a.txt").rename(root / "b.txt"),
        lambda root: (root / "a.txt").rename(root / "sub" / "a.txt"),
        lambda root: (root / "new").write_bytes(b""),
        lambda root: (root / ".hidden").write_bytes(b""),
        lambda root: (root / "a.txt").unlink(),
        lambda root: (root / "sub").rename(root / "other"),
    ],
)
def test_any_change_of_a_tree_changes_its_digest(tmp_path: Path, change: object) -> None:
    root = _tree(tmp_path / "data")
    before = pin(str(root)).artifact.digest

    change(root)  # type: ignore[operator]

    assert pin(str(root)).artifact.digest != before


def _link_file(root: Path) -> Path:
    (root / "link").symlink_to(root / "a.txt")
    return root


def _link_folder(root: Path) -> Path:
    (root / "link").symlink_to(root / "sub", target_is_directory=True)
    return root


def _link_out(root: Path) -> Path:
    (root / "sub" / "passwd").symlink_to("/etc/passwd")
    return root


def _dangling(root: Path) -> Path:
    (root / "link").symlink_to(root / "nowhere")
    return root


def _fifo(root: Path) -> Path:
    os.mkfifo(root / "pipe")
    return root


def _socket(root: Path) -> Path:
    folder = os.open(root, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/proc/self/fd/{folder}/socket")  # a socket's path may have no more than 107 characters
    os.close(folder)
    return root


def _linked_root(root: Path) -> Path:
    (root.parent / "alias").symlink_to(root)
    return root.parent / "alias"


def _linked_file(root: Path) -> Path:
    (root.parent / "alias").symlink_to(root / "a.txt")
    return root.parent / "alias"


def _bare_fifo(root: Path) -> Path:
    os.mkfifo(root.parent / "pipe")
    return root.parent / "pipe"


def _backslash(root: Path) -> Path:
    (root / "..\\x").write_bytes(b"")
    return root


def _newline(root: Path) -> Path:
    (root / "a\nb").write_bytes(b"")
    return root


def _not_utf8(root: Path) -> Path:
    Path(os.fsdecode(os.fsencode(root) + b"/\xff\xfe")).write_bytes(b"")
    return root


def _same_after_normalisation(root: Path) -> Path:
    (root / "e\u0301").write_bytes(b"1")
    (root / "\u00e9").write_bytes(b"2")
    return root


@pytest.mark.parametrize(
    "prepare",
    [
        _link_file,
        _link_folder,
        _link_out,
        _dangling,
        _fifo,
        _socket,
        _linked_root,
        _linked_file,
        _bare_fifo,
        _backslash,
        _newline,
        _not_utf8,
        _same_after_normalisation,
    ],
)
def test_what_cannot_be_pinned_safely_is_refused(tmp_path: Path, prepare: object) -> None:
    place = prepare(_tree(tmp_path / "data"))  # type: ignore[operator]

    with pytest.raises(ArtifactRefusedError):
        pin(str(place))


def test_an_empty_tree_is_refused_and_empty_folders_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "data" / "empty" / "emptier").mkdir(parents=True)

    with pytest.raises(ArtifactRefusedError, match="no files"):
        pin(str(tmp_path / "data"))


@pytest.mark.parametrize("name", ["nothing", "nothing/below", "file.csv/below", "nul\0l"])
def test_a_missing_path_is_not_found(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.csv").write_bytes(b"")

    with pytest.raises(ArtifactNotFoundError):
        pin(str(tmp_path / name))


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "  ",
        None,
        "ftp://host/file",
        "https://host/model.pkl",
        "file://otherhost/file",
        "file:///tmp/a#b",
        "file:///tmp/a?b",
        "file://[half/open",
        "s3://",
        "s3:///key",
    ],
)
def test_a_uri_that_names_no_place_is_a_configuration_error(uri: object) -> None:
    with pytest.raises(ConfigurationError):
        pin(uri)  # type: ignore[arg-type]


def test_a_tree_deeper_than_pythons_stack_ends_in_an_error_of_ours(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(1500):
            os.mkdir("d", dir_fd=here)
            below = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    finally:
        os.close(here)

    try:
        with pytest.raises(MlsecopsError):
            pin(str(tmp_path / "d"))
    finally:
        subprocess.run(["rm", "-r", tmp_path / "d"], check=True)  # too deep for shutil.rmtree, too


@pytest.mark.parametrize("closed", ["secret.csv", "folder"])
def test_what_may_not_be_read_is_unavailable_not_left_out(closed: str) -> None:
    with open_folder() as root:
        data = root / "data"
        (data / "folder").mkdir(parents=True)
        (data / "open.csv").write_bytes(b"1")
        (data / "secret.csv").write_bytes(b"2")
        (data / "folder" / "inner.csv").write_bytes(b"3")
        assert pin(str(data)).artifact.files == 3
        (data / closed).chmod(0)

        with unprivileged(), pytest.raises(ArtifactUnavailableError):
            pin(str(data))


def test_a_folder_above_that_may_not_be_entered_is_unavailable() -> None:
    with open_folder() as root:
        (root / "above").mkdir()
        (root / "above" / "file.csv").write_bytes(b"1")
        pin(str(root / "above" / "file.csv"))
        (root / "above").chmod(0)

        with unprivileged(), pytest.raises(ArtifactUnavailableError) as caught:
            pin(str(root / "above" / "file.csv"))
    assert caught.value.transient
