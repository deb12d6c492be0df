"""What each security expectation is against; the techniques go into its finding.

Ids are those of MITRE ATLAS (:mod:`airflow_mlsecops.core.atlas`), OWASP Machine Learning Security Top Ten 2023 (ML…),
OWASP Top 10 for LLM Applications 2025 (LLM…), and CWE.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Threat:
    """What an expectation is against.

    Attributes:
        words: in a few words.
        techniques: ids of the field's catalogues.
    """

    words: str
    techniques: tuple[str, ...]


_POISON, _ERODE, _PROMPT, _LEAK, _OBFUSCATE = "AML.T0020", "AML.T0059", "AML.T0051.001", "AML.T0057", "AML.T0068"

THREATS: dict[str, Threat] = {
    "expect_column_categorical_cardinality_to_be_bounded": Threat(
        "categories so many or so long that encoding them exhausts memory", ("AML.T0029", "ML02:2023", "CWE-770")
    ),
    "expect_column_distribution_to_match_baseline": Threat(
        "rows that shift a feature, planted or by a broken sensor", (_POISON, _ERODE, "ML02:2023")
    ),
    "expect_column_labels_to_match_baseline": Threat(
        "labels that were flipped, rows that were added for one class", (_POISON, _ERODE, "ML02:2023", "LLM04:2025")
    ),
    "expect_column_timestamps_to_be_monotone_and_not_in_the_future": Threat(
        "rows that were inserted later, or dated so that splits by time leak", (_ERODE, _POISON, "ML02:2023")
    ),
    "expect_column_tokens_not_to_predict_label": Threat(
        "a trigger (backdoor) planted in examples of one label", (_POISON, "AML.T0043.004", "ML02:2023", "LLM04:2025")
    ),
    "expect_column_values_to_not_contain_formula_injection": Threat(
        "a cell that a spreadsheet runs when somebody looks at the data", ("AML.T0011", "CWE-1236")
    ),
    "expect_column_values_to_not_contain_homoglyph_mix": Threat(
        "words that look alike and are different, to slip past filters and readers",
        (_OBFUSCATE, "AML.T0043", "CWE-1007"),
    ),
    "expect_column_values_to_not_contain_invisible_unicode": Threat(
        "text that nobody sees and a model reads", (_OBFUSCATE, _PROMPT, "LLM01:2025", "CWE-1007")
    ),
    "expect_column_values_to_not_contain_pii": Threat(
        "personal data that a model learns and gives away", (_LEAK, "LLM02:2025", "CWE-359")
    ),
    "expect_column_values_to_not_contain_prompt_injection": Threat(
        "orders to a language model that reads the cell", (_PROMPT, "LLM01:2025")
    ),
    "expect_column_values_to_not_contain_script_or_control_characters": Threat(
        "markup or terminal escapes that run where the data are shown", ("AML.T0011", "CWE-79", "CWE-150")
    ),
    "expect_table_near_duplicates_to_be_few": Threat(
        "a flood of copies that outweighs the rest", (_POISON, _ERODE, "ML02:2023", "LLM04:2025")
    ),
    "expect_table_schema_to_match_baseline": Threat(
        "a column that comes, goes or changes its type unnoticed", (_ERODE, "ML02:2023")
    ),
    "expect_train_test_overlap_to_be_low": Threat(
        "test examples seen in training, so that a bad model looks good", (_ERODE, "AML.T0031", "ML02:2023")
    ),
}
"""Type -> what it is against."""


def techniques(kind: str) -> tuple[str, ...]:
    """The techniques of one of ours; empty for GX's own."""
    return THREATS[kind].techniques if kind in THREATS else ()
