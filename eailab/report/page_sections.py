"""Describe the parts of a page that no other format has room for: classes with images, and costs."""

from collections.abc import Sequence

import numpy as np

from eailab.findings.classes import Classes, Confusion, Contrast, Example
from eailab.findings.costs import ArmCost, energy_sentence, with_timed
from eailab.findings.networks import ABOUT_LAYERS, ArmNetwork, layers_table, network_sentence
from eailab.findings.study import StudyFindings
from eailab.findings.tables import Column, Table, arm_name
from eailab.findings.words import NOTHING, amount, number
from eailab.report.augmented_images import ORIGINAL, KeptSheet
from eailab.report.describe import study_costs
from eailab.report.document import (
    Block,
    BlockGroup,
    Bullets,
    FigureBlock,
    Gallery,
    Heading,
    Matrix,
    Paragraph,
    Picture,
    PictureTable,
    TableBlock,
    Title,
)
from eailab.report.pictures import brightest, data_address
from eailab.translation import COMMA, joined, tr

# --- classes ---

MOST_CLASSES = 20
"""A confusion matrix with more is not legible: the most frequent confusions are listed instead."""

MOST_CONFUSIONS = 10
SHADES = 9
"""Of a matrix's cells; 0 for none."""

ABOUT_NETWORKS = tr(
    "A row of a table compares two trained networks on the same test images: a small p says that these two differ, not "
    "that their recipes do, which other initial weights may reverse. Verdicts are over blocks and rest on none of "
    "these p-values, which are not corrected for their number."
)


def class_blocks(findings: StudyFindings, classes: Classes | None, missing: str | None = None) -> list[Block]:
    """Return what a page says of a study's classes, or why they are missing; nothing where there are none."""
    heading = Heading(tr("Classes and examples"))
    if classes is None:
        return [heading, Paragraph((missing,), "note")] if missing else []
    note = tr("On the test images, which were read once after training and chose nothing; summed over blocks.")
    table = TableBlock(class_table(findings, classes), tr("Test accuracy by class (%)"), is_sortable=True)
    reading = Paragraph((tr("Rows: the class of an image; columns: what was predicted."),), "note")
    matrices = tuple(
        _confusions(confusion, arm_name(arm), classes)
        for arm, confusion in zip(findings.arms, classes.confusions, strict=True)
        if confusion is not None
    )
    blocks: list[Block] = [heading, Paragraph((note,), "note"), table]
    blocks.append(BlockGroup(tr("What is taken for what, by arm"), (reading, *matrices), is_grid=True))
    white = brightest(classes.dataset)
    contrasts = [block for contrast in classes.contrasts for block in _contrast(findings, contrast, classes, white)]
    if contrasts:
        about = Paragraph((ABOUT_NETWORKS,), "note")
        blocks.append(BlockGroup(tr("Images on which an arm and the baseline disagree"), (about, *contrasts)))
    return blocks


def class_table(findings: StudyFindings, classes: Classes) -> Table:
    """Return the test accuracy of every arm on every class."""
    by_arm = [classes.percent_right(index) for index in range(len(findings.arms))]
    images = np.bincount(classes.dataset.test.labels, minlength=len(classes.dataset.classes))
    return Table(
        columns=(
            Column(tr("class")),
            Column(tr("images"), is_number=True),
            *(Column(arm_name(arm), is_number=True) for arm in findings.arms),
        ),
        rows=tuple(
            (name, str(images[row]), *(number(right[row], 1) for right in by_arm))
            for row, name in enumerate(classes.dataset.classes)
        ),
    )


def _confusions(confusion: Confusion, title: str, classes: Classes) -> Block:
    names = classes.dataset.classes
    if len(names) > MOST_CLASSES:
        caption = tr("{arm}: most frequent confusions", arm=title)
        return TableBlock(_most_frequent(confusion, names), caption)
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    shades = np.ceil(np.sqrt(shares) * SHADES).astype(int)
    return Matrix(title, tuple(names), confusion.tolist(), shades.tolist())


def _most_frequent(confusion: Confusion, names: Sequence[str]) -> Table:
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CONFUSIONS]
    pairs = [divmod(int(cell), len(names)) for cell in order]
    return Table(
        columns=(Column(tr("class")), Column(tr("taken for")), Column(tr("times"), is_number=True)),
        rows=tuple((names[row], names[column], str(wrong[row, column])) for row, column in pairs if wrong[row, column]),
    )


def network_table(contrast: Contrast, arm: str, baseline: str) -> Table:
    """Return McNemar's test of the two networks of every block."""
    return Table(
        columns=(
            Column(tr("block")),
            Column(tr("only {arm} right", arm=arm), is_number=True),
            Column(tr("only {arm} right", arm=baseline), is_number=True),
            Column(tr("McNemar's exact p"), is_number=True),
        ),
        rows=tuple(
            (str(block), str(test.only_first), str(test.only_second), f"{test.p:.2g}")
            for block, test in contrast.networks
        ),
    )


def _contrast(findings: StudyFindings, contrast: Contrast, classes: Classes, white: int) -> list[Block]:
    """Return where an arm and the baseline disagree, with images whose pixels of the value `white` are white."""
    arm, baseline = findings.arms[contrast.arm].label, findings.baseline_arm.label
    caption = tr("{arm} and {other}, network by network", arm=arm, other=baseline)
    blocks: list[Block] = [TableBlock(network_table(contrast, arm, baseline), caption)]
    for first, second, examples in ((arm, baseline, contrast.only_arm), (baseline, arm, contrast.only_baseline)):
        blocks.append(Heading(tr("{arm} more often right than {other}", arm=first, other=second), 4))
        pictures = tuple(_picture(example, arm, baseline, contrast.blocks, classes, white) for example in examples)
        blocks.append(Gallery(pictures) if pictures else Paragraph((tr("No image."),), "note"))
    return blocks


def _picture(example: Example, arm: str, baseline: str, blocks: int, classes: Classes, white: int) -> Picture:
    names = classes.dataset.classes
    return Picture(
        data_address(classes.dataset.test.pixels[example.image], white),
        tr("test image {n}", n=example.image),
        (
            names[example.label],
            f"{arm}: {names[example.arm_said]} ({example.arm_right}/{blocks})",
            f"{baseline}: {names[example.baseline_said]} ({example.baseline_right}/{blocks})",
        ),
    )


# --- networks ---


def network_blocks(found: Sequence[ArmNetwork]) -> list[Block]:
    """Return what a page says of the networks of a study's arms; nothing where they have none that is known."""
    if not found:
        return []
    sentences = tuple(
        network_sentence(one)
        if len(found) == 1
        else tr("{arms}: {network}", arms=joined(one.arms, COMMA), network=network_sentence(one))
        for one in found
    )
    blocks: list[Block] = [Heading(tr("Network")), Bullets(sentences)]
    tables = tuple(
        TableBlock(layers_table(one), tr("Layers") if len(found) == 1 else joined(one.arms, COMMA))
        for one in found
        if one.layers is not None
    )
    if tables:
        blocks.append(BlockGroup(tr("Layers"), (Paragraph((ABOUT_LAYERS,), "note"), *tables)))
    return blocks


# --- training images ---


def augmented_blocks(sheet: KeptSheet | None) -> list[Block]:
    """Return what a page shows of how training images are varied; nothing where they are not, or it was not kept."""
    if sheet is None:
        return []
    note = tr(
        "The first images of block {block}, as they are and as its first epoch has them; "
        "later epochs vary them in other ways.",
        block=sheet.block,
    )
    rows = tuple(
        (
            label,
            tuple(
                Picture(address, tr("{name}, {how}", name=name, how=label), row.notes[place : place + 1])
                for place, (address, name) in enumerate(zip(row.images, sheet.classes, strict=True))
            ),
        )
        for label, row in zip((ORIGINAL, *(row.label for row in sheet.rows[1:])), sheet.rows, strict=True)
    )
    table = PictureTable(tr("Augmented training images"), tr("augmentation"), sheet.classes, rows)
    return [Heading(tr("Augmented training images")), Paragraph((note,), "note"), table]


# --- costs ---

ABOUT_SECONDS = tr(
    "Wall-clock seconds of the epochs, validation included, as the trials ran; trials side by side slow each other."
)
ABOUT_SECONDS_WITHOUT_DATA = tr(
    "Wall-clock seconds of training, as the trials ran; trials side by side slow each other."
)


def cost_blocks(findings: StudyFindings, costs: Sequence[ArmCost], tuning: Sequence[ArmCost] = ()) -> list[Block]:
    """Return the heading, the plot of the metric over cost, and the tables of costs, of the arms' tuning too."""
    plot = study_costs(findings, costs) if findings.factor else None
    table = TableBlock(cost_table(findings, costs), tr("Cost by arm"), is_sortable=findings.factor is not None)
    about = ABOUT_SECONDS if findings.training_images is not None else ABOUT_SECONDS_WITHOUT_DATA
    note = Paragraph((about, energy_sentence(costs)), "note")
    tables = [table, *([TableBlock(tuning_cost_table(tuning), tr("Cost of the tuning"))] if tuning else [])]
    return [Heading(tr("Cost")), *([FigureBlock(Title(plot.title), "", (), plot)] if plot else []), *tables, note]


def tuning_cost_table(tuning: Sequence[ArmCost]) -> Table:
    """Return the trainings and seconds that the tuning of each arm took."""
    return Table(
        columns=(
            Column(tr("arm")),
            Column(tr("trainings"), is_number=True),
            Column(tr("seconds in all"), is_number=True),
            Column(tr("device")),
        ),
        rows=tuple(
            (
                cost.label,
                str(len(cost.seconds_by_block)),
                with_timed(amount(cost.seconds if cost.timed else None), cost.timed, cost.epochs),
                ", ".join(cost.devices) or NOTHING,
            )
            for cost in tuning
        ),
    )


def cost_table(findings: StudyFindings, costs: Sequence[ArmCost]) -> Table:
    """Return the seconds, images a second, and energy where a GPU counted it, of every arm."""
    counted, has_images = any(cost.joules is not None for cost in costs), findings.training_images is not None
    return Table(
        columns=(
            Column(findings.heading or tr("trial")),
            Column(tr("seconds a trial"), is_number=True),
            Column(tr("seconds in all"), is_number=True),
            *([Column(tr("images/s"), is_number=True)] if has_images else []),
            *([Column(tr("energy in all (kJ)"), is_number=True)] if counted else []),
            Column(tr("device")),
        ),
        rows=tuple(
            (
                arm_name(arm),
                amount(cost.seconds_a_trial),
                with_timed(amount(cost.seconds if cost.timed else None), cost.timed, cost.epochs),
                *([_images_per_second(cost)] if has_images else []),
                *([amount(None if cost.joules is None else cost.joules / 1000.0)] if counted else []),
                ", ".join(cost.devices) or NOTHING,
            )
            for arm, cost in zip(findings.arms, costs, strict=True)
        ),
    )


def _images_per_second(cost: ArmCost) -> str:
    return NOTHING if cost.images_per_second is None else f"{cost.images_per_second:,.0f}"
