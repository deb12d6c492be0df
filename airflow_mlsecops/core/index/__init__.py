"""An index over an evidence store, for lists, counts and plots: derived from it, rebuilt at will, never the truth.

It holds what statements said and whether they counted when they were read. Whoever decides, and every page about one
artifact, reads the store itself. Deleting the index loses nothing but the time to make it again.
"""

from airflow_mlsecops.core.index.database import IndexDatabase
from airflow_mlsecops.core.index.indexer import Indexer, Refreshed

__all__ = ["IndexDatabase", "Indexer", "Refreshed"]
