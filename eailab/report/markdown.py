"""Studies as GitHub's markdown: `table.md` of one study, and `report.md` of several with their figures."""

from collections.abc import Mapping, Sequence

from eailab.report.designs import design_facts, effects_table
from eailab.report.escaping import markdown as escaped
from eailab.report.figures import TITLES
from eailab.report.findings import StudyFindings
from eailab.report.tables import Table, facts, headlines, main_table, state_sentence


def study_section(findings: StudyFindings, figures: Mapping[str, str], level: int = 2) -> str:
    """Return one study: its answer, its table, its figures, and what it rests on.

    Args:
        findings: What to tell.
        figures: Path of each figure by its name, relative to the file; may be empty.
        level: Of the heading, 1 for the title of a file.
    """
    parts = [f"{'#' * level} {escaped(findings.title)}", f"Study {escaped(findings.name)}-{findings.fingerprint}"]
    if (interim := state_sentence(findings)) is not None:
        parts.append(f"**{interim}**")
    parts.append(bullets([escaped(line) for line in headlines(findings)]))
    parts.append(table_text(main_table(findings)))
    if (effects := effects_table(findings)) is not None:
        parts.append(table_text(effects))
    parts += [f"![{TITLES[name]}]({path})" for name, path in figures.items()]
    parts.append(
        bullets(
            [
                f"**{escaped(fact.name)}:** {escaped(fact.sentence)}"
                for fact in (*design_facts(findings), *facts(findings))
            ]
        )
    )
    return "\n\n".join(part for part in parts if part)


def report_text(sections: Sequence[str], unreadable: Sequence[str]) -> str:
    """Return the text of `report.md`.

    Args:
        sections: One a study.
        unreadable: Messages about studies that could not be read.
    """
    parts = ["# Report", *sections]
    if unreadable:
        parts.append(f"## Studies that could not be read\n\n{bullets([escaped(message) for message in unreadable])}")
    return "\n\n".join(parts) + "\n"


def table_text(table: Table) -> str:
    """Return a table, its cells escaped."""
    head = _row([escaped(column.heading) for column in table.columns])
    rule = _row(["---:" if column.is_number else "---" for column in table.columns])
    return "\n".join([head, rule, *(_row([escaped(cell) for cell in row]) for row in table.rows)])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def bullets(items: Sequence[str]) -> str:
    """Return a list of lines that are markdown already."""
    return "\n".join(f"- {item}" for item in items)
