"""A release's evidence as one file, as `mlsecops export` writes it; for those who may read all of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import EvidenceNotFoundError, PolicyError
from airflow_mlsecops.core.export import Documents, Export, collect, pin_of_release
from airflow_mlsecops.core.export.collect import BUNDLES
from airflow_mlsecops.core.loading import NotVerifiedError
from airflow_mlsecops.core.policy import ReleasePolicy
from airflow_mlsecops.core.policy.release_policy import DEFAULTS, SHIPPED, ReadFile, policy_file
from airflow_mlsecops.core.store.tar import tar_chunks
from airflow_mlsecops.core.telling import dag_of
from airflow_mlsecops.core.trust_sections import files_beside
from airflow_mlsecops.plugin.problems import Problem, no_evidence
from airflow_mlsecops.plugin.source import Source


def export_of(
    source: Source, sha256: Sha256, policies: tuple[Sha256, ...], readable: frozenset[str], now: datetime
) -> Iterator[bytes]:
    """The archive of a released model, verified before its first byte is handed out.

    1. The release policy is one of the shipped ones, or one that ``[mlsecops] release_policies`` names; it is the very
       file by which a gate judged the model.
    2. The release holds; a NO isn't exported.
    3. Everything in it is from Dags that this person may read: half of the evidence would be none.

    Args:
        source: the store.
        sha256: the model.
        policies: digests of the policies under which gates that count said something about it, the newest first.
        readable: Dags that this person may read.
        now: the time at which to judge.

    Raises:
        Problem: if one of these isn't so.
        StoreUnavailableError: if the store can't be reached.
    """
    # 1.
    policy = next((known[digest] for known in [_policies()] for digest in policies if digest in known), None)
    if policy is None:
        raise Problem(
            409,
            "policy-not-found",
            "Its release policy isn't here",
            "Name the policy's file in [mlsecops] release_policies, or use `mlsecops export` where the file is.",
        )
    # 2.
    trust = Path(source.trust_path)
    documents = Documents(trust.read_bytes(), policy[0], files_beside(trust), policy[1])
    try:
        export = collect(pin_of_release(sha256, source.store, source.trust, now), source.store, documents, now)
    except EvidenceNotFoundError as error:
        raise no_evidence() from error
    except NotVerifiedError as error:
        # Codes only: the sentences quote evidence, and whose Dags it is from is asked in step 3.
        reasons = ", ".join(sorted({reason.code for reason in error.reasons}))
        raise Problem(409, "not-verified", "It isn't released", f"Nothing was exported: {reasons}") from error
    # 3.
    # What is in a release counts; that of it which names no Dag goes with the rest.
    dags = _dags(export) - {""}
    if not dags or not dags <= readable:
        raise Problem(
            403,
            "forbidden",
            "You may not read all of its evidence",
            "Some of it is from Dags that you may not read. Ask somebody who may.",
        )
    return tar_chunks(export.files)


def _policies() -> dict[Sha256, tuple[bytes, ReadFile | None]]:
    """Digest -> every release policy at hand: its bytes, and what reads those that it extends."""
    from airflow.configuration import conf

    named = [part.strip() for part in str(conf.get("mlsecops", "release_policies", fallback="") or "").split(",")]
    found = {}
    for path in [*(SHIPPED + name for name in DEFAULTS), *filter(None, named)]:
        try:
            file = policy_file(path)
            found[ReleasePolicy.from_bytes(*file).digest] = file
        except PolicyError:
            continue
    return found


def _dags(export: Export) -> set[str]:
    bundles = [data for name, data in export.files.items() if name.startswith(BUNDLES)]
    return {dag_of(Bundle.parse(data).statement) for data in bundles}
