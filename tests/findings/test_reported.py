"""Curves of a person's own training: as it counted its epochs, and as far as all trials go."""

import json
from types import SimpleNamespace

import pytest

from eailab.engines.program.trial_files import CURVES, reported
from eailab.engines.registry import headline_of, metrics_of
from eailab.errors import DamagedError
from eailab.findings.arm import _mean
from eailab.findings.trial import Curves, reported_curves
from eailab.recipe.of_command import recipe_of_command
from eailab.report import plots
from eailab.report.axes import Axis
from eailab.report.describe import trial_curves
from eailab.report.html import epoch_labels, path
from eailab.translation import english

RECIPE = recipe_of_command("p {seed}", {"metric": ["val_acc", "val_loss"], "unit": "share"}, {})


def curves(tmp_path, axes=None, /, **points) -> Curves:
    folder = tmp_path / "runs" / "trials" / "a"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CURVES).write_text(json.dumps({"schema_version": 1, "way": "log", "curves": points, "axes": axes or {}}))
    return reported_curves(SimpleNamespace(path=folder, recipe=lambda: RECIPE), metrics_of(RECIPE))


@pytest.mark.parametrize("steps", [(0, 1, 2), (1, 2, 3), (100, 200, 300), (1, 3, 4), (7, 1000, 1001)])
def test_steps_are_drawn_as_they_were_counted(tmp_path, steps):
    """In the unit shown, and with a gap where there is no number."""
    first, second, third = steps
    points = {"val_acc": [[first, 0.5], [second, float("nan")], [third, 0.75]], "val_loss": [[third, 0.25]]}
    expected = {"val_acc": (50.0, None, 75.0), "val_loss": (None, None, 0.25)}
    assert curves(tmp_path, **points) == Curves(steps, expected)


def test_a_metric_that_is_reported_seldom_is_drawn_among_the_others(tmp_path):
    """Validation after every fifth epoch, and a loss after each."""
    points = {"val_acc": [[5, 0.5], [10, 0.75]], "val_loss": [[epoch, 0.5] for epoch in range(1, 11)]}
    found = curves(tmp_path, **points)
    assert found.epochs == tuple(range(1, 11))
    assert found.values["val_acc"] == (*[None] * 4, 50.0, *[None] * 4, 75.0)


def test_a_metric_that_is_counted_otherwise_is_not_drawn_among_the_others(tmp_path):
    found = curves(
        tmp_path,
        {"val_acc": "step", "val_loss": "epoch"},
        val_acc=[[100, 0.5], [200, 0.75]],
        val_loss=[[1, 0.5], [2, 0.5]],
    )
    assert found == Curves((100, 200), {"val_acc": (50.0, 75.0)}, "step")


@pytest.mark.parametrize("steps", [(), (1,)])
def test_a_metric_that_is_reported_once_has_no_curve(tmp_path, steps):
    assert curves(tmp_path, val_acc=[[step, 0.5] for step in steps], val_loss=[[1, 0.5], [2, 0.5]]).is_empty


@pytest.mark.parametrize("points", [[[1, "x"]], [[2, 0.5], [1, 0.5]], [[1.5, 0.5]], [[1, 0.5], [1, 0.5]], 3, [[1]]])
def test_a_file_that_eailab_has_not_written_is_damage(tmp_path, points):
    with pytest.raises(DamagedError, match=r"curves\.json is not what a program has reported"):
        curves(tmp_path, val_acc=points)
    with pytest.raises(DamagedError, match=r"curves\.json"):
        reported(tmp_path / "runs" / "trials" / "missing")


def test_a_mean_goes_as_far_as_the_shortest_trial():
    """Programs may stop early; the later epochs of some blocks alone would bend the line."""
    long = Curves((1, 2, 3), {"val_acc": (1.0, 2.0, 3.0), "val_loss": (1.0, 1.0, 1.0)})
    short = Curves((1, 2), {"val_acc": (3.0, None)})
    assert _mean([long, short]) == Curves((1, 2), {"val_acc": (2.0, None)})
    assert _mean([]) is None


def test_steps_have_their_places_on_the_page_and_in_print(tmp_path):
    """Not one after the other: what lies between two of them is as long as it was."""
    found = curves(tmp_path, {"val_acc": "step"}, val_acc=[[100, 0.5], [200, 0.6], [400, 0.75]])
    figure = trial_curves(found, metrics_of(RECIPE), headline_of(RECIPE), "a program")
    assert (figure.steps, figure.x_title) == ((100, 200, 400), "training step")
    assert figure.note == "val_acc by training step; after training step 400: value 75.00%"
    assert [
        point.split()[0] for point in path(figure.panels[0].lines[0].mean, Axis(0, 100), figure)[1:].split("L")
    ] == [
        "0",
        "333",
        "1000",
    ]
    assert [label for _, label in epoch_labels(figure.steps)] == ["100", "200", "300", "400"]
    (axes,) = plots._figure(figure, english, plots.SCREEN).axes
    assert list(axes.lines[0].get_xdata()) == [100, 200, 400]
