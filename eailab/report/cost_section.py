"""The part of a page about cost: what an arm takes beside what it brings."""

from collections.abc import Sequence

from eailab.findings.costs import ArmCost, energy_sentence, with_timed
from eailab.findings.numbers import NOTHING, amount
from eailab.findings.study import StudyFindings
from eailab.findings.tables import Column, Table, arm_name
from eailab.report.describe import study_costs
from eailab.report.document import Block, FigureBlock, Heading, Paragraph, TableBlock, Title
from eailab.translation import tr

ABOUT_SECONDS = tr(
    "Wall-clock seconds of the epochs, validation included, as the trials ran; trials side by side slow each other."
)


def cost_blocks(findings: StudyFindings, costs: Sequence[ArmCost]) -> list[Block]:
    """Return the heading, the plot of the metric over cost, and the table of costs."""
    plot = study_costs(findings, costs) if findings.factor else None
    table = TableBlock(cost_table(findings, costs), tr("Cost by arm"), is_sortable=findings.factor is not None)
    note = Paragraph((ABOUT_SECONDS, energy_sentence(costs)), "note")
    return [Heading(tr("Cost")), *([FigureBlock(Title(plot.title), "", plot)] if plot else []), table, note]


def cost_table(findings: StudyFindings, costs: Sequence[ArmCost]) -> Table:
    """Return the seconds, images a second, and energy where a GPU counted it, of every arm."""
    counted = any(cost.joules is not None for cost in costs)
    return Table(
        columns=(
            Column(findings.heading or "trial"),
            Column("seconds a trial", is_number=True),
            Column("seconds in all", is_number=True),
            Column("images/s", is_number=True),
            *([Column("energy in all (kJ)", is_number=True)] if counted else []),
            Column("device"),
        ),
        rows=tuple(
            (
                arm_name(arm),
                amount(cost.seconds_a_trial),
                with_timed(amount(cost.seconds if cost.timed else None), cost.timed, cost.epochs),
                NOTHING if cost.images_per_second is None else f"{cost.images_per_second:,.0f}",
                *([amount(None if cost.joules is None else cost.joules / 1000.0)] if counted else []),
                ", ".join(cost.devices) or NOTHING,
            )
            for arm, cost in zip(findings.arms, costs, strict=True)
        ),
    )
