"""Signed notes (https://c2sp.org/signed-note): a text, and under it one line for each signature.

Two kinds of keys are taken: Ed25519 (signature type 0x01) and ECDSA on P-256 with SHA-256 (type 0x02, whose key id is
taken over the DER SubjectPublicKeyInfo). ECDSA on other curves is refused: type 0x02 always means SHA-256, and the
signers here would pair such a curve with another hash.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from airflow_mlsecops.core.errors import MlsecopsError
from airflow_mlsecops.core.log.errors import LogSignatureError
from airflow_mlsecops.core.signing import KeySigner, PublicKey

MAX_NOTE_BYTES = 64 * 1024
ED25519 = 0x01
ECDSA = 0x02
_NAME = re.compile(r"[^\s+]+")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_LINE = re.compile(r"— ([^\s+]+) (\S+)")


class _Encoded(NamedTuple):
    kind: int
    public: bytes
    key_id: bytes


@dataclass(frozen=True)
class NoteKey:
    """A key under a name, by which a note's signature lines call it."""

    name: str
    public_key: PublicKey

    @property
    def key_id(self) -> bytes:
        """The four bytes before a signature that tell which key it is.

        Raises:
            LogSignatureError: if the name or the key is of a kind that can't sign notes.
        """
        return self._encoded().key_id

    @property
    def vkey(self) -> str:
        """The key in one line, as tools of the Go world take it: name, key id, kind and key."""
        kind, public, key_id = self._encoded()
        return f"{self.name}+{key_id.hex()}+{base64.b64encode(bytes([kind]) + public).decode()}"

    def _encoded(self) -> _Encoded:
        return _encode(self.name, self.public_key)


@cache  # a log has few keys, and every checkpoint asks for them
def _encode(name: str, public_key: PublicKey) -> _Encoded:
    if not _NAME.fullmatch(name):
        raise LogSignatureError(f"{name!r} can't name a log: no spaces, no plus", "use a name like example.com/log")
    key = serialization.load_pem_public_key(public_key.pem.encode())
    if isinstance(key, ed25519.Ed25519PublicKey):
        raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        named = name.encode() + b"\n" + bytes([ED25519]) + raw
        return _Encoded(ED25519, raw, hashlib.sha256(named).digest()[:4])
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1":
        der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return _Encoded(ECDSA, der, hashlib.sha256(der).digest()[:4])
    raise LogSignatureError("a log's key is Ed25519 or ECDSA on P-256", "make one with `mlsecops keygen`")


def sign_note(text: str, name: str, signer: KeySigner) -> bytes:
    """Sign ``text``, which ends in a newline, with one key.

    Raises:
        LogSignatureError: if the name or the key is of a kind that can't sign notes.
        SigningError: if the key can't sign, or its signature doesn't verify with its own public half.
    """
    key = NoteKey(name, signer.public_key)
    line = base64.b64encode(key.key_id + signer.sign_bytes(text.encode())).decode()
    return f"{text}\n— {name} {line}\n".encode()


def open_note(data: bytes, keys: Sequence[NoteKey]) -> str:
    """The text of a note, once a known key's signature over it is verified.

    1. The bytes are a note: UTF-8 without control characters, text, an empty line, signature lines.
    2. Signatures by unknown keys are passed over: witnesses may add theirs, and a log may change its key.
    3. Every signature by a known key verifies, and there is at least one.

    Raises:
        LogSignatureError: if a step fails.
    """
    # 1.
    text, lines = _split(data)
    known = {(key.name, key.key_id): key for key in keys}
    verified = 0
    for name, blob in lines:
        # 2.
        key = known.get((name, blob[:4]))
        if key is None:
            continue
        # 3.
        try:
            key.public_key.verify(blob[4:], text.encode())
        except MlsecopsError as error:
            raise LogSignatureError(f"a signature by {name} doesn't verify", "the note was changed") from error
        verified += 1
    if not verified:
        names = ", ".join(sorted({key.name for key in keys}))
        raise LogSignatureError(
            f"expected a signature by {names}, got none", "it is signed by another key, or for another log"
        )
    return text


def _split(data: bytes) -> tuple[str, list[tuple[str, bytes]]]:
    if len(data) > MAX_NOTE_BYTES:
        raise LogSignatureError(f"a note of {len(data)} bytes, more than the {MAX_NOTE_BYTES} that are read", _ADVICE)
    try:
        note = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LogSignatureError("the note isn't UTF-8", _ADVICE) from error
    text, separator, signatures = note.rpartition("\n\n")
    if _CONTROL.search(note) or not separator or not signatures.endswith("\n"):
        raise LogSignatureError("expected a signed note: text, an empty line, signature lines", _ADVICE)
    return text + "\n", [_signature(line) for line in signatures[:-1].split("\n")]


def _signature(line: str) -> tuple[str, bytes]:
    match = _LINE.fullmatch(line)
    try:
        blob = base64.b64decode(match[2], validate=True) if match else b""
    except (binascii.Error, ValueError):
        blob = b""
    if match is None or len(blob) < 5 or base64.b64encode(blob).decode() != match[2]:
        raise LogSignatureError(f"not a signature line: {line[:80]!r}", _ADVICE)
    return match[1], blob


_ADVICE = "it was changed, or never was a signed note; restore it, and find out who wrote to it"
