"""The Merkle tree of RFC 6962, section 2.1: roots and inclusion proofs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def leaf_hash(leaf: bytes) -> bytes:
    """``SHA-256(0x00 || leaf)``."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """``SHA-256(0x01 || left || right)``."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class MerkleTree:
    """An append-only list of leaves with its tree heads."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._hashes = [leaf_hash(leaf) for leaf in leaves]
        self._subtrees: dict[tuple[int, int], bytes] = {}

    def __len__(self) -> int:
        return len(self._hashes)

    def append(self, leaf: bytes) -> int:
        """Add a leaf; returns its index."""
        self._hashes.append(leaf_hash(leaf))
        return len(self._hashes) - 1

    def root(self) -> bytes:
        """The tree head over all leaves."""
        return self._head(0, len(self._hashes)) if self._hashes else hashlib.sha256(b"").digest()

    def inclusion_proof(self, index: int) -> list[bytes]:
        """The audit path of the leaf at ``index`` in the tree of all leaves, leaf's sibling first."""
        path, start, stop = [], 0, len(self._hashes)
        while stop - start > 1:
            middle = start + _split(stop - start)
            if index < middle:
                path.append(self._head(middle, stop))
                stop = middle
            else:
                path.append(self._head(start, middle))
                start = middle
        return path[::-1]

    def _head(self, start: int, stop: int) -> bytes:
        size = stop - start
        if size == 1:
            return self._hashes[start]
        known = self._subtrees.get((start, stop))
        if known is None:
            middle = start + _split(size)
            known = node_hash(self._head(start, middle), self._head(middle, stop))
            if size & (size - 1) == 0:  # complete subtrees never change again
                self._subtrees[start, stop] = known
        return known


def _split(size: int) -> int:
    """The largest power of two smaller than ``size``."""
    return 1 << (size - 1).bit_length() - 1
