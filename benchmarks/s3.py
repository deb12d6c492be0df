"""What pinning from S3 costs, in CPU seconds and memory: a prefix of many small objects, and one large object.

Peer, in the same run on the same server: a loop of boto3's ``list_objects_v2``, ``get_object`` and SHA-256, which pins
no version and notices no change. The server is the SeaweedFS of the tests, on loopback; its own work is not counted.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hashing import MEMORY_LIMIT_MB, MIB, Cost, run  # noqa: E402
from report import Row, options, publish  # noqa: E402

from tests.support.s3_server import S3Server, run_s3_server  # noqa: E402

CLIENT = """
import hashlib, sys, time, boto3
endpoint, key, secret, bucket, prefix = sys.argv[1:]
client = boto3.client("s3", endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret,
                      region_name="us-east-1")
"""
LOOP = (
    CLIENT
    + """
begin = time.process_time()
for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
    for item in page["Contents"]:
        digest = hashlib.sha256()
        for chunk in client.get_object(Bucket=bucket, Key=item["Key"])["Body"].iter_chunks(1 << 20):
            digest.update(chunk)
print(time.process_time() - begin)
"""
)
PIN = (
    CLIENT
    + """
from airflow_mlsecops.core.pinning import Access, pin
begin = time.process_time()
pin(f"s3://{bucket}/{prefix}", access=Access(s3=lambda: client))
print(time.process_time() - begin)
"""
)
LIMIT = 1.5


def measure(server: S3Server, prefix: str, repeats: int) -> tuple[Cost, Cost]:
    """The least cost of ours and of the loop; they take turns."""
    arguments = (server.endpoint, server.access_key, server.secret_key, server.bucket, prefix)
    runs = [(run("-c", PIN, *arguments), run("-c", LOOP, *arguments)) for _ in range(repeats)]
    ours, loop = (
        Cost(*(min(getattr(pair[way], part) for pair in runs) for part in ("process", "work", "memory")))
        for way in (0, 1)
    )
    return ours, loop


def main() -> int:
    """Measure and print."""
    chosen = options("What pinning from S3 costs.")
    cases = [(300, 4096), (1, 64 * MIB)] if chosen.quick else [(2000, 4096), (1, 1024 * MIB)]
    found: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="mlsecops-benchmark-") as folder, run_s3_server(Path(folder)) as server:
        for files, size in cases:
            prefix, sparse = f"{files}-of-{size}/", Path(folder) / "object"
            with sparse.open("wb") as stream:
                stream.truncate(size)
            for number in range(files):
                server.client().upload_file(str(sparse), server.bucket, f"{prefix}{number:05}.bin")
            ours, loop = measure(server, prefix, 2 if chosen.quick else 3)
            case = f"{files:,} x {size // MIB} MiB on S3" if size >= MIB else f"{files:,} x {size // 1024} KiB on S3"
            ratio = ours.work / loop.work
            goal = f"at most {LIMIT} x the loop"
            found.append(Row(f"pin {case}, CPU-s", ours.work, loop.work, ratio, goal, ratio <= LIMIT))
            goal, holds = f"under {MEMORY_LIMIT_MB} MB", ours.memory < MEMORY_LIMIT_MB
            found.append(Row(f"pin {case}, peak MB", ours.memory, loop.memory, ours.memory / loop.memory, goal, holds))
    return publish("s3", found, chosen.json)


if __name__ == "__main__":
    sys.exit(main())
