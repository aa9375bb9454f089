"""The language of a report: one catalogue file each, from English sentences to another language's.

Reports are composed in English, which needs no catalogue.
"""

from collections.abc import Callable
from typing import TypeAlias

from eailab.errors import UsageError

Say: TypeAlias = Callable[[str], str]
"""From an English text to the report's language."""


def english(text: str) -> str:
    """Return the text as it is."""
    return text


def language(code: str) -> Say:
    """Return how a language says things.

    Raises:
        UsageError: There is no catalogue of that language.
    """
    if code != "en":
        raise UsageError(f"there is no wording for the language {code!r}: en is known.")
    return english
