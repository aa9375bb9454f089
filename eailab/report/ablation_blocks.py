"""Set the factors of one baseline as one table, for reports of every kind."""

from collections.abc import Sequence

from eailab.findings.ablation import Ablation, ablation_note, ablation_table, ablations
from eailab.findings.study import StudyFindings
from eailab.report.document import Block, Paragraph, TableBlock
from eailab.translation import tr


def ablation_blocks(ablation: Ablation) -> tuple[Block, ...]:
    """Return all factors of one baseline in one table."""
    caption = tr("Arms of all factors against the baseline")
    return (TableBlock(ablation_table(ablation), caption, is_sortable=True), Paragraph((ablation_note(),), "note"))


def all_factors(studies: Sequence[StudyFindings]) -> list[Block]:
    """Return the table of each baseline of which several factors are varied."""
    return [block for group in ablations(studies) for block in ablation_blocks(group)]
