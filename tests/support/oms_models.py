"""Models on disk, and ``model.sig`` files that are valid but for one thing."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from airflow_mlsecops.core.bundle import pre_authentication_encoding
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.oms import OmsVerification, sign_oms, verify_oms
from airflow_mlsecops.core.oms.bundle import OmsBundle, build_bundle
from airflow_mlsecops.core.oms.statement import PREDICATE_TYPE, root_digest
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.signing.file_key import FileKeySigner
from tests.support.oms_pki import DURING, private_pem

FILES = {
    "config.json": b'{"layers": 2}',
    "weights-1.bin": b"one" * 1000,
    "weights/part-2.bin": b"two" * 1000,
    "weights.txt": b"",
    "tokenizer/vöcab 词.txt": b"a b c",
}
"""Among them a file without bytes, and names that sort in one way by text and in another by their parts."""


def signer(curve: str = "secp256r1") -> FileKeySigner:
    """One signer a curve, for the whole test process."""
    return _signer(curve)


@cache
def _signer(curve: str) -> FileKeySigner:
    curves: dict[str, ec.EllipticCurve] = {"secp256r1": ec.SECP256R1(), "secp384r1": ec.SECP384R1()}
    return FileKeySigner(private_pem(ec.generate_private_key(curves[curve])))


@cache
def stranger() -> FileKeySigner:
    """A signer that nobody trusts."""
    return FileKeySigner(private_pem(ec.generate_private_key(ec.SECP256R1())))


def write_model(folder: Path, files: dict[str, bytes] | None = None) -> Path:
    """Write a model's files into ``folder``."""
    for name, data in (FILES if files is None else files).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def signed(model: Path) -> bytes:
    """A good bundle of ``model`` with the usual key."""
    return sign_oms(pin(str(model)), signer())


def verify(bundle: bytes, model: Path, **how: Any) -> OmsVerification:
    """Verify with the usual key, at the usual time."""
    return verify_oms(bundle, model, **{"trust": signer().public_key, "at": DURING, **how})


def statement_of(bundle: bytes) -> dict[str, Any]:
    """The signed statement, as JSON."""
    return dict(json.loads(OmsBundle.parse(bundle).payload))


def statement(files: list[tuple[str, bytes]], **serialization: Any) -> dict[str, Any]:
    """A statement about files with these contents, in this order, whatever their names; with a true root digest."""
    digests = [sha256_bytes(data) for _, data in files]
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "model", "digest": {"sha256": root_digest(digests)}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False, **serialization},
            "resources": [
                {"name": name, "algorithm": "sha256", "digest": digest}
                for (name, _), digest in zip(files, digests, strict=True)
            ],
        },
    }


def sign_payload(payload: bytes, by: FileKeySigner | None = None) -> bytes:
    """A bundle with a true signature over any payload at all."""
    by = by or signer()
    return build_bundle(payload, by._sign(pre_authentication_encoding(payload)), key_hint=by.public_key.hint)


def sign_statement(value: dict[str, Any]) -> bytes:
    """A bundle with a true signature over any statement."""
    return sign_payload(json.dumps(value).encode())


def edited(bundle: bytes, edit: Callable[[dict[str, Any]], object]) -> bytes:
    """The bundle after ``edit`` changed its JSON in place; the signature stays as it is."""
    value = json.loads(bundle)
    edit(value)
    return json.dumps(value).encode()


def base64_text(data: bytes) -> str:
    """Standard base64."""
    return base64.b64encode(data).decode()
