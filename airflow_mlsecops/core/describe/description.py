"""The three documents about a model: bill of materials, model card in Markdown, model card in HTML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_mlsecops.core.canonical import canonical_json, jsonable
from airflow_mlsecops.core.describe.bom import build_bom
from airflow_mlsecops.core.describe.card import sections
from airflow_mlsecops.core.describe.card_html import as_html
from airflow_mlsecops.core.describe.card_markdown import as_markdown
from airflow_mlsecops.core.describe.content import Content
from airflow_mlsecops.core.digest import sha256_bytes

BOM_FILE, MARKDOWN_FILE, HTML_FILE = "bom.cdx.json", "MODEL_CARD.md", "model-card.html"


@dataclass(frozen=True)
class Description:
    """What was written.

    Attributes:
        bom: the CycloneDX document, which names the cards by digest.
        cards: name -> bytes.
    """

    bom: Mapping[str, Any]
    cards: Mapping[str, bytes]

    @property
    def files(self) -> dict[str, bytes]:
        """All three, as they lie beside a model."""
        return {BOM_FILE: canonical_json(jsonable(dict(self.bom))), **self.cards}

    def bom_of(self, content: Content) -> Mapping[str, Any]:
        """Another bill with the same cards: of the folder in which model and description lie together.

        Raises:
            ConfigurationError, MissingExtraError: as :func:`describe`.
        """
        return build_bom(content, {name: sha256_bytes(data) for name, data in self.cards.items()})


def describe(content: Content) -> Description:
    """Write all three.

    Raises:
        ConfigurationError: if the author's words don't make a valid bill of materials.
        MissingExtraError: if the library that validates it isn't installed.
    """
    card = sections(content)
    title = f"Model card: {content.artifact.name or 'a model'}"
    subtitle = f"sha256:{content.artifact.digest}"
    cards = {MARKDOWN_FILE: as_markdown(title, subtitle, card), HTML_FILE: as_html(title, subtitle, card)}
    return Description(build_bom(content, {name: sha256_bytes(data) for name, data in cards.items()}), cards)
