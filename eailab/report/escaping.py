"""Text from recipes, data and files, made harmless for the place it is set in: it is shown, never obeyed."""

import html
import re

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line breaks, marks that turn the direction of writing, and halves of surrogate pairs."""

_MARKDOWN = re.compile(
    r"[\\`*<>|~$#]"
    r"|(?<!\w)_|_(?!\w)"  # inside a word an underscore means itself
    r"|&(?=[#\w])"  # an entity
    r"|\](?=[\[(])"  # a link; brackets alone are none, as no reference is ever defined
    r"|:(?=//)|(?<=www)\.(?=\w)"  # an address that GitHub would make a link of
)


def plain(text: str) -> str:
    r"""Return text on one line without control characters, which terminals obey and XML forbids.

    >>> print(plain("a\nb\x1b[31m"))
    a b�[31m
    """
    return _CONTROLS.sub(lambda found: " " if found[0] in "\t\n\r\u2028\u2029" else "\ufffd", text)


def markdown(text: str) -> str:
    r"""Return text as GitHub's markdown shows it literally, in a table's cell too.

    >>> print(markdown("<script>|*a*"))
    \<script\>\|\*a\*
    """
    return _MARKDOWN.sub(r"\\\g<0>", plain(text))


def plain_lines(text: str) -> str:
    r"""Return text of several lines, each made plain.

    >>> plain_lines("a\x1b[31m\nb")
    'a�[31m\nb'
    """
    return "\n".join(map(plain, text.split("\n")))


_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
    "[": "{[}",  # at the start of a row it would be an option of the line break before it
    "]": "{]}",
    "\ufffd": "?",
}


def latex(text: str) -> str:
    r"""Return text as LaTeX sets it literally.

    >>> print(latex(r"\input{/etc/passwd} 50%"))
    \textbackslash{}input\{/etc/passwd\} 50\%
    """
    literal = "".join(_LATEX.get(letter, letter) for letter in plain(text))
    literal = re.sub("([-,])(?=\\1)", r"{\1}", literal)  # two in a row would become a dash, or a quotation mark
    return re.sub(r"(?<!\w)-(?=\d)", "$-$", literal)  # a minus, and no hyphen


def cell(text: str) -> str:
    """Return text for a cell of a CSV file; one that a spreadsheet would take for a formula gets an apostrophe.

    >>> cell("=1+1")
    "'=1+1"
    """
    text = plain(text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def hypertext(text: str) -> str:
    """Return text as HTML shows it literally, between tags or in a quoted attribute.

    >>> hypertext('<script>"')
    '&lt;script&gt;&quot;'
    """
    return html.escape(plain(text), quote=True)
