"""Writing a trust policy with one signer: the file that :mod:`airflow_mlsecops.core.trust` reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow_mlsecops.core.signing.keys import PublicKey
from airflow_mlsecops.core.trust import TrustPolicy

if TYPE_CHECKING:
    from airflow_mlsecops.core.log import LogTrust


def trust_document(
    name: str, public: PublicKey, roles: Sequence[str], log: LogTrust | None = None, person: str = ""
) -> str:
    """A trust policy with one signer, as YAML.

    Args:
        name: the signer's name.
        public: its public key.
        roles: what it may sign; see :mod:`airflow_mlsecops.core.trust`.
        log: the evidence log that has to have everything; none by default.
        person: whose own key it is; by default nobody's.

    Raises:
        TrustError: if a trust policy can't say that: no name, no role, or a role that doesn't exist.
    """
    document = f"version: 1\nsigners:\n{trust_entry(name, public, roles, person)}"
    if log is not None:
        document += f"log:\n  origin: {json.dumps(log.origin)}\n  keys:\n"
        document += "".join(f"    - |\n{_indented(key.pem, 6)}" for key in log.keys)
    # What is written is read back with the code that will read it later.
    TrustPolicy.from_bytes(document.encode())
    return document


def trust_entry(name: str, public: PublicKey, roles: Sequence[str], person: str = "") -> str:
    """One signer as it stands under ``signers:`` of a trust policy.

    Names, roles and the person are written as JSON strings, which are YAML too, so that none of them can be read as
    something else (``yes``, ``a: b``, a line that begins another signer).
    """
    pem = _indented(public.pem, 6)
    whose = f"    person: {json.dumps(person)}\n" if person else ""
    return f"  - name: {json.dumps(name)}\n    roles: {json.dumps(list(roles))}\n{whose}    public_key: |\n{pem}"


def _indented(pem: str, by: int) -> str:
    return "".join(f"{' ' * by}{line}\n" for line in pem.strip().splitlines())
