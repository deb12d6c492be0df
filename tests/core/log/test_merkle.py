"""The tree of RFC 6962: reference vectors of the certificate-transparency project, and any tree at all."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlsecops.core.log.merkle import (
    EMPTY_ROOT,
    consistency_ranges,
    fold,
    full_subtrees,
    inclusion_ranges,
    leaf_hash,
    node_hash,
    tree_root,
    verify_consistency,
    verify_inclusion,
)

# The reference leaves, roots and proofs of certificate-transparency (python/ct/crypto/merkle_test.py).
LEAVES = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
CONSISTENCY = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
INCLUSION = {
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}


def mth(entries: list[bytes]) -> bytes:
    """The root as RFC 6962 defines it, word for word."""
    if len(entries) < 2:
        return leaf_hash(entries[0]) if entries else hashlib.sha256().digest()
    k = 1
    while k * 2 < len(entries):
        k *= 2
    return node_hash(mth(entries[:k]), mth(entries[k:]))


def entries_of(size: int) -> list[bytes]:
    return [f"entry {number}".encode() for number in range(size)]


def included(index: int, entries: list[bytes]) -> list[bytes]:
    return [mth(entries[lo:hi]) for lo, hi in inclusion_ranges(index, len(entries))]


def consistent(old: int, entries: list[bytes]) -> list[bytes]:
    return [mth(entries[lo:hi]) for lo, hi in consistency_ranges(old, len(entries))]


@pytest.mark.parametrize("size", range(9))
def test_reference_roots(size: int) -> None:
    assert mth(LEAVES[:size]).hex() == ROOTS[size]
    assert tree_root([leaf_hash(leaf) for leaf in LEAVES[:size]]).hex() == ROOTS[size]
    assert EMPTY_ROOT.hex() == ROOTS[0]


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_reference_inclusion_proofs(index: int, size: int) -> None:
    proof = included(index, LEAVES[:size])

    assert [item.hex() for item in proof] == INCLUSION[index, size]
    assert verify_inclusion(leaf_hash(LEAVES[index]), index, size, proof, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("old", "new"), CONSISTENCY)
def test_reference_consistency_proofs(old: int, new: int) -> None:
    proof = consistent(old, LEAVES[:new])

    assert [item.hex() for item in proof] == CONSISTENCY[old, new]
    assert verify_consistency(old, new, proof, bytes.fromhex(ROOTS[old]), bytes.fromhex(ROOTS[new]))


def test_every_proof_of_every_small_tree_verifies() -> None:
    entries = entries_of(34)
    roots = [mth(entries[:size]) for size in range(35)]
    for new in range(35):
        assert tree_root([leaf_hash(entry) for entry in entries[:new]]) == roots[new]
        for old in range(new + 1):
            assert verify_consistency(old, new, consistent(old, entries[:new]), roots[old], roots[new])
        for index in range(new):
            proof = included(index, entries[:new])
            assert verify_inclusion(leaf_hash(entries[index]), index, new, proof, roots[new])


@given(st.integers(0, 2**60), st.integers(1, 2**40))
def test_the_subtrees_of_a_range_cover_it_and_shrink(start: int, count: int) -> None:
    lo = start << count.bit_length()  # as in a proof, where a range begins at a multiple of its size
    parts = full_subtrees(lo, lo + count)

    at = lo
    for height, index in parts:
        assert index << height == at
        at += 1 << height
    assert at == lo + count
    heights = [height for height, _ in parts]
    assert heights == sorted(set(heights), reverse=True)


@given(st.integers(1, 2**62), st.data())
def test_proofs_are_logarithmic_in_length(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))

    assert len(inclusion_ranges(index, size)) <= size.bit_length()
    assert len(consistency_ranges(index, size)) <= size.bit_length() + 1


@given(st.integers(1, 300), st.data())
def test_a_flipped_byte_a_wrong_place_or_a_wrong_size_fails(size: int, data: st.DataObject) -> None:
    entries = entries_of(size)
    index, root = data.draw(st.integers(0, size - 1)), mth(entries)
    leaf, proof = leaf_hash(entries[index]), included(index, entries)
    assert verify_inclusion(leaf, index, size, proof, root)

    changed = data.draw(st.integers(-2, len(proof) - 1))
    byte = data.draw(st.integers(0, 31))
    flip = data.draw(st.integers(1, 255))
    parts = [*proof, leaf, root]
    parts[changed] = parts[changed][:byte] + bytes([parts[changed][byte] ^ flip]) + parts[changed][byte + 1 :]
    assert not verify_inclusion(parts[-2], index, size, parts[:-2], parts[-1])

    other = data.draw(st.integers(0, size + 3))
    assert verify_inclusion(leaf, other, size, proof, root) == (other == index)
    assert not verify_inclusion(leaf, index, size, [*proof, leaf], root)
    assert not proof or not verify_inclusion(leaf, index, size, proof[:-1], root)


@given(st.integers(1, 300), st.data())
def test_a_rewritten_beginning_is_not_consistent(new: int, data: st.DataObject) -> None:
    entries = entries_of(new)
    old = data.draw(st.integers(1, new))
    old_root, new_root, proof = mth(entries[:old]), mth(entries), consistent(old, entries)
    assert verify_consistency(old, new, proof, old_root, new_root)

    at = data.draw(st.integers(0, old - 1))
    rewritten = [*entries[:at], b"another", *entries[at + 1 :]]
    forged = consistent(old, rewritten)
    assert not verify_consistency(old, new, forged, old_root, mth(rewritten))
    assert not verify_consistency(old, new, forged, mth(rewritten[:old]), new_root)

    parts = [*proof, old_root, new_root]
    changed, byte = data.draw(st.integers(0, len(parts) - 1)), data.draw(st.integers(0, 31))
    parts[changed] = parts[changed][:byte] + bytes([parts[changed][byte] ^ 1]) + parts[changed][byte + 1 :]
    assert not verify_consistency(old, new, parts[:-2], parts[-2], parts[-1])
    assert not verify_consistency(old, new, [*proof, new_root], old_root, new_root)


def test_numbers_that_make_no_sense_are_refused() -> None:
    leaf = leaf_hash(b"")
    for index, size in ((1, 1), (0, 0), (-1, 4)):
        assert not verify_inclusion(leaf, index, size, [], leaf)
        with pytest.raises(ValueError, match="no entry"):
            inclusion_ranges(index, size)
    for old, new in ((2, 1), (-1, 1)):
        assert not verify_consistency(old, new, [], leaf, leaf)
        with pytest.raises(ValueError, match="no proof"):
            consistency_ranges(old, new)
    assert not verify_consistency(0, 5, [], leaf, leaf)  # the empty tree has one root only
    assert not verify_consistency(3, 7, [], leaf, leaf)
    assert not verify_inclusion(b"short", 0, 1, [], b"short")
    assert fold([]) == EMPTY_ROOT
