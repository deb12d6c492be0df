"""``python -m airflow_mlsecops.cli``: the same as ``mlsecops``."""

from __future__ import annotations

import sys

from airflow_mlsecops.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
