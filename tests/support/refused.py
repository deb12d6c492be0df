"""Release and trust policies that are refused, by what is wrong with them: for the parsers, and for the schemas."""

from __future__ import annotations

import json
from typing import Any

from tests.support.evidence import key

TEST = {"evidence": "test-result", "of": "datasets", "control": "data-validation"}
SIGNED = {"evidence": "signature", "of": "model"}
APPROVED = {"evidence": "approval", "of": "model"}


def release_policy(*require: Any, **fields: Any) -> bytes:
    """A release policy's file: one good requirement by default."""
    return json.dumps({"version": 1, "name": "production", "require": list(require) or [SIGNED], **fields}).encode()


RELEASE_POLICIES: dict[str, bytes] = {
    "empty": b"",
    "list": b"[]",
    "not-yaml": b"require: [",
    "binary": b"\xff\xfe",
    "oversized": b"#" * (1024 * 1024 + 1),
    "two-documents": release_policy() + b"\n---\n" + release_policy(),
    "python-object": b"!!python/object/apply:os.system ['true']",
    "duplicate-key": release_policy().replace(b'"name"', b'"name": "a", "name"'),
    "duplicate-key-of-a-requirement": release_policy(APPROVED).replace(b'"of"', b'"count": 2, "count": 1, "of"'),
    "no-version": json.dumps({"name": "a", "require": [SIGNED]}).encode(),
    "version-2": release_policy(version=2),
    "version-true": release_policy(version=True),
    "version-float": release_policy(version=1.0),
    "no-name": release_policy(name=""),
    "name-is-yes": release_policy().replace(b'"production"', b"yes"),
    "unknown-key": release_policy(requires=[SIGNED]),
    "requires-nothing": json.dumps({"version": 1, "name": "a"}).encode(),
    "requires-an-empty-list": release_policy(require=[]),
    "requires-null": release_policy(require=None),
    "requires-a-mapping": release_policy(require=SIGNED),
    "requirement-as-text": release_policy("signature"),
    "requirement-twice": release_policy(SIGNED, SIGNED),
    "requirement-twice-in-another-order": release_policy(
        {**SIGNED, "signed_by": ["a", "b"]}, {**SIGNED, "signed_by": ["b", "a"]}
    ),
    "unknown-key-of-a-requirement": release_policy({**SIGNED, "max_agee": "1d"}),
    "no-evidence": release_policy({"of": "model"}),
    "unknown-evidence": release_policy({"evidence": "signatures", "of": "model"}),
    "evidence-that-gates-write": release_policy({"evidence": "verification-summary", "of": "model"}),
    "evidence-as-list": release_policy({"evidence": ["signature"], "of": "model"}),
    "no-of": release_policy({"evidence": "signature"}),
    "unknown-of": release_policy({"evidence": "signature", "of": "dataset"}),
    "of-as-list": release_policy({"evidence": "signature", "of": ["model"]}),
    "test-without-control": release_policy({"evidence": "test-result", "of": "model"}),
    "test-with-empty-control": release_policy({**TEST, "control": ""}),
    "test-with-control-as-list": release_policy({**TEST, "control": ["data-validation"]}),
    "control-of-a-signature": release_policy({**SIGNED, "control": "data-validation"}),
    "verdicts-of-a-signature": release_policy({**SIGNED, "verdicts": ["pass"]}),
    "count-of-a-signature": release_policy({**SIGNED, "count": 2}),
    "verdict-fail": release_policy({**TEST, "verdicts": ["pass", "fail"]}),
    "verdict-unknown": release_policy({**TEST, "verdicts": ["PASS"]}),
    "verdicts-empty": release_policy({**TEST, "verdicts": []}),
    "verdicts-null": release_policy({**TEST, "verdicts": None}),
    "verdicts-as-text": release_policy({**TEST, "verdicts": "pass"}),
    "verdicts-of-lists": release_policy({**TEST, "verdicts": [["pass"]]}),
    "signed-by-nobody": release_policy({**SIGNED, "signed_by": []}),
    "signed-by-left-empty": release_policy({**SIGNED, "signed_by": None}),
    "signed-by-as-text": release_policy({**SIGNED, "signed_by": "pipeline"}),
    "signed-by-an-empty-name": release_policy({**SIGNED, "signed_by": ["pipeline", ""]}),
    "signed-by-a-number": release_policy({**SIGNED, "signed_by": [1]}),
    "count-0": release_policy({**APPROVED, "count": 0}),
    "count-negative": release_policy({**APPROVED, "count": -1}),
    "count-true": release_policy({**APPROVED, "count": True}),
    "count-float": release_policy({**APPROVED, "count": 2.0}),
    "count-text": release_policy({**APPROVED, "count": "2"}),
    "count-null": release_policy({**APPROVED, "count": None}),
    **{
        f"max-age-{age!r}": release_policy({**SIGNED, "max_age": age})
        for age in (
            "",
            "0d",
            "-1d",
            "7",
            "7 d",
            "1w",
            "1.5h",
            "d",
            "7D",
            "07d",
            "1234567d",
            "7d\n",
            "٧d",
            7,
            0,
            None,
            True,
            ["7d"],
        )
    },
    "valid-for-null": release_policy(valid_for=None),
    "valid-for-number": release_policy(valid_for=90),
    "valid-for-never": release_policy(valid_for="never"),
}


PEM = key("pipeline").public_key.pem


def _signer(**fields: Any) -> dict[str, Any]:
    return {"name": "pipeline", "public_key": PEM, "roles": ["sign"], **fields}


def trust_policy(*signers: Any, **fields: Any) -> bytes:
    """A trust policy's file: one good signer by default."""
    return json.dumps({"version": 1, "signers": list(signers) or [_signer()], **fields}).encode()


TRUST_POLICIES: dict[str, bytes] = {
    "empty": b"",
    "null": b"null",
    "list": b"[]",
    "text": b"trust nobody",
    "not-yaml": b"signers: [",
    "tabs": b"version: 1\n\tsigners: []",
    "binary": b"\x00\xff\xfe",
    "latin-1": "version: 1 # ü".encode("latin-1"),
    "two-documents": b"version: 1\n---\nversion: 1\n",
    "python-object": b"!!python/object/apply:os.system ['true']",
    "oversized": b"#" * (1024 * 1024 + 1),
    "deep": b"[" * 5000,
    "merge-keys": b"version: 1\na: &a {b: 1}\nsigners: [{<<: *a}]",
    "duplicate-version": b"version: 1\nversion: 1\nsigners: []",
    "duplicate-key-of-a-signer": trust_policy().replace(b'"roles":', b'"roles": ["gate"], "roles":'),
    "list-as-key": b"? [a]\n: 1\nversion: 1",
    "no-version": json.dumps({"signers": [_signer()]}).encode(),
    "other-version": trust_policy(version=2),
    "version-as-text": trust_policy(version="1"),
    "version-true": trust_policy(version=True),
    "unknown-key": trust_policy(siners=[]),
    "no-signers": json.dumps({"version": 1}).encode(),
    "empty-signers": trust_policy(signers=[]),
    "signers-as-mapping": trust_policy(signers={"pipeline": _signer()}),
    "signer-as-text": trust_policy("pipeline"),
    "unknown-key-of-a-signer": trust_policy(_signer(rolls=["gate"])),
    "no-name": trust_policy(_signer(name="")),
    "name-as-number": trust_policy(_signer(name=1)),
    "no-key": trust_policy({"name": "a", "roles": ["sign"]}),
    "key-is-no-pem": trust_policy(_signer(public_key="AAAA")),
    "key-of-surrogates": trust_policy(_signer(public_key="\ud800")),
    "private-key": trust_policy(_signer(public_key="-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")),
    "no-roles": trust_policy(_signer(roles=[])),
    "roles-as-text": trust_policy(_signer(roles="sign")),
    "roles-of-numbers": trust_policy(_signer(roles=[1])),
    "unknown-role": trust_policy(_signer(roles=["sign", "admin"])),
    "role-of-no-control": trust_policy(_signer(roles=["control:"])),
    "role-of-another-kind": trust_policy(_signer(roles=["sign:model"])),
    "time-without-zone": trust_policy(_signer(not_after="2027-01-01T00:00:00")),
    "date": trust_policy().replace(b'"roles"', b'"not_after": 2027-01-01, "roles"'),
    "time-is-no-time": trust_policy(_signer(not_before="soon")),
    "time-as-number": trust_policy(_signer(not_before=20260101)),
    "time-left-empty": trust_policy(_signer(not_after=None)),
    "time-outside-the-years": trust_policy(_signer(not_before="0001-01-01T00:00:00+23:59")),
    "key-and-identity": trust_policy(_signer(identity="a@b", issuer="https://i")),
    "identity-without-issuer": trust_policy({"name": "a", "roles": ["sign"], "identity": "a@b", "sigstore": "s"}),
    "identity-without-instance": trust_policy({"name": "a", "roles": ["sign"], "identity": "a@b", "issuer": "i"}),
    "identity-as-number": trust_policy({"name": "a", "roles": ["sign"], "identity": 1, "issuer": "i", "sigstore": "s"}),
    "issuer-without-identity": trust_policy(_signer(issuer="https://i")),
    "instance-unknown": trust_policy(_signer(sigstore="nowhere")),
    "instance-as-list": trust_policy(_signer(sigstore=["s"])),
    "instances-as-mapping": trust_policy(sigstore={"name": "s"}),
    "instances-empty": trust_policy(sigstore=[]),
    "instance-without-root": trust_policy(sigstore=[{"name": "s"}]),
    "instance-unknown-key": trust_policy(sigstore=[{"name": "s", "trusted_root": "r.json", "sha": "0" * 64}]),
    "root-without-pin": trust_policy(sigstore=[{"name": "s", "trusted_root": "root.json"}]),
    "root-with-pin-that-is-none": trust_policy(sigstore=[{"name": "s", "trusted_root": "r.json", "sha256": "abc"}]),
    "root-with-absolute-path": trust_policy(sigstore=[{"name": "s", "trusted_root": "/r.json", "sha256": "0" * 64}]),
    "root-that-climbs": trust_policy(sigstore=[{"name": "s", "trusted_root": "a/../../r", "sha256": "0" * 64}]),
    "root-on-the-web": trust_policy(sigstore=[{"name": "s", "trusted_root": "https://r", "sha256": "0" * 64}]),
    "root-inline-with-pin": trust_policy(sigstore=[{"name": "s", "trusted_root": "{}", "sha256": "0" * 64}]),
    "root-inline-that-is-none": trust_policy(sigstore=[{"name": "s", "trusted_root": "{}"}]),
    "root-as-mapping": trust_policy(sigstore=[{"name": "s", "trusted_root": {}}]),
    "root-without-a-folder": trust_policy(sigstore=[{"name": "s", "trusted_root": "r.json", "sha256": "0" * 64}]),
    "revoked-as-text": trust_policy(revoked="pipeline"),
    "revoked-nobody": trust_policy(revoked=[{"cause": "compromised"}]),
    "revoked-two-at-once": trust_policy(revoked=[{"signer": "pipeline", "key": "0" * 64, "cause": "compromised"}]),
    "revoked-unknown-signer": trust_policy(revoked=[{"signer": "nobody", "cause": "compromised"}]),
    "revoked-without-cause": trust_policy(revoked=[{"signer": "pipeline"}]),
    "revoked-for-an-unknown-cause": trust_policy(revoked=[{"signer": "pipeline", "cause": "bored"}]),
    "revoked-cause-as-list": trust_policy(revoked=[{"signer": "pipeline", "cause": ["retired"]}]),
    "retired-without-since": trust_policy(revoked=[{"signer": "pipeline", "cause": "retired"}]),
    "revoked-since-null": trust_policy(revoked=[{"signer": "pipeline", "cause": "compromised", "since": None}]),
    "revoked-key-is-no-hint": trust_policy(revoked=[{"key": "abc", "cause": "compromised"}]),
    "revoked-identity-without-issuer": trust_policy(revoked=[{"identity": "a@b", "cause": "compromised"}]),
    "revoked-unknown-key": trust_policy(revoked=[{"signer": "pipeline", "cause": "compromised", "until": "x"}]),
    "thresholds-as-list": trust_policy(thresholds=["sign"]),
    "thresholds-empty": trust_policy(thresholds={}),
    "threshold-of-an-unknown-role": trust_policy(thresholds={"admin": 1}),
    "threshold-of-revoke": trust_policy(_signer(roles=["revoke"]), thresholds={"revoke": 1}),
    "threshold-of-zero": trust_policy(thresholds={"sign": 0}),
    "threshold-true": trust_policy(thresholds={"sign": True}),
    "threshold-as-text": trust_policy(thresholds={"sign": "1"}),
    "threshold-beyond-the-signers": trust_policy(thresholds={"sign": 2}),
    "threshold-that-nobody-can-meet": trust_policy(thresholds={"gate": 1}),
    "log-as-text": trust_policy(log="example.com/log"),
    "log-without-keys": trust_policy(log={"origin": "example.com/log"}),
    "log-with-no-key": trust_policy(log={"origin": "example.com/log", "keys": []}),
    "log-without-origin": trust_policy(log={"keys": [PEM]}),
    "log-with-a-space": trust_policy(log={"origin": "my log", "keys": [PEM]}),
    "log-key-is-no-pem": trust_policy(log={"origin": "example.com/log", "keys": ["AAAA"]}),
    "log-key-twice": trust_policy(log={"origin": "example.com/log", "keys": [PEM, PEM]}),
    "log-required-as-text": trust_policy(log={"origin": "example.com/log", "keys": [PEM], "required": "no"}),
    "log-unknown-key": trust_policy(log={"origin": "example.com/log", "keys": [PEM], "optional": True}),
    "aliases-that-grow": b"version: 1\nsigners: &a [1]\nrevoked: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nlog: [*b,*b,*b]\n",
    "same-name-twice": trust_policy(_signer(), _signer(public_key=key("gate").public_key.pem)),
    "same-key-twice": trust_policy(_signer(), _signer(name="other")),
    "same-key-in-another-spelling": trust_policy(
        _signer(), _signer(name="other", public_key=PEM.replace("\n", "\r\n"))
    ),
}
