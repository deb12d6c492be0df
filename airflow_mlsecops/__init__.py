"""Security controls for machine-learning pipelines on Apache Airflow.

Every control is a task; what it decides becomes a signed statement about exact bytes; a gate reads statements,
never task states; and whatever is missing, broken or unreadable counts as NO.
"""

__version__ = "0.1.0"
