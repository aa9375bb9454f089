"""Studies as one self-contained page: inline figures, no script, no network, and nothing that is not escaped.

A page is built from `element`, which escapes whatever is not `Markup`, so that forgetting to escape is not possible:
text becomes markup in this module alone, by way of `element`; `Markup` is otherwise our own style sheet.
"""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from xml.etree import ElementTree as ET

from eailab.errors import StoreError
from eailab.report.designs import design_facts, effects_table
from eailab.report.escaping import hypertext
from eailab.report.figures import FAINT, INK, PAPER, TITLES
from eailab.report.findings import StudyFindings
from eailab.report.tables import Table, blocks_table, facts, headlines, main_table, state_sentence

VOID = frozenset({"meta"})
"""Elements without content."""

DRAWING = frozenset({"svg", "g", "defs", "clipPath", "path", "rect", "use", "text"})
GEOMETRY = frozenset({"viewBox", "d", "x", "y", "width", "height", "transform"})
"""What is taken over from an SVG, beside ids and styles."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Forbids the page to load or send anything; figures carry their styles with them."""


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


def page(title: str, sections: Sequence[Markup], unreadable: Sequence[str] = ()) -> str:
    """Return the text of a page.

    Args:
        title: Of the page.
        sections: One a study, in order; see `study_section`.
        unreadable: Messages about studies that could not be read.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Markup(files("eailab.report").joinpath("page.css").read_text(encoding="utf-8"))),
    )
    parts = list(sections)
    if unreadable:
        messages = (element("li", message) for message in unreadable)
        heading = element("h2", "Studies that could not be read")
        parts.append(element("section", heading, element("ul", *messages)))
    body = element("body", element("main", element("h1", title), *parts))
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def study_section(findings: StudyFindings, figures: Mapping[str, bytes], anchor: str) -> Markup:
    """Return one study: its answer, its table, its figures, every block's value, and what it rests on.

    Args:
        findings: What to tell.
        figures: SVG of each figure by its name.
        anchor: The section's id, unique in the page.
    """
    interim, effects = state_sentence(findings), effects_table(findings)
    blocks = element(
        "details",
        element("summary", f"The {findings.measure.title} of every trial"),
        _table(blocks_table(findings), "Values by arm and block"),
    )
    return element(
        "section",
        element("h2", findings.title),
        element("p", "Study ", element("code", f"{findings.name}-{findings.fingerprint}"), class_="name"),
        *([element("p", interim, class_="interim")] if interim is not None else []),
        element("ul", *(element("li", line) for line in headlines(findings)), class_="answer"),
        _table(main_table(findings), "Arms against the baseline" if findings.factor else "Scores after the last epoch"),
        *([_table(effects, "Main effects and interactions")] if effects is not None else []),
        *(
            element(
                "figure",
                inline_svg(svg, f"{anchor}-{name}", TITLES[name]),
                tabindex="0",
                aria_label=TITLES[name],
            )
            for name, svg in figures.items()
        ),
        *([blocks] if findings.factor else []),
        element(
            "dl",
            *(
                part
                for fact in (*design_facts(findings), *facts(findings))
                for part in (element("dt", fact.name), element("dd", fact.sentence))
            ),
        ),
        id=anchor,
    )


def inline_svg(svg: bytes, anchor: str, title: str) -> Markup:
    """Return one of our own SVG files for use inside a page.

    Only what draws is taken over, ids are made unique, and ink and paper become the theme's.

    Args:
        svg: As `plots` wrote it.
        anchor: Put before every id.
        title: What a screen reader calls the figure.

    Raises:
        StoreError: It is no SVG.
    """
    try:
        root = ET.fromstring(svg)  # noqa: S314 - expat loads nothing and bounds the growth of entities
    except ET.ParseError as error:
        raise StoreError(f"a figure is no whole SVG ({error}): remove the study's figures and run again.") from error
    return _drawn(root, anchor, role="img", aria_label=title)


def _drawn(node: ET.Element, anchor: str, **more: str) -> Markup:
    """Return a node of an SVG and what is in it, or nothing where it does not draw."""
    tag = node.tag.rpartition("}")[2]
    if tag not in DRAWING:
        return Markup()
    attributes = {}
    for qualified, value in node.attrib.items():
        name = qualified.rpartition("}")[2]
        if name == "id":
            attributes[name] = f"{anchor}-{value}"
        elif name == "href":
            attributes[name] = f"#{anchor}-{value.removeprefix('#')}"
        elif name == "clip-path":
            attributes[name] = value.replace("url(#", f"url(#{anchor}-")
        elif name == "style":
            attributes[name] = _themed(value)
        elif name in GEOMETRY:
            attributes[name] = value
    text = [node.text or ""] if tag == "text" else []
    return element(tag, *text, *(_drawn(child, anchor) for child in node), **attributes, **more)


def _themed(style: str) -> str:
    """Return a style with the theme's colours in place of our own for ink, faint ink and paper."""
    for colour, themed in ((INK, "currentColor"), (FAINT, "var(--faint)"), (PAPER, "var(--paper)")):
        style = style.replace(colour, themed)
    return style


def _table(table: Table, caption: str) -> Markup:
    classes = ["number" if column.is_number else "text" for column in table.columns]
    head = element(
        "tr", *(element("th", c.heading, scope="col", class_=k) for c, k in zip(table.columns, classes, strict=True))
    )
    rows = (
        element(
            "tr",
            element("th", row[0], scope="row"),
            *(element("td", cell, class_=kind) for cell, kind in zip(row[1:], classes[1:], strict=True)),
        )
        for row in table.rows
    )
    whole = element("table", element("caption", caption), element("thead", head), element("tbody", *rows))
    return element("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)
