"""Print decisions for programs, and turn verdicts into exit codes: `--json` and `--fail-on`."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from eailab.cli.advice import corrected
from eailab.errors import Correction, UsageError

if TYPE_CHECKING:
    from eailab.findings.decision import Decision
    from eailab.findings.study import StudyFindings
    from eailab.runs.store import Store

EXIT_CODES = {"WORSE": 3, "SAME": 3, "UNDECIDED": 4}
"""By the verdict that fails."""

FailOn: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--fail-on",
        metavar="VERDICTS",
        help="End with code 3 if an arm is worse or same, 4 if one is undecided: of worse,same,undecided.",
    ),
]


def parse_fail_on(text: str | None) -> frozenset[str]:
    """Read `--fail-on`: verdicts joined by commas.

    Raises:
        UsageError: One of them is none that can fail.
    """
    words = [] if text is None else [word.strip().upper() for word in text.split(",")]
    if odd := [word for word in words if word not in EXIT_CODES]:
        names = ", ".join(map(str.lower, EXIT_CODES))
        raise UsageError(f"--fail-on {odd[0].lower()}: give {names}, or several joined by commas.")
    return frozenset(words)


def fail_if(verdicts: Iterable[str], failing: frozenset[str]) -> None:
    """End the command with the code of the first verdict that fails: 3 before 4.

    Raises:
        typer.Exit: One of the verdicts fails.
    """
    if codes := [EXIT_CODES[one] for one in verdicts if one in failing]:
        raise typer.Exit(min(codes))


def with_next(decision: "Decision", findings: "StudyFindings", store: "Store", *, alone: bool = True) -> "Decision":
    """Add the command that would decide an open study to its decision, and the seconds that it would take.

    Looks are for one study: `alone` says whether the command has this one alone.
    """
    from eailab.findings.costs import costs

    if findings.imported is not None:
        return _with_next_judgement(decision, findings)
    wanted = decision.blocks_likely or decision.blocks_needed or 0
    more = wanted - len(findings.blocks)
    if more <= 0:
        return decision
    options: dict[str, str | None] = {"--seeds": str(wanted)}
    without = ["--detect", "--budget"]
    if alone and findings.can_look:
        most = len(findings.arms) * (findings.blocks_to_decide or 0)
        options = {"--until-decided": None, "--max-trials": str(most)}
        without.append("--seeds")
    command = corrected(Correction(options=options, without=tuple(without)))
    trials = [one.seconds_a_trial for one in costs(store, findings)]
    seconds = None if None in trials else round(more * sum(one for one in trials if one), 1)
    return replace(decision, next_command=None if command is None else str(command), next_seconds=seconds)


def _with_next_judgement(decision: "Decision", findings: "StudyFindings") -> "Decision":
    """Add the command that judges results again once they have the runs that would decide it.

    Of published means it has MEAN and SD to fill in: with those of today it would judge runs that nobody has made.
    """
    from eailab.studies.imported import parse_summary

    comparison, imported = findings.comparison, findings.imported
    if comparison is None or imported is None or (decision.blocks_needed or 0) <= comparison.complete_blocks:
        return decision
    wanted = decision.blocks_likely or decision.blocks_needed
    arms = [f"{parse_summary(text)[0]} MEAN±SD n={wanted}" for text in imported.asked.summary]
    correction = Correction(options={"--summary": arms[0]}, arguments=tuple(arms[1:])) if arms else Correction()
    return replace(decision, next_command=str(command) if (command := corrected(correction)) else None)


def study_decision(studies: "Sequence[StudyFindings]", store: "Store") -> dict[str, Any] | None:
    """Return the one decision of some studies as plain values; None where nothing is compared."""
    from eailab.findings.decision import arm_decisions, first_of

    alone = len(studies) == 1
    found = [with_next(one, findings, store, alone=alone) for findings in studies for one in arm_decisions(findings)]
    first = first_of(found)
    return None if first is None else asdict(first)
