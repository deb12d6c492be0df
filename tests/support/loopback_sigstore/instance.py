"""All services together, and the trust configuration that clients need."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.support.loopback_sigstore.authority import (
    ORGANIZATION,
    Authority,
    code_signing_authority,
    time_stamping_authority,
)
from tests.support.loopback_sigstore.fulcio import Fulcio
from tests.support.loopback_sigstore.keystore import Keystore, PrivateKey, spki, write_private
from tests.support.loopback_sigstore.log import Log, note_key_id, spki_key_id
from tests.support.loopback_sigstore.oidc import Issuer
from tests.support.loopback_sigstore.rekor import RekorV1, RekorV2
from tests.support.loopback_sigstore.tsa import TimestampAuthority
from tests.support.loopback_sigstore.web import Clock, Listener

_SERVICES = ("oidc", "fulcio", "rekor-v1", "rekor-v2", "tsa")
_ECDSA, _ED25519 = "PKIX_ECDSA_P256_SHA_256", "PKIX_ED25519"


class LoopbackSigstore:
    """A Sigstore instance whose keys, ports and logs lie in one folder.

    Started again on the same folder, it is the same instance: same issuer URL, same trust root, same log entries.

    Attributes:
        issuer: mints workload tokens.
        fulcio: issues certificates.
        rekor_v1: the log with inclusion promises.
        rekor_v2: the log without.
        tsa: the time-stamping authority.
        clocks: each service's clock by name (``oidc``, ``fulcio``, ``rekor-v1``, ``tsa``).
        listeners: each service's port by name.
    """

    def __init__(self, home: Path) -> None:
        """Bind the ports and load or make the keys.

        Raises:
            OSError: if a port that this instance had before is taken now.
        """
        self.home = home
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.listeners = _listeners(home / "ports.json")
        self.clocks = {name: Clock() for name in _SERVICES}
        keys = Keystore(home / "keys")
        self._authority, self._stamps = code_signing_authority(keys), time_stamping_authority(keys)
        self._ct_key = keys.ecdsa("ct-log")
        self.issuer = Issuer(self.url("oidc"), keys.ecdsa("oidc"), self.clocks["oidc"])
        self.fulcio = Fulcio(self._authority, self._ct_key, self.issuer.url, self.clocks["fulcio"])
        host_v1, host_v2 = (self.url(name).removeprefix("http://") for name in ("rekor-v1", "rekor-v2"))
        key_v1, key_v2 = keys.ecdsa("rekor-v1"), keys.ed25519("rekor-v2")
        log_v1 = Log(home / "rekor-v1.log", key_v1, spki_key_id(key_v1), f"{host_v1} - 1", host_v1)
        log_v2 = Log(home / "rekor-v2.log", key_v2, note_key_id(key_v2, host_v2), host_v2, host_v2)
        self.rekor_v1 = RekorV1(log_v1, self.clocks["rekor-v1"])
        self.rekor_v2 = RekorV2(log_v2)
        self.tsa = TimestampAuthority(self._stamps, self.clocks["tsa"])

    def start(self) -> None:
        """Begin to answer on all ports."""
        services = (self.issuer, self.fulcio, self.rekor_v1, self.rekor_v2, self.tsa)
        routes = [service.routes() for service in services]
        for name, table in zip(_SERVICES, routes, strict=True):
            self.listeners[name].serve(table)

    def close(self) -> None:
        """Stop answering and free the ports."""
        for listener in self.listeners.values():
            listener.close()

    def __enter__(self) -> LoopbackSigstore:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def url(self, service: str) -> str:
        """Where a service listens."""
        return self.listeners[service].url

    def trusted_root(self) -> dict[str, Any]:
        """The trust root: what a verifier needs, and all it needs."""
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [
                self._log(self.url("rekor-v1"), self.rekor_v1.log.key, _ECDSA, self.rekor_v1.log.key_id),
                self._log(self.url("rekor-v2"), self.rekor_v2.log.key, _ED25519, self.rekor_v2.log.key_id),
            ],
            "certificateAuthorities": [self._chain(self._authority, self.url("fulcio"))],
            "ctlogs": [self._log(f"{self.url('fulcio')}/ct", self._ct_key, _ECDSA, spki_key_id(self._ct_key))],
            "timestampAuthorities": [self._chain(self._stamps, self.url("tsa"))],
        }

    def client_trust_config(self, log_version: int, with_tsa: bool = True) -> dict[str, Any]:
        """What a signer needs: the trust root, and where the services are.

        Args:
            log_version: 1 or 2, the Rekor that clients are sent to.
            with_tsa: whether they are told to get a time stamp.
        """
        signing: dict[str, Any] = {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [self._service(self.url("fulcio"))],
            "oidcUrls": [self._service(self.url("oidc"))],
            "rekorTlogUrls": [self._service(self.url(f"rekor-v{log_version}"), log_version)],
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaConfig": {"selector": "ANY"},
        }
        if with_tsa:
            signing["tsaUrls"] = [self._service(f"{self.url('tsa')}/api/v1/timestamp")]
        return {
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": self.trusted_root(),
            "signingConfig": signing,
        }

    def write_configuration(self) -> None:
        """Write ``trusted_root.json``, a client configuration for each Rekor, and the mint's secret into the home."""
        files = {"trusted_root.json": self.trusted_root()}
        files |= {f"rekor-v{version}.json": self.client_trust_config(version) for version in (1, 2)}
        for name, value in files.items():
            (self.home / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
        write_private(self.home / "mint-secret", self.issuer.secret.encode())

    @property
    def _valid_for(self) -> dict[str, str]:
        return {"start": _time(self._authority.certificate.not_valid_before_utc)}

    def _log(self, url: str, key: PrivateKey, details: str, key_id: bytes) -> dict[str, Any]:
        return {
            "baseUrl": url,
            "hashAlgorithm": "SHA2_256",
            "publicKey": {"rawBytes": _text(spki(key)), "keyDetails": details, "validFor": self._valid_for},
            "logId": {"keyId": _text(key_id)},
        }

    def _chain(self, authority: Authority, url: str) -> dict[str, Any]:
        return {
            "subject": {"organization": ORGANIZATION, "commonName": url.removeprefix("http://")},
            "uri": url,
            "certChain": {"certificates": [{"rawBytes": _der(item)} for item in authority.chain]},
            "validFor": self._valid_for,
        }

    def _service(self, url: str, version: int = 1) -> dict[str, Any]:
        return {"url": url, "majorApiVersion": version, "validFor": self._valid_for, "operator": ORGANIZATION}


def _listeners(path: Path) -> dict[str, Listener]:
    """The ports: free ones at first, then the same ones again, because identities and log ids name them."""
    ports = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    listeners: dict[str, Listener] = {}
    try:
        for name in _SERVICES:
            listeners[name] = Listener(ports.get(name, 0))
    except OSError:
        for listener in listeners.values():
            listener.close()
        raise
    path.write_text(json.dumps({name: item.port for name, item in listeners.items()}), encoding="utf-8")
    return listeners


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _der(certificate: x509.Certificate) -> str:
    return _text(certificate.public_bytes(serialization.Encoding.DER))


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
