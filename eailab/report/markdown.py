"""Studies as GitHub's markdown: `table.md` of one study, and `report.md` of several with their figures."""

from collections.abc import Mapping, Sequence

from eailab.findings.design import design_facts, effects_table
from eailab.findings.methods import Answer
from eailab.findings.study import StudyFindings
from eailab.findings.tables import Table, facts, headlines, main_table, state_sentences
from eailab.report.escaping import markdown as escaped
from eailab.report.figures import TITLES
from eailab.report.manifest import MARK
from eailab.translation import Say, english


def study_section(
    findings: StudyFindings,
    figures: Mapping[str, str],
    level: int = 2,
    say: Say = english,
    answers: Sequence[Answer] = (),
) -> str:
    """Return one study: its answer, its table, its figures, and what it rests on.

    Args:
        findings: What to tell.
        figures: Path of each figure by its name, relative to the file; may be empty.
        level: Of the heading, 1 for the title of a file.
        say: The language.
        answers: What a paper says of it.
    """

    def told(text: str) -> str:
        return escaped(say(text))

    heading = f"{'#' * level} {escaped(findings.headed(findings.title, say))}"
    parts = [heading, f"{told('Study')} {escaped(findings.name)}-{findings.fingerprint}"]
    parts += [f"**{told(sentence)}**" for sentence in state_sentences(findings)]
    parts.append(bullets([told(line) for line in headlines(findings)]))
    parts.append(table_text(main_table(findings), say))
    if (effects := effects_table(findings)) is not None:
        parts.append(table_text(effects, say))
    parts += [f"![{escaped(findings.headed(TITLES[name], say))}]({path})" for name, path in figures.items()]
    stated = (*design_facts(findings), *facts(findings))
    parts.append(bullets([f"**{told(fact.name)}:** {told(fact.sentence)}" for fact in stated]))
    parts += [f"**{told(one.name)}:** {escaped(one.told(say))}" for one in answers]
    return "\n\n".join(part for part in parts if part)


def report_text(
    sections: Sequence[str],
    unreadable: Sequence[str],
    manifest: str = "",
    *,
    say: Say = english,
    title: str | None = "Report",
) -> str:
    """Return the text of `report.md`.

    Args:
        sections: One a study.
        unreadable: Messages about studies that could not be read.
        manifest: What the report was made of, set as a comment.
        say: The language.
        title: Of the file; None where a section has it.
    """
    parts = [*([f"# {escaped(title)}"] if title else []), *sections]
    if unreadable:
        heading = escaped(say("Studies that could not be read"))
        parts.append(f"## {heading}\n\n{bullets([escaped(message) for message in unreadable])}")
    if manifest:
        parts.append(f"<!-- {MARK}: {manifest} -->")
    return "\n\n".join(parts) + "\n"


def table_text(table: Table, say: Say = english) -> str:
    """Return a table, its cells escaped."""
    head = _row([escaped(say(column.heading)) for column in table.columns])
    rule = _row(["---:" if column.is_number else "---" for column in table.columns])
    rows = (_row([escaped("; ".join(map(say, cell.split("; ")))) for cell in row]) for row in table.rows)
    return "\n".join([head, rule, *rows])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def bullets(items: Sequence[str]) -> str:
    """Return a list of lines that are markdown already."""
    return "\n".join(f"- {item}" for item in items)
