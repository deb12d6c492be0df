"""What a phrase is hidden behind: digits and letters that look alike, marks, spelling out, entities, base64 and hex.

Each form is one that a language model still reads. Sources: Boucher et al., Bad Characters (IEEE S&P 2022); OWASP LLM
Prompt Injection Prevention Cheat Sheet ("encoding and obfuscation"); RFC 4648 for base64 and hex.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Iterator
from functools import cache

from airflow_mlsecops.core.validation.security.normal import normal
from airflow_mlsecops.core.validation.security.wrapped import coded, unwrapped

DIGITS_OF = {"i": "1!|", "o": "0", "e": "3", "a": "4@", "s": "5$", "t": "7"}
"""Letter -> what stands for it in writing with digits."""
_LETTER_OF = {ord(sign): letter for letter, signs in DIGITS_OF.items() for sign in signs}
_SMALL_CAPITALS = "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ"
LIKE_LATIN: dict[int, str] = {
    **{ord(one): other for one, other in zip("аеорсухіјѕһԁԛԝ", "aeopcyxijshdqw", strict=True)},  # Cyrillic
    **{ord(one): other for one, other in zip("αορνι", "aopvi", strict=True)},  # Greek
    **{ord(one): other for one, other in zip("ոսցհքօ", "nughpo", strict=True)},  # Armenian
    **{ord(one): other for one, other in zip("ɑɡ", "ag", strict=True)},
    **{ord(one): other for one, other in zip(_SMALL_CAPITALS, "abcdefghijklmnoprstuvwyz", strict=True)},
    **{first + place: chr(97 + place) for first in (0x1F150, 0x1F170, 0x1F1E6) for place in range(26)},
}
"""Letters of other scripts, small capitals, letters in dark circles and boxes -> the Latin ones that they look like."""
_LIKE_LATIN = frozenset(map(chr, LIKE_LATIN))
_STEMS = ("ignore", "disregard", "instruction", "system prompt")
_COMPACT = re.compile(
    r"(?:ignor(?:e|ing)|disregard|forget|override|bypass)\w{0,40}(?:instruction|prompt|guideline|directive|guardrail)"
    r"|(?:reveal|print|show|repeat|output|leak)\w{0,30}(?:systemprompt|hiddenprompt|initialprompt)|doanythingnow"
)
_LONG_WORD = 20
_MAYBE_SPELLED = re.compile(rf"\w{{{_LONG_WORD}}}|(?:\b\w ){{9}}")
_DIGITED = re.compile(r"[^\W\d_][0-9@$|!]|[0-9@$|!][^\W\d_]")
SPELLED = r"(?:[A-Za-z][^A-Za-z0-9]{1,3}){9}[A-Za-z]"
"""At least ten letters, each by itself."""
WRAPPED = coded("[4-7][0-9a-fA-F]")
"""Letters in percent-encoding or escapes."""
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}[ :]?){12,}")


def hidden_in(text: str) -> Iterator[str]:
    """The text, what it is unwrapped, and what stands in it in base64 and hex."""
    for each in unwrapped(text):
        yield each
        for run in _BASE64.findall(each):
            yield from _decoded(run)
        for run in _HEX.findall(each):
            yield bytes.fromhex(run.replace(":", " ")).decode("utf-8", "ignore")


def _decoded(run: str) -> Iterator[str]:
    plain = run.rstrip("=").translate(str.maketrans("-_", "+/"))
    for start in range(4):  # letters that stand before it look as if they belonged to it
        part = plain[start:]
        part = part[:-1] if len(part) % 4 == 1 else part
        yield base64.b64decode(part + "=" * (-len(part) % 4)).decode("utf-8", "ignore")


def forms(text: str) -> set[str]:
    """Normal forms of a text: as it is, and without each of its disguises."""
    found = {normal(text)}
    if not text.isascii():
        if not _LIKE_LATIN.isdisjoint(text):
            found |= {normal(text.translate(LIKE_LATIN)), *(form.translate(LIKE_LATIN) for form in found)}
        found.add(normal("".join(map(_base, text))))
    if _DIGITED.search(text):
        found |= {normal(_undigited(each)) for each in {text, *found}}
    return found


def spelled_out(form: str) -> bool:
    """Whether an order in English stands in a normal form letter by letter, or as one word."""
    if _MAYBE_SPELLED.search(form) is None:
        return False
    run = ""
    for word in [*form.split(" "), ""]:
        if len(word) == 1:
            run += word
        elif _COMPACT.search(run) or (len(word) >= _LONG_WORD and _COMPACT.search(word)):
            return True
        else:
            run = ""
    return False


@cache
def encoded_stems() -> tuple[str, ...]:
    """What stands in base64 or hex wherever one of the stems is encoded, in three usual cases."""
    found = set()
    for stem in _STEMS:
        for word in (stem, stem.title(), stem.upper()):
            data = word.encode()
            found |= {data.hex(), data.hex().upper()}
            for before in range(3):
                code = base64.b64encode(b"\0" * before + data).decode()
                found.add(code[(0, 2, 3)[before] : (before + len(data)) * 8 // 6])
    return tuple(sorted(each.replace("+", "[+]") for each in found))


def _undigited(text: str) -> str:
    """Words of letters and digits, ``1gn0re``, with letters only."""
    words = re.split(r"(\s+)", text)
    return "".join(word.translate(_LETTER_OF) if _is_digited(word) else word for word in words)


def _is_digited(word: str) -> bool:
    inner = word.strip("!|.,;:?'\"()")
    return any(ord(each) in _LETTER_OF for each in inner) and any(each.isalpha() for each in inner)


@cache
def accented(letter: str) -> frozenset[int]:
    """The Latin letters that are this one with a mark."""
    planes = (*range(0xC0, 0x250), *range(0x1E00, 0x1F00))
    return frozenset(code for code in planes if _base(chr(code)).lower() == letter)


@cache
def _base(letter: str) -> str:
    """A Latin letter without its marks; marks by themselves are nothing."""
    if unicodedata.category(letter) in ("Mn", "Me"):
        return ""
    base = unicodedata.normalize("NFD", letter)[0]
    return base if base.isascii() else letter
