"""Verify a ``model.sig``, whoever wrote it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from airflow_mlsecops.core.artifact import Form, Kind
from airflow_mlsecops.core.bundle import pre_authentication_encoding
from airflow_mlsecops.core.clock import to_text
from airflow_mlsecops.core.digest import Sha256, sha256_bytes
from airflow_mlsecops.core.errors import SignatureError
from airflow_mlsecops.core.manifest import Manifest, safe_name
from airflow_mlsecops.core.oms.bundle import Method, OmsBundle
from airflow_mlsecops.core.oms.certificates import CertificateTrust, check_chain, load_leaf
from airflow_mlsecops.core.oms.errors import OmsFilesError, OmsSignatureError, OmsSignerError
from airflow_mlsecops.core.oms.log_entries import Signed, check_log_entry, check_timestamp
from airflow_mlsecops.core.oms.statement import OmsStatement, is_under, parse_statement
from airflow_mlsecops.core.pinning import Access, Pin, pin
from airflow_mlsecops.core.pinning.beside import SIGNATURE_NAME
from airflow_mlsecops.core.signing.keys import PublicKey

KeylessVerifier = Callable[[bytes], str]
"""Verifies a keyless bundle in full (certificate, log, time, identity policy); returns who signed, or raises."""

OmsTrust = PublicKey | CertificateTrust | KeylessVerifier


@dataclass(frozen=True)
class OmsVerification:
    """A model signature that holds; there is none of one that doesn't.

    Attributes:
        name: what the signer called the model.
        method: how it was signed.
        signer: the key's hint, the certificate's subject, or the keyless identity.
        root: the format's root digest. It binds no names: never gate on it alone.
        manifest: all files as they were hashed now, with the ignored ones.
        ignored: names of files that are there, unsigned, and were ignored as asked.
        log_entries: how many log entries and timestamps came with it. They are this bundle's, but with a key or a
            certificate nobody asked who vouches for them.
    """

    name: str
    method: Method
    signer: str
    root: Sha256
    manifest: Manifest
    ignored: tuple[str, ...]
    log_entries: int


def verify_oms(
    bundle: bytes,
    root: Path | Pin | Manifest,
    *,
    trust: OmsTrust,
    at: datetime,
    ignore: Sequence[str] = (),
    name: str = "",
    access: Access | None = None,
) -> OmsVerification:
    """Verify that the files under ``root`` are exactly the signed ones, and that somebody trusted signed them.

    1. The bundle is well formed: one signature, one kind of verification material, nothing unknown in it.
    2. It was signed in the way that is trusted: by this key, by a certificate that leads to these roots at ``at``, or
       by an identity for which the keyless verifier vouches.
    3. The signature belongs to the statement and to that key.
    4. Log entries and timestamps, if any, are about this bundle.
    5. The statement is well formed, its names are safe, and its root digest is the one of its list.
    6. The subject has the expected name; by default that of the file, where a single file was signed.
    7. The files are the signed files: none missing, none changed, none unsigned that isn't ignored.

    Whatever the signature says about ignored paths excuses nothing. A ``model.sig`` in the root that is this very
    bundle needs no excuse.

    The caller still owes: a trusted time, and loading the bytes that were hashed, not what lies there later.

    Args:
        bundle: the bytes of ``model.sig``.
        root: where the model lies; or its pin; or a manifest, hashed in whatever way is trusted.
        trust: one key, the certificates, or a verifier of keyless bundles.
        at: the trusted time of the signature, or now; with a zone.
        ignore: names of files, or of folders with all below, that may be there unsigned. Signed files never are.
        name: the subject's expected name.
        access: how to reach the files.

    Raises:
        OmsFormatError, OmsSignerError, OmsCertificateError, OmsSignatureError, OmsLogEntryError, OmsFilesError: if the
            step with that name fails.
        ArtifactError: if the files can't be pinned, because of links, for example.
    """
    to_text(at)  # refuses a time without a zone
    ignored = [safe_name(path) for path in ignore]
    # 1.
    parsed = OmsBundle.parse(bundle)
    # 2.
    key, verifier, signer = _signer(parsed, trust, at)
    # 3.
    try:
        key.verify(parsed.signature, pre_authentication_encoding(parsed.payload))
    except SignatureError as error:
        raise OmsSignatureError(error.message, "the model signature was forged or damaged") from error
    # 4.
    signed = Signed(parsed.payload, parsed.signature, verifier)
    for entry in parsed.log_entries:
        check_log_entry(entry, signed)
    for stamp in parsed.timestamps:
        check_timestamp(stamp, parsed.signature)
    # 5.
    statement = parse_statement(parsed.payload)
    # 6.
    manifest, form = _pinned(root, access)
    _check_name(statement, manifest, form, name)
    # 7.
    unsigned = _check_files(statement, manifest, ignored, sha256_bytes(bundle), renamed=bool(name))
    attached = len(parsed.log_entries) + len(parsed.timestamps)
    return OmsVerification(statement.name, parsed.method, signer, statement.root, manifest, unsigned, attached)


def _signer(parsed: OmsBundle, trust: OmsTrust, at: datetime) -> tuple[PublicKey, bytes, str]:
    """The key that has to have signed, how a log names it (DER), and who that is."""
    if isinstance(trust, PublicKey):
        _expect(parsed, Method.KEY)
        spki = _spki(trust)
        if parsed.key_hint not in ("", trust.hint) or parsed.key_bytes not in (b"", spki, trust.pem.encode()):
            raise OmsSignerError(
                f"the model is signed with key {parsed.key_hint[:16] or 'of other bytes'}, not with {trust.hint[:16]}…",
                "whoever signed it is not trusted here; or give the key that signed it",
            )
        return trust, spki, trust.hint
    if isinstance(trust, CertificateTrust):
        _expect(parsed, Method.CERTIFICATE)
        leaf = check_chain(parsed.certificates, trust, at)
        return leaf.key, parsed.certificates[0], leaf.names[0] if leaf.names else leaf.key.hint
    _expect(parsed, Method.KEYLESS)
    identity = trust(parsed.raw)
    if not isinstance(identity, str) or not identity:
        raise OmsSignerError("the keyless verifier named no identity", "it has to raise, or to say who signed")
    return load_leaf(parsed.certificates[0])[1].key, parsed.certificates[0], identity


def _expect(parsed: OmsBundle, method: Method) -> None:
    if parsed.method is not method:
        raise OmsSignerError(
            f"the model is signed by {parsed.method}, but verification by {method} was asked for",
            "verify it in the way it was signed",
        )


def _spki(key: PublicKey) -> bytes:
    public = serialization.load_pem_public_key(key.pem.encode())
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _pinned(root: Path | Pin | Manifest, access: Access | None) -> tuple[Manifest, Form | None]:
    if isinstance(root, Manifest):
        return root, None
    found = root if isinstance(root, Pin) else pin(str(root), kind=Kind.MODEL, access=access, every_file=True)
    return found.manifest, found.artifact.form


def _check_name(statement: OmsStatement, manifest: Manifest, form: Form | None, name: str) -> None:
    if statement.single_file:
        if form is Form.TREE or len(manifest.entries) != 1:
            raise OmsFilesError("the signature is one file's, but a folder was given", "give the file itself")
        name = name or manifest.entries[0].name
    if name and statement.name != name:
        raise OmsFilesError(
            f"the signature is about {statement.name[:200]!r}, not about {name[:200]!r}",
            "it was renamed, or is another model; give the name under which it was signed if that is meant",
        )


def _check_files(
    statement: OmsStatement, manifest: Manifest, ignored: Sequence[str], bundle_digest: Sha256, *, renamed: bool
) -> tuple[str, ...]:
    """Compare; return the names that are unsigned and ignored."""
    signed = statement.files
    found = {entry.name: entry.sha256 for entry in manifest.entries}
    if statement.single_file and renamed:
        # Its name stands in the subject alone, and was compared with the name that the caller expects.
        found = {next(iter(signed)): manifest.entries[0].sha256}
    missing = [name for name in signed if name not in found]
    changed = [name for name, digest in signed.items() if found.get(name, digest) != digest]
    extra = [name for name in found if name not in signed]
    extra = [name for name in extra if (name, found[name]) != (SIGNATURE_NAME, bundle_digest)]
    unsigned = [name for name in extra if not is_under(name, ignored)]
    if missing or changed or unsigned:
        parts = (("missing", missing), ("changed", changed), ("unsigned", unsigned))
        moved = {signed[name] for name in missing} & {found[name] for name in unsigned}
        raise OmsFilesError(
            "the files are not the signed files: " + "; ".join(_some(what, names) for what, names in parts if names),
            "a file was renamed or moved; restore its name" if moved else "don't load it; get the model again",
            missing,
            changed,
            unsigned,
        )
    return tuple(extra)


def _some(what: str, names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:120]) for name in names[:5])
    return f"{len(names)} {what} ({shown}{', …' if len(names) > 5 else ''})"
