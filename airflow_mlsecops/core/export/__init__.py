"""One file with all evidence about a release, which a third party verifies offline, also with tools that aren't ours.

::

    export = collect(pin("/models/digits", kind=Kind.MODEL), store, documents, utcnow())
    Path("digits.tar").write_bytes(b"".join(tar_chunks(export.files)))
"""

from airflow_mlsecops.core.export.collect import Documents, Export, collect
from airflow_mlsecops.core.export.release import pin_of_release
from airflow_mlsecops.core.export.write import write_export

__all__ = ["Documents", "Export", "collect", "pin_of_release", "write_export"]
