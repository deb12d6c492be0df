"""OpenLineage: which bytes a task of ours judged, what it said, and where the evidence lies, on its lineage events.

Read by Airflow's OpenLineage provider, where it is installed. An event proves nothing; the digest in it leads to what
does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

RUN_FACET = "mlsecops"
_VERDICTS = ("verdict", "released", "verified", "decision", "stage")
_SCHEMA = "https://airflow-mlsecops.readthedocs.io/schemas/openlineage-evidence-v1.json"


def evidence_lineage(reference: Mapping[str, Any]) -> Any:
    """What an operator's reference says, as OpenLineage has it.

    Args:
        reference: what the operator handed on by XCom; empty if it handed on nothing.

    Returns:
        The provider's ``OperatorLineage``; ``None`` if there is nothing to tell, or no such provider.
    """
    artifact = reference.get("artifact")
    if not isinstance(artifact, Mapping):
        return None
    try:
        from airflow.providers.openlineage.extractors import OperatorLineage
        from openlineage.client.event_v2 import InputDataset
    except ImportError:
        return None
    verdict = next((f"{key}: {reference[key]}" for key in _VERDICTS if key in reference), "")
    facet = _facet(str(artifact["digest"]), str(reference.get("evidence") or ""), verdict)
    namespace, name = _named(str(artifact["uri"]))
    return OperatorLineage(inputs=[InputDataset(namespace=namespace, name=name)], run_facets={RUN_FACET: facet})


def _facet(digest: str, evidence: str, verdict: str) -> Any:
    from attr import define
    from openlineage.client.facet_v2 import RunFacet

    @define
    class EvidenceRunFacet(RunFacet):
        """The judged bytes, the statement about them, and what it says."""

        artifactSha256: str  # noqa: N815 - as OpenLineage names fields
        evidenceSha256: str  # noqa: N815
        verdict: str

        @staticmethod
        def _get_schema() -> str:
            return _SCHEMA

    return EvidenceRunFacet(artifactSha256=digest, evidenceSha256=evidence, verdict=verdict)


def _named(uri: str) -> tuple[str, str]:
    """Namespace and name, as OpenLineage's naming has files and S3 objects."""
    parts = urlsplit(uri)
    if parts.scheme == "s3":
        return f"s3://{parts.netloc}", parts.path.strip("/") or "/"
    return "file", parts.path
