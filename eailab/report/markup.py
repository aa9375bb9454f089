"""HTML elements that escape whatever is not `Markup`, so that forgetting to escape is not possible."""

import json
from typing import Any

from eailab.findings.tables import Table
from eailab.report.escaping import hypertext
from eailab.stats.verdict import Verdict
from eailab.translation import Say

VOID = frozenset({"meta", "img", "input"})
"""Elements without content."""


VERDICTS = frozenset(Verdict)
"""Words that the page sets in their colours."""


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(tag: str, *children: str, **attributes: str) -> Markup:
    """Return an element; children and attributes are escaped unless they are `Markup`.

    Args:
        tag: The element's name.
        children: Text, or elements.
        attributes: By name; a trailing underscore is taken off (`class_`), another becomes a hyphen.
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{hypertext(value)}"' for name, value in attributes.items()
    )
    if tag in VOID:
        return Markup(f"<{tag}{written}>")
    inside = "".join(child if isinstance(child, Markup) else hypertext(child) for child in children)
    return Markup(f"<{tag}{written}>{inside}</{tag}>")


def data_block(value: Any, **attributes: str) -> Markup:
    """Return plain values as JSON for the page's script: it is read, never run, and cannot end its own element."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return element("script", Markup(text), type="application/json", **attributes)


def percent(share: float) -> str:
    """Return a share of a drawing's width or height as SVG writes it.

    >>> percent(0.12345)
    '12.35%'
    """
    return f"{100.0 * share:z.2f}%"


def table_element(table: Table, caption: str, say: Say, *, sortable: bool = False) -> Markup:
    """Return a table in a box that scrolls where it is wider than the page.

    Args:
        table: Headings and cells are said; the cells of number columns are taken as they are.
        caption: Said already.
        say: The page's language.
        sortable: Whether the page's script lets a reader sort it.
    """
    kinds = ["number" if column.is_number else "text" for column in table.columns]
    head = element(
        "tr",
        *(element("th", say(c.heading), scope="col", class_=k) for c, k in zip(table.columns, kinds, strict=True)),
    )
    rows = (
        element(
            "tr",
            element("th", say(row[0]), scope="row"),
            *(_cell(cell, kind, say) for cell, kind in zip(row[1:], kinds[1:], strict=True)),
        )
        for row in table.rows
    )
    whole = element(
        "table",
        element("caption", caption),
        element("thead", head),
        element("tbody", *rows),
        **({"class_": "sortable"} if sortable and len(table.rows) > 1 else {}),
    )
    return element("div", whole, class_="scroll", tabindex="0", role="group", aria_label=caption)


def _cell(cell: str, kind: str, say: Say) -> Markup:
    classes = f"{kind} verdict {cell.lower()}" if cell in VERDICTS else kind
    return element("td", say(cell), class_=classes)
