"""Text that can be set in another language: marked where it is written, translated where it is set.

`tr("{n} blocks", n=5)` is the string `5 blocks`, and remembers its template and values. So findings, tables and JSON
are in English, and a page hands each text to `language(code)` as it sets it, which looks the template up in
`locales/CODE.yaml`. A plain string is a name, a label or a number, and stays as it is.

Templates are literals: a test reads them out of the source, and fails where a language lacks one. Do not build a
sentence from marked pieces by `+`, `join` or an f-string, which make a plain string; use places, or `joined`.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, TypeAlias

from eailab.errors import UsageError

Say: TypeAlias = Callable[[str], str]
"""From a text to the report's language."""

ENGLISH = "en"

LIST = "; "
"""Between the members of a list, which are translated one by one."""


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

    def capitalized(self) -> "Text":
        """Return the text with a capital letter, in languages that have them."""
        return Text(self[:1].upper() + self[1:], self.template, self.values)


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


def joined(texts: Iterable[str], separator: str = LIST) -> Text:
    """Return texts one after the other."""
    members = tuple(texts)
    return Joined(separator.join(members), separator, {str(place): text for place, text in enumerate(members)})


def listed_and(texts: Sequence[str]) -> str:
    """Return texts as one phrase.

    >>> listed_and(["lr", "momentum"])
    'lr and momentum'
    """
    first, *rest = texts
    return tr("{one} and {other}", one=first, other=listed_and(rest)) if rest else first


def text_of(error: Exception) -> str:
    """Return an error's message with its template, which `str` would drop."""
    (message,) = error.args
    return message if isinstance(message, Text) else str(error)


class Catalogue:
    """The sentences of one language."""

    def __init__(self, sentences: Mapping[str, str]) -> None:
        self.sentences = sentences
        self.fixed = {english: said for english, said in sentences.items() if not _PLACE.search(english)}
        self.patterns = [(_pattern(english), said) for english, said in sentences.items() if _PLACE.search(english)]

    def say(self, text: str) -> str:
        """Return a text in this language; a name, which no `tr` has marked, as it is."""
        if isinstance(text, Joined):
            return text.template.join(map(self.say, text.values.values()))
        if isinstance(text, Text):
            said = self.sentences.get(text.template)
            return str(text) if said is None else said.format(**self._values(text))
        return self._said(text)

    def _values(self, text: Text) -> dict[str, Any]:
        return {name: self.say(one) if isinstance(one, str) else one for name, one in text.values.items()}

    @lru_cache(maxsize=4096)  # noqa: B019 - catalogues live as long as the program
    def _said(self, text: str) -> str:
        if (fixed := self.fixed.get(text)) is not None:
            return fixed
        for pattern, said in self.patterns:
            if found := pattern.fullmatch(text):
                places = {name: self.say(inside) for name, inside in found.groupdict().items()}
                return _PLACE.sub(lambda place, places=places: places[place[1]], said)  # type: ignore[misc]
        if LIST in text:
            return LIST.join(map(self.say, text.split(LIST)))
        return text


_PLACE = re.compile(r"\{(\w+)\}")
_NUMBER = r"[-+]?[\d.,]+(?:e[-+]?\d+)?(?: ?(?:%|pp))?"


def english(text: str) -> str:
    """Return the text as it is."""
    return text


def languages() -> list[str]:
    """Return the codes of the languages that reports can be written in."""
    names = (entry.name for entry in files("eailab").joinpath("locales").iterdir())
    return [ENGLISH, *sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))]


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

    text = files("eailab").joinpath("locales", f"{code}.yaml").read_text(encoding="utf-8")
    return Catalogue(yaml.safe_load(text))


def _pattern(sentence: str) -> re.Pattern[str]:
    """Return what fits a sentence with places; one called n, n1, n2 … takes a number only."""

    def place(name: str) -> str:
        return f"(?P<{name}>{_NUMBER if re.fullmatch(r'n[0-9]*', name) else '.+?'})"

    parts = _PLACE.split(sentence)
    return re.compile("".join(place(part) if index % 2 else re.escape(part) for index, part in enumerate(parts)))
