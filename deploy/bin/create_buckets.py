"""Create the buckets of the deployment; run again, it changes nothing and checks everything.

Both have Object Lock, hence versions that nobody can switch off, so that what was pinned can still be read by its
version id. The evidence bucket has a default retention besides: within it the bucket itself refuses to forget.

Settings, all from the environment:
    S3_ENDPOINT_URL, S3_REGION            the store
    S3_IDENTITIES                         the store's own identities file; the identity `admin` is used
    EVIDENCE_BUCKET, ARTIFACT_BUCKET      names
    EVIDENCE_RETENTION_DAYS               0 for no default retention
    EVIDENCE_RETENTION_MODE               COMPLIANCE (nobody may shorten it) or GOVERNANCE
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class BucketError(Exception):
    """A bucket is not as it has to be."""


def admin_credentials(identities: str) -> tuple[str, str]:
    """Return access key and secret key of the identity `admin`.

    Raises:
        BucketError: When the text has no such identity.
    """
    try:
        for identity in json.loads(identities)["identities"]:
            if identity["name"] == "admin":
                key = identity["credentials"][0]
                return key["accessKey"], key["secretKey"]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise BucketError(f"the identities file is not as expected: {error!r}") from None
    raise BucketError("the identities file has no identity named admin")


def ensure_bucket(client: Any, name: str) -> None:
    """Create the bucket with Object Lock when it is missing, and check that it has it and keeps versions.

    Without Object Lock, whoever may write may also switch versions off.

    Raises:
        BucketError: When a bucket of that name exists without them.
    """
    from botocore.exceptions import ClientError

    try:
        client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
            raise
    if lock_configuration(client, name).get("ObjectLockEnabled") != "Enabled":
        raise BucketError(f"bucket {name} exists without Object Lock; make a new one under another name")
    if client.get_bucket_versioning(Bucket=name).get("Status") != "Enabled":
        raise BucketError(f"bucket {name} keeps no versions")


def lock_configuration(client: Any, name: str) -> dict[str, Any]:
    """Return the Object Lock configuration of a bucket; empty when it has none."""
    from botocore.exceptions import ClientError

    try:
        found: dict[str, Any] = client.get_object_lock_configuration(Bucket=name)["ObjectLockConfiguration"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ObjectLockConfigurationNotFoundError":
            return {}
        raise
    return found


def ensure_retention(client: Any, name: str, *, mode: str, days: int) -> None:
    """Set the default retention of a bucket and read it back; with `days` 0, leave it as it is.

    Raises:
        BucketError: When the store did not take it over.
    """
    if days == 0:
        return
    wanted = {"Mode": mode, "Days": days}
    client.put_object_lock_configuration(
        Bucket=name,
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": wanted}},
    )
    found = lock_configuration(client, name).get("Rule", {}).get("DefaultRetention")
    if found != wanted:
        raise BucketError(f"bucket {name} has the default retention {found}, expected {wanted}")


def main(environment: Mapping[str, str]) -> str:
    """Create and check both buckets; return what there is now, in words.

    Raises:
        BucketError: When a setting is missing or wrong, the store refuses, or a bucket is not as it has to be.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        evidence, artifacts = environment["EVIDENCE_BUCKET"], environment["ARTIFACT_BUCKET"]
        days, mode = int(environment["EVIDENCE_RETENTION_DAYS"]), environment["EVIDENCE_RETENTION_MODE"]
        access_key, secret_key = admin_credentials(Path(environment["S3_IDENTITIES"]).read_text(encoding="utf-8"))
        endpoint, region = environment["S3_ENDPOINT_URL"], environment["S3_REGION"]
    except KeyError as error:
        raise BucketError(f"{error.args[0]} is not set") from None
    except ValueError as error:
        raise BucketError(f"EVIDENCE_RETENTION_DAYS must be a whole number: {error}") from None
    if days < 0 or mode not in {"COMPLIANCE", "GOVERNANCE"}:
        raise BucketError(f"retention must be 0 or more days, COMPLIANCE or GOVERNANCE; got {days} days, {mode!r}")
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
    )
    try:
        ensure_bucket(client, evidence)
        ensure_retention(client, evidence, mode=mode, days=days)
        ensure_bucket(client, artifacts)
    except (BotoCoreError, ClientError) as error:
        raise BucketError(f"the store at {endpoint} refused: {error}") from error
    kept = f"{mode} for {days} days" if days else "no default retention"
    return f"buckets: {evidence} (versions, Object Lock, {kept}) and {artifacts} (versions, Object Lock)"


if __name__ == "__main__":
    try:
        sys.stdout.write(main(os.environ) + "\n")
    except (BucketError, OSError) as error:
        sys.exit(f"buckets: {error}")
