"""A report beside the same report made anew: which numbers agree, and where the two differ.

A text is taken apart into pieces: lines of markdown or LaTeX, texts and attributes of a page, cells of CSV, values of
JSON. Pieces that are equal need no more; in others the numbers are compared one by one, so that a message names what
has changed.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from html.parser import HTMLParser
from itertools import zip_longest
from typing import Any

NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class Piece:
    """A part of a report that is equal or not."""

    where: str
    """As a person finds it."""
    text: str
    is_told: bool = True
    """Whether a reader sees it as text; else its numbers are not counted, such as those of a drawing."""

    @property
    def numbers(self) -> list[str]:
        """The numbers that a reader sees."""
        return NUMBER.findall(self.text) if self.is_told else []


@dataclass(frozen=True)
class Outcome:
    """How a report agrees with the store."""

    numbers: int
    """That the store has for this report."""
    matching: int
    problems: tuple[str, ...]
    """One sentence for each difference."""
    foreign: tuple[str, ...]
    """Where there is text without numbers that is not eailab's; no problem, and not checked."""

    @property
    def holds(self) -> bool:
        """Whether nothing differs."""
        return not self.problems and self.matching == self.numbers


def pieces_of(text: str, suffix: str) -> list[Piece]:
    """Take a report apart.

    Args:
        text: Of the file.
        suffix: Of its name: `.html`, `.json`, `.csv`, or one of a format with lines.

    Raises:
        ValueError: It is no JSON although its name says so.
    """
    if suffix == ".html":
        return _Page(text).pieces
    if suffix == ".json":
        return list(_values(json.loads(text), ""))
    if suffix == ".csv":
        return _cells(text)
    return [Piece(f"line {number}", line.rstrip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def compare_pieces(found: Sequence[Piece], expected: Sequence[Piece]) -> Outcome:
    """Compare a report's pieces with those of the same report made from the store."""
    matching, problems, foreign = 0, [], []
    for ours, theirs in _aligned(found, expected):
        if ours is None:
            assert theirs is not None  # noqa: S101 - one of the two is there
            problems.append(f"{theirs.where}: missing in the report: {_short(theirs.text)}")
        elif theirs is None:
            if ours.numbers or not ours.is_told:
                problems.append(f"{ours.where}: in the report but not from the store: {_short(ours.text)}")
            else:
                foreign.append(f"{ours.where}: {_short(ours.text)}")
        elif ours.text == theirs.text:
            matching += len(theirs.numbers)
        else:
            agreeing, differences = _differences(ours, theirs)
            matching += agreeing
            problems += differences
    total = sum(len(piece.numbers) for piece in expected)
    return Outcome(total, matching, tuple(problems), tuple(foreign))


def _differences(ours: Piece, theirs: Piece) -> tuple[int, list[str]]:
    """Return how many numbers of two unequal pieces agree, and what does not."""
    in_report, in_store = ours.numbers, theirs.numbers
    if len(in_report) != len(in_store):
        return 0, [f"{ours.where}: {_short(ours.text)} should be {_short(theirs.text)}"]
    changed = [(a, b) for a, b in zip(in_report, in_store, strict=True) if a != b]
    said = [f"{ours.where}: {a} in the report, {b} from the store" for a, b in changed]
    if NUMBER.sub("0", ours.text) != NUMBER.sub("0", theirs.text) or not said:
        said.append(f"{ours.where}: {_short(ours.text)} should be {_short(theirs.text)}")
    return len(in_store) - len(changed), said


def _aligned(found: Sequence[Piece], expected: Sequence[Piece]) -> Iterator[tuple[Piece | None, Piece | None]]:
    """Set pieces side by side; None for one that has no counterpart."""
    if len(found) == len(expected):
        yield from zip(found, expected, strict=True)
        return
    ours, theirs = [piece.text for piece in found], [piece.text for piece in expected]
    for kind, a, b, c, d in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        if kind == "equal" or (kind == "replace" and b - a == d - c):
            yield from zip(found[a:b], expected[c:d], strict=True)
        else:
            yield from ((piece, None) for piece in found[a:b])
            yield from ((None, piece) for piece in expected[c:d])


def _cells(text: str) -> list[Piece]:
    """Return the cells of a table, each under its column's name."""
    rows = list(csv.reader(io.StringIO(text)))
    return [
        Piece(f"line {line}, {name or 'beyond the table'}", cell)
        for line, row in enumerate(rows, 1)
        for name, cell in zip_longest(rows[0], row, fillvalue="")
    ]


def _values(value: Any, path: str) -> Iterator[Piece]:
    """Yield the leaves of JSON; a missing or added key is a piece too."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _values(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _values(inner, f"{path}[{index}]")
    else:
        yield Piece(path, f"{path} = {json.dumps(value)}" if not isinstance(value, int | float) else repr(value))


class _Page(HTMLParser):
    """The pieces of a page, each under the heading that stands above it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.pieces: list[Piece] = []
        self.heading, self.tags = "the page's head", [""]
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "input", "img"):
            self.tags.append(tag)
        written = " ".join(f"{name}={value}" for name, value in attrs)
        self.pieces.append(Piece(f"<{tag}> under {self.heading}", f"<{tag} {written}>", is_told=False))

    def handle_endtag(self, tag: str) -> None:
        if self.tags[-1] == tag:
            self.tags.pop()
        self.pieces.append(Piece(f"</{tag}> under {self.heading}", f"</{tag}>", is_told=False))

    def handle_data(self, data: str) -> None:
        if self.tags[-1] in ("h2", "h3"):
            self.heading = data
        self.pieces.append(Piece(self.heading, data, is_told=self.tags[-1] not in ("script", "style")))


def _short(text: str) -> str:
    return f"“{text}”" if len(text) <= 90 else f"“{text[:89]}…”"
