"""Secrets and leftovers in an artifact's text: credentials, private keys, home folders, training rows.

What is searched is text: strings in pickles, JSON headers, configurations, text files. Numbers in arrays aren't. A
finding names the kind of secret and its place, never the secret.
"""

from __future__ import annotations

import re

from airflow_mlsecops.core.scanning.outcome import Outcome

_KINDS: tuple[tuple[str, str, bytes], ...] = (
    ("private-key", "a private key", rb"-----BEGIN (?:[A-Z]{2,10} )?(?:ENCRYPTED )?PRIVATE KEY(?: BLOCK)?-----"),
    ("credential", "an AWS access key id", rb"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    ("credential", "an AWS secret key", rb"(?i:aws_secret_access_key)[\"'\s:=]{1,6}[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])"),
    ("credential", "a GitHub token", rb"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,})\b"),
    ("credential", "a GitLab token", rb"\bglpat-[A-Za-z0-9_-]{20,}\b"),
    ("credential", "a Hugging Face token", rb"\bhf_[A-Za-z0-9]{34,}\b"),
    ("credential", "an API key", rb"\bsk-(?:proj-|ant-)?[A-Za-z0-9_-]{32,}\b"),
    ("credential", "a Slack token", rb"\bxox[abprs]-[A-Za-z0-9-]{20,}\b"),
    ("credential", "a Google API key", rb"\bAIza[A-Za-z0-9_-]{35}\b"),
    ("credential", "a JSON web token", rb"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
    ("credential", "a URL with a password", rb"\b[a-z][a-z0-9+]{2,15}://[^\s/:@\"']{1,64}:[^\s/:@\"']{3,64}@[\w.-]+"),
    ("home-path", "a path in somebody's home folder", rb"(?:/home/|/Users/|[A-Z]:\\\\?Users\\\\?)[A-Za-z0-9._-]{2,32}"),
)  # fmt: skip
_ANCHORS = re.compile(
    rb"PRIVATE KEY|AKIA|ASIA|(?i:aws_secret)|gh[pousr]_|github_pat|glpat-|hf_|sk-|xox[abprs]-|AIza|eyJ|://|/home/|/Users/|"
    rb":\\\\?Users"
)
_RULES = tuple((rule, what, re.compile(pattern)) for rule, what, pattern in _KINDS)
OVERLAP = 256


class Leftovers:
    """Searches text as it comes by; each kind is reported once for each part.

    Args:
        outcome: where findings go.
    """

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._seen: set[tuple[str, str]] = set()

    def search(self, text: bytes, where: str) -> None:
        """Search one piece of text; a quick look for anchors comes first, because nearly no text has any."""
        if not _ANCHORS.search(text):
            return
        for rule, what, pattern in _RULES:
            if (what, where) not in self._seen and pattern.search(text):
                self._seen.add((what, where))
                self._outcome.add(rule, f"{what} is in it", where)

    def search_all(self, pieces: list[bytes], where: str) -> None:
        """Search pieces of text together."""
        self.search(b"\n".join(pieces), where)

    def rows(self, names: set[str], where: str) -> None:
        """Attributes in which estimators keep rows that they learned from."""
        if names:
            self._outcome.add("training-rows", f"it keeps training rows ({', '.join(sorted(names))})", where)
