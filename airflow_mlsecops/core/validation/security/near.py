"""How large the largest group of nearly equal texts is: MinHash over their words, candidates by banding.

Sources: Broder, On the resemblance and containment of documents (1997); Leskovec, Rajaraman and Ullman, Mining of
Massive Datasets, 3rd ed., section 3.4. With 32 hashes in 8 bands two texts that share 70 % of their words meet with a
probability of 0.89, and such that share 90 % with 0.9999.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence

_HASHES, _BANDS = 32, 8
_LONG = 20
"""Words longer than this are taken apart, for writing without spaces has no shorter ones."""
_PRIME, _MIX = 4_294_967_291, 0x9E3779B97F4A7C15


def largest_near_group(forms: Sequence[str], similarity: float) -> int:
    """How many of the texts lie in the largest group.

    Args:
        forms: normal forms, in the order of their rows.
        similarity: estimated Jaccard similarity of the words from which on two texts are nearly equal.
    """
    import numpy as np

    count = Counter(form for form in forms if form)
    texts = list(count)
    if not texts:
        return 0
    signatures = _signatures(texts)
    parent = list(range(len(texts)))

    def root(each: int) -> int:
        while parent[each] != each:
            parent[each] = parent[parent[each]]
            each = parent[each]
        return each

    width = _HASHES // _BANDS
    for band in range(_BANDS):
        keys = np.zeros(len(texts), dtype=np.uint64)
        for column in range(band * width, (band + 1) * width):
            keys = keys * np.uint64(_MIX) + signatures[:, column]  # a collision only adds a pair that is compared
        _, first, group = np.unique(keys, return_index=True, return_inverse=True)
        lead = first[group]
        near = (signatures == signatures[lead]).mean(axis=1) >= similarity
        for each in np.flatnonzero(near & (lead != np.arange(len(texts)))).tolist():
            parent[root(each)] = root(int(lead[each]))
    sizes: Counter[int] = Counter()
    for each, text in enumerate(texts):
        sizes[root(each)] += count[text]
    return max(sizes.values())


def _signatures(texts: list[str]) -> "np.ndarray":  # type: ignore[name-defined]  # noqa: F821, UP037
    import numpy as np

    hashed: list[int] = []
    starts = []
    for text in texts:
        starts.append(len(hashed))
        hashed += {zlib.crc32(each.encode()) for each in _shingles(text)}
    words = np.array(hashed, dtype=np.uint64)
    numbers = np.random.default_rng(20260101).integers(1, 2**31, size=(_HASHES, 2), dtype=np.uint64)
    signatures = np.empty((len(texts), _HASHES), dtype=np.uint64)
    for column, (factor, offset) in enumerate(numbers):
        signatures[:, column] = np.minimum.reduceat((words * factor + offset) % np.uint64(_PRIME), starts)
    return signatures


def _shingles(text: str) -> list[str]:
    found: list[str] = []
    for word in text.split(" "):
        found += [word] if len(word) <= _LONG else re.findall(r"(?=(.{4}))", word)
    return found
