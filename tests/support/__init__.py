"""What tests of several parts share: a harness for operators, an isolated Airflow home."""
