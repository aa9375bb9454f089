"""Find the numbers that a program reports, and their names: in JSON lines, metrics files and lines of output."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from eailab.engines.named_metrics import SAME

LONGEST_LINE = 20_000
"""Characters of a line of output that are looked at."""

NUMBER = r"[-+\u2212]?(?:\d+(?:,\d+)*(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?|[-+]?(?i:nan|inf(?:inity)?)"
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:(?:,\d{3})+\.\d+|(?:,\d{3}){2,})(?:[eE][-+]?\d+)?")
"""Commas that can only stand between thousands."""

_WORD = r"(?!(?i:nan|inf|infinity)\b)[^\W\d][\w@./-]*+"
_PAIR = re.compile(
    rf"(?<![\w@./-])(?P<name>(?>{_WORD}(?: {_WORD}){{0,3}}))[\"'`\])]{{0,2}}"
    r"(?:\s{0,80}(?:[:=|\u2502]|->|=>)\s{0,80}|\s{1,80})[\"'(\[]?(?:(?:np\.float\d+|tensor|array)\(\[?)?"
    rf"(?P<number>{NUMBER})(?:/(?P<whole>\d+))?\s?(?P<percent>%)?"
    r"(?![\w:/%]|[.,-]\d)(?P<agrees>\s*\(\d+(?:\.\d+)?\s?%\))?"
)
"""`name: number`, `name=number` and `name number`; a name is up to four words."""
_STEP = re.compile(
    r"(?i)(?<![a-z\d])(epoch|global_step|step|iteration|iter|update|round)s?\b\W{0,4}(\d+(?:,\d{3})*(?:\.\d+)?)"
)
_QUALIFIER = re.compile(
    r"(?i)(?<![\w])(train|training|val|valid|validation|eval|evaluation|test|testing|dev|best)(?![\w])"
)
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
"""Of terminals: colours, cursor movements, titles."""

QUALIFIERS = {"train", "val", "eval", "test", "dev", "best"}
"""Words by which two metrics of one name differ: "train acc 0.9, val acc 0.8"."""
STEPS = {"epoch": "epoch", "global_step": "step", "step": "step", "_step": "step", "iteration": "step", "iter": "step"}
STEPS |= {"update": "step", "round": "step"}
"""Names of what counts how far the program is, and which of the two counts it is."""


@dataclass(frozen=True)
class Value:
    """A number under a name, as the program wrote it."""

    words: tuple[str, ...]
    """Its name: a key, the keys that lead to it, or up to four words before it in a line."""
    text: str
    qualifier: str = ""
    """The word of `QUALIFIERS` that precedes it in its line, such as "val" in "val | loss 0.6 | acc 0.8"."""
    percent: bool = False
    """Whether a percent sign follows."""

    @property
    def name(self) -> str:
        """Return the name as lists show it."""
        return " ".join(self.words[-2:])


@dataclass(frozen=True)
class Row:
    """Hold what a program reported at once: a JSON object, a row of a table or a line."""

    values: tuple[Value, ...]
    steps: Mapping[str, float]
    """Of "epoch" and "step", what is known."""
    line: int
    """Its number; updates of one progress bar share it."""


def number(text: str) -> float:
    """Return the number that a text is.

    >>> number("1,234.5"), number("9.1e-3"), number("-inf")
    (1234.5, 0.0091, -inf)

    Raises:
        ValueError: The text is not a number, or its comma may stand for thousands or for decimals.
    """
    text = text.strip().replace("\u2212", "-")
    if "," in text and not _THOUSANDS.fullmatch(text):
        raise ValueError(f"{text} may stand for several numbers; write a decimal point and no other separator")
    try:
        return float(text.replace(",", "").replace("_", "?"))
    except ValueError:
        raise ValueError(f"{text!r:.40} is not a number") from None


def is_number(text: str) -> bool:
    """Return whether a text is a number."""
    try:
        number(text)
    except ValueError:
        return False
    return True


def lines_of_output(text: str) -> list[Row]:
    """Return what lines of output report; a carriage return begins the line again, as progress bars do."""
    rows: list[Row] = []
    steps: dict[str, float] = {}
    for index, line in enumerate(_ESCAPES.sub("", text).split("\n")):
        for update in (one[:LONGEST_LINE] for one in re.split(r"[\r\x08\v\f]+", line)):
            for word, count in _STEP.findall(update):
                steps[STEPS[word.lower()]] = float(count.replace(",", ""))
            if values := tuple(_pairs(update)):
                rows.append(Row(values, dict(steps), index))
    return rows


def _pairs(line: str) -> Iterator[Value]:
    """Return the numbers of a line with their names and what precedes both."""
    begin, qualifier = 0, ""
    for found in _PAIR.finditer(line):
        words = tuple(word.rstrip(".-/@") for word in found["name"].split(" "))
        before = [SAME.get(word.lower(), word.lower()) for word in _QUALIFIER.findall(line[begin : found.start()])]
        qualifier = before[-1] if before else "" if qualifier == "best" and not _is_step(words) else qualifier
        begin = found.end()
        if _is_step(words):
            continue
        text, is_percent = found["number"], bool(found["percent"])
        if found["whole"]:
            if not found["agrees"] or "." in text or int(found["whole"]) < 1:
                continue  # "9914/10000 (99%)" is a share; "3/10" may be anything
            text = repr(100 * int(text.replace(",", "")) / int(found["whole"]))
            is_percent = True
        own = [word for word in words if SAME.get(word.lower(), word.lower()) in QUALIFIERS]
        yield Value(words, text, "" if own else qualifier, is_percent)
        if own:  # of "train loss 0.5 acc 0.9", the accuracy is that of training too
            qualifier = SAME.get(own[-1].lower(), own[-1].lower())


def _is_step(words: tuple[str, ...]) -> bool:
    return words[-1].lower().rstrip("s") in STEPS


def lines_matching(text: str, pattern: re.Pattern[str], judged: str) -> list[Row]:
    """Return what a regular expression finds in lines of output.

    Args:
        text: The output.
        pattern: Its groups are named as metrics, `value` or `step`; the first group is the value if none is named.
        judged: The name of the metric that `value` is.
    """
    rows: list[Row] = []
    for index, line in enumerate(_ESCAPES.sub("", text).split("\n")):
        for found in (match for update in re.split(r"[\r\x08]+", line) for match in pattern.finditer(update)):
            named = found.groupdict() or {"value": found[1]}
            texts = {judged if name == "value" else name: text for name, text in named.items() if text is not None}
            step = texts.pop("step", None)
            values = tuple(_value((name,), text.strip()) for name, text in texts.items())
            rows.append(Row(values, {} if step is None else {"step": number(step)}, index))
    return rows


def json_lines(text: str) -> list[Row]:
    """Return what lines of JSON report. A last line that is cut short is left out: its program was stopped there.

    Raises:
        ValueError: A line is not a JSON object.
    """
    rows: list[Row] = []
    lines = text.split("\n")
    for index, line in enumerate(lines, start=1):
        try:
            if line.strip():
                rows.extend(_rows(_parsed(line), index))
        except ValueError as error:
            if index < len(lines):
                raise ValueError(f"line {index} is not a JSON object: {line:.60}") from error
    return rows


def metrics_file(text: str) -> list[Row]:
    """Return what a metrics file reports: JSON, JSON lines, a table with a header, or lines of `name: number`.

    Raises:
        ValueError: It begins like JSON and is not.
    """
    text = text.lstrip("\ufeff \r\n\t")
    if text.startswith(("{", "[")):
        try:
            return list(_rows(_parsed(text), 1))
        except json.JSONDecodeError as error:
            if "\n" not in text.strip() or not text.startswith("{"):
                raise ValueError(f"it is not JSON: {error}") from error
            return json_lines(text)
    header = text.partition("\n")[0]
    delimiter = next((mark for mark in ("\t", ";", ",") if mark in header), None)
    if delimiter is None or re.search(rf"=|: |{delimiter}\s*[-+.\d]", header):
        return lines_of_output(text)
    table = csv.DictReader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    return [
        row
        for index, cells in enumerate(table, start=2)
        for row in _rows(_Object((key, cell) for key, cell in cells.items() if key and cell not in (None, "")), index)
    ]


class _Object(list[tuple[str, Any]]):
    """The members of a JSON object, each key as often as it stands there."""


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_Object)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _rows(found: Any, line: int) -> Iterator[Row]:
    """Return a row for an object, and a row for each place of the lists in it."""
    if not isinstance(found, list):
        raise ValueError(f"{found!r:.60} is not an object")
    if not isinstance(found, _Object):
        for index, one in enumerate(found):
            yield from _rows(one, line + index)
        return
    members = [(words, one) for words, one in _members(found) if one is not None]
    for words, one in members:
        for index, entry in enumerate(one if isinstance(one, list) else ()):
            if isinstance(entry, _Object):
                yield from _rows(entry, line + index)
            elif not isinstance(entry, list) and entry is not None:
                yield Row((_value(words, entry),), {"epoch": index + 1}, line + index)
    scalars = [(words, str(one)) for words, one in members if not isinstance(one, list)]
    qualifiers = [SAME.get(one, one) for _, one in scalars if one in SAME.keys() | QUALIFIERS]
    steps = {STEPS[words[-1].lower()]: one for words, one in scalars if words[-1].lower() in STEPS}
    values = [_value(words, one, *qualifiers[:1]) for words, one in scalars if words[-1].lower() not in STEPS]
    yield Row(tuple(values), {axis: number(one) for axis, one in steps.items() if is_number(one)}, line)


def _members(found: Iterable[tuple[str, Any]], before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, one in found:
        if isinstance(one, _Object):
            yield from _members(one, (*before, key))
        else:
            yield (*before, key), one


def _value(words: tuple[str, ...], one: Any, qualifier: str = "") -> Value:
    text = str(one).strip()
    return Value(words, text.removesuffix("%").rstrip(), qualifier, text.endswith("%"))
