"""Tiles and entry bundles, held against the specification (https://c2sp.org/tlog-tiles)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlsecops.core.log.errors import LogBrokenError, LogEntryError
from airflow_mlsecops.core.log.frontier import Frontier
from airflow_mlsecops.core.log.merkle import leaf_hash, tree_root, verify_consistency, verify_inclusion
from airflow_mlsecops.core.log.tiles import (
    ENTRIES,
    MAX_ENTRY_BYTES,
    Tile,
    decode_entries,
    edge_tiles,
    encode_entries,
    encode_index,
    split_hashes,
    tile_for,
)
from airflow_mlsecops.core.log.tree import Tree
from tests.support.logs import MemoryLogBackend, log_entries, made_log


@pytest.mark.parametrize(
    ("tile", "name"),
    [
        (Tile(0, 0, 256), "tile/0/000"),
        (Tile(0, 1234067, 256), "tile/0/x001/x234/067"),  # the specification's example
        (Tile(3, 999, 1), "tile/3/999.p/1"),
        (Tile(7, 1000, 255), "tile/7/x001/000.p/255"),
        (Tile(ENTRIES, 273, 112), "tile/entries/273.p/112"),
        (Tile(ENTRIES, 10**12, 256), "tile/entries/x001/x000/x000/x000/000"),
    ],
)
def test_names(tile: Tile, name: str) -> None:
    assert tile.name == name
    assert tile.key == f"log/{name}"


@given(st.integers(0, 2**62), st.integers(0, 2**62))
def test_no_two_tiles_share_a_name_and_none_is_another_ones_folder(left: int, right: int) -> None:
    if left != right:
        assert encode_index(left) != encode_index(right)
        assert not f"{encode_index(right)}/".startswith(f"{encode_index(left)}/")


def test_the_tiles_of_a_tree_of_70000_are_those_of_the_specification() -> None:
    grown, tiles = Frontier().grow(number.to_bytes(32, "big") for number in range(70_000))

    full = [tile for tile in tiles if tile.width == 256]
    assert len([tile for tile in full if tile.level == 0]) == 273
    assert [tile for tile in full if tile.level == 1] == [Tile(1, 0, 256)]
    partial = [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert [tile for tile in tiles if tile.width < 256] == edge_tiles(70_000) == partial
    assert len(tiles) == 273 + 1 + 3
    assert grown.root == tree_root([number.to_bytes(32, "big") for number in range(70_000)])


def test_a_tree_of_256_has_a_full_tile_and_one_hash_above_it() -> None:
    leaves = [leaf_hash(b"%d" % number) for number in range(256)]
    _, tiles = Frontier().grow(leaves)

    assert tiles == {Tile(0, 0, 256): b"".join(leaves), Tile(1, 0, 1): tree_root(leaves)}
    assert edge_tiles(256) == [Tile(1, 0, 1)]
    assert tile_for(0, 0, 256) == Tile(0, 0, 256)


@given(st.lists(st.integers(0, 600), min_size=1, max_size=5))
def test_growing_in_steps_gives_the_same_tree_and_all_tiles_of_every_size(steps: list[int]) -> None:
    leaves = [leaf_hash(b"%d" % number) for number in range(sum(steps))]
    frontier, size = Frontier(), 0
    written: dict[Tile, bytes] = {}
    for step in steps:
        frontier, tiles = frontier.grow(leaves[size : size + step])
        size += step
        assert not set(tiles) & set(written)
        written.update(tiles)
        assert frontier.root == tree_root(leaves[:size])
        assert all(tile in written for tile in edge_tiles(size))
        assert Frontier.of(
            size, {tile.level: split_hashes(written[tile]) for tile in edge_tiles(size)}
        ) == frontier or (size == 0)
    for tile, data in written.items():
        each = 256**tile.level
        hashes = [leaves[at * each : (at + 1) * each] for at in range(tile.index * 256, tile.index * 256 + tile.width)]
        assert split_hashes(data) == [tree_root(part) for part in hashes]


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_entry_bundles_are_read_as_they_were_written(entries: list[bytes]) -> None:
    data = encode_entries(entries)

    assert decode_entries(data, len(entries)) == entries
    assert len(data) == sum(2 + len(entry) for entry in entries)
    for wrong in (len(entries) - 1, len(entries) + 1):
        with pytest.raises(LogEntryError, match=f"expected {wrong}"):
            decode_entries(data, wrong)
    for cut in range(1, min(len(data), 40)):
        try:
            left = decode_entries(data[:-cut])
        except LogEntryError:
            continue
        assert left == entries[: len(left)]


def test_an_entry_is_limited_by_its_two_bytes_of_length() -> None:
    assert decode_entries(encode_entries([b"x" * MAX_ENTRY_BYTES, b""])) == [b"x" * MAX_ENTRY_BYTES, b""]
    assert encode_entries([b"abc"]) == b"\x00\x03abc"  # big-endian
    with pytest.raises(LogEntryError, match="65536 bytes"):
        encode_entries([b"x" * (MAX_ENTRY_BYTES + 1)])


SIZES = (1, 2, 255, 256, 257, 511, 513, 1000, 65_536, 70_000)


@pytest.fixture(scope="module")
def large() -> tuple[MemoryLogBackend, list[bytes]]:
    entries = [b"entry %d" % number for number in range(70_000)]
    return made_log(entries)[0], entries


@pytest.mark.parametrize("size", SIZES)
def test_proofs_from_tiles_verify_and_read_few_objects(size: int, large: tuple[MemoryLogBackend, list[bytes]]) -> None:
    backend, entries = large
    leaves = [leaf_hash(entry) for entry in entries[:size]]
    root = tree_root(leaves)
    for index in sorted({0, 1, size // 3, size // 2, size - 1} & set(range(size))):
        backend.reads.clear()
        tree = Tree(backend, size)
        assert verify_inclusion(leaves[index], index, size, tree.inclusion(index), root)
        assert len({key.split(".p/")[0] for key in backend.reads}) <= 5

        backend.reads.clear()
        proof = Tree(backend, size).consistency(index + 1)
        assert verify_consistency(index + 1, size, proof, tree_root(leaves[: index + 1]), root)
        assert len({key.split(".p/")[0] for key in backend.reads}) <= 6
        assert Tree(backend, size).find(leaves[index]) == index
    assert Tree(backend, size).frontier().root == root
    assert Tree(backend, size).find(leaf_hash(entries[-1])) == (69_999 if size == 70_000 else None)


def test_where_a_partial_tile_was_removed_the_full_one_is_read() -> None:
    entries = log_entries(300)
    backend, _ = made_log(entries)
    backend.reads.clear()

    tree = Tree(backend, 100)

    assert tree.entries(0) == entries[:100]
    assert tree.frontier().root == tree_root([leaf_hash(entry) for entry in entries[:100]])
    assert backend.reads == [
        "log/tile/entries/000.p/100",
        "log/tile/entries/000",
        "log/tile/0/000.p/100",
        "log/tile/0/000",
    ]


@pytest.mark.parametrize("key", ["log/tile/0/000", "log/tile/1/000.p/1"])
def test_a_tile_that_is_gone_or_has_another_length_gives_no_proof(key: str) -> None:
    for data in (None, b"", b"x" * 31, b"x" * 8193, b"x" * 10_000):
        backend, _ = made_log(log_entries(256))
        if data is None:
            del backend.objects[key]
        else:
            backend.objects[key] = data
        with pytest.raises(LogBrokenError, match=r"is gone|bytes"):
            Tree(backend, 256).inclusion(7) and Tree(backend, 256).frontier()
