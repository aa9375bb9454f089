"""Compare several factors with one baseline: the studies of a study file in one table, and what all rest on."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eailab.findings.statements import HELD_FIXED, SETTINGS, facts, settings_in_words
from eailab.findings.study import StudyFindings
from eailab.findings.tables import Column, Fact, Table, main_table, paper_table
from eailab.translation import Text, capitalized, joined, tr, trn

AT_BASELINE = tr("in each study the other factors too, as the baseline has them")


@dataclass(frozen=True)
class Ablation:
    """Studies of a factor each, two or more, whose baselines are the same trials."""

    studies: tuple[StudyFindings, ...]
    apart: tuple[str, ...] = ()
    """What tells it from others of the same report: model, data, and its first study's folder where these do not."""

    @property
    def title(self) -> Text:
        """Return the question that they ask together."""
        return tr(
            "What changes the {metric}? {n} factors against one baseline",
            metric=self.studies[0].measure.title,
            n=len({findings.factor for findings in self.studies}),
        )

    @property
    def decimals(self) -> int:
        """Return how many decimals all values of the table are shown with."""
        return max(findings.decimals for findings in self.studies)


def ablations(studies: Sequence[StudyFindings]) -> list[Ablation]:
    """Return the groups of studies that vary a factor each of one baseline, in the order of their first studies."""
    groups: dict[tuple[object, ...], list[StudyFindings]] = defaultdict(list)
    for findings in studies:
        trials = tuple(trial.fingerprint for trial in findings.baseline_arm.trials)
        if findings.factor is not None and not findings.baseline_levels and all(trials) and findings.comparison:
            groups[(findings.metric, findings.margin, trials, len(main_table(findings).columns))].append(findings)
    found = [tuple(group) for group in groups.values() if len({one.factor for one in group}) > 1]
    apart = [_model_and_data(group[0]) for group in found]
    if len(found) == 1:
        return [Ablation(found[0])]
    return [
        Ablation(group, words if apart.count(words) == 1 else (*words, group[0].folder_name))
        for group, words in zip(found, apart, strict=True)
    ]


def _model_and_data(findings: StudyFindings) -> tuple[str, ...]:
    settings = dict(findings.held_fixed)
    return tuple(filter(None, (settings.get("model.name"), Path(settings.get("data.name", "")).stem)))


def ablation_table(ablation: Ablation) -> Table:
    """Return the arms of all factors in one table, the baseline once and first."""
    settings = [findings.heading for findings in ablation.studies]
    return _together(ablation, [main_table(findings, ablation.decimals) for findings in ablation.studies], settings)


def paper_ablation_table(ablation: Ablation) -> Table:
    """Return the same as one column of a paper has room for."""
    settings = [findings.spoken_factor for findings in ablation.studies]
    return _together(ablation, [paper_table(findings, ablation.decimals) for findings in ablation.studies], settings)


def _together(ablation: Ablation, tables: Sequence[Table], settings: Sequence[str]) -> Table:
    first = ablation.studies[0]
    spoken = [
        tr("{setting} {value}", setting=setting, value=findings.baseline_arm.label)
        for setting, findings in zip(settings, ablation.studies, strict=True)
    ]
    levels = joined(dict.fromkeys(spoken))  # two studies may vary one factor
    rows = [(tr("baseline"), *tables[0].rows[first.baseline][1:-1], levels)]
    for findings, table, setting in zip(ablation.studies, tables, settings, strict=True):
        rows += [
            (tr("{setting} {value}", setting=setting, value=arm.label), *row[1:])
            for arm, row in zip(findings.arms, table.rows, strict=True)
            if not arm.is_baseline
        ]
    return Table((Column(tr("change")), *tables[0].columns[1:]), tuple(rows))


def ablation_caption(ablation: Ablation) -> Text:
    """Return what stands above the table in a paper."""
    first = ablation.studies[0]
    return trn(
        "{metric} when one setting of the baseline is changed, over {n} block of shared seeds.",
        "{metric} when one setting of the baseline is changed, over {n} blocks of shared seeds.",
        len(first.blocks),
        metric=capitalized(first.measure.title),
    )


def ablation_note() -> Text:
    """Say for which rows of the table the intervals hold."""
    return tr("Intervals and verdicts hold for all arms of one factor at once, and not for all factors together.")


# --- what several studies rest on -----------------------------------------------------------------------------------


def shared_facts(studies: Sequence[StudyFindings]) -> tuple[tuple[Fact, ...], list[tuple[Fact, ...]]]:
    """Return what all studies rest on, and what each rests on besides.

    Settings that all hold fixed are shared; of studies of one baseline, the others are those that the others vary.
    """
    by_study = [facts(findings) for findings in studies]
    shared = [fact for fact in by_study[0] if fact.name not in SETTINGS and all(fact in own for own in by_study)]
    first, *others = studies
    fixed = tuple(item for item in first.held_fixed if all(item in one.held_fixed for one in others))
    groups = ablations(studies)
    of_one_baseline = len(groups) == 1 and len(groups[0].studies) == len(studies)
    own_facts = []
    for findings, own in zip(studies, by_study, strict=True):
        left = () if of_one_baseline else tuple(item for item in findings.held_fixed if item not in fixed)
        besides = [Fact(tr("Held fixed besides"), settings_in_words(left))] if left else []
        own_facts.append((*(fact for fact in own if fact not in shared and fact.name not in SETTINGS), *besides))
    if fixed:
        said = settings_in_words(fixed)
        said = tr("{settings}; {others}", settings=said, others=AT_BASELINE) if of_one_baseline else said
        shared.append(Fact(HELD_FIXED, said))
    return tuple(shared), own_facts
