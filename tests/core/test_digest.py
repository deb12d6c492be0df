"""Digests are the ones that ``sha256sum`` prints."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlsecops.core.digest import HashingSink, parse_sha256, sha256_bytes
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.pinning import pin


def _sha256sum(path: Path) -> str:
    return (
        subprocess.run(["sha256sum", path], check=True, capture_output=True, text=True).stdout.lstrip("\\").split()[0]
    )


@pytest.mark.parametrize("size", [0, 1, 1024 * 1024 - 1, 1024 * 1024, 3 * 1024 * 1024 + 7])
def test_a_files_digest_is_what_sha256sum_prints(tmp_path: Path, size: int) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(bytes(i % 251 for i in range(1021)) * (size // 1021 + 1))
    with path.open("r+b") as stream:
        stream.truncate(size)

    artifact = pin(str(path)).artifact

    assert artifact.digest == _sha256sum(path)
    assert artifact.size == size


def test_known_vectors() -> None:
    # FIPS 180-4 examples
    assert sha256_bytes(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert sha256_bytes(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_hashing_in_pieces_is_hashing_the_whole_and_copies_it(pieces: list[bytes]) -> None:
    copy = io.BytesIO()
    sink = HashingSink(copy)
    for piece in pieces:
        assert sink.write(piece) == len(piece)

    whole = b"".join(pieces)
    assert (sink.sha256(), sink.size, copy.getvalue()) == (sha256_bytes(whole), len(whole), whole)


@pytest.mark.parametrize(
    "text",
    ["", "a" * 63, "a" * 65, "A" * 64, "g" * 64, "a" * 64 + "\n", "../" + "a" * 61, None, 5, b"a" * 64, ["a" * 64]],
)
def test_what_is_not_64_lower_case_hex_digits_is_refused(text: object) -> None:
    with pytest.raises(StatementError, match="SHA-256"):
        parse_sha256(text)
