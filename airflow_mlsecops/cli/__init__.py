"""The ``mlsecops`` command line: pin, verify, look at evidence, make keys. It needs no Airflow.

One file per command; :mod:`airflow_mlsecops.cli.main` has the table of them. A command takes parsed arguments and
returns an :class:`~airflow_mlsecops.cli.output.Answer`: exit code, JSON document and lines of text. It never prints.
"""
