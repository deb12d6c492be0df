"""Sign an artifact for those who use it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.predicates import signature
from airflow_mlsecops.hooks.references import ArtifactLike, resolve_artifact
from airflow_mlsecops.hooks.run_info import run_info
from airflow_mlsecops.operators.base import MlsecopsOperator, check_choice

if TYPE_CHECKING:
    from airflow_mlsecops.core.artifact import Artifact
    from airflow_mlsecops.core.manifest import Manifest
    from airflow_mlsecops.core.pinning import Reuse
    from airflow_mlsecops.hooks.mlsecops import MlsecopsHook

Oms = Literal["no", "create", "replace"]
_DIGEST = re.compile(r"(sha256:)?[0-9a-f]{64}")


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
        reuse_from: an earlier artifact, by digest or reference, that was signed: files that haven't changed since (same
            S3 version id, size and ETag) aren't read again, and the statement says how many. Left out, every byte is.
        unsafe_reuse_local: also take a disk's word for what hasn't changed (times and inodes), and remember them for
            the next time. Whoever may write to the disk can set them; for disks that only the pipeline writes to.

    Example::

        SignArtifactOperator(task_id="sign", artifact=train(data), oms="create")
    """

    template_fields: Sequence[str] = (*MlsecopsOperator.template_fields, "oms_certificates", "reuse_from")
    template_ext: Sequence[str] = ()
    default_kind: ClassVar[Kind] = Kind.MODEL

    def __init__(
        self,
        *,
        oms: Oms = "no",
        oms_certificates: str | None = None,
        reuse_from: ArtifactLike = "",
        unsafe_reuse_local: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_choice("oms", oms, ("no", "create", "replace"))
        self.oms = oms
        self.oms_certificates = oms_certificates
        self.reuse_from = reuse_from
        self.unsafe_reuse_local = unsafe_reuse_local

    def work(self, hook: MlsecopsHook, context: Any) -> dict[str, Any]:
        """Resolve, hash again, sign, put."""
        reuse = self._reuse(hook)
        artifact = self.resolve(hook, reuse, remember_local=self.unsafe_reuse_local)
        again = self.hashed_again(hook, artifact, reuse)
        # What is signed about version ids is what was read just now; the reference's own could be anybody's.
        artifact = again.artifact
        for blob in again.blobs:
            hook.store.put_blob(blob)
        oms = None if self.oms == "no" else self._put_beside(hook, artifact, again.manifest)
        reused = None
        if reuse is not None and again.reused:
            reused = signature.ReusedDigests(len(again.reused), again.reused_bytes, reuse.digest)
        seen = [item.digest for item in hook.store.find(artifact.digest) if item.bundle is not None]
        statement = signature.build(
            artifact, signed_at=utcnow(), evidence=seen, run=run_info(context), oms=oms, reused=reused
        )
        digest = hook.put(statement)
        self.log.info("Signed by %s: evidence sha256:%s", hook.signer.name, digest)
        reference = {"artifact": artifact.to_dict(), "evidence": digest}
        if oms is not None:
            reference["oms"] = {"uri": oms.uri, "sha256": oms.digest}
        return self.end(context, reference, said_no="", on_no="fail")

    def _reuse(self, hook: MlsecopsHook) -> Reuse | None:
        """The earlier pin, once its signature is verified."""
        earlier = self.reuse_from
        if not earlier:
            return None
        if isinstance(earlier, str) and _DIGEST.fullmatch(earlier):
            digest = earlier.removeprefix("sha256:")
        elif isinstance(earlier, Mapping) or (isinstance(earlier, str) and earlier.lstrip().startswith("{")):
            digest = resolve_artifact(earlier, hook).digest
        else:
            raise ConfigurationError(
                f"reuse_from is neither a digest nor a reference: {str(earlier)[:80]!r}",
                "give the SHA-256 of an artifact that was signed, or what a task of ours returned",
            )
        return hook.reuse(digest, unsafe_local=self.unsafe_reuse_local)

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
