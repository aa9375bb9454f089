"""Text from recipes, data, files and the command line, made harmless to show: no terminal obeys it."""

import re
import unicodedata

CONTROLS = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad"  # control characters, and a hyphen that is only seen at the end of a line
    "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # breaks, directions, unseen marks
    "\ufffe\uffff\U000e0000-\U000e007f"  # what is not a character, and tags, which nothing shows
    "\ud800-\udfff]"  # halves of pairs, and bytes of names that are not UTF-8
)
"""What a terminal obeys, or shows as nothing."""


def plain(text: str) -> str:
    r"""Return text on one line in which a terminal finds nothing to obey, and a reader nothing unseen.

    A byte of a file's name that is not UTF-8 is written as `\xb2`, so that two such names stay two.

    >>> print(plain("a\nb\x1b[31m\udcb2"))
    a b�[31m\xb2
    """
    return CONTROLS.sub(_shown, text)


def plain_lines(text: str) -> str:
    r"""Return text of several lines, each made plain.

    >>> plain_lines("a\x1b[31m\nb")
    'a�[31m\nb'
    """
    return "\n".join(map(plain, text.split("\n")))


def described(character: str) -> str:
    """Return the number and the name of a character that may look like another one, or like nothing.

    >>> described("\u0430")
    'U+0430 CYRILLIC SMALL LETTER A'
    """
    if "\udc80" <= character <= "\udcff":
        return f"the byte 0x{ord(character) - 0xDC00:02X}, which is not UTF-8"
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".rstrip()


def _shown(found: re.Match[str]) -> str:
    if "\udc80" <= found[0] <= "\udcff":
        return f"\\x{ord(found[0]) - 0xDC00:02x}"
    return " " if found[0] in "\t\n\r\u2028\u2029" else "\ufffd"
