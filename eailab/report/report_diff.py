"""Compare a report with the same report made again, and name which numbers and sentences differ.

A text is split without losing a letter: a page into tags and texts, markdown and LaTeX into lines, CSV into cells, JSON
into values. `difflib` finds the pieces that differ, and numbers are named one by one where only numbers differ.
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
VERDICTS = re.compile(rf"\b({'|'.join(Verdict)})\b")

MOST_ALIGNED = 20_000
"""Pieces that `difflib` aligns; longer differing parts are compared in order."""

EXCERPT = 90
"""Letters of a text that a message quotes."""
BEFORE = 30
"""Letters of an excerpt that stand before the first difference."""

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
        """Return the numbers that a reader sees."""
        return NUMBER.findall(self.shown)


@dataclass(frozen=True)
class ReportDiff:
    """Describe how a report agrees with the store."""

    numbers: int
    """That the store has for this report."""
    matching: int
    problems: tuple[str, ...]
    """One sentence for each difference."""
    foreign: tuple[str, ...]
    """Plain sentences without numbers that were added to the report; allowed, and not checked."""

    @property
    def holds(self) -> bool:
        """Return whether nothing differs."""
        return not self.problems and self.matching == self.numbers


def compare(found: str, expected: str, suffix: str) -> ReportDiff:
    """Compare a report with the same report made from the store.

    Args:
        found: Text of the report.
        expected: Text of the one that was made again.
        suffix: Of the file's name: `.html`, `.json`, `.csv`, or one of a format with lines.

    Raises:
        ValueError: It is not JSON or CSV although its name says so.
    """
    ours, theirs = pieces_of(found, suffix), pieces_of(expected, suffix)
    lost, problems, foreign = 0, list[str](), list[str]()
    for a, b, c, d in _differing([piece.raw for piece in ours], [piece.raw for piece in theirs]):
        if b - a == d - c:
            for one, other in zip(ours[a:b], theirs[c:d], strict=True):
                numbers, said = _changed(one, other)
                lost += numbers
                problems += said
            continue
        for one in ours[a:b]:
            why = _refused(one.raw, suffix)
            (problems if why else foreign).append(f"{one.where}: {why}{_short(one.raw)}")
        problems += [f"{other.where}: missing in the report: {_short(other.raw)}" for other in theirs[c:d]]
        lost += sum(len(other.numbers) for other in theirs[c:d])
    total = sum(len(piece.numbers) for piece in theirs)
    return ReportDiff(total, total - lost, tuple(problems), tuple(foreign))


def _differing(found: Sequence[str], expected: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
    """Yield where two lists of texts differ: the bounds in the one, and in the other."""
    shorter = min(len(found), len(expected))
    first = next((at for at in range(shorter) if found[at] != expected[at]), shorter)
    last = next((at for at in range(shorter - first) if found[-1 - at] != expected[-1 - at]), shorter - first)
    end, other_end = len(found) - last, len(expected) - last
    if max(end, other_end) - first > MOST_ALIGNED:
        both = min(end, other_end)
        yield from [(first, both, first, both), (both, end, both, other_end)]
        return
    for kind, *bounds in SequenceMatcher(None, found[first:end], expected[first:other_end]).get_opcodes():
        if kind != "equal":
            a, b, c, d = (first + bound for bound in bounds)
            yield a, b, c, d


def _changed(one: Piece, other: Piece) -> tuple[int, list[str]]:
    """Return how many numbers of a piece are not those of the store, and what differs."""
    in_report, in_store = one.numbers, other.numbers
    begin = _begin(one.raw, other.raw)
    whole = f"{one.where}: {_short(one.raw, begin)} should be {_short(other.raw, begin)}"
    if len(in_report) != len(in_store):
        return len(in_store), [whole]
    changed = [(a, b) for a, b in zip(in_report, in_store, strict=True) if a != b]
    said = [f"{one.where}: {a} in the report, {b} from the store" for a, b in changed]
    is_all = said and NUMBER.sub("0", one.raw) == NUMBER.sub("0", other.raw)
    return len(changed), said if is_all or one.raw == other.raw else [*said, whole]


def _refused(line: str, suffix: str) -> str:
    """Return why a line may not be added to a report; nothing for a plain sentence, in a format with lines.

    A number or a verdict has to come from the store; markup, a rule or control characters may hide what stands there.
    """
    is_claim = VERDICTS.search(line) or any(unicodedata.category(letter) in ("Nd", "Nl", "No") for letter in line)
    if suffix not in OBEYED or is_claim:
        return "in the report but not from the store: "
    is_plain = not OBEYED[suffix].search(line) and plain(line) == line and any(map(str.isalpha, line))
    return "" if is_plain else "was added, and may hide or change what is next to it: "


# --- splitting -------------------------------------------------------------------------------------------------------


def pieces_of(text: str, suffix: str) -> list[Piece]:
    """Split a report; see `compare`."""
    if suffix == ".html":
        return list(_page(text))
    if suffix == ".json":
        return list(_values(json.loads(text, object_pairs_hook=_Members), ""))
    if suffix == ".csv":
        return list(_cells(text))
    lines = enumerate((line.rstrip(" \t\r") for line in text.split("\n")), 1)
    return [Piece(f"line {number}", line, line) for number, line in lines if line]


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


def _begin(one: str, other: str) -> int:
    """Return where excerpts of two texts begin that show the first letter that differs."""
    differs = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    is_cut = max(len(one), len(other)) > EXCERPT
    return max(0, differs - BEFORE) if is_cut and differs > EXCERPT - BEFORE else 0


def _short(text: str, begin: int = 0) -> str:
    """Return an excerpt of a text in quotation marks."""
    excerpt = text[begin : begin + EXCERPT]
    return f"“{'…' * (begin > 0)}{excerpt}{'…' * (begin + EXCERPT < len(text))}”"
