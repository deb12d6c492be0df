"""The Merkle tree of RFC 6962: hashes, which subtrees a proof is made of, and the verification of proofs.

Pure functions over bytes. Sources: RFC 6962 section 2.1 (hashes, PATH, PROOF), RFC 9162 sections 2.1.3.2 and 2.1.4.2
(verification). A proof is first a list of ranges ``(lo, hi)``, each of which is the subtree over the leaves from ``lo``
up to, but without, ``hi``; whoever holds the tree turns them into hashes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
Range = tuple[int, int]


def leaf_hash(entry: bytes) -> bytes:
    """``SHA-256(0x00 || entry)``."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """``SHA-256(0x01 || left || right)``."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree_root(hashes: Sequence[bytes]) -> bytes:
    """The root over hashes of one level (leaves, or roots of full subtrees of one size).

    Pairs are hashed level by level and an odd one out goes up as it is, which gives the tree of RFC 6962: its left
    subtrees are the largest powers of two.
    """
    if not hashes:
        return EMPTY_ROOT
    sha256, level = hashlib.sha256, list(hashes)
    while len(level) > 1:
        odd = level[-1:] if len(level) % 2 else []
        level = [
            sha256(b"\x01" + level[index] + level[index + 1]).digest() for index in range(0, len(level) - 1, 2)
        ] + odd
    return level[0]


def fold(subtrees: Iterable[bytes]) -> bytes:
    """The root over full subtrees from left to right, each smaller than the one before."""
    root = b""
    for subtree in reversed(list(subtrees)):
        root = node_hash(subtree, root) if root else subtree
    return root or EMPTY_ROOT


def full_subtrees(lo: int, hi: int) -> list[tuple[int, int]]:
    """The full subtrees that a proof's range is made of, from left to right.

    Returns:
        (height, index) of each: it covers the leaves from ``index << height`` up to ``(index + 1) << height``.
    """
    parts, start = [], lo
    for height in reversed(range((hi - lo).bit_length())):
        if (hi - lo) >> height & 1:
            parts.append((height, start >> height))
            start += 1 << height
    return parts


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """``PATH(index, D[size])``, from the leaf's sibling up.

    Raises:
        ValueError: unless ``0 <= index < size``.
    """
    if not 0 <= index < size:
        raise ValueError(f"no entry {index} in a tree of {size}")
    lo, hi, path = 0, size, []
    while hi - lo > 1:
        middle = lo + _left(hi - lo)
        if index < middle:
            path.append((middle, hi))
            hi = middle
        else:
            path.append((lo, middle))
            lo = middle
    return path[::-1]


def consistency_ranges(old: int, new: int) -> list[Range]:
    """``PROOF(old, D[new])``; empty if one of them is the empty tree or both are the same.

    Raises:
        ValueError: unless ``0 <= old <= new``.
    """
    if not 0 <= old <= new:
        raise ValueError(f"no proof from size {old} to {new}")
    lo, hi, path = 0, new, []
    while 0 < old < hi:
        middle = lo + _left(hi - lo)
        if old <= middle:
            path.append((middle, hi))
            hi = middle
        else:
            path.append((lo, middle))
            lo = middle
    if lo > 0:
        path.append((lo, hi))
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether ``proof`` leads from the leaf at ``index`` to ``root`` (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size or not _are_hashes([leaf, root, *proof]):
        return False
    at, last, result = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            result = node_hash(sibling, result)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and result == root


def verify_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Whether the tree of ``new`` leaves begins with that of ``old`` (RFC 9162, section 2.1.4.2)."""
    if not 0 <= old <= new or not _are_hashes([old_root, new_root, *proof]):
        return False
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


def _left(count: int) -> int:
    """The largest power of two below ``count``."""
    return 1 << (count - 1).bit_length() - 1


def _are_hashes(values: Sequence[bytes]) -> bool:
    return all(len(value) == HASH_BYTES for value in values)
