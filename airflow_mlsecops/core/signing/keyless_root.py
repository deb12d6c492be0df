"""The trust root of one Sigstore instance: its authorities, logs and time-stamping authorities, each with a validity.

The file is either ``trusted_root.json`` or a client trust configuration that holds one. There is no default: whoever
verifies says which instance is trusted.

Source: ``sigstore_trustroot.proto`` of sigstore/protobuf-specs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from airflow_mlsecops.core.bundle_material import decode
from airflow_mlsecops.core.canonical import strict_json
from airflow_mlsecops.core.clock import from_text, to_text
from airflow_mlsecops.core.digest import Sha256, sha256_bytes
from airflow_mlsecops.core.errors import MlsecopsError, StatementError, TrustError
from airflow_mlsecops.core.signing.keys import PublicKey

if TYPE_CHECKING:
    from sigstore.models import TrustedRoot

CONFIG_TYPE = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
ROOT_TYPE = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
_SIGNING_CONFIG_TYPE = "application/vnd.dev.sigstore.signingconfig.v0.2+json"


@dataclass(frozen=True)
class SigstoreRoot:
    """One instance's trust root.

    Attributes:
        digest: SHA-256 of the file it came from; verdicts name it.
    """

    digest: Sha256
    _document: Mapping[str, Any] = field(repr=False)

    @classmethod
    def from_bytes(cls, data: bytes) -> SigstoreRoot:
        """Read a trust root, or the one inside a client trust configuration.

        Raises:
            TrustError: if it is neither, or names no authority, no CT log or no transparency log.
        """
        try:
            value = strict_json(data, "Sigstore trust root")
        except StatementError as error:
            raise TrustError(error.message, error.advice) from error
        if isinstance(value, dict) and value.get("mediaType") == CONFIG_TYPE:
            value = value.get("trustedRoot")
        if not isinstance(value, dict) or value.get("mediaType") != ROOT_TYPE:
            raise TrustError(
                f"expected a Sigstore trust root ({ROOT_TYPE})",
                "give trusted_root.json or a client trust configuration",
            )
        for name in ("certificateAuthorities", "ctlogs", "tlogs"):
            items = value.get(name)
            if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
                raise TrustError(f"the Sigstore trust root has no {name}", "a keyless signature can't be verified so")
        root = cls(sha256_bytes(data), value)
        root.full()  # what sigstore can't read is refused now, not at the first signature
        return root

    def full(self) -> TrustedRoot:
        """All of it, as sigstore-python takes it.

        Raises:
            TrustError: if sigstore-python can't read it.
        """
        return _sigstore_root(self._document)

    def narrowed(self, log_id: bytes, times: Iterable[datetime]) -> TrustedRoot:
        """What of it may vouch for an entry of one log, signed at these times.

        sigstore-python tries every log's key on every entry, and accepts keys and authorities whose validity in the
        trust root had ended; so it is only given those that count.

        Raises:
            TrustError: if no transparency log has this id, or if nothing of a kind was valid then.
        """
        times = list(times)
        logs = self._logs(log_id)
        kinds = {"tlogs": logs, "ctlogs": self._document["ctlogs"]}
        kinds["certificateAuthorities"] = self._document["certificateAuthorities"]
        document = dict(self._document)
        for name, items in kinds.items():
            document[name] = [item for item in items if _valid(item, times)]
            if not document[name]:
                moments = ", ".join(to_text(moment) for moment in times)
                raise TrustError(f"none of the trust root's {name} was valid at {moments}", "it was signed too late")
        return _sigstore_root(document)

    def log_key(self, log_id: bytes, times: Iterable[datetime]) -> tuple[str, PublicKey]:
        """The log with this id: the name with which it signs its checkpoints (its host), and its key.

        Raises:
            TrustError: if no log has this id, or its key can't be used, or wasn't valid at all those times.
        """
        times = list(times)
        log = self._logs(log_id)[0]
        if not _valid(log, times):
            moments = ", ".join(to_text(moment) for moment in times)
            raise TrustError(f"the trust root's key of the log wasn't valid at {moments}", "it was signed too late")
        try:
            der = decode(log["publicKey"]["rawBytes"], "log's key")
            return urlsplit(str(log["baseUrl"])).netloc, PublicKey.of(serialization.load_der_public_key(der))
        except (MlsecopsError, KeyError, TypeError, ValueError, UnsupportedAlgorithm) as error:
            raise TrustError(
                "a log in the Sigstore trust root has no usable name or key", "fetch it again from its instance"
            ) from error

    def _logs(self, log_id: bytes) -> list[Mapping[str, Any]]:
        logs = [item for item in self._document["tlogs"] if log_id in _ids(item)]
        if not logs:
            raise TrustError(
                f"the log {log_id.hex()[:16]}… is not in the Sigstore trust root", "its entries count for nothing here"
            )
        return logs


def _sigstore_root(document: Mapping[str, Any]) -> TrustedRoot:
    from sigstore.models import ClientTrustConfig

    # A whole client configuration is what sigstore-python's public interface reads from memory.
    whole = {
        "mediaType": CONFIG_TYPE,
        "trustedRoot": document,
        "signingConfig": {"mediaType": _SIGNING_CONFIG_TYPE},
    }
    try:
        return ClientTrustConfig.from_json(json.dumps(whole)).trusted_root
    except Exception as error:
        raise TrustError(
            f"the Sigstore trust root can't be read: {error}", "fetch it again from its instance"
        ) from error


def _ids(log: Mapping[str, Any]) -> list[bytes]:
    found = [log[name] for name in ("logId", "checkpointKeyId") if name in log]
    try:
        return [decode(item["keyId"], "log id") for item in found]
    except (StatementError, KeyError, TypeError) as error:
        raise TrustError("a log in the Sigstore trust root has no usable id") from error


def _valid(item: Mapping[str, Any], times: Iterable[datetime]) -> bool:
    period = item.get("publicKey", item).get("validFor") or {}
    try:
        start = from_text(period["start"]) if "start" in period else None
        end = from_text(period["end"]) if "end" in period else None
    except StatementError as error:
        raise TrustError(f"a validity in the Sigstore trust root: {error.message}") from error
    return all((start is None or start <= at) and (end is None or at <= end) for at in times)
