"""Comparing a report with the same report made again: whether they agree, and which numbers and sentences differ.

A text is taken apart without losing a letter: a page into tags and texts, markdown and LaTeX into lines, CSV into
cells, JSON into values. What differs is named piece by piece, and number by number where only numbers differ.
"""

import csv
import html
import io
import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any

from eailab.plain import plain
from eailab.stats.verdict import Verdict

NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?")

MOST_ALIGNED = 20_000
"""Pieces that are searched for the nearest counterpart of each; longer differing parts are compared in order."""

VERDICTS = re.compile(rf"\b({'|'.join(Verdict)})\b")

OBEYED = {
    ".md": re.compile(r"[<`~$]|!\[|\][:(]"),
    ".tex": re.compile(r"[\\%{}$&~^#_]"),
}
"""What a line must not have that may be added to a report: a reader's program obeys it, and may hide or change what
stands around it (comments, raw HTML, fences, link definitions; commands, environments, comments)."""


@dataclass(frozen=True)
class Piece:
    """A part of a report."""

    where: str
    """As a person finds it."""
    raw: str
    """What has to be equal, letter for letter."""
    shown: str
    """What a reader sees of it, whose numbers are counted; empty for tags, style and script."""

    @property
    def numbers(self) -> list[str]:
        """The numbers that a reader sees."""
        return NUMBER.findall(self.shown)


@dataclass(frozen=True)
class Outcome:
    """How a report agrees with the store."""

    numbers: int
    """That the store has for this report."""
    matching: int
    problems: tuple[str, ...]
    """One sentence for each difference."""
    foreign: tuple[str, ...]
    """Plain sentences without numbers that were added to the report; allowed, and not checked."""

    @property
    def holds(self) -> bool:
        """Whether nothing differs."""
        return not self.problems and self.matching == self.numbers


def compare(found: str, expected: str, suffix: str) -> Outcome:
    """Compare a report with the same report made from the store.

    Args:
        found: Text of the report.
        expected: Text of the one that was made again.
        suffix: Of the file's name: `.html`, `.json`, `.csv`, or one of a format with lines.

    Raises:
        ValueError: It is not JSON or CSV although its name says so.
    """
    theirs = pieces_of(expected, suffix)
    matching, problems, foreign = 0, [], []
    for one, other in _aligned(pieces_of(found, suffix), theirs):
        if one is None:
            assert other is not None  # noqa: S101 - one of the two is there
            problems.append(f"{other.where}: missing in the report: {_short(other.raw)}")
        elif other is None:
            if suffix in OBEYED and not _is_claim(one.raw):
                if not _is_obeyed(one.raw, suffix):
                    foreign.append(f"{one.where}: {_short(one.raw)}")
                    continue
                problems.append(f"{one.where}: was added, and may hide or change what it stands by: {_short(one.raw)}")
            else:
                problems.append(f"{one.where}: in the report but not from the store: {_short(one.raw)}")
        elif one.raw == other.raw:
            matching += len(other.numbers)
        else:
            agreeing, differences = _differences(one, other)
            matching += agreeing
            problems += differences
    return Outcome(sum(len(piece.numbers) for piece in theirs), matching, tuple(problems), tuple(foreign))


def pieces_of(text: str, suffix: str) -> list[Piece]:
    """Take a report apart; see `compare`."""
    if suffix == ".html":
        return list(_page(text))
    if suffix == ".json":
        return list(_values(json.loads(text, object_pairs_hook=_Members), ""))
    if suffix == ".csv":
        return list(_cells(text))
    lines = enumerate((line.rstrip(" \t\r") for line in text.split("\n")), 1)
    return [Piece(f"line {number}", line, line) for number, line in lines if line]


def _is_claim(line: str) -> bool:
    """Return whether an added line says something that has to come from the store: a number or a verdict."""
    return bool(VERDICTS.search(line)) or any(unicodedata.category(letter) in ("Nd", "Nl", "No") for letter in line)


def _is_obeyed(line: str, suffix: str) -> bool:
    """Return whether an added line is more than a plain sentence: markup, a rule, control characters."""
    return bool(OBEYED[suffix].search(line)) or plain(line) != line or not any(map(str.isalpha, line))


def _differences(one: Piece, other: Piece) -> tuple[int, list[str]]:
    """Return how many numbers of two unequal pieces agree, and what does not."""
    in_report, in_store = one.numbers, other.numbers
    if len(in_report) != len(in_store):
        return 0, [f"{one.where}: {_short(one.raw)} should be {_short(other.raw)}"]
    changed = [(a, b) for a, b in zip(in_report, in_store, strict=True) if a != b]
    said = [f"{one.where}: {a} in the report, {b} from the store" for a, b in changed]
    if NUMBER.sub("0", one.raw) != NUMBER.sub("0", other.raw) or not said:
        said.append(f"{one.where}: {_short(one.raw)} should be {_short(other.raw)}")
    return len(in_store) - len(changed), said


def _aligned(found: Sequence[Piece], expected: Sequence[Piece]) -> Iterator[tuple[Piece | None, Piece | None]]:
    """Yield the pieces side by side; None for one that has no counterpart."""
    texts, others = [piece.raw for piece in found], [piece.raw for piece in expected]
    first = _alike(texts, others)
    last = _alike(texts[first:][::-1], others[first:][::-1])
    end, other_end = len(texts) - last, len(others) - last
    yield from zip(found[:first], expected[:first], strict=True)
    if end == other_end or max(end, other_end) - first > MOST_ALIGNED:
        yield from zip_longest(found[first:end], expected[first:other_end])
    else:
        matcher = SequenceMatcher(None, texts[first:end], others[first:other_end])
        for kind, *bounds in matcher.get_opcodes():
            a, b, c, d = (first + bound for bound in bounds)
            if kind == "equal" or b - a == d - c:
                yield from zip(found[a:b], expected[c:d], strict=True)
            else:
                yield from ((piece, None) for piece in found[a:b])
                yield from ((None, piece) for piece in expected[c:d])
    yield from zip(found[end:], expected[other_end:], strict=True)


def _alike(texts: Sequence[str], others: Sequence[str]) -> int:
    """Return how many pieces at the beginning are equal."""
    shorter = min(len(texts), len(others))
    return next((place for place in range(shorter) if texts[place] != others[place]), shorter)


# --- taking apart ----------------------------------------------------------------------------------------------------


def _page(text: str) -> Iterator[Piece]:
    """Yield the tags and texts of a page, each under the heading that stands above it.

    What a browser makes of a page need not be known: every letter is compared, and the tags only serve to say where.
    """
    heading, tag = "the page's head", ""
    for part in re.split(r"(<[^>]*>)", text):
        if part.startswith("<"):
            tag = part[1:].partition(" ")[0].rstrip(">")
            yield Piece(f"<{tag}> under {heading}", part, "")
        elif part:
            shown = "" if tag in ("style", "script") else html.unescape(part)
            if tag in ("h2", "h3"):
                heading = shown
            yield Piece(heading, part, shown)


class _Members(list[tuple[str, Any]]):
    """The members of a JSON object, those whose key stands there twice included."""


def _values(value: Any, path: str) -> Iterator[Piece]:
    """Yield the leaves of JSON; an empty object or list is one too."""
    if isinstance(value, _Members) and value:
        for key, inner in value:
            yield from _values(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _values(inner, f"{path}[{index}]")
    else:
        written = "{}" if isinstance(value, _Members) else json.dumps(value)
        yield Piece(path, f"{path} = {written}", written)


def _cells(text: str) -> Iterator[Piece]:
    """Yield the cells of a table, each under its column's name."""
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    for line, row in enumerate(rows, 1):
        for name, cell in zip_longest(rows[0], row, fillvalue=""):
            yield Piece(f"line {line}, {name or 'beyond the table'}", cell, cell)


def _short(text: str) -> str:
    return f"“{text}”" if len(text) <= 90 else f"“{text[:89]}…”"
