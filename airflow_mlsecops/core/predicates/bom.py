"""What an artifact is made of: a CycloneDX bill of materials, which is the predicate as it stands.

Source: https://cyclonedx.org/docs/1.6/json/ and
https://github.com/in-toto/attestation/blob/main/spec/predicates/cyclonedx.md. What we add stands in ``properties``,
whose names begin with ``airflow-mlsecops:``, as CycloneDX asks of those who extend it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_mlsecops.core.clock import from_text
from airflow_mlsecops.core.digest import Sha256, parse_sha256
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.predicates.fields import mapping, objects, text
from airflow_mlsecops.core.predicates.types import BOM
from airflow_mlsecops.core.statement import Statement, Subject

PROPERTY = "airflow-mlsecops:"
RUN = "run:"
"""What the names of those properties go on with that tell which run made the bill."""
_NUMBERS = ("map_index", "try_number")
MODEL_CARD = "model-card"


@dataclass(frozen=True)
class Part:
    """A component of the bill.

    Attributes:
        name: what it is called.
        type: CycloneDX's word: ``machine-learning-model``, ``data``, ``library``…
        digest: its SHA-256; None if the bill gives none.
        licences: SPDX ids, expressions, or names, as they stand there.
        version: empty if the bill gives none.
        purl: package URL, or empty.
    """

    name: str
    type: str
    digest: Sha256 | None
    licences: tuple[str, ...]
    version: str = ""
    purl: str = ""


@dataclass(frozen=True)
class BillOfMaterials:
    """What a verified bill says.

    Attributes:
        made_at: when it was made.
        subject: what it is about.
        parts: what that is made of: data sets, packages, files.
        cards: name -> address of the model cards that were made with it.
    """

    made_at: datetime
    subject: Part
    parts: tuple[Part, ...]
    cards: Mapping[str, Sha256]

    def datasets(self) -> tuple[Part, ...]:
        """The data sets among the parts."""
        return tuple(part for part in self.parts if part.type == "data")


def build(artifact: Subject, bom: Mapping[str, Any]) -> Statement:
    """The statement that ``artifact`` is what the bill says; ``bom`` is a CycloneDX document that was validated."""
    return Statement.build([artifact], BOM.uri, bom)


def parse(statement: Statement) -> BillOfMaterials:
    """Read a bill of materials.

    Raises:
        StatementError: if it is no CycloneDX document, or a field is missing or of another type.
    """
    if statement.predicate_type != BOM.uri:
        raise StatementError(f"expected {BOM.uri}, got {statement.predicate_type}")
    value = statement.predicate
    if value.get("bomFormat") != "CycloneDX":
        raise StatementError(f"expected a CycloneDX document, got {str(value.get('bomFormat'))[:50]!r}")
    metadata = mapping(value, "metadata")
    component = mapping(metadata, "component")
    return BillOfMaterials(
        made_at=from_text(text(metadata, "timestamp")),
        subject=_part(component),
        parts=tuple(_part(item) for item in (objects(value, "components") if "components" in value else [])),
        cards=_cards(component),
    )


def run_of(statement: Statement) -> dict[str, Any]:
    """Which task of which run made the bill; empty if it doesn't say so, as those of other tools don't."""
    metadata = statement.predicate.get("metadata")
    properties = metadata.get("properties") if isinstance(metadata, dict) else None
    run: dict[str, Any] = {}
    for item in properties if isinstance(properties, list) else []:
        name, value = (item.get("name"), item.get("value")) if isinstance(item, dict) else (None, None)
        if isinstance(name, str) and isinstance(value, str) and name.startswith(PROPERTY + RUN):
            run[name.removeprefix(PROPERTY + RUN)] = value
    for key in _NUMBERS:
        run[key] = int(run[key]) if re.fullmatch(r"-?[0-9]{1,9}", run.get(key, "")) else -1
    return run if "dag_id" in run else {}


def _part(item: Mapping[str, Any]) -> Part:
    hashes = objects(item, "hashes") if "hashes" in item else []
    digests = [parse_sha256(entry.get("content")) for entry in hashes if entry.get("alg") == "SHA-256"]
    told = [str(item[key]) if key in item else "" for key in ("version", "purl")]
    return Part(text(item, "name"), text(item, "type"), digests[0] if digests else None, tuple(_licences(item)), *told)


def _licences(item: Mapping[str, Any]) -> Sequence[str]:
    """CycloneDX has one expression, or a list of ids and names."""
    found = []
    for entry in objects(item, "licenses") if "licenses" in item else []:
        if "expression" in entry:
            found.append(text(entry, "expression"))
            continue
        one = mapping(entry, "license")
        found.append(text(one, "id" if "id" in one else "name"))
    return found


def _cards(component: Mapping[str, Any]) -> dict[str, Sha256]:
    cards = {}
    for item in objects(component, "externalReferences") if "externalReferences" in component else []:
        if item.get("type") == MODEL_CARD and "hashes" in item:
            digests = [parse_sha256(entry.get("content")) for entry in objects(item, "hashes")]
            cards[str(item.get("comment", ""))] = digests[0]
    return cards
