"""The part of a page about classes: accuracy on each, confusion matrices, and images on which arms disagree."""

from collections.abc import Sequence

import numpy as np

from eailab.findings.classes import Classes, Confusion, Contrast, Example
from eailab.findings.numbers import number
from eailab.findings.study import StudyFindings
from eailab.findings.tables import Column, Table, arm_name
from eailab.report.markup import Markup, element, table_element
from eailab.report.pictures import data_address
from eailab.translation import Say

MOST_CLASSES = 20
"""A confusion matrix with more is not legible: the most frequent confusions are listed instead."""

MOST_CONFUSIONS = 10
HEATS = 9
"""Shades of a matrix's cells; 0 for none."""


ABOUT_NETWORKS = (
    "A row of a table compares two trained networks on the same test images: a small p says that these two differ, not "
    "that their recipes do, which other initial weights may turn round. Verdicts are over blocks and rest on none of "
    "these p-values, which are not corrected for their number."
)


def class_section(findings: StudyFindings, classes: Classes | str, say: Say) -> list[Markup]:
    """Return the headings, tables and figures about a study's classes, or the sentence that says why there are none."""
    heading = element("h3", say("Classes and examples"))
    if isinstance(classes, str):
        return [heading, element("p", say(classes), class_="note")]
    note = say("On the test images, which were read once after training and chose nothing; summed over blocks.")
    parts = [heading, element("p", note, class_="note")]
    parts.append(table_element(class_table(findings, classes), say("Test accuracy by class (%)"), say, sortable=True))
    matrices = [
        _confusions(confusion, arm_name(arm), classes, say)
        for arm, confusion in zip(findings.arms, classes.confusions, strict=True)
        if confusion is not None
    ]
    grid = element("div", *matrices, class_="matrices")
    summary = element("summary", say("What is taken for what, by arm"))
    reading = element("p", say("Rows: the class of an image; columns: what was predicted."), class_="note")
    parts.append(element("details", summary, reading, grid))
    contrasts = [_contrast(findings, contrast, classes, say) for contrast in classes.contrasts]
    if contrasts:
        summary = element("summary", say("Images on which an arm and the baseline disagree"))
        parts.append(element("details", summary, element("p", say(ABOUT_NETWORKS), class_="note"), *contrasts))
    return parts


def class_table(findings: StudyFindings, classes: Classes) -> Table:
    """Return the test accuracy of every arm on every class."""
    by_arm = [classes.class_accuracy(index) for index in range(len(findings.arms))]
    images = np.bincount(classes.dataset.test.labels, minlength=len(classes.dataset.classes))
    return Table(
        columns=(
            Column("class"),
            Column("images", is_number=True),
            *(Column(arm_name(arm), is_number=True) for arm in findings.arms),
        ),
        rows=tuple(
            (name, str(images[row]), *(number(accuracy[row], 1) for accuracy in by_arm))
            for row, name in enumerate(classes.dataset.classes)
        ),
    )


def _confusions(confusion: Confusion, title: str, classes: Classes, say: Say) -> Markup:
    names = classes.dataset.classes
    if len(names) <= MOST_CLASSES:
        return _matrix(confusion, title, names, say)
    return table_element(_most_frequent(confusion, names), f"{say(title)}: {say('most frequent confusions')}", say)


def _matrix(confusion: Confusion, title: str, names: Sequence[str], say: Say) -> Markup:
    """Return a matrix as a table whose cells are shaded by their share of the row."""
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    heats = np.ceil(np.sqrt(shares) * HEATS).astype(int)
    head = element("tr", element("td"), *(element("th", name, scope="col") for name in names))
    rows = (
        element(
            "tr",
            element("th", names[row], scope="row"),
            *(
                element("td", str(count) if count else "", class_=f"heat-{heats[row, column]}")
                for column, count in enumerate(confusion[row])
            ),
        )
        for row in range(len(names))
    )
    caption = say(title)
    matrix = element("table", element("caption", caption), element("thead", head), element("tbody", *rows))
    return element("div", matrix, class_="scroll matrix", tabindex="0", role="group", aria_label=caption)


def _most_frequent(confusion: Confusion, names: Sequence[str]) -> Table:
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CONFUSIONS]
    pairs = [divmod(int(cell), len(names)) for cell in order]
    return Table(
        columns=(Column("class"), Column("taken for"), Column("times", is_number=True)),
        rows=tuple((names[row], names[column], str(wrong[row, column])) for row, column in pairs if wrong[row, column]),
    )


def network_table(contrast: Contrast, arm: str, baseline: str) -> Table:
    """Return McNemar's test of the two networks of every block."""
    return Table(
        columns=(
            Column("block"),
            Column(f"only {arm} right", is_number=True),
            Column(f"only {baseline} right", is_number=True),
            Column("McNemar's exact p", is_number=True),
        ),
        rows=tuple(
            (str(block), str(test.only_first), str(test.only_second), f"{test.p:.2g}")
            for block, test in contrast.networks
        ),
    )


def _contrast(findings: StudyFindings, contrast: Contrast, classes: Classes, say: Say) -> Markup:
    arm, baseline = findings.arms[contrast.arm].label, findings.baseline_arm.label
    groups = (
        (say(f"{arm} more often right than {baseline}"), contrast.only_arm),
        (say(f"{baseline} more often right than {arm}"), contrast.only_baseline),
    )
    caption = say(f"{arm} and {baseline}, network by network")
    parts = [table_element(network_table(contrast, arm, baseline), caption, say)]
    for title, examples in groups:
        parts.append(element("h4", title))
        if examples:
            figures = (_thumbnail(example, arm, baseline, contrast.blocks, classes, say) for example in examples)
            parts.append(element("div", *figures, class_="thumbnails"))
        else:
            parts.append(element("p", say("No image."), class_="note"))
    return element("div", *parts)


def _thumbnail(example: Example, arm: str, baseline: str, blocks: int, classes: Classes, say: Say) -> Markup:
    names, pixels = classes.dataset.classes, classes.dataset.test.pixels
    truth = names[example.label]
    brightest = int(pixels.max()) if pixels.max() <= 16 else 255
    said = (
        f"{arm}: {names[example.arm_said]} ({example.arm_right}/{blocks})",
        f"{baseline}: {names[example.baseline_said]} ({example.baseline_right}/{blocks})",
    )
    return element(
        "figure",
        element(
            "img",
            src=data_address(pixels[example.image], brightest),
            alt=say(f"test image {example.image}"),
            width="56",
            height="56",
        ),
        element("figcaption", element("b", truth), *(element("span", line) for line in said)),
    )
