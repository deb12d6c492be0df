"""The ``README.txt`` of an export: what it is, and how to verify it with tools that aren't ours.

The tests take the commands out of this text and run them.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from airflow_mlsecops.core.artifact import Artifact, Form
from airflow_mlsecops.core.export.commands import Certified, Signed, model_signing_command, shown
from airflow_mlsecops.core.policy import ReleasePolicy
from airflow_mlsecops.core.telling import describe
from airflow_mlsecops.core.verification import Verification


def readme(
    answer: Verification,
    policy: ReleasePolicy,
    signed: Sequence[Signed],
    certified: Sequence[Certified],
    oms: Mapping[str, bytes],
    missing: Sequence[str],
    files: Mapping[str, bytes],
) -> str:
    """The whole text. Sections without content are left out.

    Args:
        answer: the YES that the export is about.
        policy: the release policy.
        signed: the bundles whose keys are known.
        certified: the bundles with a certificate.
        oms: OMS signatures by their names in the export.
        missing: addresses of blobs that are named, but not there.
        files: everything else in the export.
    """
    artifact = answer.artifact
    sections = {
        "THE BYTES": _bytes(artifact),
        "THE SIGNATURES, WITH OPENSSL": _signatures(signed),
        "THE SAME, WITH SECURESYSTEMSLIB": _library(signed),
        "THE SIGNATURES BY IDENTITY, WITH SIGSTORE-PYTHON": _by_identity(certified),
        "THE MODEL, WITH MODEL_SIGNING": _model_signing(artifact, signed, oms),
        "ALL OF IT, WITH AIRFLOW-MLSECOPS": _ours(artifact, files),
        "WHAT IS IN HERE": _contents(missing, files),
    }
    parts = [_head(answer, policy)]
    parts += [f"{title}\n\n{text}" for title, text in sections.items() if text]
    numbered = [f"{number}. {part}" if number else part for number, part in enumerate(parts)]
    return "\n\n".join(part.strip("\n") for part in numbered) + "\n"


def _head(answer: Verification, policy: ReleasePolicy) -> str:
    artifact = answer.artifact
    times = [line for line in answer.decision.satisfied if line.startswith("released at")]
    return f"""\
EVIDENCE ABOUT {str(artifact.kind).upper()} {shown(artifact.name)}
sha256 {artifact.digest}

Released under policy {shown(policy.name)} (policy.yaml, sha256 {policy.digest}).
{shown("; ".join(times))}

Everything in this file was copied byte by byte from an evidence store. Believe none of it before you have checked the
signatures with keys that you got from their owners: those in keys/ are copies, named by their own SHA-256, and whoever
made this file could have put others there. The same goes for trust.yaml and policy.yaml.

Unpack it with `tar -xf` into a new folder, and run the commands there; MODEL stands for the model's path."""


def _bytes(artifact: Artifact) -> str:
    told = "Nothing in this file was damaged on the way:\n\n    sha256sum --check --quiet SHA256SUMS\n"
    if artifact.form is Form.FILE:
        return f"{told}\nThe model is the one that is spoken of. This prints {artifact.digest}:\n\n    sha256sum MODEL"
    return f"""{told}
The model is a folder. Its digest is that of its manifest, which lists every file. This prints it:

    sha256sum blobs/{artifact.digest}

model.sha256 has the same list for sha256sum. The model's files are those files:

    (list=$PWD/model.sha256 && cd MODEL && sha256sum --check --quiet --strict "$list")

and there are no others. This prints {artifact.files}, or one more if a model.sig was put beside them:

    find MODEL ! -type d | wc -l"""


def _signatures(signed: Sequence[Signed]) -> str:
    lines = [
        "Each command prints that the signature was verified. What was signed is readable: the fifth word and all that",
        "follows it is an in-toto statement, whose subject has to be the digest above, or that of a data set.",
        "",
        "    cut -d ' ' -f 5- checks/DIGEST.pae",
    ]
    for item in signed:
        said = describe(item.bundle.statement)
        lines += ["", f"{shown(item.signer)} says: {shown(said.line)}", "", f"    {item.command}"]
    return "\n".join(lines)


def _library(signed: Sequence[Signed]) -> str:
    if not signed:
        return ""
    pairs = "\n".join(f"    {item.bundle.digest} {item.public_key.hint} {item.scheme}" for item in signed)
    return f"""\
The bundles in bundles/ are Sigstore bundles v0.3 with a DSSE envelope. securesystemslib (`pip install
securesystemslib cryptography`) verifies the envelopes; it stops with an error at the first that it doesn't accept:

    python3 - <<'END'
    import glob, json
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import SSlibKey

    PAIRS = '''
{pairs}
    '''
    for bundle, key, scheme in (line.split() for line in PAIRS.strip().splitlines()):
        (path, *_) = glob.glob(f"bundles/*/*/{{bundle}}.sigstore.json")
        public = load_pem_public_key(open(f"keys/{{key}}.pem", "rb").read())
        public = SSlibKey.from_crypto(public, scheme=scheme)
        public.keyid = ""  # the envelopes name none
        Envelope.from_dict(json.load(open(path))["dsseEnvelope"]).verify([public], 1)
        print("verified", bundle)
    END"""


def _by_identity(certified: Sequence[Certified]) -> str:
    if not certified:
        return ""
    lines = [
        "These were signed keyless: a certificate names the signer, and a transparency log has it. sigstore-python",
        "(`pip install sigstore`) verifies them offline; TRUST_CONFIG is the client trust configuration of the",
        "instance that you trust. Compare the identities with those that you expect.",
    ]
    for item in certified:
        note = "" if item.counts else " (didn't count for the release)"
        lines += ["", f"{shown(str(item.identity))} says: {shown(describe(item.bundle.statement).line)}{note}"]
        lines += ["", f"    {item.command}"]
    return "\n".join(lines)


def _model_signing(artifact: Artifact, signed: Sequence[Signed], oms: Mapping[str, bytes]) -> str:
    keys = {item.public_key.hint: item.key for item in signed}
    commands = [f"    {command}" for name, data in oms.items() if (command := model_signing_command(name, data, keys))]
    if not commands:
        return ""
    note = "" if artifact.form is Form.TREE else "\nThe file has to have the name under which it was signed."
    told = "The model also has an OpenSSF Model Signing v1.0 signature (`pip install model-signing`):\n\n"
    return told + "\n".join(commands) + note


def _ours(artifact: Artifact, files: Mapping[str, bytes]) -> str:
    log = ""
    if "log/checkpoint" in files:
        log = """

log/ has a checkpoint of the store's transparency log (https://c2sp.org/tlog-checkpoint) and the tiles that were read
(https://c2sp.org/tlog-tiles); proofs/ has, for each bundle, the proof that it is in it (https://c2sp.org/tlog-proof)."""
    kind = shlex.quote(artifact.kind.value)
    return f"""\
Whether the statements add up to a release under the policy, the tools above don't say. This does, offline, with the
trust policy and the release policy that YOU trust; it takes this archive as it is:

    mlsecops verify MODEL --kind {kind} --evidence ARCHIVE --trust TRUST.yaml --policy POLICY.yaml

An export is as old as the day it was made: what was withdrawn or refused later isn't in it.{log}"""


def _contents(missing: Sequence[str], files: Mapping[str, bytes]) -> str:
    folders = {
        "artifact.json": "what was released",
        "blobs/": "manifests, full reports and model signatures, named by their SHA-256",
        "bundles/": "signed statements: subject, kind of statement, SHA-256 of the bundle",
        "checks/": "of each bundle the signed bytes (.pae) and the signature (.sig), for OpenSSL",
        "keys/": "public keys of the signers, named by their SHA-256",
        "log/": "checkpoint and tiles of the transparency log",
        "model.sha256": "the model's files, as sha256sum reads them",
        "policy.yaml": "the release policy, byte by byte",
        "policies/": "the same again with the files that it extends: its sha256 covers all of them",
        "proofs/": "that each bundle is in the transparency log",
        "trust.yaml": "the trust policy of those who made this file",
    }
    lines = [f"{name:<14} {text}" for name, text in folders.items() if any(file.startswith(name) for file in files)]
    if missing:
        lines += ["", "Named by statements, but no longer in the store:", *(f"blobs/{digest}" for digest in missing)]
    return "\n".join(lines)
