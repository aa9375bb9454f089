"""Read YAML 1.2 as recipes use it: the core schema, with the place of every key and value.

PyYAML reads YAML 1.1, in which `on` is true, `1e-3` is text and `12:30` is 750. Here its parser gives the events, and
this module gives them their meaning: that of YAML 1.2's core schema, plus `1_000` for 1000. It refuses what a recipe
never needs and what can mislead or exhaust a reader: keys written twice, aliases, tags, several documents, numbers that
are not finite, control characters, and texts of any length.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from eailab.errors import RecipeError
from eailab.files import RECIPE
from eailab.plain import described, find_lookalike
from eailab.recipe.canonical import NumberError, meaning
from eailab.recipe.describe import LINE_BREAK, KeyPath, Located, Mark, Problem, report

MAX_BYTES = RECIPE.largest
MAX_NODES = 5_000
MAX_DEPTH = 32

# Control characters, the line breaks on which YAML 1.1 and 1.2 disagree, lone surrogates and non-characters.
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")

# PyYAML's words for a broken text, by a fragment of them, and ours.
SYNTAX = (
    ("'\\t'", "a tab cannot indent: use spaces"),
    ("mapping values are not allowed", "a second ': ' on this line: quote the value, or mend the line's indentation"),
    ("could not find expected ':'", "a key without its colon: write `key: value`"),
    ("expected <block end>", "the indentation does not fit the lines above: keys of one mapping start in one column"),
    ("expected ',' or ']'", "a list is not closed, or a comma is missing: write `[a, b]`"),
    ("expected ',' or '}'", "a mapping is not closed, or a comma is missing: write `{key: value, key: value}`"),
    (
        "unexpected end of stream",
        "a quotation mark is not closed: write the second one, or double a quote that is meant",
    ),
    (
        "unknown escape character",
        "an unknown escape after a backslash: use single quotes, in which a backslash is itself",
    ),
    ("escape sequence", "a wrong escape after a backslash: use single quotes, in which a backslash is itself"),
    ("cannot start any token", "text that starts with this character needs quotes"),
    ("undefined alias", "an alias: write the value out"),
    ("expected the node content", "a value is missing here"),
    ("sequence entries are not allowed", "a list item in the middle of a line: write `key: [a, b]`"),
    ("mapping keys are not allowed", "a `?` here: write `key: value`"),
    (
        "<document start>",
        "text that does not belong to the mapping: write `key: value`, in the column of the other keys",
    ),
    ("document separator", "a quotation mark is not closed: write the second one before the line `---`"),
    ("alphabetic or numeric", "text that starts with this character needs quotes"),
    ("tag", "a tag: remove it; text that starts with ! needs quotes"),
    ("URI", "a tag: remove it; text that starts with ! needs quotes"),
    ("chomping", "text that starts with | or > needs quotes"),
    ("comment or a line break", "text that starts with | or > needs quotes"),
    ("YAML d", "a directive: remove the line with %"),
    ("digit", "a directive: remove the line with %"),
)


@dataclass(frozen=True)
class SourcePosition:
    """Hold where a key and its value begin; list items and the top have no key."""

    key: Mark | None
    value: Mark


@dataclass(frozen=True)
class YamlDocument:
    """A text that was read: its value, the place of every key and value, and what is wrong with it."""

    source: str
    text: str
    value: Any
    """Mappings, lists and scalars; what `read` and `parse` give is a mapping."""
    marks: dict[KeyPath, SourcePosition]
    problems: tuple[Problem, ...] = ()
    """What YAML allows and a recipe does not; the value at such a path is None."""

    def mark(self, path: KeyPath, at_key: bool = False) -> Mark:
        """Return the place of a path, or of the nearest part above it that was written."""
        for length in range(len(path), -1, -1):
            place = self.marks.get(path[:length])
            if place is not None:
                whole = length == len(path)
                return place.key if place.key is not None and (at_key or not whole) else place.value
        return Mark(1, 1)

    def locate(self, problem: Problem) -> Located:
        """Return a problem with its place in this text."""
        return Located(problem, self.mark(problem.path, problem.at_key))

    def error(self, problems: Iterable[Problem]) -> RecipeError:
        """Return the error that says what is wrong with this text, each problem with its place."""
        return RecipeError(report([self.locate(one) for one in problems], self.source, self.text))


def parse(text: str | bytes, source: str) -> YamlDocument:
    """Read a text, or its bytes in UTF-8, whose top level is a mapping; errors call it `source`, such as its path.

    Raises:
        RecipeError: With file, line and column of everything that is wrong.
    """
    document = read(text, source)
    _refuse_problems(document)
    return document


def read(text: str | bytes, source: str) -> YamlDocument:
    """Read like `parse`, but leave what does not hinder reading in `YamlDocument.problems`.

    Raises:
        RecipeError: When the text cannot be read to its end, or holds no mapping.
    """
    document = _Reader(_decode(text, source), source).document()
    if not isinstance(document.value, dict):
        _refuse_problems(document)  # such as an anchor before nothing
    if document.value is None:
        _stop("the recipe is empty: start from `eailab recipes copy digits-mlp`", Mark(1, 1), source, document.text)
    if not isinstance(document.value, dict):
        _stop(
            "a recipe is a mapping: write `key: value` lines, as `eailab recipes show digits-mlp` does",
            document.marks[()].value,
            source,
            document.text,
        )
    return document


def parse_value(text: str) -> object:
    """Read one value of the command line by the rules of a recipe.

    >>> parse_value("[relu, 1e-3, 3x3, on]")
    ['relu', 0.001, '3x3', 'on']

    Raises:
        RecipeError: When the text is not one value.
    """
    document = _Reader(_decode(text, ""), "").document()
    _refuse_problems(document)
    return document.value


def _refuse_problems(document: YamlDocument) -> None:
    if document.problems:
        raise document.error(document.problems)


@dataclass
class _Reader:
    """Gives PyYAML's events their meaning; one instance reads one text."""

    text: str
    source: str
    marks: dict[KeyPath, SourcePosition] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    nodes: int = 0

    def document(self) -> YamlDocument:
        """Read the whole text."""
        events = self._events()
        value: object = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._stop("a second document: keep one, and remove the line `---`", _mark(event))
                if event.tags or (event.version is not None and tuple(event.version) != (1, 2)):
                    self._stop(
                        "a directive: recipes are YAML 1.2 without tags, so remove the line with %", _mark(event)
                    )
            elif isinstance(event, yaml.NodeEvent):
                value = self._node(event, events, (), None, 1)
        return YamlDocument(self.source, self.text, value, self.marks, tuple(self.problems))

    def _events(self) -> Iterator[Any]:
        """Yield PyYAML's events; its errors, and those that it lets through, become ours."""
        loader = yaml.SafeLoader(self.text)
        try:
            while loader.check_event():
                yield loader.get_event()  # type: ignore[no-untyped-call]
        except yaml.MarkedYAMLError as error:
            if blamed := _lookalike_to_blame(self.text, error):
                self._stop(*blamed)
            words = error.problem or error.context or "the text is not YAML here"
            ours = next((said for fragment, said in SYNTAX if fragment in words), words)
            mark, opened = error.problem_mark or error.context_mark, error.context_mark
            if mark is not None and opened is not None and ("not closed" in ours or "colon" in ours):
                mark = mark if mark.line == opened.line else opened  # what is not closed says more than where it shows
            self._stop(ours, Mark(mark.line + 1, mark.column + 1) if mark else Mark(1, 1))
        except (ValueError, OverflowError):  # PyYAML's own int() and chr(), of "\UFFFFFFFF" and of `%YAML 1.99999…`
            self._stop(
                "an impossible number in an escape or a directive: write the character itself",
                Mark(loader.line + 1, loader.column + 1),
            )
        finally:
            loader.dispose()

    def _node(self, event: Any, events: Iterator[Any], path: KeyPath, key: Mark | None, depth: int) -> object:
        """Read the value that an event begins."""
        self.marks[path] = SourcePosition(key, _mark(event))
        self._count(event, depth)
        if isinstance(event, yaml.AliasEvent):
            self._note(path, f"an alias, *{str(event.anchor)[:40]}: write the value out")
            return None
        if event.anchor is not None:
            self._note(path, f"an anchor, &{event.anchor[:40]}: remove it, and write values out where they are used")
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")[:40]
            self._note(path, f"a tag, {tag}: remove it; text that looks like a number needs quotes")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(events, path, depth)
        return self._mapping(events, path, depth)

    def _scalar(self, event: Any, path: KeyPath) -> object:
        if FORBIDDEN.search(event.value):
            self._note(path, "a control character or half a character, made by an escape: remove it")
            return FORBIDDEN.sub("", event.value)  # so that nothing else is found wrong with it
        if event.style is not None:
            return event.value
        try:
            return meaning(event.value)
        except NumberError as error:
            self._note(path, str(error))
            return None

    def _sequence(self, events: Iterator[Any], path: KeyPath, depth: int) -> list[object]:
        items: list[object] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._node(event, events, (*path, len(items)), None, depth + 1))
        return items

    def _mapping(self, events: Iterator[Any], path: KeyPath, depth: int) -> dict[str, object]:
        values: dict[str, object] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(event, depth)
            child = (*path, key)
            if key not in values:
                values[key] = self._node(next(events), events, child, _mark(event), depth + 1)
                continue
            first, kept = self.marks[child].key, (self.marks, self.problems)
            self.marks, self.problems = {}, []  # what is inside the second value does not matter
            self._node(next(events), events, child, _mark(event), depth + 1)
            second, (self.marks, self.problems) = self.marks[child], kept
            self.marks[child] = second
            line = first.line if first else 1
            self._note(child, f"this key was already given on line {line}: keep one of the two", at_key=True)
        return values

    def _key(self, event: Any, depth: int) -> str:
        """Return the text of a key: `on` and `1` are names like any other."""
        self._count(event, depth)
        if not isinstance(event, yaml.ScalarEvent):
            kind = "an alias" if isinstance(event, yaml.AliasEvent) else "a list or mapping"
            self._stop(f"{kind} as a key: keys are names, as in `key: value`", _mark(event))
        if event.anchor is not None or event.tag is not None:
            self._stop("a tag or an anchor before a key: remove it", _mark(event))
        if FORBIDDEN.search(event.value):
            self._stop("a control character or half a character in a key: remove it", _mark(event))
        if event.value == "":
            self._stop("a key without a name: write `key: value`", _mark(event))
        return str(event.value)

    def _count(self, event: Any, depth: int) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self._stop(f"more than {MAX_NODES:,} keys and values: a recipe has about thirty", _mark(event))
        if depth > MAX_DEPTH:
            self._stop(f"nested more than {MAX_DEPTH} deep: a recipe is three levels deep", _mark(event))

    def _note(self, path: KeyPath, message: str, at_key: bool = False) -> None:
        self.problems.append(Problem(path, message, at_key))

    def _stop(self, message: str, mark: Mark) -> NoReturn:
        _stop(message, mark, self.source, self.text)


def _decode(raw: str | bytes, source: str) -> str:
    """Return the text of bytes, once its size and characters are known to be harmless."""
    if len(raw) > MAX_BYTES:
        raise RecipeError(f"{source}:1:1: larger than {MAX_BYTES // 1024} KB: a recipe has about one")
    text = raw if isinstance(raw, str) else _utf8(raw, source)
    text = text.removeprefix("\ufeff")
    bad = FORBIDDEN.search(text)
    if bad:
        place = _end(text[: bad.start()])
        _stop(
            f"{described(bad.group())} is not allowed in a recipe: remove it",
            place,
            source,
            FORBIDDEN.sub("\ufffd", text),
        )
    return text


def _utf8(raw: bytes, source: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        good = raw[: error.start].decode("utf-8")
        message = f"byte 0x{raw[error.start]:02x} is not UTF-8: save the file in UTF-8"
        _stop(message, _end(good), source, f"{good}\ufffd")


def _lookalike_to_blame(text: str, error: yaml.MarkedYAMLError) -> tuple[str, Mark] | None:
    """Return what is said of the character without which the error would not be there, and its place."""
    if error.problem_mark is None:
        return None
    lines = LINE_BREAK.split(text)
    for number in (error.problem_mark.line, error.problem_mark.line - 1):
        found = find_lookalike(lines[number]) if 0 <= number < len(lines) else None
        if found is None:
            continue
        place, said, meant = found
        if meant is None:
            continue
        mended = lines[number].replace(lines[number][place], ": " if meant == ":" else meant)
        there = _first_error("\n".join([*lines[:number], mended, *lines[number + 1 :]]))
        if there is None or there > error.problem_mark.line:
            return said, Mark(number + 1, place + 1)
    return None


def _first_error(text: str) -> int | None:
    """Return the line, from 0, of the first error of YAML's grammar; None where there is none."""
    loader = yaml.SafeLoader(text)
    try:
        while loader.check_event():
            loader.get_event()  # type: ignore[no-untyped-call]
    except yaml.MarkedYAMLError as error:
        return error.problem_mark.line if error.problem_mark else 0
    except (ValueError, OverflowError):
        return 0
    finally:
        loader.dispose()
    return None


def _end(text: str) -> Mark:
    """Return the place after a text."""
    lines = LINE_BREAK.split(text)
    return Mark(len(lines), len(lines[-1]) + 1)


def _mark(event: Any) -> Mark:
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)


def _stop(message: str, mark: Mark, source: str, text: str) -> NoReturn:
    raise RecipeError(report([Located(Problem((), message), mark)], source, text))
