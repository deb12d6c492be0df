"""Why reading a pickle ended before its end."""

from __future__ import annotations

_CERTAIN = {"malformed", "truncated"}


class Refusal(Exception):  # noqa: N818 - no error: the expected way to leave a pickle that isn't well formed
    """The pickle can't be followed any further; caught by the scan, and always a finding.

    Attributes:
        rule: which rule of :mod:`airflow_mlsecops.core.scanning.rules` was hit.
        message: one sentence for a person.
        certain: whether CPython's unpickler is known to stop here as well; where it may go on, what follows matters.
    """

    def __init__(self, rule: str, message: str, *, certain: bool | None = None) -> None:
        super().__init__(rule, message)
        self.certain = rule in _CERTAIN if certain is None else certain
        self.rule = rule
        self.message = message
