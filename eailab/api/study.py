"""Show what a study has found, as Python and notebooks ask for it."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from eailab.api.running import Session
    from eailab.findings.arm import ArmFindings
    from eailab.findings.study import StudyFindings
    from eailab.studies.design import Study
    from eailab.studies.storage import Plan
    from eailab.studies.tuning_run import Request


class Table(list[dict[str, Any]]):
    """The rows of a table, a mapping each."""

    def to_pandas(self) -> Any:
        """Return a DataFrame of the rows.

        Raises:
            UsageError: pandas is not installed.
        """
        try:
            import pandas as pd  # type: ignore[import-untyped,import-not-found,unused-ignore]
        except ImportError as error:
            from eailab.errors import UsageError

            raise UsageError("pandas is not installed: `pip install pandas`; the table itself is a list.") from error
        return pd.DataFrame(self)


@dataclass(frozen=True)
class ArmResult:
    """One level of a study's factor; numbers are in the metric's unit, percent for accuracies, nats for losses."""

    label: str
    is_baseline: bool
    values: tuple[float, ...]
    """Of the metric, of the trials that have one, in the order of their blocks."""
    mean: float | None
    difference: float | None
    """From the baseline, in percentage points for percent; None of the baseline."""
    interval: tuple[float, float] | None
    """Simultaneous 95% interval of the difference; at the level of its look where there are several."""
    verdict: str | None
    """"BETTER", "WORSE", "SAME", "UNDECIDED" or "SCREEN"; None of the baseline, and where nothing is known yet."""


@dataclass(frozen=True, repr=False)
class Figure:
    """A study's figure; a notebook shows it, `save` writes it."""

    findings: "StudyFindings"
    folder: Path
    name: str

    def save(self, path: str | Path) -> Path:
        """Write the figure for print, as PNG, SVG or PDF by the path's suffix, and return the path.

        Raises:
            UsageError: Another suffix, or the file cannot be written.
        """
        from eailab.errors import UsageError
        from eailab.report.figure_files import figures_of

        file = Path(path)
        kinds = {".png": "png", ".svg": "svg", ".pdf": "pdf"}
        if (kind := kinds.get(file.suffix.lower())) is None:
            raise UsageError(f"{file.name} is not a figure's file: end it in {', '.join(kinds)}.")
        drawn = figures_of(self.findings, self.folder, [], kinds=(kind,))  # type: ignore[arg-type]  # one of the three
        try:
            file.write_bytes(drawn[self.name][kind])  # type: ignore[index]  # drawn for this kind
        except OSError as error:
            raise UsageError(f"{file} cannot be written: {error.strerror}.") from error
        return file

    def __repr__(self) -> str:
        return f"<the figure {self.name} of {self.findings.name}: a notebook shows it, and save writes it>"

    def _repr_html_(self) -> str:
        """Return the figure as SVG, with a style and without a script."""
        from eailab.report.compose import figure_blocks
        from eailab.report.html import fragment
        from eailab.translation import english

        block = figure_blocks(self.findings, described=True)[self.name]
        return fragment(block.caption.translated(english), [block])


@dataclass(frozen=True, repr=False)
class Shown:
    """Findings that a notebook shows as a table with figures, and `print` as the command's table."""

    folder: Path
    """Of the study or trial, with its files."""
    findings: "StudyFindings"
    """Everything that reports say, as typed values."""

    def __str__(self) -> str:
        from rich.console import Console

        from eailab.report.terminal import print_study

        text = io.StringIO()
        # a notebook's kernel asks for colours, which a text does not have
        console = Console(file=text, width=100_000, highlight=False, force_terminal=False, color_system=None)
        print_study(self.findings, console)
        return text.getvalue()

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """Return the table and the figures, with a style and without a script."""
        from eailab.report.compose import Detail, figure_blocks, study_section
        from eailab.report.html import fragment

        section = study_section(self.findings, Detail.BRIEF)
        figures = figure_blocks(self.findings, described=True)
        figure = next(iter(figures.values()), None)
        return fragment(self.findings.title, [*section.answer, *filter(None, [figure]), *section.evidence])

    def _repr_markdown_(self) -> str:
        """Return the table, and what it rests on."""
        from eailab.report.compose import Detail, study_section
        from eailab.report.document import Document
        from eailab.report.markdown import render

        section = study_section(self.findings, Detail.BRIEF, level=4)
        return render(Document(self.findings.name, (section,), dict))


@dataclass(frozen=True, repr=False)
class StudyResult(Shown):
    """A study of a runs folder, with what its trials show so far.

    `study["16"]` is one arm, `study.table` a mapping for each, and a notebook shows the table and the intervals.
    """

    session: "Session"
    """Where its trials run."""
    untuned: "StudyResult | None" = None
    """Of a study whose arms were tuned by the same call: the arms as the recipe has them, in the same blocks."""

    def __getitem__(self, arm: Any) -> ArmResult:
        """Return an arm by its label, as in `study["16"]`, or by its level.

        Raises:
            UsageError: There is no such arm.
        """
        from eailab.errors import UsageError
        from eailab.recipe.canonical import built_in
        from eailab.recipe.describe import in_words, nearest

        labels = [one.label for one in self.findings.arms]
        asked = in_words(built_in(arm))
        if asked not in labels:
            raise UsageError(f"there is no arm {asked!r}: there are {', '.join(labels)}{nearest(asked, labels) or '.'}")
        return _arm(self.findings.arms[labels.index(asked)])

    def __iter__(self) -> Iterator[ArmResult]:
        """Yield the arms, in the table's order."""
        return map(_arm, self.findings.arms)

    @property
    def table(self) -> Table:
        """Return a mapping for each arm, in the table's order; `.to_pandas()` where pandas is installed.

        Keys: `arm`; `is_baseline`; `trials`, those with a value; `mean`, in the metric's unit (percent for accuracies,
        nats for losses); `difference` from the baseline and its simultaneous 95% `interval` (low, high), in percentage
        points or nats; `verdict`, "BETTER", "WORSE", "SAME", "UNDECIDED" or "SCREEN". None where there is no value, as
        for the differences of the baseline.
        """
        return Table(
            {
                "arm": one.label,
                "is_baseline": one.is_baseline,
                "trials": len(found.finished),
                "mean": one.mean,
                "difference": one.difference,
                "interval": one.interval,
                "verdict": one.verdict,
            }
            for one, found in zip(self, self.findings.arms, strict=True)
        )

    def values(self) -> "NDArray[np.float64]":
        """Return the metric of each trial, float64 [blocks, arms], in its unit; NaN where a trial has no value."""
        import numpy as np

        columns = [[np.nan if one.value is None else one.value for one in arm.trials] for arm in self.findings.arms]
        return np.array(columns, dtype=np.float64).T

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `table.json`; see docs/report-json.md."""
        from eailab.report.json_report import as_mapping

        return as_mapping(self.findings)

    def more(self, blocks: int) -> "StudyResult":
        """Train further blocks, and return the study with them.

        A study that is judged again as it grows is judged more strictly: the first time at 5%, then at 0.5%, 0.25% and
        so on, and an arm keeps the first verdict it gets. `until_decided` fixes its looks in advance.

        Args:
            blocks: How many, 1 or more.

        Raises:
            UsageError: Not a whole number above 0, the study has looks that were fixed in advance, or its arms were
                tuned again for each block.
            TrialFailedError: A trial ended without a result; what has finished is kept.
        """
        from eailab.errors import UsageError
        from eailab.studies.tuned_studies import refuse_untuned

        if type(blocks) is not int or blocks < 1:
            raise UsageError(f"more({blocks!r}): give a number of blocks, 1 or more.")
        study = self._study()
        if study.looks:
            raise UsageError("the looks of this study were fixed in advance: call until_decided with its limit.")
        first = max(study.blocks) + 1
        further = replace(study, blocks=(*study.blocks, *range(first, first + blocks)))
        refuse_untuned([further], self.session.context)
        return train_study(further, self.session)

    def until_decided(self, *, max_trials: int) -> "StudyResult":
        """Add blocks for arms that are open, at looks fixed in advance, and return that study.

        It is a study of its own, whose intervals allow for the looks; it shares the trials of this one.

        Args:
            max_trials: The most trials that it may use, those there already included.

        Raises:
            StudyError: A limit below two blocks.
            UsageError: Each arm is compared by several values of a tuning.
            StoreError: How its arms were tuned cannot be read.
            TrialFailedError: A trial ended without a result; what has finished is kept.
        """
        from eailab.findings.study import study_findings
        from eailab.studies.run import run_until_decided
        from eailab.studies.tuned_studies import look_by_look, tuned_first

        session = self.session

        def judge(record: Any) -> Any:
            return study_findings(session.context.store, record).looks

        looked, tuning = look_by_look([self._study()], max_trials, session.context)
        (study,) = tuned_first([looked], None, session, kept=tuning)
        return run_until_decided(study, session, judge, lambda plans: published(plans, session))

    def report(self) -> Path:
        """Return the path of the study's page, which is there and needs no other file.

        Raises:
            StoreError: The page cannot be written.
        """
        from eailab.report.write import write_study

        page = self.folder / "report.html"
        if not page.exists():
            write_study(self.session.context.store, self.folder, self.session.context.data_dir)
        return page

    def figure(self, name: str = "intervals") -> Figure:
        """Return a figure of the study: "intervals", the differences; where its trials have epochs, "curves" by epoch.

        Where they record both, "training-validation" has a panel for each arm; of tuned arms there is "tuning".

        Raises:
            UsageError: The study does not have it.
        """
        from eailab.errors import UsageError
        from eailab.report.figures import figure_names

        names = figure_names(self.findings)
        if name not in names:
            raise UsageError(f"this study has no figure {name!r}: there are {', '.join(names) or 'none yet'}.")
        return Figure(self.findings, self.folder, name)

    def _study(self) -> "Study":
        from eailab.studies.storage import read_record

        return read_record(self.folder).study


@dataclass(frozen=True, repr=False)
class TrialResult(Shown):
    """A single training; a notebook shows its scores and curves."""

    metrics: Mapping[str, float | None]
    """As `result.json` has them, such as `test_accuracy` from 0 to 1 and `validation_loss` in nats."""


def write_columns(data: Any, file: Path) -> None:
    """Write the columns of a DataFrame, or of a mapping, as CSV.

    Raises:
        UsageError: There are none, or they differ in length.
    """
    from eailab.errors import UsageError

    names = list(getattr(data, "columns", data if isinstance(data, Mapping) else ()))
    columns = [list(data[name]) for name in names]
    if not names or len({len(column) for column in columns}) != 1:
        raise UsageError("judge needs a DataFrame, or a mapping of columns of one length, with a row for each run.")
    text = io.StringIO(newline="")
    csv.writer(text).writerows([names, *zip(*columns, strict=True)])
    file.write_bytes(text.getvalue().encode())


def _arm(arm: "ArmFindings") -> ArmResult:
    found = arm.against_baseline
    compared = None if arm.is_baseline else found
    return ArmResult(
        arm.label,
        arm.is_baseline,
        tuple(arm.values),
        None if found is None else found.mean,
        None if compared is None else compared.difference,
        None if compared is None else compared.interval,
        None if compared is None or compared.verdict is None else compared.verdict.value,
    )


def train_study(study: "Study", session: "Session", request: "Request | None" = None) -> StudyResult:
    """Train what is left of a study, with its arms tuned first if that is asked for; write its files, and return it."""
    from eailab.studies.run import run_studies
    from eailab.studies.tuned_studies import tuned_first

    studies = tuned_first([study], request, session)
    return run_studies(studies, session, lambda plans: published(plans, session))


def published(plans: "Sequence[Plan]", session: "Session") -> StudyResult:
    """Write the files of a study, and of that of its arms before they were tuned, and return it."""
    from eailab.report.write import write_plans

    reports, _ = write_plans(plans, session.context, session.note, name=plans[-1].record.study.name)
    found = [StudyResult(one.folder, report.findings, session) for one, report in zip(plans, reports, strict=True)]
    return found[0] if len(found) == 1 else replace(found[0], untuned=found[1])
