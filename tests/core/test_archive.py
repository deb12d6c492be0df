"""Archives have one form: equal files make equal bytes, and anything else is refused."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlsecops.core.errors import ConfigurationError, EvidenceNotFoundError, StatementError
from airflow_mlsecops.core.store.archive import ArchiveBackend, open_export
from airflow_mlsecops.core.store.tar import ArchiveError, read_index, tar_chunks

FILES = {"README.txt": b"hello\n", "blobs/" + "a" * 64: b"x" * 512, "bundles/empty": b"", "z": b"1" * 1025}
names = st.from_regex(r"[a-z0-9]{1,8}(/[a-z0-9]{1,8}){0,2}", fullmatch=True)


def packed(files: dict[str, bytes]) -> bytes:
    return b"".join(tar_chunks(files))


def unpacked(data: bytes) -> dict[str, bytes]:
    return {n: data[m.offset : m.offset + m.size] for n, m in read_index(io.BytesIO(data)).items()}


@given(st.dictionaries(names, st.binary(max_size=1100), max_size=6))
def test_what_is_packed_is_read_back_and_the_order_does_not_matter(files: dict[str, bytes]) -> None:
    data = packed(files)

    assert unpacked(data) == files
    assert packed(dict(reversed(files.items()))) == data


def test_pythons_and_gnus_tar_read_it(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(packed(FILES))

    with tarfile.open(tmp_path / "a.tar") as archive:
        found = {member.name: (archive.extractfile(member) or io.BytesIO()).read() for member in archive}
    listed = subprocess.run(["tar", "-tf", tmp_path / "a.tar"], capture_output=True, text=True, check=True)

    assert found == FILES
    assert (listed.stdout.split(), listed.stderr) == (sorted(FILES), "")


@given(st.data())
def test_any_flipped_bit_changes_content_or_is_refused(data: st.DataObject) -> None:
    archive = bytearray(packed(FILES))
    position = data.draw(st.integers(0, len(archive) - 1))
    archive[position] ^= 1 << data.draw(st.integers(0, 7))

    try:
        found = unpacked(bytes(archive))
    except ArchiveError:
        return
    assert set(found) == set(FILES)
    assert found != FILES  # in a file's bytes, which their address covers


@given(st.integers(0, len(packed(FILES)) - 1))
def test_a_truncated_archive_is_refused(size: int) -> None:
    with pytest.raises(ArchiveError):
        read_index(io.BytesIO(packed(FILES)[:size]))


@pytest.mark.parametrize(
    "name",
    ["", "/a", "../a", "a/../b", "a//b", "./a", "-rf", ".hidden", "a\nb", "ü", "a b", "a/" * 10 + "b", "a" * 101],
)
def test_a_name_that_could_lead_elsewhere_is_not_written(name: str) -> None:
    with pytest.raises(StatementError):
        packed({name: b""})


def test_an_archive_is_read_only(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(packed(FILES))
    backend = ArchiveBackend(tmp_path / "a.tar")

    assert backend.read("z", 2000) == FILES["z"]
    assert backend.list("b") == ["blobs/" + "a" * 64, "bundles/empty"]
    with pytest.raises(EvidenceNotFoundError):
        backend.read("z", 1000)
    with pytest.raises(EvidenceNotFoundError):
        backend.read("nothing", 1000)
    writes: list[Callable[[], object]] = [
        lambda: backend.create("new", b""),
        lambda: backend.swap("z", "tag", b""),
        lambda: backend.remove("z"),
    ]
    for write in writes:
        with pytest.raises(ConfigurationError):
            write()


def test_nothing_there_is_an_error_not_an_empty_store(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(EvidenceNotFoundError):
            open_export(path)
