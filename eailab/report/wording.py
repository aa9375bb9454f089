"""The language of a report: one catalogue file each, from English sentences to another language's.

Reports are composed in English, which needs no catalogue. A catalogue maps a sentence, or a sentence with `{places}`
for what changes, to its translation; what fills a place is translated itself where the catalogue knows it.
"""

from collections.abc import Callable
from typing import TypeAlias

Say: TypeAlias = Callable[[str], str]
"""From an English text to the report's language."""


def english(text: str) -> str:
    """Return the text as it is."""
    return text
