"""Personal data as Microsoft Presidio's pattern recognisers see them; an optional second opinion.

Only recognisers that work by patterns and checksums are used: they need no language model. Whatever they report with a
score of at least 0.5 counts. Source: https://microsoft.github.io/presidio/supported_entities/
"""

from __future__ import annotations

from functools import cache

from airflow_mlsecops.core.errors import MissingExtraError
from airflow_mlsecops.core.validation.security.cells import CellCheck

_RECOGNIZERS = ("CreditCardRecognizer", "EmailRecognizer", "IbanRecognizer", "IpRecognizer", "UsSsnRecognizer")
_SCORE = 0.5


@cache
def presidio() -> CellCheck:
    """The check; every text is a candidate.

    Raises:
        MissingExtraError: if Presidio isn't installed.
    """
    try:
        import presidio_analyzer.predefined_recognizers as predefined
        import tldextract.tldextract
    except ImportError as error:
        raise MissingExtraError(
            "engine='presidio' needs Presidio", "install airflow-mlsecops[presidio], or use engine='patterns'"
        ) from error
    # It asks tldextract about domains, which would fetch its list over the network and keep it in the user's home.
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.tldextract.TLDExtract(cache_dir=None, suffix_list_urls=())
    recognizers = [getattr(predefined, name)() for name in _RECOGNIZERS]

    def decide(text: str) -> bool:
        return any(
            found.score >= _SCORE
            for each in recognizers
            for found in each.analyze(text=text, entities=each.supported_entities, nlp_artifacts=None) or ()
        )

    return CellCheck("", decide)
