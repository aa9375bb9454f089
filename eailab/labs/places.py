"""Find the marked places of a student's report, and put new content into them: nothing outside them is touched.

<!-- eailab: table lr -->
What stands here is eailab's.
<!-- /eailab 3f2a91bc04d7 0.1.0 -->

The closing mark has a checksum of what was filled in, so that a sentence that somebody wrote inside is not lost, and
the version of eailab that did it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from eailab import __version__
from eailab.errors import UsageError

OPENS = re.compile(r"<!--\s*eailab:(.*?)-->\s*")
CLOSES = re.compile(r"<!--\s*/eailab\b(.*?)-->\s*")
HEADER = re.compile(r"<!--\s*eailab lab\b(.*?)-->")
LINES = re.compile(r"[^\n]*\n|[^\n]+")
SEAL_DIGITS = 12


@dataclass(frozen=True)
class Place:
    """One marked place."""

    words: tuple[str, ...]
    """What the mark asks for: its kind first."""
    line: int
    """Of the opening mark, from 1."""
    content: str
    """Between the marks, with plain line ends."""
    seal: str
    """What the closing mark says of the content; empty before it was filled."""
    filled_by: str
    """Version of eailab that filled it."""
    start: int
    """Number of characters before the content."""
    end: int
    """Number of characters before the end of the closing mark."""

    @property
    def asked(self) -> str:
        """Return the words of the mark as one text."""
        return " ".join(self.words)

    @property
    def is_edited(self) -> bool:
        """Return whether it holds something else than what was filled in."""
        return seal_of(self.content) != self.seal if self.seal else bool(self.content.strip())


def seal_of(content: str) -> str:
    """Return the checksum of what a place holds."""
    return sha256(content.strip("\n").encode()).hexdigest()[:SEAL_DIGITS]


def places_of(text: str, source: str) -> list[Place]:
    """Return the places of a report, in its order.

    Raises:
        UsageError: A mark is not closed, or closes nothing; all of them are named by line.
    """
    found, wrong = list[Place](), list[str]()
    opened: tuple[tuple[str, ...], int, int] | None = None
    position = 0
    for number, line in enumerate(LINES.findall(text), start=1):
        bare = line.strip("\ufeff\r\n")
        begins, closes = OPENS.fullmatch(bare), CLOSES.fullmatch(bare)
        if begins:
            if opened is not None:
                wrong.append(f"{source}:{opened[1]}: this place is not closed before line {number}")
            opened = (tuple(begins[1].split()), number, position + len(line))
        elif closes and opened is None:
            wrong.append(f"{source}:{number}: this mark closes no place")
        elif closes and opened is not None:
            words, at, start = opened
            content = text[start:position].replace("\r\n", "\n")
            end = position + len(line.rstrip("\r\n"))
            seal, _, version = closes[1].strip().partition(" ")
            found.append(Place(words, at, content, seal, version, start, end))
            opened = None
        position += len(line)
    if opened is not None:
        wrong.append(f"{source}:{opened[1]}: this place is not closed")
    if wrong:
        raise UsageError("\n".join([*wrong, "a place ends with a line <!-- /eailab --> of its own."]))
    return found


def filled(text: str, contents: Sequence[tuple[Place, str]]) -> str:
    """Return a report with new content in its places, given in their order, in the line ends that it has."""
    newline = "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n"
    parts, position = [], 0
    for place, content in contents:
        body = content.strip("\n")
        block = f"{body}\n<!-- /eailab {seal_of(body)} {__version__} -->".replace("\n", newline)
        parts += [text[position : place.start], block]
        position = place.end
    return "".join([*parts, text[position:]])


def without_places(text: str, places: Sequence[Place]) -> str:
    """Return what is the student's own, with a line for each line of the report, so that lines keep their numbers."""
    parts, position = [], 0
    for place in places:
        parts += [text[position : place.start], "\n" * text[place.start : place.end].count("\n")]
        position = place.end
    return "".join([*parts, text[position:]])


def header_of(text: str) -> Mapping[str, str]:
    """Return what the mark at the top of a report says: the lab, and the language of its places."""
    mark = HEADER.search(text)
    words = mark[1].replace(",", " ").split() if mark else []
    return dict(word.partition("=")[::2] for word in words if "=" in word)
