"""Mark text for translation where it is written, and translate it where it is set.

`tr("{n} blocks", n=5)` is the string `5 blocks`, and remembers its template and values. So findings, tables and JSON
are in English, and a page hands each text to `language(code)` as it sets it, which looks the template up in
`locales/CODE.yaml`. A plain string is a name, a label or a number, and stays as it is.

Templates are literals: a test reads them out of the source, and fails where a language lacks one. Do not build a
sentence from marked pieces by `+`, `join` or an f-string, which make a plain string; use places, or `joined`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any, TypeAlias

from eailab.errors import UsageError

Say: TypeAlias = Callable[[str], str]
"""From a text to the report's language."""

ENGLISH = "en"
LOCALES = Path(__file__).with_name("locales")


class Text(str):
    """A text in English that knows its template and the values in it."""

    __slots__ = ("template", "values")

    template: str
    """As the catalogues have it; of a plural, the template of the plural."""
    values: Mapping[str, Any]
    """By the template's places; those that are texts are translated themselves."""

    def __new__(cls, english: str, template: str = "", values: Mapping[str, Any] | None = None) -> "Text":
        """Return the English text with what it was made from."""
        text = super().__new__(cls, english)
        text.template, text.values = template or english, values or {}
        return text


class Joined(Text):
    """Texts one after the other, each translated by itself."""

    __slots__ = ()


def tr(template: str, /, **values: Any) -> Text:
    """Return a text to be translated, its places filled in.

    >>> text = tr("{arm} is better than {other}", arm="adam", other="sgd")
    >>> text, text.template
    ('adam is better than sgd', '{arm} is better than {other}')
    """
    return Text(template.format(**values), template, values)


def trn(singular: str, plural: str, n: int, /, **values: Any) -> Text:
    """Return the text for one thing or for several; `{n}` is their number.

    Catalogues know the template of the plural alone, since Chinese has no other.

    >>> trn("{n} block", "{n} blocks", 1), trn("{n} block", "{n} blocks", 2)
    ('1 block', '2 blocks')
    """
    everything = {"n": n, **values}
    return Text((singular if n == 1 else plural).format(**everything), plural, everything)


LIST = tr("; ")
"""Between the members of a list."""
COMMA = tr(", ")
"""Between names and numbers."""
COLON = tr(": ")
OR = tr(" or ")
"""Between texts of which any may hold."""
BETWEEN_SENTENCES = tr(" ")


def joined(texts: Iterable[str], separator: str = LIST) -> Text:
    """Return texts one after the other."""
    members = tuple(texts)
    return Joined(separator.join(members), separator, {str(place): text for place, text in enumerate(members)})


def members_of(text: str) -> tuple[str, ...]:
    """Return the texts that one was joined of; any other is its own.

    >>> members_of(joined(["a", "b"])), members_of("c")
    (('a', 'b'), ('c',))
    """
    return tuple(text.values.values()) if isinstance(text, Joined) else (text,)


def capitalized(text: str) -> str:
    """Return a text with a capital letter, in languages that have them."""
    english = text[:1].upper() + text[1:]
    return type(text)(english, text.template, text.values) if isinstance(text, Text) else english


def listed_and(texts: Iterable[str]) -> Text:
    """Return texts as one phrase.

    >>> listed_and(["lr", "momentum"])
    'lr and momentum'
    """
    return joined(texts, tr(" and "))


def text_of(error: Exception) -> str:
    """Return an error's message with its template, which `str` would drop."""
    (message,) = error.args
    return message if isinstance(message, Text) else str(error)


class Catalogue:
    """The sentences of one language, by their English templates."""

    def __init__(self, sentences: Mapping[str, str]) -> None:
        self.sentences = sentences

    def say(self, text: str) -> str:
        """Return a text in this language; a plain string, such as a name, as it is."""
        if isinstance(text, Joined):
            between, (first, *others) = self.say(text.template), list(map(self.say, text.values.values())) or [""]
            return _spaced([first, *(part for other in others for part in (between, other))])
        if not isinstance(text, Text) or text.template not in self.sentences:
            return str(text)
        values = {name: self.say(one) if isinstance(one, str) else one for name, one in text.values.items()}
        return _spaced(
            part if name is None else format(values[name], part) for part, name in _parts(self.sentences[text.template])
        )


@cache
def _parts(template: str) -> tuple[tuple[str, str | None], ...]:
    """Return the words of a template without a name, and its places with their format and the name of their value."""
    parts: list[tuple[str, str | None]] = []
    for words, name, form, _ in Formatter().parse(template):
        parts += [(words, None)] if words else []
        parts += [] if name is None else [(form or "", name)]
    return tuple(parts)


_HAN = "\u4e00-\u9fff"
_LATIN = "A-Za-z0-9"
_TOUCHING = re.compile(f"[{_HAN}][{_LATIN}]|[{_LATIN}][{_HAN}]")


def _spaced(parts: Iterable[str]) -> str:
    """Return parts of a text one after the other, with a space between Chinese and Latin letters.

    >>> _spaced(["改變", "lr", "嗎？"]), _spaced(["改變", "學習率"])
    ('改變 lr 嗎？', '改變學習率')
    """
    text = ""
    for part in parts:
        text += f" {part}" if _TOUCHING.fullmatch(text[-1:] + part[:1]) else part
    return text


def english(text: str) -> str:
    """Return the text as it is."""
    return text


def languages() -> list[str]:
    """Return the codes of the languages that reports can be written in."""
    return [ENGLISH, *sorted(file.stem for file in LOCALES.glob("*.yaml"))]


@cache
def language(code: str) -> Say:
    """Return what translates a text into a language.

    Raises:
        UsageError: There is no catalogue of that language.
    """
    if code == ENGLISH:
        return english
    if code not in languages():
        raise UsageError(f"there is no translation into {code!r}: choose one of {', '.join(languages())}.")
    return catalogue(code).say


@cache
def catalogue(code: str) -> Catalogue:
    """Return the sentences of a language other than English."""
    import yaml

    text = LOCALES.joinpath(f"{code}.yaml").read_text(encoding="utf-8")
    return Catalogue(yaml.safe_load(text))
