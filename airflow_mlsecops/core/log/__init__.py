"""The evidence log: a Merkle tree over all evidence, on the same folder or bucket, without a server.

RFC 6962 for the tree, https://c2sp.org/tlog-tiles for its layout, https://c2sp.org/tlog-checkpoint for what is signed.
Why it is made as it is stands in ``docs/adr/0011-evidence-log.md``.
"""

from airflow_mlsecops.core.log.checkpoint import Checkpoint, LogTrust
from airflow_mlsecops.core.log.entry import Entry
from airflow_mlsecops.core.log.faults import LogFault
from airflow_mlsecops.core.log.log import Appended, EvidenceLog
from airflow_mlsecops.core.log.memory import LogMemory, RememberingLogReader
from airflow_mlsecops.core.log.proof import LogProof
from airflow_mlsecops.core.log.reader import LogReader
from airflow_mlsecops.core.log.reindex import rebuild_index
from airflow_mlsecops.core.log.verify import LogVerification, verify_log

__all__ = [
    "Appended",
    "Checkpoint",
    "Entry",
    "EvidenceLog",
    "LogFault",
    "LogMemory",
    "LogProof",
    "LogReader",
    "LogTrust",
    "LogVerification",
    "RememberingLogReader",
    "rebuild_index",
    "verify_log",
]
