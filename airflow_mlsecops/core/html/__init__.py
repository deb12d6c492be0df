"""Reports that people look at: one self-contained HTML page in which foreign text stays text.

>>> from airflow_mlsecops.core.html.page import page, section
>>> from airflow_mlsecops.core.html.table import table
>>> data = page("Report", [section("Columns", [table(["name"], [["<script>alert(1)</script>"]])])])
>>> b"<script>" in data
False
"""
