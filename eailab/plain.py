"""Make text from recipes, data, files and the command line harmless to show: no terminal obeys it."""

import difflib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad"  # control characters, and a hyphen that is only seen at the end of a line
    "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # breaks, directions, unseen marks
    "\ufffe\uffff\U000e0000-\U000e007f"  # what is not a character, and tags, which nothing shows
    "\ud800-\udfff]"  # halves of pairs, and bytes of names that are not UTF-8
)
"""What a terminal obeys, or shows as nothing."""
NOT_UTF8 = re.compile("[\ud800-\udfff]")
"""What Python reads a byte of a file's name as that is not UTF-8."""
JOINERS = "\u200c\u200d"
"""Unseen too, and needed by some scripts."""
ALIKE = dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
ALIKE |= dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb\u2033", '"') | dict.fromkeys("\u2018\u2019\u201a\u2032", "'")
ALIKE |= {"\u3001": ",", "\u3002": ".", "\u300c": "[", "\u300d": "]"}
"""Dashes, quotation marks and stops that programs and keyboards put in place of those of ASCII."""
WITH_LATIN = re.compile("[A-Za-z]")
ALIKE_ENOUGH = 0.6
"""Share of letters that a word and one that it may have been meant to be have in common."""
MOST_COMPARED = 60
"""Characters of a word that is compared with known ones."""


def plain(text: str) -> str:
    r"""Return text on one line in which a terminal finds nothing to obey, and a reader nothing unseen.

    A byte of a file's name that is not UTF-8 is written as `\xb2`, so that two such names stay two.

    >>> print(plain("a\nb\x1b[31m\udcb2"))
    a b�[31m\xb2
    """
    return CONTROLS.sub(_shown, text)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, whose plural is regular.

    >>> counted(1, "problem"), counted(2, "study"), counted(0, "trial")
    ('1 problem', '2 studies', '0 trials')
    """
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def blocks_in_words(blocks: Sequence[int]) -> str:
    """Write the numbers of blocks, runs of three or more by their ends.

    >>> blocks_in_words((0, 1, 2, 5, 7, 8))
    '0 to 2, 5, 7, 8'
    """
    runs: list[list[int]] = []
    for block in blocks:
        if runs and block == runs[-1][-1] + 1:
            runs[-1].append(block)
        else:
            runs.append([block])
    said = [f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return ", ".join(said) or "-"


def plain_lines(text: str) -> str:
    r"""Return text of several lines, each made plain.

    >>> plain_lines("a\x1b[31m\nb")
    'a�[31m\nb'
    """
    return "\n".join(map(plain, text.split("\n")))


def described(character: str) -> str:
    """Return the number and the name of a character that may look like another one, or be invisible.

    >>> described("\u0430")
    'U+0430 CYRILLIC SMALL LETTER A'
    """
    if "\udc80" <= character <= "\udcff":
        return f"the byte 0x{ord(character) - 0xDC00:02X}, which is not UTF-8,"
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".rstrip()


def lookalike(text: str) -> str:
    """Say which character of a text only looks like one of ASCII, or cannot be seen; nothing where there is none.

    >>> lookalike("epochs\uff1a 30")
    "U+FF1A FULLWIDTH COLON is used where ':' is meant"
    """
    found = find_lookalike(text)
    return "" if found is None else found[1]


def find_lookalike(text: str) -> tuple[int, str, str | None] | None:
    """Return the place of the first such character, what is said of it, and what is meant if one character is."""
    for place, character in enumerate(text):
        if character.isascii():
            continue
        if CONTROLS.match(character) or character in JOINERS:
            return place, f"{described(character)} cannot be seen", ""
        meant = ALIKE.get(character) or unicodedata.normalize("NFKC", character)
        if len(meant) == 1 and meant.isascii():
            wanted = "a space" if meant == " " else repr(meant)
            return place, f"{described(character)} is used where {wanted} is meant", meant
        if _is_foreign(character) and WITH_LATIN.search(text[max(0, place - 1) : place + 2]):
            return place, f"{described(character)} is not a Latin letter", None
    return None


def closest(
    word: object, known: Iterable[str], usual: Mapping[str, str] = MappingProxyType({}), alike: float = ALIKE_ENOUGH
) -> str | None:
    """Return the known word that is most like one, whatever its case and joints, or that means the same.

    Args:
        word: What a person wrote.
        known: What it may have been meant to be.
        usual: Known words by what others call them.
        alike: The share of letters, from 0 to 1, that the two must have in common at least.
    """
    by_form = {_form(one): one for one in known}
    by_form = {_form(other): by_form[_form(ours)] for other, ours in usual.items() if _form(ours) in by_form} | by_form
    meant = _form(str(word)[:MOST_COMPARED])
    close = difflib.get_close_matches(meant, by_form, n=1, cutoff=alike)
    longer = [one for one in by_form if len(meant) > 2 and one.startswith(f"{meant}-")]
    return by_form[close[0]] if close else by_form[longer[0]] if len(longer) == 1 else None


def nearest(
    word: object, known: Iterable[str], usual: Mapping[str, str] = MappingProxyType({}), alike: float = ALIKE_ENOUGH
) -> str:
    """Return "; did you mean 'x'?" for the closest known word, or nothing; see `closest`.

    >>> nearest("batchsize", ["batch_size", "epochs"])
    "; did you mean 'batch_size'?"
    """
    close, strange = closest(word, known, usual, alike), lookalike(str(word))
    meant = "" if close is None else f"; did you mean {close!r}?"
    return f"{meant} ({strange})" if meant and strange else meant


def _form(word: str) -> str:
    """Return a word in the form in which case and joints do not tell it from another."""
    return unicodedata.normalize("NFKC", word).lower().replace("_", "-")


def alike(names: Iterable[str]) -> tuple[str, str] | None:
    """Return two names that differ and look the same, or None where there are none.

    >>> alike(["cafe\u0301", "tea", "caf\u00e9"]) is None
    False
    """
    seen: dict[str, str] = {}
    for name in names:
        look = unicodedata.normalize("NFKC", "".join(one for one in name if one not in JOINERS))
        if (other := seen.setdefault(look, name)) != name:
            return other, name
    return None


_LEAVES = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def in_one_line(value: Any) -> str:
    """Return JSON in one line, in which no letter is one that a terminal obeys."""
    return _escaped(_LEAVES.encode(value))


def layout(value: Any, indent: str = "") -> str:
    """Return JSON with a line for each member of a mapping; a list of plain values stays on one line.

    Letters stand for themselves, and what a terminal obeys as its code.
    """
    inner = f"{indent}  "
    if isinstance(value, dict) and value:
        members = (f"{inner}{json.dumps(key)}: {layout(item, inner)}" for key, item in value.items())
        return "{\n" + ",\n".join(members) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return "[\n" + ",\n".join(f"{inner}{layout(item, inner)}" for item in value) + f"\n{indent}]"
    text = _LEAVES.encode(value)
    return text if text.isascii() and "\x7f" not in text else _escaped(text)  # most are numbers


def _escaped(text: str) -> str:
    """Return JSON with what a terminal obeys as its code."""
    return CONTROLS.sub(lambda found: json.dumps(found[0])[1:-1], text)


def _is_foreign(character: str) -> bool:
    return unicodedata.name(character, "").startswith(("CYRILLIC", "GREEK"))


def _shown(found: re.Match[str]) -> str:
    if "\udc80" <= found[0] <= "\udcff":
        return f"\\x{ord(found[0]) - 0xDC00:02x}"
    return " " if found[0] in "\t\n\r\u2028\u2029" else "\ufffd"
