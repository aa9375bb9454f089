"""Fill the command line of a training program: it is split as a shell splits words, then filled in."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

from eailab.plain import nearest

Value: TypeAlias = str | int | float | bool
"""Of a setting."""
Quote: TypeAlias = Literal["", "'", '"']

PLACES = ("seed", "block", "out", "params", "args", "overrides")
"""Placeholders that are not settings."""
ALL_SETTINGS = ("params", "args", "overrides")
"""Placeholders that hand over every setting."""

NAME = r"[A-Za-z_][A-Za-z0-9_-]*"
NESTED = rf"{NAME}(?:\.{NAME})*"
"""Of a setting in a group of settings too, such as `model.depth`."""
_TOKENS = {
    quoted: re.compile(r"\s+|\{\{|\}\}|\{(?P<name>" + NESTED + r")\}|[{}]|" + rest, re.DOTALL)
    for quoted, rest in {False: r"['\"]|\\.|[^\s{}'\"\\]+|\\", True: r"'|[^\s{}']+"}.items()
}
"""Space, braces, a placeholder, a quote, an escaped letter, or text without any of these.

Told apart by whether it stands in single quotes, in which a backslash is a letter like any other.
"""
_ESCAPED = '"\\$`'
"""Letters that a backslash takes their meaning from in double quotes."""
_ENVIRONMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_OPTION = re.compile(r"--?[A-Za-z]")
_FOR_A_SHELL = {
    "": re.compile(r"&&|\|\||[|&<>]|.*;|[0-9]*>>?.*|\$[A-Za-z_{(].*|`.*"),
    '"': re.compile(r".*(?:\$[A-Za-z_{(]|`).*"),
    "'": re.compile(r"(?!)"),
}
"""What a shell would not hand over as it is, by the quotes around it."""


@dataclass(frozen=True)
class Places:
    """Hold what the placeholders that are not settings stand for in one trial."""

    seed: int | str
    out: Path
    """A folder of the trial's own."""
    params: Path
    """A JSON file of all settings."""

    @property
    def values(self) -> dict[str, str]:
        """Return what each stands for."""
        return {"seed": str(self.seed), "block": str(self.seed), "out": str(self.out), "params": str(self.params)}


IN_BRACES = Places("{seed}", Path("{out}"), Path("{params}"))
"""Placeholders that stay as they are."""


@dataclass(frozen=True)
class FilledCommand:
    """A command line that is ready to start."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]

    def __str__(self) -> str:
        """Return the command as it is typed into a shell."""
        return shlex.join([*(f"{name}={value}" for name, value in self.environment.items()), *self.argv])


@dataclass(frozen=True)
class _Piece:
    """A stretch of a word in one kind of quotes: text, or a placeholder's name."""

    text: str
    raw: str
    """As it stands in the template, quotes and backslashes included."""
    quote: Quote
    is_placeholder: bool = False


@dataclass(frozen=True)
class _Word:
    pieces: tuple[_Piece, ...]
    space: str
    """That follows it."""

    @property
    def alone(self) -> str | None:
        """Return the placeholder that the whole word is, without quotes; None for any other word."""
        (first, *others) = self.pieces
        return first.text if first.is_placeholder and not others else None


@dataclass(frozen=True)
class Template:
    """A command with placeholders.

    Each setting is a placeholder by its name, such as `{lr}` or, in a group, `{model.depth}`. `{seed}` and `{block}`
    are the block's number, `{out}` a folder of the trial's own, `{params}` a JSON file of all settings, `{args}` is
    `--lr 0.001 --wd 0` and `{overrides}` `lr=0.001 wd=0`; `{{` and `}}` are braces. Words such as `NAME={x}` before the
    program set environment variables.

    A value stays one argument, whatever is in it. Where a placeholder is a whole word without quotes, an empty value
    leaves the word out, and one that begins as an option does, such as `--mixup 0.2`, is split into words: levels may
    be pieces of a command.
    """

    text: str
    shell: bool = False
    """Whether `sh` runs the text, in which values are quoted."""

    def __post_init__(self) -> None:
        """Refuse a text that is not a command.

        Raises:
            ValueError: It has an open quote, a brace that belongs to no placeholder, no program, or what only a shell
                understands.
        """
        if not self._split[1]:
            raise ValueError(
                f"{self.text!r:.60} names no program: write a command such as 'python train.py --lr {{lr}}'"
            )
        if not self.shell:
            for piece in (piece for word in _words(self.text) for piece in word.pieces):
                is_text = not piece.is_placeholder and piece.raw == piece.text
                if is_text and _FOR_A_SHELL[piece.quote].fullmatch(piece.text):
                    raise ValueError(
                        f"{piece.text} means something to a shell, and none runs this command: add --shell (shell: "
                        "true in a recipe), or put it in single quotes to hand it over as it is"
                    )

    @cached_property
    def placeholders(self) -> tuple[str, ...]:
        """Return the names in braces, each once, in their order."""
        pieces = (piece for word in _words(self.text) for piece in word.pieces)
        return tuple(dict.fromkeys(piece.text for piece in pieces if piece.is_placeholder))

    @property
    def uses_seed(self) -> bool:
        """Return whether the block's number stands in the command."""
        return not {"seed", "block"}.isdisjoint(self.placeholders)

    @property
    def program(self) -> str:
        """Return the first word after the environment, as it stands in the template."""
        return "".join(piece.text for piece in self._split[1][0].pieces)

    @property
    def words(self) -> tuple[str, ...]:
        """Return the command's words after the environment, placeholders in braces."""
        return tuple(
            "".join(f"{{{piece.text}}}" if piece.is_placeholder else piece.text for piece in word.pieces)
            for word in self._split[1]
        )

    def check(self, settings: Sequence[str]) -> None:
        """Refuse placeholders that are not settings, and settings that stand nowhere in the command.

        Raises:
            ValueError: With the nearest names.
        """
        named = {plain(name): name for name in self.placeholders}
        known = {plain(name): name for name in settings}
        if unknown := [name for key, name in named.items() if key not in known and name not in PLACES]:
            one, close = unknown[0], nearest(unknown[0], [*settings, *PLACES])
            raise ValueError(
                f"{{{one}}} has no value{close or ':'} vary it as the factor, set it with -o {one}=VALUE, or write "
                f"{{{{{one}}}}} where braces are meant"
            )
        if {*ALL_SETTINGS}.isdisjoint(named):
            free = [name for name in named.values() if name not in PLACES]
            for key, name in known.items():
                if key not in named:
                    close = nearest(name, free)
                    raise ValueError(
                        f"the setting {name} is not in the command{close or ':'} write {{{name}}} where its "
                        "value belongs, or {args}, {overrides} or {params} for all settings"
                    )

    def fill(self, settings: Mapping[str, Value], places: Places) -> FilledCommand:
        """Return the command of one trial, for settings by name; see `check`."""
        values = {plain(name): value_text(value) for name, value in settings.items()} | places.values
        listed = {
            "args": [word for name, value in settings.items() for word in (f"--{name}", value_text(value))],
            "overrides": [f"{name}={value_text(value)}" for name, value in settings.items()],
        }

        def text(piece: _Piece) -> str:
            if not piece.is_placeholder:
                return piece.text
            return shlex.join(listed[piece.text]) if piece.text in listed else values[plain(piece.text)]

        def arguments(word: _Word) -> list[str]:
            if word.alone in listed:
                return listed[word.alone]
            whole = "".join(map(text, word.pieces))
            return shlex.split(whole) if word.alone and (not whole or _OPTION.match(whole)) else [whole]

        environment, words = self._split
        if not self.shell:
            variables = ("".join(map(text, word.pieces)).partition("=") for word in environment)
            argv = [argument for word in words for argument in arguments(word)]
            return FilledCommand(tuple(argv), {name: value for name, _, value in variables})
        script = [
            (
                shlex.join(arguments(word))
                if word.alone
                else "".join(_in_quotes(piece, text(piece)) for piece in word.pieces)
            )
            + word.space
            for word in (*environment, *words)
        ]
        return FilledCommand(("/bin/sh", "-c", "".join(script)), {})

    @cached_property
    def _split(self) -> tuple[tuple[_Word, ...], tuple[_Word, ...]]:
        """Return the words that set environment variables, and the command's own."""
        words = _words(self.text)
        first = 0
        while first < len(words) and _ENVIRONMENT.match(words[first].pieces[0].raw):
            first += 1
        return words[:first], words[first:]


def fill_text(text: str, settings: Mapping[str, Value], places: Places) -> str:
    """Return a text, such as a path, with its placeholders filled in as in a command; other braces stay."""
    values = {plain(name): value_text(value) for name, value in settings.items()} | places.values
    return re.sub(r"\{(" + NESTED + r")\}", lambda found: values.get(plain(found[1]), found[0]), text)


def flat(settings: Mapping[str, Any]) -> dict[str, Value]:
    """Return the settings by their dotted names.

    >>> flat({"lr": 0.1, "model": {"depth": 3}})
    {'lr': 0.1, 'model.depth': 3}
    """
    found: dict[str, Value] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= {f"{name}.{below}": one for below, one in flat(value).items()}
        else:
            found[name] = value
    return found


def nested(settings: Mapping[str, Value]) -> dict[str, Any]:
    """Return the settings in their groups, as `flat` takes them.

    Raises:
        ValueError: A name is that of a setting and of a group.
    """
    found: dict[str, Any] = {}
    for name, value in settings.items():
        *groups, last = name.split(".")
        group: Any = found
        for one in groups:
            group = group.setdefault(one, {})
            if not isinstance(group, dict):
                break
        if not isinstance(group, dict) or isinstance(group.get(last), dict):
            other = next(one for one in settings if one.startswith(f"{name}.") or name.startswith(f"{one}."))
            raise ValueError(f"{other} and {name} cannot both be settings: one of them would be a group of settings")
        group[last] = value
    return found


def plain(name: str) -> str:
    """Return a name in the form in which `batch-size` and `batch_size` are one."""
    return name.replace("-", "_")


def value_text(value: Value) -> str:
    """Return a value as the program gets it.

    >>> [value_text(one) for one in (0.001, 16, True, "adam")]
    ['0.001', '16', 'true', 'adam']
    """
    return str(value).lower() if isinstance(value, bool) else str(value)


def _in_quotes(piece: _Piece, text: str) -> str:
    """Return a piece for a shell: what stands in the template as it is, and values quoted as their place needs."""
    if not piece.is_placeholder:
        return piece.raw
    match piece.quote:
        case "'":
            return text.replace("'", "'\\''")
        case '"':
            return re.sub(r'(["\\$`])', r"\\\1", text)
        case _:
            return shlex.quote(text)


@lru_cache(maxsize=256)
def _words(text: str) -> tuple[_Word, ...]:
    """Split a template as a shell splits words; comments and substitutions are not known.

    Raises:
        ValueError: A quote is open at the end, or a brace belongs to no placeholder.
    """
    words: list[_Word] = []
    pieces: list[_Piece] = []
    quote: Quote = ""
    at = 0
    while token := _TOKENS[quote == "'"].match(text, at):
        raw, at = token[0], token.end()
        if raw.isspace() and not quote:
            if pieces:
                words.append(_Word(tuple(pieces), raw))
            pieces = []
        elif raw in ("'", '"') and quote in ("", raw):
            quote = "" if quote else raw  # type: ignore[assignment]  # one of the two
            pieces.append(_Piece("", raw, quote))
        else:
            pieces.append(_piece(token, quote))
    if quote:
        raise ValueError(f"the command has an open quote, {quote}: close it, or write \\{quote} for the letter itself")
    if pieces:
        words.append(_Word(tuple(pieces), ""))
    return tuple(words)


def _piece(token: re.Match[str], quote: Quote) -> _Piece:
    """Return what a token stands for within some quotes; see `_words`."""
    raw = token[0]
    if token["name"]:
        return _Piece(token["name"], raw, quote, is_placeholder=True)
    if raw in ("{{", "}}"):
        return _Piece(raw[0], raw[0], quote)
    if raw in ("{", "}"):
        first, end = max(0, token.start() - 10), token.end() + 10
        around = "…" * (first > 0) + token.string[first:end] + "…" * (end < len(token.string))
        raise ValueError(
            f"the brace in {around} belongs to no placeholder: write {{{{ and }}}} for braces of the command itself, "
            "and {name} for a setting"
        )
    is_escape = len(raw) == 2 and raw[0] == "\\"
    if is_escape and (not quote or (quote == '"' and raw[1] in _ESCAPED)):
        return _Piece(raw[1], raw, quote)
    return _Piece(raw, raw, quote)
