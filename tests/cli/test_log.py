"""``mlsecops log verify``, ``prove`` and ``reindex``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.log import Entry, LogProof, LogTrust
from airflow_mlsecops.core.store import EvidenceStore
from airflow_mlsecops.core.store.local import LocalBackend
from airflow_mlsecops.core.trust_document import trust_document
from tests.cli.conftest import Run
from tests.support.evidence import artifact, bundle
from tests.support.logs import MemoryLogBackend, log_key, log_trust, new_log, write_files

PUT: list[Bundle] = [bundle() for _ in range(5)]


@dataclass(frozen=True)
class LoggedStore:
    """A store of :data:`PUT`, whose log the options name."""

    root: Path
    folder: Path
    options: list[str]

    def put(self, *bundles: Bundle) -> None:
        backend = LocalBackend(self.root)
        EvidenceStore(backend, new_log(backend)).put_all(bundles)


@pytest.fixture
def logged(tmp_path: Path) -> LoggedStore:
    root, key = tmp_path / "evidence", tmp_path / "log.pub"
    root.mkdir()
    key.write_text(log_key().public_key.pem)
    memory = MemoryLogBackend()
    EvidenceStore(memory, new_log(memory)).put_all(PUT)
    write_files(root, memory.objects)
    return LoggedStore(
        root, tmp_path, ["--store", str(root), "--log-origin", log_trust().origin, "--log-key", str(key)]
    )


# --- verify -----------------------------------------------------------------------------------------------------------


def test_a_whole_log_is_a_yes_and_its_checkpoint_is_kept(run: Run, logged: LoggedStore) -> None:
    kept = logged.folder / "checkpoint"
    first = run("log", "verify", *logged.options, "--save", kept)
    assert first.code == 0
    assert first.out.startswith("YES")
    assert "Without --since" in first.out
    assert kept.read_bytes() == (logged.root / "log/checkpoint").read_bytes()

    logged.put(bundle())
    second = run("log", "verify", *logged.options, "--since", kept, "--save", kept, "--json")
    assert second.code == 0
    assert (second.json["verified"], second.json["since"]["size"], second.json["checkpoint"]["size"]) == (True, 5, 6)
    assert second.json["saved"] == str(kept)
    assert kept.read_bytes() == (logged.root / "log/checkpoint").read_bytes()
    assert [path.name for path in logged.folder.iterdir() if path.name.startswith(".")] == []
    assert "Without --since" not in run("log", "verify", *logged.options, "--since", kept).out


def test_what_is_wrong_is_named_and_nothing_is_saved(run: Run, logged: LoggedStore) -> None:
    kept = logged.folder / "checkpoint"
    gone = Entry.of(PUT[3]).keys[0]
    (logged.root / gone).unlink()
    strange = Entry.of(bundle(signer="gate")).keys[0]
    (logged.root / strange).write_bytes(b"slipped in")
    tile = logged.root / "log/tile/0/000.p/5"
    data = bytearray(tile.read_bytes())
    data[40] ^= 1
    tile.unlink()
    tile.write_bytes(bytes(data))

    text = run("log", "verify", *logged.options, "--save", kept)
    document = run("log", "verify", *logged.options, "--json")

    assert (text.code, document.code) == (1, 1)
    assert text.out.startswith("NO")
    assert f"[missing] entry 3: {gone} is gone" in text.out
    assert f"[unlogged] {strange} isn't in the log" in text.out
    assert "[tile-wrong] tile/0/000.p/5, entry 1" in text.out
    assert not kept.exists()
    assert document.json["missing"] == [{"entry": 3, "key": gone}]
    assert document.json["unlogged"] == [strange]
    assert [fault["code"] for fault in document.json["faults"]] == ["tile-wrong"]


def test_a_rolled_back_log_is_a_no_only_to_who_kept_a_checkpoint(run: Run, logged: LoggedStore) -> None:
    kept = logged.folder / "checkpoint"
    before = {path: path.read_bytes() for path in logged.root.rglob("*") if path.is_file()}
    logged.put(bundle())
    assert run("log", "verify", *logged.options, "--save", kept).code == 0
    for path in [path for path in logged.root.rglob("*") if path.is_file()]:
        path.unlink()
    for path, data in before.items():
        path.write_bytes(data)

    assert run("log", "verify", *logged.options).code == 0
    caught = run("log", "verify", *logged.options, "--since", kept)
    assert caught.code == 1
    assert "[rollback] checkpoint, entry 5" in caught.out


def test_a_store_without_a_log_is_a_no(run: Run, logged: LoggedStore) -> None:
    (logged.folder / "empty").mkdir()
    empty = run("log", "verify", *logged.options, "--store", logged.folder / "empty")
    assert empty.code == 1
    assert "nothing is published here" in empty.out


def test_another_key_or_name_is_a_no(run: Run, logged: LoggedStore) -> None:
    other = logged.folder / "other.pub"
    other.write_text(log_key("stranger").public_key.pem)
    for options in (
        [*logged.options[:4], "--log-key", str(other)],
        [*logged.options, "--log-origin", "other.example/log"],
    ):
        answer = run("log", "verify", *options, "--json")
        assert answer.code == 1
        assert [fault["code"] for fault in answer.json["faults"]] == ["log-signature"]
    assert run("log", "verify", *logged.options, "--log-key", other).code == 0  # one of several


@pytest.mark.parametrize("content", [None, b"", b"hello", b"x" * 2_000_000])
def test_a_since_that_is_no_checkpoint_is_a_mistake(run: Run, logged: LoggedStore, content: bytes | None) -> None:
    since = logged.folder / "since"
    if content is not None:
        since.write_bytes(content)
    answer = run("log", "verify", *logged.options, "--since", since)
    assert answer.code == 2
    assert str(since) in answer.err


@pytest.mark.parametrize("command", [("verify",), ("prove", PUT[0].digest), ("reindex",)])
def test_missing_options_are_mistakes(run: Run, logged: LoggedStore, command: tuple[str, ...]) -> None:
    store, origin, key = logged.options[:2], logged.options[2:4], logged.options[4:]
    for options in (store + origin, store + key, origin + key, store + key + ["--log-origin", " "]):
        answer = run("log", *command, *options)
        assert (answer.code, "usage" in answer.err) == (2, True)
    missing = run("log", *command, *store, *origin, "--log-key", logged.folder / "nothing.pub")
    assert (missing.code, "can't be read" in missing.err) == (2, True)
    (logged.folder / "no.pub").write_text("no key")
    assert run("log", *command, *store, *origin, "--log-key", logged.folder / "no.pub").code == 2


@pytest.mark.parametrize("command", [("verify",), ("prove", PUT[0].digest), ("reindex",)])
def test_a_store_that_is_not_mounted_is_no_answer(run: Run, logged: LoggedStore, command: tuple[str, ...]) -> None:
    assert run("log", *command, *logged.options, "--store", logged.folder / "not-mounted").code == 3


def test_a_checkpoint_that_cannot_be_saved_is_told(run: Run, logged: LoggedStore) -> None:
    answer = run("log", "verify", *logged.options, "--save", logged.folder / "no" / "folder")
    assert (answer.code, "can't be written" in answer.err) == (2, True)


# --- prove ------------------------------------------------------------------------------------------------------------


def test_a_proof_verifies_without_the_store(run: Run, logged: LoggedStore) -> None:
    wanted, file = PUT[2], logged.folder / "two.tlog-proof"
    trust = LogTrust(log_trust().origin, (log_key().public_key,))

    text = run("log", "prove", wanted.digest, *logged.options)
    document = run("log", "prove", f"sha256:{wanted.digest}", *logged.options, "--json")
    written = run("log", "prove", wanted.digest, *logged.options, "--out", file)

    assert (text.code, document.code, written.code) == (0, 0, 0)
    assert text.out.startswith("c2sp.org/tlog-proof@v1\nindex 2\n")
    assert text.out.encode() == document.json["proof"].encode() == file.read_bytes()
    entry = document.json["entry"].encode()
    assert Entry.parse(entry) == Entry.of(wanted)
    assert LogProof.parse(file.read_bytes()).verify(entry, trust).size == 5
    assert str(file) in written.out


def test_what_is_not_logged_is_not_proved(run: Run, logged: LoggedStore) -> None:
    extra = bundle()
    EvidenceStore(LocalBackend(logged.root)).put(extra)

    for digest, code in ((extra.digest, "not-logged"), (artifact().digest, "evidence-not-found")):
        answer = run("log", "prove", digest, *logged.options, "--json")
        assert (answer.code, answer.json["error"]["code"]) == (1, code)
    assert run("log", "prove", "no digest", *logged.options).code == 2

    changed = logged.root / Entry.of(PUT[0]).keys[0]
    changed.unlink()
    changed.write_bytes(b"other")
    assert run("log", "prove", PUT[0].digest, *logged.options).code == 1


def test_a_store_without_a_log_proves_nothing(run: Run, logged: LoggedStore) -> None:
    root = logged.folder / "unlogged"
    root.mkdir()
    EvidenceStore(LocalBackend(root)).put(PUT[0])
    answer = run("log", "prove", PUT[0].digest, *logged.options, "--store", root, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "not-logged")


# --- reindex ----------------------------------------------------------------------------------------------------------


def test_an_index_that_is_gone_is_made_anew(run: Run, logged: LoggedStore) -> None:
    for path in (logged.root / "log/index").iterdir():
        path.unlink()
    assert run("log", "prove", PUT[0].digest, *logged.options).code == 1

    answer = run("log", "reindex", *logged.options, "--json")

    assert (answer.code, answer.json["checkpoint"]["size"]) == (0, 5)
    assert run("log", "prove", PUT[0].digest, *logged.options).code == 0
    assert "5 entries" in run("log", "reindex", *logged.options).out


def test_there_is_no_index_of_entries_that_were_changed(run: Run, logged: LoggedStore) -> None:
    entries = logged.root / "log/tile/entries/000.p/5"
    data = bytearray(entries.read_bytes())
    data[-3] ^= 1
    entries.unlink()
    entries.write_bytes(bytes(data))
    answer = run("log", "reindex", *logged.options, "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, "log-broken")


def test_the_trust_policy_can_name_the_log(run: Run, logged: LoggedStore, tmp_path: Path) -> None:
    store, signer = logged.options[:2], log_key().public_key
    naming, silent = tmp_path / "trust.yaml", tmp_path / "silent.yaml"
    naming.write_text(trust_document("log", signer, ["control"], log=log_trust()))
    silent.write_text(trust_document("log", signer, ["control"]))

    assert run("log", "verify", *store, "--trust", naming).code == 0
    asked = run("log", "verify", *store, "--trust", silent)
    assert (asked.code, "names no log" in asked.err) == (2, True)
