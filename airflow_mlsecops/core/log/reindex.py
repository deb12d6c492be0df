"""Making the index anew from the entries: after a restore, or when somebody deleted or changed it."""

from __future__ import annotations

from airflow_mlsecops.core.log.checkpoint import Checkpoint, LogTrust
from airflow_mlsecops.core.log.commit import note_places
from airflow_mlsecops.core.log.errors import LogBrokenError
from airflow_mlsecops.core.log.reader import LogReader
from airflow_mlsecops.core.log.tiles import WIDTH
from airflow_mlsecops.core.store.backend import Backend


def rebuild_index(backend: Backend, trust: LogTrust) -> Checkpoint:
    """Note where each entry of the published log is; what is noted rightly stays as it is.

    Returns:
        The state of the log that is indexed now.

    Raises:
        LogBrokenError: if there is no log, or its entries aren't those that its checkpoint signs.
        LogSignatureError: if its checkpoint isn't signed by the log's key.
        StoreUnavailableError: if the store can't be reached; trying again goes on from there.
    """
    reader = LogReader(backend, trust)
    checkpoint = reader.checkpoint()
    if checkpoint is None:
        raise LogBrokenError("there is no checkpoint, so there is nothing to index", "run `mlsecops log verify`")
    batch: list[bytes] = []
    for index, entry in reader.entries(checkpoint):
        batch.append(entry)
        if len(batch) == WIDTH or index + 1 == checkpoint.size:
            note_places(backend, index + 1 - len(batch), batch)
            batch = []
    return checkpoint
