"""Describe what the tuning of a study's arms tried: the metric over each tuned setting, and the best of k values."""

from eailab.findings.study import StudyFindings
from eailab.findings.tuning import best_of, by_value, in_order, number_of
from eailab.findings.words import factor_in_words
from eailab.report.axes import Axis, spanning, spanning_log
from eailab.report.figures import SearchFigure, SearchLine, SearchPanel, looks
from eailab.studies.tuning_file import TunedArm, Tuning
from eailab.translation import BETWEEN_SENTENCES, Text, joined, tr

LOG_FROM = 10.0
"""Numbers above 0 that span this factor or more stand on a logarithmic axis."""
TICKS = 5


def study_search(findings: StudyFindings, tuning: Tuning) -> SearchFigure:
    """Describe the tuning of a study, of which one training or more has a score."""
    measure = findings.measure
    scores = [one.score for arm in tuning.arms for one in arm.trainings if one.score is not None]
    y_axis = _numeric(scores) if not measure.higher_is_better else spanning(scores)
    panels = []
    for path in dict.fromkeys(path for arm in tuning.arms for path in arm.settings):
        values = in_order(value for arm in tuning.arms for value in by_value(arm, path))
        axis, places, ticks = _places(values)
        lines = tuple(_line(arm, path, places) for arm in tuning.arms)
        panels.append(SearchPanel(measure.title, measure.unit, lines, axis, factor_in_words(path), ticks, y_axis))
    best = [best_of(arm, higher_is_better=measure.higher_is_better) for arm in tuning.arms]
    axis = Axis(0.5, max(map(len, best)) + 0.5)
    lines = tuple(SearchLine(tuple((float(k), value) for k, value in enumerate(one, start=1))) for one in best)
    ticks = tuple((tick, f"{tick:g}") for tick in axis.ticks(TICKS) if tick == int(tick))
    title = tr("{metric}, best of k values", metric=measure.title)
    panels.append(SearchPanel(title, measure.unit, lines, axis, tr("values tried, k"), ticks, y_axis))
    return SearchFigure(
        tr("Tuning of each arm, on other blocks"),
        findings.name,
        search_note(),
        tuple(arm.before for arm in tuning.arms),
        looks(findings),
        tuple(panels),
    )


def search_note() -> Text:
    """Say what the marks mean."""
    return joined(
        (
            tr("Dots: single trainings; lines: their means."),
            tr("Best of k values: the mean over all choices of k of them, in the first tuning block."),
        ),
        BETWEEN_SENTENCES,
    )


def _line(arm: TunedArm, path: str, places: dict[str, float]) -> SearchLine:
    found = by_value(arm, path)
    return SearchLine(
        tuple((places[value], sum(scores) / len(scores)) for value, scores in found.items()),
        tuple((places[value], score) for value, scores in found.items() for score in scores),
    )


def _places(values: list[str]) -> tuple[Axis, dict[str, float], tuple[tuple[float, str], ...]]:
    """Return the axis of some values, where each stands on it, and its ticks; words stand side by side."""
    numbers = {value: number for value in values if (number := number_of(value)) is not None}
    if len(numbers) < len(values):
        places = {value: float(place) for place, value in enumerate(values)}
        return Axis(-0.5, len(values) - 0.5), places, tuple((place, value) for value, place in places.items())
    axis = _numeric(list(numbers.values()))
    return axis, numbers, tuple(axis.labelled(TICKS))


def _numeric(values: list[float]) -> Axis:
    log = spanning_log(values)
    return log if log is not None and max(values) >= LOG_FROM * min(values) else spanning(values)
