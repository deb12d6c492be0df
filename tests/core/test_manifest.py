"""The manifest of a tree: canonical, independent of order, and free of names that could mean another file."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.digest import Sha256, sha256_bytes
from airflow_mlsecops.core.errors import ArtifactRefusedError, MlsecopsError, StatementError
from airflow_mlsecops.core.manifest import MAX_NAME, FileEntry, Manifest, safe_name

DIGESTS = st.binary(max_size=4).map(sha256_bytes)
# Upper-case folder names and lower-case file names: no file's name is also a folder's.
NAMES = st.lists(st.from_regex(r"([A-Z][éü .-]?/){0,2}[a-z][0-9é]{0,3}", fullmatch=True), unique=True, min_size=1)


@st.composite
def _entries(draw: st.DrawFn) -> list[FileEntry]:
    names = {safe_name(name) for name in draw(NAMES)}
    return [FileEntry(name, draw(st.integers(0, 2**50)), draw(DIGESTS)) for name in names]


@given(_entries(), st.randoms())
def test_the_order_of_files_does_not_matter_and_nothing_is_lost(
    entries: list[FileEntry], random: st.DataObject
) -> None:
    shuffled = list(entries)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    manifest = Manifest.of(entries)

    assert Manifest.of(shuffled).to_bytes() == manifest.to_bytes()
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
    assert set(manifest.entries) == set(entries)
    assert manifest.size == sum(entry.size for entry in entries)
    assert manifest.digest == sha256_bytes(manifest.to_bytes())


@given(_entries(), st.data())
def test_any_change_of_a_name_a_size_or_a_digest_changes_the_digest(
    entries: list[FileEntry], data: st.DataObject
) -> None:
    victim = data.draw(st.sampled_from(entries))
    changed = data.draw(
        st.sampled_from(
            [
                FileEntry(victim.name + "x", victim.size, victim.sha256),
                FileEntry(victim.name, victim.size + 1, victim.sha256),
                FileEntry(victim.name, victim.size, sha256_bytes(b"other" * 9)),
            ]
        )
    )
    others = [entry for entry in entries if entry is not victim]

    assert Manifest.of([*others, changed]).digest != Manifest.of(entries).digest


def test_the_bytes_are_canonical_json_of_a_sorted_list() -> None:
    manifest = Manifest.of([FileEntry("b", 2, sha256_bytes(b"bb")), FileEntry("A/a", 1, sha256_bytes(b"a"))])

    assert manifest.to_bytes() == (
        b'[{"name":"A/a","sha256":"ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb","size":1},'
        b'{"name":"b","sha256":"3b64db95cb55c763391c707108489ae18b4112d783300de38e033b4c98c3deaf","size":2}]'
    )


def test_an_empty_list_is_no_artifact() -> None:
    with pytest.raises(ArtifactRefusedError, match="no files"):
        Manifest.of([])


@pytest.mark.parametrize(
    "names", [("a", "a"), ("x/a", "x/a"), ("a", "a/b"), ("a", "a-b", "a/b"), ("x", "x/y/z"), ("x/y", "x/y/z/w")]
)
def test_a_name_that_stands_for_two_things_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(ArtifactRefusedError):
        Manifest.of(FileEntry(name, size, sha256_bytes(b"")) for size, name in enumerate(names))


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "/a",
        "/",
        "a/",
        "a//b",
        "../a",
        "a/../b",
        "a/..",
        "./a",
        "a/./b",
        "a\\b",
        "..\\a",
        "C:\\a",
        "a\0b",
        "a\nb",
        "a\rb",
        "a\x1bb",
        "a\x7fb",
        "a\x85b",
        "\udc80",
        "a\ud800b",
        "a" * (MAX_NAME + 1),
        None,
        7,
        b"a",
    ],
)
def test_names_that_could_mean_another_file_are_refused(name: object) -> None:
    with pytest.raises(ArtifactRefusedError):
        safe_name(name)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a", "a.b", "...", "..a", "a..", "a b/c d", "ü/é", "-rf", "~", "C:", "a" * MAX_NAME])
def test_unusual_names_that_mean_one_file_are_kept(name: str) -> None:
    assert safe_name(name) == name


@given(st.text(max_size=40))
def test_a_name_is_refused_or_normalised_for_good(name: str) -> None:
    try:
        safe = safe_name(name)
    except ArtifactRefusedError:
        return
    assert safe == unicodedata.normalize("NFC", name)
    assert safe_name(safe) == safe
    assert not safe.startswith("/")
    assert ".." not in safe.split("/")


def test_two_spellings_of_one_name_are_one_name() -> None:
    assert safe_name("e\u0301") == safe_name("\u00e9") == "\u00e9"


SHA = "0" * 64


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        "ab",
        {},
        {"name": "a"},
        [],
        [None],
        [[]],
        ["a"],
        [{}],
        [{"name": "a", "size": 1}],
        [{"name": "a", "size": "1", "sha256": SHA}],
        [{"name": "a", "size": True, "sha256": SHA}],
        [{"name": "a", "size": -1, "sha256": SHA}],
        [{"name": "a", "size": 1.5, "sha256": SHA}],
        [{"name": "a", "size": 1, "sha256": "0" * 63}],
        [{"name": "a", "size": 1, "sha256": None}],
        [{"name": 1, "size": 1, "sha256": SHA}],
        [{"name": "../a", "size": 1, "sha256": SHA}],
        [{"name": "e\u0301", "size": 1, "sha256": SHA}],
        [{"name": "a", "size": 1, "sha256": SHA, "mode": 493}],
        [{"name": "b", "size": 1, "sha256": SHA}, {"name": "a", "size": 1, "sha256": SHA}],
        [{"name": "a", "size": 1, "sha256": SHA}] * 2,
    ],
)
def test_what_is_no_manifest_is_refused(value: object) -> None:
    with pytest.raises((StatementError, ArtifactRefusedError)):
        Manifest.from_bytes(canonical_json(value))


def test_a_manifest_written_in_another_way_is_refused() -> None:
    manifest = Manifest.of([FileEntry("a", 1, Sha256(SHA))])
    spaced = json.dumps(json.loads(manifest.to_bytes())).encode()

    with pytest.raises(StatementError, match="canonical"):
        Manifest.from_bytes(spaced)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_with_an_error_of_ours(data: bytes) -> None:
    try:
        manifest = Manifest.from_bytes(data)
    except MlsecopsError:
        return
    assert manifest.to_bytes() == data
