"""Sign an artifact for those who use it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.predicates import signature
from airflow_mlsecops.hooks.run_info import run_info
from airflow_mlsecops.operators.base import MlsecopsOperator, check_choice

if TYPE_CHECKING:
    from airflow_mlsecops.core.artifact import Artifact
    from airflow_mlsecops.core.manifest import Manifest
    from airflow_mlsecops.hooks.mlsecops import MlsecopsHook

Oms = Literal["no", "create", "replace"]


class SignArtifactOperator(MlsecopsOperator):
    """Hashes the artifact again, and signs that these bytes carry this name, if they are still the pinned ones.

    A signature says who vouches for which bytes, not that they are good: that is what the release gate asks for.

    Args:
        oms: whether to put an OMS v1.0 signature beside the artifact, which ``model_signing verify`` reads: ``no``;
            ``create`` (one by this signer over the same files is kept, any other file in its place is an error); or
            ``replace`` (any other file in its place is replaced). In a folder it is ``model.sig``, beside a file
            ``NAME.sig``.
        oms_certificates: path of a PEM file with the signing key's certificate and those between it and the root, leaf
            first, for consumers who trust a root rather than a key.

    Example::

        SignArtifactOperator(task_id="sign", artifact=train(data), oms="create")
    """

    template_fields: Sequence[str] = (*MlsecopsOperator.template_fields, "oms_certificates")
    template_ext: Sequence[str] = ()
    default_kind: ClassVar[Kind] = Kind.MODEL

    def __init__(self, *, oms: Oms = "no", oms_certificates: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_choice("oms", oms, ("no", "create", "replace"))
        self.oms = oms
        self.oms_certificates = oms_certificates

    def work(self, hook: MlsecopsHook, context: Any) -> dict[str, Any]:
        """Resolve, hash again, sign, put."""
        artifact = self.resolve(hook)
        manifest = self.hashed_again(hook, artifact)
        oms = None if self.oms == "no" else self._put_beside(hook, artifact, manifest)
        seen = [item.digest for item in hook.store.find(artifact.digest) if item.bundle is not None]
        statement = signature.build(artifact, signed_at=utcnow(), evidence=seen, run=run_info(context), oms=oms)
        digest = hook.put(statement)
        self.log.info("Signed by %s: evidence sha256:%s", hook.signer.name, digest)
        reference = {"artifact": artifact.to_dict(), "evidence": digest}
        if oms is not None:
            reference["oms"] = {"uri": oms.uri, "sha256": oms.digest}
        return self.end(context, reference, said_no="", on_no="fail")

    def _put_beside(self, hook: MlsecopsHook, artifact: Artifact, manifest: Manifest) -> signature.OmsReference:
        """The bundle first, then the statement that names it: what a statement names is there."""
        from airflow_mlsecops.core.oms import publish_oms, read_certificates
        from airflow_mlsecops.core.pinning import Pin

        chain = read_certificates(self.oms_certificates) if self.oms_certificates else ()
        pinned = Pin(artifact, manifest)
        published = publish_oms(
            pinned, hook.signer, certificates=chain, replace=self.oms == "replace", access=hook.access
        )
        hook.store.put_blob(published.bundle)
        done = "Put the OMS signature to" if published.written else "The same signer's OMS signature is already at"
        self.log.info("%s %s: sha256:%s", done, published.uri, published.digest)
        return signature.OmsReference(published.uri, published.digest)
