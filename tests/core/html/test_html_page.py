"""Foreign text stays text, and the page allows nothing but its own style sheet."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlsecops.core.html.bars import bars
from airflow_mlsecops.core.html.columns import columns
from airflow_mlsecops.core.html.page import badge, folded, page, section, verdict
from airflow_mlsecops.core.html.plot import meter
from airflow_mlsecops.core.html.table import Figure, facts, name, table
from airflow_mlsecops.core.html.text import MAX_TEXT, Html, element, text, visible


class Tags(HTMLParser):
    """Every element and attribute that a browser would see, and the text between."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.seen: list[tuple[str, tuple[str, ...]]] = []
        self.text = ""
        self.feed(data.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def everything(foreign: str) -> bytes:
    parts = [table([foreign], [[foreign, 3]]), facts({foreign: foreign}), bars([foreign], {foreign: [1.0]}), foreign]
    parts += [columns([foreign, foreign], {foreign: [1.0, 2.0]}, unit=foreign), folded(foreign, [foreign])]
    head = verdict(foreign, "bad", foreign, [(foreign, foreign)], [foreign])
    return page(foreign, [head, section(foreign, [*parts, badge(foreign)]), foreign], subtitle=foreign)


PLAIN = Tags(everything("plain")).seen


@given(
    st.text(min_size=1, max_size=60) | st.sampled_from(["<script>x</script>", '"><img src=x onerror=y>', "</title>"])
)
def test_no_text_adds_an_element_or_an_attribute(foreign: str) -> None:
    assert Tags(everything(foreign)).seen == PLAIN


def test_the_policy_allows_the_style_sheet_and_nothing_else() -> None:
    data = everything("plain").decode()
    (css,) = re.findall("<style>(.*?)</style>", data, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    expected = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert f'<meta http-equiv="Content-Security-Policy" content="{expected}">' in data
    assert "style=" not in data
    assert "http:" not in data and "https:" not in data and "url(" not in data


@pytest.mark.parametrize(
    ("given_text", "shown"),
    [
        ("a\u202eb", "a\\u202eb"),
        ("\u200b", "\\u200b"),
        ("\x1b[2J", "\\u001b[2J"),
        ("\U000e0041", "\\U000e0041"),
        ("é日", "é日"),
    ],
)
def test_what_cannot_be_seen_is_written_out(given_text: str, shown: str) -> None:
    assert visible(given_text) == shown


def test_long_text_is_cut_and_markup_is_kept() -> None:
    assert len(text("x" * 10 * MAX_TEXT)) == MAX_TEXT + 1
    assert text(Html("<b>")) == "<b>"
    assert element("i", '"', attributes={"title": "\"'`<"}) == '<i title="&quot;&#x27;&#96;&lt;">&quot;</i>'


def test_bars_refuse_what_they_cannot_draw_and_survive_odd_numbers() -> None:
    with pytest.raises(ValueError, match="three"):
        bars(["a"], {"now": [1.0, 2.0]})
    odd = {"now": [float("nan"), float("inf"), -1.0]}
    assert re.findall('width="([^"]+)" height="12.0" class="first"', bars(["a", "b", "c"], odd))[1:] == ["0.0"] * 3
    assert re.findall('height="([^"]+)" class="first"', columns(["a", "b", "c"], odd))[1:] == ["0.0"] * 3
    assert meter(float("nan")).count('width="0.0"') == 1


def test_columns_are_as_high_as_their_share() -> None:
    drawn = columns(["low", "middle", "high"], {"baseline": [10.0, 20.0, 0.0], "now": [5.0, 20.0, 40.0]}, unit="%")
    heights = [float(each) for each in re.findall('height="([^"]+)" class="second"', drawn)[1:]]
    assert heights == pytest.approx([heights[2] / 8, heights[2] / 2, heights[2]], abs=0.1)
    assert "<title>high, now: 40%</title>" in drawn
    assert 'aria-label="baseline: low 10, middle 20, high 0; now: low 5, middle 20, high 40"' in drawn


def test_a_column_of_numbers_is_aligned_with_its_heading() -> None:
    drawn = table(["name", "rows", "share"], [["a", 3, Figure("12.5%")], ["b" * 30, 4, Figure("-")]])
    assert drawn.count('class="number"') == 6
    assert '<th scope="col" class="head">name</th>' in drawn
    assert '<td class="long">bbb' in drawn


def test_names_break_where_words_end() -> None:
    assert name("expect_a/b.c&_") == "expect_<wbr>a/<wbr>b.<wbr>c&amp;_<wbr>"
