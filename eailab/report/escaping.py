"""Text from recipes, data and files, made harmless for the place it is set in: it is shown, never obeyed."""

import re

from eailab.plain import plain

_MARKDOWN = re.compile(
    r"[\\`*<>|~$#]"
    r"|(?<!\w)_|_(?!\w)"  # inside a word an underscore means itself
    r"|&(?=[#\w])"  # an entity
    r"|\](?=[\[(])"  # a link; brackets alone are none, as no reference is ever defined
    r"|:(?=//)|(?<=www)\.(?=\w)"  # an address that GitHub would make a link of
)


def markdown(text: str) -> str:
    r"""Return text as GitHub's markdown shows it literally, in a table's cell too.

    >>> print(markdown("<script>|*a*"))
    \<script\>\|\*a\*
    """
    return _MARKDOWN.sub(r"\\\g<0>", plain(text))


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
