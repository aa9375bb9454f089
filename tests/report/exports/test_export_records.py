"""What goes out is what the store holds, and says where it holds nothing."""

import json
import tomllib
import zlib
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from stores import recipe

from eailab.errors import StoreError, UsageError
from eailab.extras import install_command
from eailab.report.exports.export_records import arm_names, export_path, export_study
from eailab.report.formats import EXPORTS, chosen_exports
from eailab.report.study_report import load_path, load_study
from eailab.studies.path_ablation import path_between

FINISHED = 1767323045.0
"""2026-01-02T03:04:05Z, when the shop's trials finish."""


def write_timings(file, *records):
    bodies = [json.dumps({"images_per_second": 1.0, "device": "cpu"} | record)[:-1] for record in records]
    file.write_text("".join(f'{body}, "crc": "{zlib.crc32(body.encode()):08x}"}}\n' for body in bodies))


@pytest.fixture
def one(shop):
    """One trial whose timings are the given records."""

    def of(outcome, *records):
        folder = shop.trial(outcome)
        write_timings(shop.trial_folder(folder, 0, 0).timings_file, *records)
        (trial,) = export_study(load_study(shop.store, folder)).trials
        return trial

    return of


def test_an_epoch_is_dated_as_it_was_written_down(one):
    dates = ["2026-01-01T00:00:00+00:00", "2026-01-02T03:00:00+00:00", "2026-01-02T03:04:00+00:00"]
    trial = one(0.9, *({"epoch": n, "seconds": 2.0, "ended": date} for n, date in enumerate(dates, start=1)))
    assert trial.clock == (1767225600.0, 1767322800.0, 1767323040.0)
    assert (trial.began, trial.ended) == (1767225598.0, FINISHED)


def test_a_trial_does_not_finish_before_its_last_epoch(one):
    """The store gives the end of a trial in whole seconds, that of an epoch in thousandths."""
    trial = one(0.9, {"epoch": 3, "seconds": 0.1, "ended": "2026-01-02T03:04:05.750+00:00"})
    assert trial.ended == trial.clock[-1] == FINISHED + 0.75


def test_an_epoch_of_an_earlier_store_is_dated_back_from_when_the_trial_finished(one):
    trial = one(0.9, *({"epoch": n, "seconds": float(n)} for n in (1, 2, 3)))
    assert trial.clock == (FINISHED - 5.0, FINISHED - 3.0, FINISHED)
    assert trial.began == FINISHED - 6.0


def test_without_any_date_the_clock_starts_at_nought(one):
    """A date that nobody knows is not made up; what is known is how long it took."""
    trial = one("unfinished", {"epoch": 1, "seconds": 4.0})
    assert [epoch.ended for epoch in trial.epochs] == [None]
    assert (trial.began, trial.clock, trial.ended) == (0.0, (4.0,), 4.0)


def test_a_trial_without_timings_goes_out_all_the_same(one):
    trial = one(0.9)
    assert [epoch.seconds for epoch in trial.epochs] == [None] * 3
    assert [epoch.ended for epoch in trial.epochs] == [None, None, FINISHED]
    assert trial.clock == (0.0, 0.0, FINISHED)


def test_only_a_finished_trial_has_final_scores(shop, folder):
    trials = export_study(load_study(shop.store, folder)).trials
    assert [(trial.state, len(trial.epochs), bool(trial.final)) for trial in trials] == [
        *[("finished", 3, True)] * 3,
        ("diverged", 1, False),
        ("unfinished", 1, False),
        ("missing", 0, False),
    ]
    assert trials[3].labels["reason"] == "a value was not finite at epoch 2, step 7"
    assert trials[0].final["final/test_accuracy"] == pytest.approx(89.0)


def test_a_trial_is_unchanged_until_it_has_come_further(shop, folder):
    def contents(told):
        return [trial.content for trial in export_study(told).trials]

    before = contents(load_study(shop.store, folder))
    assert contents(load_study(shop.store, folder)) == before
    assert len(set(before)) == 6
    shop.train_again(folder, 1, 1, epoch=1, seconds=9.0)
    after = contents(load_study(shop.store, folder))
    assert [a == b for a, b in zip(before, after, strict=True)] == [True] * 4 + [False, True]


def test_names_of_arms_are_unlike_on_any_file_system(shop, folder):
    """Levels differ by a character that no path takes, and by case; a name cannot leave the folder."""
    found = shop.findings(folder)
    labels = ["a/b", "a:b", "A/B", "../.."]
    arms = tuple(replace(found.arms[0], label=label) for label in labels)
    names = arm_names(replace(found, arms=arms))
    assert names == ["batch_size=a-b", "batch_size=a-b~2", "batch_size=A-B~3", "batch_size="]
    assert arm_names(replace(found, factor=None, arms=arms[-1:])) == ["arm"]


@pytest.mark.parametrize("tool", EXPORTS)
def test_exporting_again_touches_nothing(export, content, folder, tool):
    """No run is doubled, and a file that a tool has open is not replaced."""
    out = export(tool, folder)
    before = content(out)
    assert before
    assert export(tool, folder) == out
    assert content(out) == before


@pytest.mark.parametrize("tool", EXPORTS)
def test_a_path_ablation_is_exported_like_a_study(export, content, shop, tool):
    """Each trial once, although the steps share some."""
    asked = path_between(recipe(), recipe(epochs=4, batch_size=20), ("start", "end"), range(2), "listed")
    folder = shop.path(asked, [[0.90, 0.91], [0.95, 0.94]], [[0.93, 0.95]], None)
    exported = export_path(load_path(shop.store, folder))
    assert [trial.name for trial in exported.trials] == [
        f"{arm}/block-{block}" for arm in ("recipe=start", "recipe=end", "step-1=epochs-3---4") for block in range(2)
    ]
    assert {trial.group for trial in exported.trials} == {folder.name}
    assert "What makes end differ from start" in exported.markdown
    out = export(tool, folder)
    before = content(out)
    assert before
    export(tool, folder)
    assert content(out) == before


@pytest.mark.parametrize("tool", EXPORTS)
def test_a_store_is_only_read(export, content, shop, folder, tool):
    before = content(shop.root)
    export(tool, folder)
    assert content(shop.root) == before


@pytest.mark.parametrize("tool", EXPORTS)
def test_a_folder_that_cannot_be_written_is_one_message(export, folder, tmp_path, tool):
    (tmp_path / "out").write_text("")
    with pytest.raises(StoreError, match=r"out.* could not be written"):
        export(tool, folder)


def test_one_study_of_two_stores_is_refused(export, shop, folder):
    other = shop.beside("other").study({10: [0.5] * 3, 20: [0.6] * 3}, name=folder.name)
    twin = other.with_name(folder.name)
    other.rename(twin)
    (twin / "study.yaml").write_bytes((folder / "study.yaml").read_bytes())
    with pytest.raises(UsageError, match="is there twice"):
        export("csv", folder, twin)


def test_a_tool_that_is_not_installed_is_named_with_the_command_that_installs_it(monkeypatch):
    def absent(package):
        raise PackageNotFoundError(package)

    monkeypatch.setattr("eailab.report.formats.version", absent)
    assert chosen_exports(["csv", "csv"]) == ("csv",)
    for tool in set(EXPORTS) - {"csv"}:
        with pytest.raises(UsageError, match="pip install") as error:
            chosen_exports([tool])
        assert install_command(EXPORTS[tool].extra) in str(error.value)
        assert error.value.exit_code == 2


def test_an_unknown_tool_is_answered_with_those_there_are():
    with pytest.raises(UsageError, match="tensorboard, mlflow, wandb-offline, csv"):
        chosen_exports(["excel"])


def test_every_extra_is_declared():
    """What the message tells users to install exists, and installs what is looked for."""
    project = tomllib.loads(Path(__file__).parents[3].joinpath("pyproject.toml").read_text())["project"]
    for tool in EXPORTS.values():
        if tool.extra:
            declared = {line.partition(">")[0] for line in project["optional-dependencies"][tool.extra]}
            assert declared == set(tool.needs)
