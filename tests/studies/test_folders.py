"""A study of a person's own data is known by the images, not by the path to them."""

from dataclasses import replace

import numpy as np
import pytest
from plans import one_factor

from eailab.data.registry import load as load_data
from eailab.recipe.load import Override, load
from eailab.runs.context import RunContext
from eailab.studies.design import repeated, single
from eailab.studies.plan import plan
from eailab.studies.preregistration import freeze, standing
from eailab.studies.storage import read_record, write_record


def write_images(path, pixel=0):
    pixels, labels = np.full((40, 2, 2), pixel, np.uint8), np.arange(40) % 2
    np.savez(path, x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "d.npz")
    return RunContext(tmp_path / "runs")


def study_of(path, blocks=(0, 1), **settings):
    overrides = [Override("data.name", str(path), "-o"), *(Override(name, one, "-o") for name, one in settings.items())]
    return one_factor(load("digits-mlp", overrides).recipe, "lr", [0.1, 0.01], blocks)


def as_earlier_versions_did(study, here):
    """Write a record under the name that the path gives."""
    data = {arm.recipe.data.name: load_data(arm.recipe.data.name).fingerprint for arm in study.arms}
    planned = plan(study, here)
    folder = here.runs_dir / "studies" / study.folder_name
    assert {trial.data for trial in planned.trials} == set(data.values())
    write_record(folder, replace(planned.record, study=study))
    return folder


def test_another_path_to_the_same_images_is_the_same_study(here, tmp_path):
    folders = {plan(study_of(path), here).folder for path in ("d.npz", "./d.npz", tmp_path / "d.npz")}
    assert len(folders) == 1
    planned = plan(study_of("d.npz"), here)
    write_record(planned.folder, planned.record)
    (tmp_path / "d.npz").rename(tmp_path / "e.npz")
    assert plan(study_of("e.npz"), here).folder in folders


def test_other_images_at_the_same_path_are_another_study_and_that_is_said(here, tmp_path):
    """As if nothing had been trained: a user should know why, and that nothing is lost."""
    before = plan(study_of("d.npz"), here)
    write_record(before.folder, before.record)
    write_images(tmp_path / "d.npz", pixel=1)
    after = plan(study_of("d.npz"), here)
    assert after.folder != before.folder
    assert f"the data at d.npz have changed since {before.folder.name} was last run" in after.notes[0]
    write_record(after.folder, after.record)
    assert plan(study_of("d.npz"), here).notes == ()


@pytest.mark.parametrize("path", ["d.npz", "./d.npz"])
def test_a_study_that_was_named_by_its_path_goes_on(here, path):
    folder = as_earlier_versions_did(study_of("d.npz"), here)
    planned = plan(study_of(path, (0, 1, 2)), here)
    assert planned.folder == folder
    assert planned.record.study.folder_name == folder.name
    assert planned.record.study.blocks == (0, 1, 2)
    write_record(planned.folder, planned.record)
    assert read_record(folder) == planned.record


@pytest.mark.parametrize(("settings", "pixel"), [({"batch_size": 8}, 0), ({}, 1)])
def test_a_study_that_was_named_by_its_path_is_not_taken_for_another(here, tmp_path, settings, pixel):
    folder = as_earlier_versions_did(study_of("d.npz"), here)
    write_images(tmp_path / "e.npz", pixel)
    assert plan(study_of("e.npz", **settings), here).folder != folder


def test_a_study_of_one_arm_that_was_named_by_its_path_goes_on(here):
    recipe, other = (load("digits-mlp", [Override("data.name", path, "-o")]).recipe for path in ("d.npz", "./d.npz"))
    for first, again in ((single(recipe, 3), single(other, 3)), (repeated(recipe, [0, 1]), repeated(other, [0, 1]))):
        folder = as_earlier_versions_did(first, here)
        assert plan(again, here).folder == folder
        assert plan(replace(again, blocks=(7,)), here).folder != folder


def test_the_names_of_studies_of_published_data_are_what_they_were(here):
    recipe = load("digits-mlp").recipe
    assert plan(single(recipe, 0), here).folder.name == single(recipe, 0).folder_name


def test_a_plan_frozen_for_one_path_holds_for_another(here):
    freeze([plan(study_of("d.npz"), here)], "0.1 is better", here.store)
    stands = standing(here.store, plan(study_of("./d.npz", (0, 1, 2)), here).record)
    assert stands.post_hoc == (2,)


def test_a_plan_that_an_earlier_version_froze_for_a_path_still_stands(here):
    planned = plan(study_of("d.npz"), here)
    by_path = replace(planned, record=replace(planned.record, study=study_of("d.npz")))
    freeze([by_path], "0.1 is better", here.store)
    assert standing(here.store, planned.record).post_hoc == ()


def test_a_study_that_was_named_by_its_recipes_file_goes_on(here):
    """`mnist-mlp` with other data was called mnist; it goes on under that name, and other names are other folders."""
    study = one_factor(load("mnist-mlp", [Override("data.name", "digits", "-o")]).recipe, "lr", [0.1, 0.01], (0,))
    assert study.name == "digits-mlp-lr"
    for name in ("mine-lr", "mnist-mlp-lr"):
        planned = plan(replace(study, name=name), here)
        write_record(planned.folder, planned.record)
    again = plan(study, here)
    assert again.folder == planned.folder
    assert again.record.study.folder_name == planned.folder.name
