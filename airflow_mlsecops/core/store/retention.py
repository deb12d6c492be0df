"""Object Lock retention (S3): how long the bucket itself refuses to forget what was written.

A delete of a locked object still hides it behind a delete marker; what is kept is the version, from which it can be
brought back. COMPLIANCE can be shortened by nobody, GOVERNANCE by those with a special right. Source: Amazon S3 User
Guide, "Locking objects with Object Lock".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from airflow_mlsecops.core.errors import ConfigurationError

MAX_DAYS = 36_500
"""What S3 takes: a hundred years."""
_SPELLING = re.compile(r"(COMPLIANCE|GOVERNANCE):([1-9][0-9]{0,4})")
_MODES = ("GOVERNANCE", "COMPLIANCE")
_FINAL = ("bundles/", "blobs/", "log/tile/")


@dataclass(frozen=True)
class Retention:
    """How long, counted from the write, and how firmly.

    Attributes:
        mode: ``COMPLIANCE`` or ``GOVERNANCE``.
        days: how many.
    """

    mode: str
    days: int

    @classmethod
    def parse(cls, text: str) -> Retention:
        """Read ``COMPLIANCE:365``.

        Raises:
            ConfigurationError: if it isn't spelt like that.
        """
        match = _SPELLING.fullmatch(text)
        if match is None or int(match[2]) > MAX_DAYS:
            raise ConfigurationError(
                f"expected a retention such as COMPLIANCE:365, got {text!r}",
                f"write COMPLIANCE or GOVERNANCE, a colon, and days from 1 to {MAX_DAYS}",
            )
        return cls(match[1], int(match[2]))

    def until(self, now: datetime) -> datetime:
        """When what is written now may be removed; whole seconds, because that is what S3 keeps."""
        return now.replace(microsecond=0) + timedelta(days=self.days, seconds=1)


@dataclass(frozen=True)
class Held:
    """The retention that one object has.

    Attributes:
        mode: as S3 names it.
        until: when it ends.
    """

    mode: str
    until: datetime

    def raised_to(self, wanted: Held) -> Held:
        """At least both: the firmer mode, the later end. Nothing here ever makes a retention weaker."""
        return Held(max(self.mode, wanted.mode, key=_firmness), max(self.until, wanted.until))


def is_final(key: str) -> bool:
    """Whether what lies under this key is written once and never moves.

    The log's head, checkpoint, queue and index do move, and a partial tile goes when its full tile is there.
    """
    return key.startswith(_FINAL) and ".p/" not in key


def _firmness(mode: str) -> int:
    return _MODES.index(mode) if mode in _MODES else len(_MODES)  # what we don't know isn't replaced
