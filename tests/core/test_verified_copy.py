"""The private copy that a control reads holds the pinned bytes, or there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.errors import (
    ArtifactChangedError,
    ArtifactNotFoundError,
    ArtifactRefusedError,
    ConfigurationError,
)
from airflow_mlsecops.core.pinning import pin, recheck, verified_copy


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_bytes(b"alpha")
    (root / "sub" / "e\u0301.txt").write_bytes(b"beta")
    return root


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "private"
    folder.mkdir()
    return folder


def test_a_file_is_copied_byte_by_byte(tree: Path, into: Path) -> None:
    artifact = pin(str(tree / "a.txt")).artifact

    copy = verified_copy(artifact, into)

    assert copy == into / "a.txt"
    assert copy.read_bytes() == b"alpha"


def test_a_tree_is_copied_with_normalised_names(tree: Path, into: Path) -> None:
    copy = verified_copy(pin(str(tree)).artifact, into)

    assert copy == into
    found = {path.relative_to(copy).as_posix(): path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    assert found == {"a.txt": b"alpha", "sub/\u00e9.txt": b"beta"}
    assert pin(str(copy)).artifact.digest == pin(str(tree)).artifact.digest


def test_what_is_swapped_after_the_copy_does_not_matter(tree: Path, into: Path) -> None:
    copy = verified_copy(pin(str(tree)).artifact, into)

    (tree / "a.txt").write_bytes(b"swapped")

    assert (copy / "a.txt").read_bytes() == b"alpha"


def _flip(tree: Path) -> None:
    (tree / "a.txt").write_bytes(b"alphA")


def _add(tree: Path) -> None:
    (tree / "new").write_bytes(b"")


def _remove(tree: Path) -> None:
    (tree / "a.txt").unlink()


def _rename(tree: Path) -> None:
    (tree / "a.txt").rename(tree / "b.txt")


@pytest.mark.parametrize("change", [_flip, _add, _remove, _rename])
def test_a_tree_that_changed_since_the_pin_is_refused(tree: Path, into: Path, change: object) -> None:
    artifact = pin(str(tree)).artifact
    change(tree)  # type: ignore[operator]

    with pytest.raises(ArtifactChangedError, match=f"expected sha256:{artifact.digest}"):
        verified_copy(artifact, into)
    with pytest.raises(ArtifactChangedError):
        recheck(artifact)


@pytest.mark.parametrize("content", [b"alphA", b"alph", b"alpha ", b""])
def test_a_file_that_changed_since_the_pin_is_refused(tree: Path, into: Path, content: bytes) -> None:
    artifact = pin(str(tree / "a.txt")).artifact
    recheck(artifact)
    (tree / "a.txt").write_bytes(content)

    with pytest.raises(ArtifactChangedError):
        verified_copy(artifact, into)
    with pytest.raises(ArtifactChangedError):
        recheck(artifact)


def test_a_file_that_became_a_folder_is_refused(tree: Path, into: Path) -> None:
    artifact = pin(str(tree / "a.txt")).artifact
    (tree / "a.txt").unlink()
    (tree / "a.txt").mkdir()
    (tree / "a.txt" / "a.txt").write_bytes(b"alpha")

    with pytest.raises(ArtifactChangedError):
        verified_copy(artifact, into)


def test_a_vanished_artifact_is_not_found(tree: Path, into: Path) -> None:
    artifact = pin(str(tree / "a.txt")).artifact
    (tree / "a.txt").unlink()

    with pytest.raises(ArtifactNotFoundError):
        verified_copy(artifact, into)


def test_two_names_that_became_one_are_refused(tree: Path, into: Path) -> None:
    artifact = pin(str(tree)).artifact
    (tree / "sub" / "\u00e9.txt").write_bytes(b"another spelling")

    with pytest.raises(ArtifactRefusedError, match="two files"):
        verified_copy(artifact, into)


def test_a_folder_that_holds_something_already_is_no_private_copy(tree: Path, into: Path) -> None:
    (into / "stray.pkl").write_bytes(b"not part of the artifact")

    with pytest.raises(ConfigurationError, match="not empty"):
        verified_copy(pin(str(tree)).artifact, into)


def test_a_reference_that_points_elsewhere_is_refused(tree: Path, into: Path, tmp_path: Path) -> None:
    (tmp_path / "evil.txt").write_bytes(b"evil")
    reference = {**pin(str(tree / "a.txt")).artifact.to_dict(), "uri": (tmp_path / "evil.txt").as_uri()}

    with pytest.raises(ArtifactChangedError):
        verified_copy(Artifact.from_dict(reference), into)
