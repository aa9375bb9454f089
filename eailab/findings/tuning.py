"""Describe how a study's arms were tuned."""

from collections.abc import Iterable, Mapping
from math import comb, isfinite

from eailab.findings.merging import CarriedArm
from eailab.findings.study import StudyFindings
from eailab.findings.tables import Column, Fact, Table, with_unit
from eailab.findings.words import number, setting_in_words, share
from eailab.stats.verdict import SINGLE_LOOK
from eailab.studies.factor import BETWEEN_VALUES, word
from eailab.studies.tuning_file import TunedArm, Tuning
from eailab.translation import BETWEEN_SENTENCES, COMMA, Text, joined, listed_and, tr, trn


def tuning_table(findings: StudyFindings, tuning: Tuning) -> Table:
    """Return what each arm's tuning tried and chose."""
    unit = findings.measure.difference_unit
    gap = tr("ahead by ({unit})", unit=unit) if unit else tr("ahead by")
    return Table(
        columns=(
            Column(tr("arm")),
            Column(tr("values")),
            Column(tr("trainings"), is_number=True),
            Column(tr("failed"), is_number=True),
            Column(tr("winner")),
            Column(tr("runner-up")),
            Column(gap, is_number=True),
        ),
        rows=tuple(_row(tuning, arm, findings.decimals) for arm in tuning.arms),
    )


def _row(tuning: Tuning, arm: TunedArm, digits: int) -> tuple[str, ...]:
    if not arm.settings:
        return (arm.before, tr("not tuned"), "0", "0", "-", "-", "-")
    winner = _shares(tuning, arm) if tuning.again else arm.winner
    return (
        arm.before,
        joined(in_order(arm.values), COMMA),
        str(len(arm.trainings)),
        str(arm.failures),
        tr("{value}, at the edge", value=winner) if arm.at_edge else winner,
        arm.runner_up or "-",
        "-" if arm.gap is None else number(arm.gap, digits),
    )


def tuning_facts(findings: StudyFindings) -> list[Fact]:
    """Say how the arms were tuned and what the intervals are about; nothing where they were not tuned."""
    tuning = findings.tuning
    if tuning is None:
        return []
    said = [*tuning_sentences(findings, tuning)]
    if edges := [arm.before for arm in tuning.arms if arm.at_edge]:
        said.append(
            tr("At the edge of the values tried: {arms}; a better value may lie beyond.", arms=listed_and(edges))
        )
    said.append(_about(tuning))
    return [Fact(tr("Tuning"), joined(said, BETWEEN_SENTENCES))]


def _about(tuning: Tuning) -> Text:
    """Say what the intervals are about."""
    if tuning.again:
        return tr(
            "The intervals are of arms that are tuned in this way with this budget, the chance of the tuning included; "
            "their blocks are none that the tuning saw. Scores of the tuning are in no other table."
        )
    if tuning.carry > 1:
        return tr(
            "The intervals are of the best value of each arm against the best of the baseline. An arm with two values "
            "that are as good has two chances, and looks slightly better than one with a single good value. The tuning "
            "scores are in no interval."
        )
    return tr(
        "The intervals are of these recipes, on blocks that the tuning did not see; another tuning could choose "
        "others. Scores of the tuning are in no other table."
    )


def carried_table(findings: StudyFindings) -> Table:
    """Return what became of each value of the arms that are compared by several."""
    digits, tuning = findings.decimals, findings.tuning
    is_again = tuning is not None and bool(tuning.again)
    unit = findings.measure.unit
    means = [with_unit(tr("mean of these blocks"), unit)]
    means += [] if is_again else [with_unit(tr("mean with the tuning blocks"), unit)]
    return Table(
        columns=(
            Column(tr("arm")),
            Column(tr("value")),
            *(Column(heading, is_number=True) for heading in means),
            Column(tr("stands for the arm in blocks") if is_again else tr("stands for the arm")),
        ),
        rows=tuple(
            (
                one.arm,
                one.value,
                number(one.mean, digits),
                *([] if is_again else [number(one.mean_of_all, digits)]),
                _stands(one, is_again=is_again),
            )
            for one in findings.carried
        ),
    )


def _stands(one: CarriedArm, *, is_again: bool) -> str:
    if not one.stands_in:
        return "-"
    return joined(map(str, one.stands_in), COMMA) if is_again else tr("yes")


def tuning_alerts(findings: StudyFindings) -> list[Text]:
    """Say what the reader of a tuned study must know first; nothing where its arms were tuned alike."""
    if findings.is_tuning_lost:
        return [
            tr(
                "tuning.json of this study is damaged, so how its arms were tuned is not reported. The study's own "
                "command writes it again."
            )
        ]
    if findings.tuning is None or not findings.tuning.is_unequal:
        return []
    trainings = (
        trn("{arm}: {n} training", "{arm}: {n} trainings", len(arm.trainings), arm=arm.before)
        for arm in findings.tuning.arms
    )
    return [
        tr(
            "UNEQUAL TUNING ({trainings}): an arm that is tuned more looks better than it is.",
            trainings=joined(trainings, COMMA),
        )
    ]


def tuning_sentences(findings: StudyFindings, tuning: Tuning) -> list[Text]:
    """Say how the arms were tuned, a sentence each."""
    settings = dict.fromkeys(path for arm in tuning.arms for path in arm.settings)
    counts = dict.fromkeys(len(arm.trainings) for arm in tuning.arms)
    values = {
        "settings": listed_and([setting_in_words(word(path)) for path in settings]),
        "winners": joined(_winners(tuning), COMMA),
        "trainings": joined(map(str, counts), COMMA),
    }
    said = _chosen_again(tuning, values) if tuning.again else _chosen(tuning, values)
    found = [said]
    if tuning.carry > 1:
        best = joined((arm.label for arm in findings.arms), COMMA)
        found.append(
            tr(
                "The best {n} values of each arm were trained in the blocks of the comparison, and the one with the "
                "best mean over these and the tuning blocks stands for its arm: {best}.",
                n=tuning.carry,
                best=best,
            )
        )
        found.append(
            tr(
                "The first verdicts are held at {level} in place of {usual}, since the tuning may have dropped the "
                "best value of an arm; that costs some power.",
                level=share(tuning.level),
                usual=share(SINGLE_LOOK),
            )
        )
    if len(tuning.blocks) == max(len(tuning.again), 1):
        return [*found, tr("Every value was trained in that block.")]
    if tuning.everything:
        return [*found, tr("Every value was trained in each of those blocks.")]
    return [*found, tr("Successive halving dropped the worse half of the values after each block.")]


def _winners(tuning: Tuning) -> list[Text]:
    """Return what was chosen for each arm; of one that was tuned again for each block, how often."""
    if not tuning.again:
        return [Text(arm.label) for arm in tuning.arms]
    return [
        tr("{arm} {values}", arm=arm.before, values=_shares(tuning, arm))
        if arm.carried
        else tr("{arm} not tuned", arm=arm.before)
        for arm in tuning.arms
    ]


def _shares(tuning: Tuning, arm: TunedArm) -> Text:
    """Return the values that won, with the number of blocks that each won for."""
    total = len(tuning.again)
    return joined(
        (tr("{value} ({n} of {total})", value=one.value, n=len(one.blocks), total=total) for one in arm.carried), COMMA
    )


def _chosen_again(tuning: Tuning, values: Mapping[str, object]) -> Text:
    return trn(
        "The {settings} of each arm was chosen again for each block of the comparison, in {n} block of its own "
        "({trainings} trainings an arm), before the arms were compared: {winners}.",
        "The {settings} of each arm was chosen again for each block of the comparison, in {n} blocks of its own "
        "({trainings} trainings an arm), before the arms were compared: {winners}.",
        len(tuning.blocks) // len(tuning.again),
        **values,
    )


def _chosen(tuning: Tuning, values: Mapping[str, object]) -> Text:
    return trn(
        "The {settings} of each arm was chosen in {n} block of its own ({trainings} trainings an arm), before the "
        "arms were compared: {winners}.",
        "The {settings} of each arm was chosen in {n} blocks of its own ({trainings} trainings an arm), before the "
        "arms were compared: {winners}.",
        len(tuning.blocks),
        **values,
    )


# --- what figures show -----------------------------------------------------------------------------------------------


def in_order(values: Iterable[str]) -> list[str]:
    """Return distinct values, rising where all are numbers, else as they come.

    >>> in_order(["0.01", "0.1", "0.001", "0.1"])
    ['0.001', '0.01', '0.1']
    """
    distinct = list(dict.fromkeys(values))
    numbers = [number_of(value) for value in distinct]
    return distinct if None in numbers else sorted(distinct, key=float)


def number_of(value: str) -> float | None:
    """Return the number that a value is, or None."""
    try:
        found = float(value)
    except ValueError:
        return None
    return found if isfinite(found) else None


def by_value(arm: TunedArm, path: str) -> dict[str, list[float]]:
    """Return the scores of an arm's trainings by their value of one tuned setting, those that diverged left out."""
    if path not in arm.settings:
        return {}
    place, found = arm.settings.index(path), dict[str, list[float]]()
    for one in arm.trainings:
        value = one.value if len(arm.settings) == 1 else BETWEEN_VALUES.split(one.value)[place]
        if one.score is not None:
            found.setdefault(value, []).append(one.score)
    return {value: found[value] for value in in_order(found)}


def best_of(arm: TunedArm, *, higher_is_better: bool) -> tuple[float, ...]:
    """Return what the best of k values of an arm is worth, for k from 1 on: the mean over all choices of k of them.

    By the scores in the first tuning block, in which all were trained (Dodge et al., 2019, without replacement); one
    that diverged counts as the worst of the others.
    """
    first = min((one.block for one in arm.trainings), default=0)
    scores = [one.score for one in arm.trainings if one.block == first]
    known = [score for score in scores if score is not None]
    if not known:
        return ()
    worst = min(known) if higher_is_better else max(known)
    rising = sorted((worst if score is None else score for score in scores), reverse=not higher_is_better)
    total = len(rising)
    return tuple(
        sum(score * comb(place, k - 1) for place, score in enumerate(rising)) / comb(total, k)
        for k in range(1, total + 1)
    )
