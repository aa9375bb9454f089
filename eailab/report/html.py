"""Studies as one self-contained page: a card for each, then all that its claim rests on.

A page is built from `element`, which escapes whatever is not `Markup`; `Markup` is otherwise our own style sheet and
script. Everything is readable without the script: it sorts tables, switches arms, scales and themes, and reads curves
out. The page's policy allows that one script and style sheet by their hashes, pictures that the page holds itself,
and no network.
"""

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from eailab.findings.classes import Classes
from eailab.findings.costs import ArmCost
from eailab.findings.design import design_facts, effects_table
from eailab.findings.methods import Answer
from eailab.findings.statements import facts, headlines, state_sentences
from eailab.findings.study import StudyFindings
from eailab.findings.tables import blocks_table, main_table
from eailab.report.class_section import class_section
from eailab.report.cost_section import cost_section
from eailab.report.curves import learning_curves
from eailab.report.document import Document, translated
from eailab.report.forest import forest
from eailab.report.manifest import MARK
from eailab.report.markup import Markup, element, table_element
from eailab.translation import Say, english


@dataclass(frozen=True)
class PageStudy:
    """What a page tells of one study."""

    findings: StudyFindings
    costs: tuple[ArmCost, ...]
    """One an arm."""
    classes: Classes | str
    """Or why there are none."""
    answers: tuple[Answer, ...]
    """What a paper says of it."""


def render(document: Document) -> str:
    """Return a document as a page; studies that compare nothing come last."""
    studies = sorted(document.studies, key=lambda study: study.findings.factor is None)
    return page(
        translated(document.title, document.say),
        [PageStudy(one.findings, one.costs, one.classes, one.answers) for one in studies],
        () if document.manifest is None else document.manifest.unreadable,
        lang=document.lang,
        say=document.say,
        manifest="" if document.manifest is None else document.manifest.text(),
    )


def page(
    title: str,
    studies: Sequence[PageStudy],
    unreadable: Sequence[str] = (),
    *,
    lang: str = "en",
    say: Say = english,
    manifest: str = "",
) -> str:
    """Return the text of a page.

    Args:
        title: Of the page.
        studies: In order.
        unreadable: Messages about studies that could not be read.
        lang: Code of the page's language.
        say: Into that language.
        manifest: What the page was made of, so that it can be checked; see `eailab.report.manifest`.
    """
    style = Markup(_resource("page.css"))
    script = Markup(_resource("page.js"))
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy(style, script)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        *([element("meta", name=MARK, content=manifest)] if manifest else []),
        element("title", title),
        element("style", style),
    )
    anchors = [f"study-{number}" for number in range(1, len(studies) + 1)]
    uses = Counter(study.findings.name for study in studies)
    cards = [
        _card(study.findings, anchor, say, alone=uses[study.findings.name] == 1)
        for study, anchor in zip(studies, anchors, strict=True)
    ]
    parts = [element("div", *cards, class_="cards" if len(cards) > 1 else "cards single")]
    parts += [_section(study, anchor, say) for study, anchor in zip(studies, anchors, strict=True)]
    if unreadable:
        messages = (element("li", message) for message in unreadable)
        heading = element("h2", say("Studies that could not be read"))
        parts.append(element("section", heading, element("ul", *messages)))
    words = {"data_light": say("Light"), "data_dark": say("Dark"), "data_sort": say("sort by this column")}
    theme = element("button", say("Dark"), type="button", class_="theme scripted", hidden="", **words)
    body = element(
        "body",
        element("header", element("h1", title), theme),
        element("main", *parts),
        element("script", script),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang=lang)}\n"


def policy(style: str, script: str) -> str:
    """Return the content security policy of a page: one style sheet and one script, and nothing loaded or sent."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _resource(name: str) -> str:
    return files("eailab.report").joinpath(name).read_text(encoding="utf-8")


def _card(findings: StudyFindings, anchor: str, say: Say, *, alone: bool) -> Markup:
    """Return the answer in ten seconds: the question, the verdict in words, the forest plot.

    A study that is not alone with its name on the page is called as its folder is.
    """
    name = findings.name if alone else findings.folder_name
    return element(
        "article",
        element("h2", element("a", findings.headed(findings.title, say), href=f"#{anchor}")),
        element("p", f"{name} · {say(_extent(findings))}", class_="name"),
        *(element("p", say(sentence), class_="interim") for sentence in state_sentences(findings)),
        element("ul", *(element("li", say(line)) for line in headlines(findings)), class_="answer"),
        *([forest(findings, say)] if findings.factor else []),
        class_="card",
        aria_label=findings.headed(findings.title, say),
    )


def _extent(findings: StudyFindings) -> str:
    blocks = len(findings.blocks)
    arms = len(findings.arms)
    return f"{arms} arm{'s' * (arms > 1)} × {blocks} block{'s' * (blocks > 1)}"


def _section(study: PageStudy, anchor: str, say: Say) -> Markup:
    """Return one study: its table, curves, classes, costs, every block's value, and what it rests on."""
    findings = study.findings
    caption = say("Arms against the baseline" if findings.factor else "Scores after the last epoch")
    curves = learning_curves(findings, anchor, say)
    parts = [
        element("h2", findings.headed(findings.title, say)),
        element("p", say("Study"), " ", element("code", f"{findings.name}-{findings.fingerprint}"), class_="name"),
        table_element(main_table(findings), caption, say, sortable=bool(findings.factor)),
    ]
    if (effects := effects_table(findings)) is not None:
        parts.append(table_element(effects, say("Main effects and interactions"), say))
    if findings.factor:
        summary = say(f"The {findings.measure.title} of every trial")
        values = table_element(blocks_table(findings), say("Values by arm and block"), say)
        parts.append(element("details", element("summary", summary), values))
    if curves:
        parts += [element("h3", say("Learning curves")), curves]
    parts += class_section(findings, study.classes, say)
    if any(cost.epochs for cost in study.costs):
        parts += cost_section(findings, study.costs, say)
    rests = [
        part
        for fact in (*design_facts(findings), *facts(findings))
        for part in (element("dt", say(fact.name)), element("dd", say(fact.sentence)))
    ]
    parts += [element("h3", say("What this rests on")), element("dl", *rests)]
    told = [part for one in study.answers for part in (element("dt", say(one.name)), element("dd", one.told(say)))]
    parts += [element("h3", say("For a paper")), element("dl", *told)]
    return element("section", *parts, id=anchor)
