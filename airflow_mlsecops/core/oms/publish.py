"""Put a ``model.sig`` where the model's consumers look for it: in its folder, or beside its one file.

Nothing is overwritten unasked. Signatures over the same bytes differ each time (ECDSA is randomised), so that one by
the same signer over the same statement is kept as it is: signing again changes nothing.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace as replace_fields
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import unquote, urlsplit

from cryptography import x509

from airflow_mlsecops.core.artifact import Artifact, Form
from airflow_mlsecops.core.bundle import pre_authentication_encoding
from airflow_mlsecops.core.digest import Sha256, sha256_bytes
from airflow_mlsecops.core.errors import ArtifactError, ConfigurationError, EvidenceBrokenError, MlsecopsError
from airflow_mlsecops.core.manifest import Manifest
from airflow_mlsecops.core.oms.bundle import MAX_BUNDLE_BYTES, Method, OmsBundle
from airflow_mlsecops.core.oms.certificates import der
from airflow_mlsecops.core.oms.keyless import keyless_verifier
from airflow_mlsecops.core.oms.sign import model_statement, sign_oms
from airflow_mlsecops.core.pinning import Access, Pin
from airflow_mlsecops.core.pinning.beside import SIGNATURE_NAME
from airflow_mlsecops.core.signing.base import KeySigner
from airflow_mlsecops.core.store.backend import Backend

if TYPE_CHECKING:
    from airflow_mlsecops.core.oms.sign import OmsSigner


class OmsExistsError(ConfigurationError):
    """Another file lies where the model signature belongs."""

    code: ClassVar[str] = "oms-exists"


class OmsNotFoundError(ArtifactError):
    """No model signature lies where it belongs."""

    code: ClassVar[str] = "oms-not-found"


@dataclass(frozen=True)
class Published:
    """A model signature at its place.

    Attributes:
        uri: where it lies.
        bundle: its bytes.
        written: whether this call wrote it; False if the same signer's signature over the same files was there.
    """

    uri: str
    bundle: bytes
    written: bool

    @property
    def digest(self) -> Sha256:
        """SHA-256 of the bundle."""
        return sha256_bytes(self.bundle)


def signature_uri(artifact: Artifact) -> str:
    """Where an artifact's signature belongs: ``model.sig`` in a folder, ``NAME.sig`` beside a file.

    The file's name is part of it, because several models can lie in one folder.
    """
    return artifact.uri + (SIGNATURE_NAME if artifact.form is Form.TREE else ".sig")


def unsigned(pin: Pin) -> Pin:
    """A pinned folder as it will be without the ``model.sig`` in it, for whoever has just pinned it to sign it anew.

    Raises:
        ArtifactRefusedError: if there is nothing else in it.
    """
    kept = [entry for entry in pin.manifest.entries if entry.name != SIGNATURE_NAME]
    if pin.artifact.form is Form.FILE or len(kept) == len(pin.manifest.entries):
        return pin
    manifest = Manifest.of(kept)
    artifact = replace_fields(pin.artifact, digest=manifest.digest, size=manifest.size, files=len(kept), versions="")
    return Pin(artifact, manifest)


def published_oms(artifact: Artifact, access: Access | None = None) -> bytes:
    """The signature that lies at an artifact's place, whoever made it.

    Raises:
        OmsNotFoundError: if there is none.
        OmsExistsError: if what lies there is no file of a signature's size.
        StoreUnavailableError: if the place can't be reached for now.
    """
    place = _Place.of(artifact, access or Access())
    found = place.look()
    if found is None:
        raise OmsNotFoundError(f"no model signature at {place.uri}", "give the signature's path, or have it signed")
    return found[0]


def publish_oms(
    pin: Pin,
    signer: OmsSigner,
    *,
    name: str = "",
    certificates: Sequence[x509.Certificate] = (),
    replace: bool = False,
    access: Access | None = None,
) -> Published:
    """Sign a pinned model as :func:`~airflow_mlsecops.core.oms.sign.sign_oms` does, and put the signature to its place.

    0. The pinned folder has no ``model.sig`` of its own: what was pinned must not be changed.
    1. What lies there is kept, if it is this signer's good signature over the same statement.
    2. Anything else there is an error, or is replaced if that was asked for.
    3. The place is taken only if it is still as it was found; whoever was quicker is looked at again, from step 1.

    Args:
        pin: the pinned model.
        signer: see :func:`~airflow_mlsecops.core.oms.sign.sign_oms`.
        name: the subject's name of a folder; by default the artifact's name.
        certificates: see :func:`~airflow_mlsecops.core.oms.sign.sign_oms`.
        replace: replace another signature.
        access: how to reach S3.

    Raises:
        OmsExistsError: if something else lies there, and isn't to be replaced.
        SigningError: if the signer can't sign such a bundle.
        StoreUnavailableError: if the place can't be written to for now.
    """
    # 0.
    if pin.artifact.form is Form.TREE and any(entry.name == SIGNATURE_NAME for entry in pin.manifest.entries):
        raise OmsExistsError(
            f"the {SIGNATURE_NAME} in {pin.artifact.uri} is no signature of the other files, and so part of the model",
            "remove it, then pin, check and sign the model again",
        )
    place = _Place.of(pin.artifact, access or Access())
    for _ in range(_TRIES):
        found = place.look()
        # 1.
        if found is not None and _is_ours(found[0], pin, signer, name, certificates):
            return Published(place.uri, found[0], written=False)
        # 2.
        if found is not None and not replace:
            raise OmsExistsError(
                f"{place.uri} exists, and is not this signer's signature over these files",
                "see who put it there; ask for it to be replaced, or move it away",
            )
        # 3.
        bundle = sign_oms(pin, signer, name=name, certificates=certificates)
        if place.put(bundle, None if found is None else found[1]):
            return Published(place.uri, bundle, written=True)
    raise OmsExistsError(f"{place.uri} is being written to by others", "let one task alone sign a model")


_TRIES = 3


@dataclass(frozen=True)
class _Place:
    """One file on a folder or a bucket: created once, or replaced if it is still what was seen."""

    uri: str
    backend: Backend
    key: str
    path: Path | None

    @classmethod
    def of(cls, artifact: Artifact, access: Access) -> _Place:
        from airflow_mlsecops.core.store.local import LocalBackend
        from airflow_mlsecops.core.store.s3 import S3Backend

        uri = signature_uri(artifact)
        if uri.startswith("s3://"):
            bucket, _, key = uri.removeprefix("s3://").partition("/")
            return cls(uri, S3Backend(access.s3(), bucket, ""), key, None)
        path = Path(unquote(urlsplit(uri).path))
        return cls(uri, LocalBackend(path.parent), path.name, path)

    def look(self) -> tuple[bytes, str] | None:
        """What lies there and a tag of it; of what is too large to be a signature, no bytes."""
        if self.path is not None and self.path.is_symlink():
            raise OmsExistsError(f"{self.uri} is a link", "remove it; links are never followed")
        try:
            return self.backend.peek(self.key, MAX_BUNDLE_BYTES)
        except EvidenceBrokenError as error:
            raise OmsExistsError(f"{self.uri} exists, and is too large for a signature", error.advice) from error

    def put(self, bundle: bytes, tag: str | None) -> bool:
        if tag is None or self.path is None:
            return self.backend.swap(self.key, tag, bundle)
        # A lock beside it, as the store would make one, would be one more file in the model's folder.
        temporary = self.path.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            with temporary.open("xb") as stream:
                stream.write(bundle)
                stream.flush()
                os.fsync(stream.fileno())
            found = self.look()
            if found is None or found[1] != tag:
                return False
            temporary.replace(self.path)
        finally:
            temporary.unlink(missing_ok=True)
        return True


def _is_ours(bundle: bytes, pin: Pin, signer: OmsSigner, name: str, certificates: Sequence[x509.Certificate]) -> bool:
    from airflow_mlsecops.core.signing.keyless import KeylessSigner

    try:
        parsed = OmsBundle.parse(bundle)
        if parsed.payload != model_statement(pin, name=name).payload:
            return False
        if isinstance(signer, KeySigner):
            chain = tuple(der(certificate) for certificate in certificates)
            expected = Method.CERTIFICATE if chain else Method.KEY
            hint = "" if chain else signer.public_key.hint
            signer.public_key.verify(parsed.signature, pre_authentication_encoding(parsed.payload))
            return (parsed.method, parsed.key_hint, parsed.certificates) == (expected, hint, chain)
        return isinstance(signer, KeylessSigner) and bool(keyless_verifier(signer.root, [signer.identity])(bundle))
    except MlsecopsError:
        return False
