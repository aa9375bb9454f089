"""The language of a report: one catalogue file each, from English sentences to another language's.

Reports are composed in English, also by rooms below this one, and said in another language as they are set. A catalogue
maps a sentence, or one with `{places}` for what changes, to its translation; see `locales/zh-TW.yaml`.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import TypeAlias

import yaml

from eailab.errors import UsageError

Say: TypeAlias = Callable[[str], str]
"""From an English text to the report's language."""

ENGLISH = "en"

LIST = "; "
"""Between the members of a list, which are said one by one."""

_PLACE = re.compile(r"\{(\w+)\}")
_NUMBER = r"[-+]?[\d.,]+(?:e[-+]?\d+)?(?: ?(?:%|pp))?"


class Catalogue:
    """The sentences of one language."""

    def __init__(self, sentences: Mapping[str, str]) -> None:
        self.fixed = {english: said for english, said in sentences.items() if not _PLACE.search(english)}
        self.patterns = [(_pattern(english), said) for english, said in sentences.items() if _PLACE.search(english)]

    def say(self, text: str) -> str:
        """Return a text in this language, or as it is where the catalogue does not know it, such as a name."""
        return self._said(text)

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


def english(text: str) -> str:
    """Return the text as it is."""
    return text


def languages() -> list[str]:
    """Return the codes of the languages that there is wording for."""
    names = (entry.name for entry in files("eailab").joinpath("locales").iterdir())
    return [ENGLISH, *sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))]


def language(code: str) -> Say:
    """Return how a language says things.

    Raises:
        UsageError: There is no catalogue of that language.
    """
    if code == ENGLISH:
        return english
    if code not in languages():
        raise UsageError(f"there is no wording for the language {code!r}: choose one of {', '.join(languages())}.")
    return _catalogue(code).say


@cache
def _catalogue(code: str) -> Catalogue:
    text = files("eailab").joinpath("locales", f"{code}.yaml").read_text(encoding="utf-8")
    return Catalogue(yaml.safe_load(text))


def _pattern(sentence: str) -> re.Pattern[str]:
    """Return what fits a sentence with places; one called n, n1, n2 … takes a number only."""

    def place(name: str) -> str:
        return f"(?P<{name}>{_NUMBER if re.fullmatch(r'n[0-9]*', name) else '.+?'})"

    parts = _PLACE.split(sentence)
    return re.compile("".join(place(part) if index % 2 else re.escape(part) for index, part in enumerate(parts)))
