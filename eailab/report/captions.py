"""Write captions for print, of figures whose files have no title, note and key there."""

from eailab.findings.path import PathFindings
from eailab.findings.study import StudyFindings
from eailab.report.describe import band_note, path_bars
from eailab.report.describe_intervals import axis_notes, compared, intervals_key
from eailab.report.describe_tuning import search_note
from eailab.report.figures import compared_by_epoch
from eailab.translation import Text, capitalized, tr


def caption(findings: StudyFindings, name: str) -> tuple[Text, ...]:
    """Return what a caption in print says of a study's figure."""
    if name == "intervals":
        return (
            tr(
                "Difference in {measure} from the baseline, {baseline}, by {factor} ({notes}).",
                measure=findings.measure.title,
                baseline=findings.baseline_arm.label,
                factor=findings.spoken_factor,
                notes=axis_notes(findings.measure),
            ),
            tr("{said}.", said=compared(findings)),
            tr("{said}.", said=capitalized(intervals_key(findings))),
        )
    if name == "training-validation":
        pair = compared_by_epoch(findings)
        quantity = capitalized(pair[0].quantity if pair else "")
        return (
            tr("{quantity} in training and validation, a panel for each arm.", quantity=quantity),
            band_note(findings),
        )
    if name == "tuning":
        return (tr("Tuning of each arm by {metric}, on other blocks.", metric=findings.measure.title), search_note())
    if findings.factor is None:
        return (tr("Learning curves of {name}.", name=findings.name), band_note(findings))
    return (tr("Learning curves by {factor}.", factor=findings.spoken_factor), band_note(findings))


def path_caption(found: PathFindings) -> tuple[Text, ...]:
    """Return what a caption in print says of the figure of a path ablation."""
    bars = path_bars(found)
    return tuple(tr("{said}.", said=said) for said in (bars.title, bars.note, bars.key))
