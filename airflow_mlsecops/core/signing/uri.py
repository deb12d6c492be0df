"""A signer's URI in its parts: ``scheme:path?parameter=value&…``."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from airflow_mlsecops.core.errors import ConfigurationError

_EMPTY: frozenset[str] = frozenset()


@dataclass(frozen=True)
class SignerUri:
    """One signer's URI.

    Attributes:
        scheme: which kind of signer.
        path: what stands between the scheme and the question mark, decoded.
        parameters: what stands behind it, each once.
    """

    scheme: str
    path: str
    parameters: Mapping[str, str]

    @classmethod
    def parse(cls, uri: str) -> SignerUri:
        """Read a URI that has a scheme.

        Raises:
            ConfigurationError: if a parameter is empty or given twice, or there is a fragment.
        """
        scheme, _, rest = uri.partition(":")
        path, question, query = rest.partition("?")
        try:
            pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(question))
        except ValueError as error:
            raise ConfigurationError(f"the {scheme}: URI's parameters can't be read", "write name=value&…") from error
        parameters = dict(pairs)
        if len(parameters) != len(pairs) or not all(parameters.values()) or "#" in rest:
            raise ConfigurationError(
                f"the {scheme}: URI has {sorted(name for name, _ in pairs)}",
                "give each parameter once, with a value, and encode # as %23",
            )
        if path.startswith("//"):
            path = path.removeprefix("//").removeprefix("localhost")
        return cls(scheme, unquote(path), parameters)

    def only(self, required: Set[str], optional: Set[str] = _EMPTY) -> None:
        """Check which parameters are given.

        Raises:
            ConfigurationError: if one is missing or unknown: what is misspelt must not be passed over.
        """
        if not required <= set(self.parameters) <= required | optional:
            raise ConfigurationError(
                f"the {self.scheme}: URI has {sorted(self.parameters)}",
                f"expected {sorted(required) or 'no parameter'} and at most {sorted(optional)}",
            )

    def without(self, names: Set[str]) -> SignerUri:
        """The same without these parameters."""
        kept = {name: value for name, value in self.parameters.items() if name not in names}
        return SignerUri(self.scheme, self.path, kept)

    def log_version(self) -> int | None:
        """The parameter ``log``: 1, 2 or not given.

        Raises:
            ConfigurationError: if it is anything else, or ``instance`` is anything but ``public``.
        """
        if self.parameters.get("instance", "public") != "public" or self.parameters.get("log", "1") not in ("1", "2"):
            raise ConfigurationError(
                f"the {self.scheme}: URI's log must be 1 or 2, and its instance, if given, public",
                "leave both out for the configuration's own log",
            )
        return int(self.parameters["log"]) if "log" in self.parameters else None


def read_config(path: str) -> bytes:
    """The bytes of a Sigstore configuration's file.

    Raises:
        ConfigurationError: if it can't be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"the Sigstore configuration {path} can't be read: {error.strerror}", "check the signer's URI"
        ) from error
