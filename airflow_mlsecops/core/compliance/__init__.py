"""Which of the field's frames each control speaks to, and what evidence there is for it.

A control speaks to a frame's item; it doesn't fulfil it. No standard is met by a table: an auditor reads the evidence.
"""

from airflow_mlsecops.core.compliance.frames import Frame, Item, Mapped, Mapping, load

__all__ = ["Frame", "Item", "Mapped", "Mapping", "load"]
