"""Curves of a person's own training: as it counted its epochs, and as far as all trials go."""

import json
from types import SimpleNamespace

import pytest

from eailab.engines.program.trial_files import CURVES, reported
from eailab.engines.registry import metrics_of
from eailab.errors import DamagedError
from eailab.findings.arm import _mean
from eailab.findings.trial import Curves, reported_curves
from eailab.recipe.of_command import recipe_of_command

RECIPE = recipe_of_command("p {seed}", {"metric": ["val_acc", "val_loss"], "unit": "share"}, {})


def curves(tmp_path, **points) -> Curves:
    folder = tmp_path / "runs" / "trials" / "a"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CURVES).write_text(json.dumps({"schema_version": 1, "way": "log", "curves": points}))
    return reported_curves(SimpleNamespace(path=folder, recipe=lambda: RECIPE), metrics_of(RECIPE))


@pytest.mark.parametrize("first", [0, 1])
def test_epochs_counted_from_0_or_1_are_drawn_as_the_first_to_the_last(tmp_path, first):
    """In the unit shown, and with a gap where there is no number."""
    points = {"val_acc": [[first, 0.5], [first + 1, float("nan")], [first + 2, 0.75]], "val_loss": [[first + 2, 0.25]]}
    expected = {"val_acc": (50.0, None, 75.0), "val_loss": (None, None, 0.25)}
    assert curves(tmp_path, **points) == Curves((1, 2, 3), expected)


@pytest.mark.parametrize("steps", [(), (1,), (100, 200, 300), (1, 3, 4), (2, 3)])
def test_what_is_not_counted_by_epochs_is_not_drawn_by_epoch(tmp_path, steps):
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
