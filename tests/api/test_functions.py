"""A Python function is trained as a recipe is: in blocks, into one store, known by its code."""

import json
import signal
import statistics
import subprocess
import sys
from math import nan
from random import Random

import numpy as np
import pytest
from planted import train, yields

import eailab as public
from eailab.engines.function.identity import identity_of
from eailab.engines.function.lookup import announce
from eailab.report.figures import figure_names
from eailab.runs.context import Ended

SCALE = 2
DECAY, OFFSET = np.float64(0.5), np.int64(2)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_function_that_returns_a_number_is_compared_in_blocks():
    """The seed's part is the same in both arms, so the difference is the planted one to the last digits."""
    study = public.ablate(train, "lr", [1e-3, 1e-2], seeds=3, metric="val_acc", audit=False)
    by_hand = [[train(lr, seed) for lr in (1e-3, 1e-2)] for seed in range(3)]
    assert study.values().tolist() == by_hand
    assert study["0.01"].difference == pytest.approx(0.09)
    assert study[0.01] == study["0.01"]
    assert study["0.01"].values == tuple(row[1] for row in by_hand)


def test_numbers_of_numpy_reach_a_function_as_pythons_own():
    """As levels, settings, tuned values, a baseline, seeds and the function's own defaults."""

    def typed(lr, width, decay=DECAY, offset=OFFSET, seed=0):
        if [type(one) for one in (lr, width, decay, offset, seed)] != [float, int, float, int, int]:
            raise TypeError(repr((lr, width, decay, offset, seed)))
        return lr * width + decay + offset

    study = public.ablate(
        typed,
        "lr",
        np.logspace(-3, -1, 2),
        baseline=np.float64(0.1),
        settings={"width": np.int64(3)},
        seeds=np.arange(2),
        tune={"decay": np.array([0.5, 0.25])},
        tune_blocks=1,
        metric="val_acc",
        unit="raw",
        audit=False,
    )
    assert study.untuned[np.float64(0.1)].is_baseline
    assert study.untuned.values().tolist() == [[0.001 * 3 + 0.5 + 2, 0.1 * 3 + 0.5 + 2]] * 2


def test_what_a_function_yields_makes_curves_and_the_step_counts_that_is_asked_for():
    last = public.ablate(yields, "lr", [0.01, 0.02], seeds=2, metric=["val_acc", "val_loss"], audit=False)
    second = public.ablate(yields, "lr", [0.01, 0.02], seeds=2, metric="val_acc", at="2", audit=False)
    assert last["0.02"].difference == pytest.approx(0.03)
    assert second["0.02"].difference == pytest.approx(0.02)
    trial = last.session.context.store.folder(last.findings.arms[0].trials[0].fingerprint)
    curves = json.loads((trial.path / "curves.json").read_text())["curves"]
    assert curves["val_loss"] == [[1, 1.0], [2, 0.5], [3, pytest.approx(1 / 3)]]
    assert last.findings.arms[0].curves.values["val_loss"] == (1.0, 0.5, pytest.approx(1 / 3))
    assert figure_names(last.findings) == ("intervals", "curves")


def test_one_run_of_a_function_and_its_spread_are_as_by_hand():
    """In the same runs folder, so that a run of one is there for the other."""
    ended = []
    options = {
        "metric": ["val_acc", "val_loss"],
        "on_event": lambda event: isinstance(event, Ended) and ended.append(1),
    }
    trial = public.train(yields, settings={"lr": 0.01}, block=3, **options)
    assert trial.metrics == {"val_acc": [*yields(0.01, 3)][-1]["val_acc"], "val_loss": pytest.approx(1 / 3)}
    assert trial.findings.arms[0].curves.values["val_loss"] == (1.0, 0.5, pytest.approx(1 / 3))
    assert "<svg" in trial._repr_html_()
    found = public.noise(yields, settings={"lr": 0.01}, seeds=[2, 3, 5, 7], **options)
    by_hand = [[*yields(0.01, seed)][-1]["val_acc"] for seed in (2, 3, 5, 7)]
    assert (found.mean, found.sd) == (pytest.approx(statistics.mean(by_hand)), pytest.approx(statistics.stdev(by_hand)))
    assert len(ended) == 4


def test_a_study_of_a_function_goes_on_and_is_read_without_the_function():
    ended = []
    options = {"metric": "val_acc", "on_event": lambda event: isinstance(event, Ended) and ended.append(event.trial)}
    public.ablate(train, "lr", [1e-3, 1e-2], seeds=2, **options)
    assert len(ended) == 4
    study = public.ablate(train, "lr", [1e-3, 1e-2], seeds=2, **options).more(1)
    assert len(ended) == 6
    assert study.values().shape == (3, 2)
    code = "import sys; sys.path = [p for p in sys.path if 'tests' not in p]; import eailab\n"
    code += "print(eailab.open_study('train-lr'), end=''); assert 'planted' not in sys.modules"
    read = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert read.stdout == str(study)


def test_other_processes_import_a_function(capfd):
    study = public.ablate(train, "lr", [1e-3, 1e-2], seeds=2, metric="val_acc", jobs=2, audit=False)
    assert study["0.01"].difference == pytest.approx(0.09)


def factor():
    return SCALE


def in_a_notebook():
    """Return a function as a notebook has it: its names live in the module that runs."""

    def used(lr, seed):
        return factor() * lr + Random(seed).random()

    return used


def test_a_notebooks_function_is_known_by_what_it_uses(monkeypatch):
    """Not by what else the notebook has, or by what the function does not read."""
    reference = announce(in_a_notebook())
    before = identity_of(reference)
    assert {"factor", "SCALE"} < before.code.keys()
    assert before.notes == ()
    monkeypatch.setitem(globals(), "ANOTHER", 1)
    assert identity_of(reference) == before
    monkeypatch.setitem(globals(), "SCALE", 3)
    assert identity_of(reference).code["SCALE"] != before.code["SCALE"]
    monkeypatch.setitem(globals(), "SCALE", object())
    (note,) = identity_of(reference).notes
    assert "SCALE is a object, whose content is not followed" in note


def test_changed_code_runs_again_and_what_changed_is_said(monkeypatch, capfd):
    arguments = (in_a_notebook(), "lr", [1.0, 2.0])
    first = public.ablate(*arguments, seeds=2, metric="val_acc", audit=False)
    monkeypatch.setitem(globals(), "SCALE", 3)
    second = public.ablate(*arguments, seeds=2, metric="val_acc", audit=False)
    assert "SCALE has changed since this study was last run" in capfd.readouterr().err
    assert (first["2.0"].difference, second["2.0"].difference) == (pytest.approx(2.0), pytest.approx(3.0))


def test_an_importable_function_is_known_by_its_modules_syntax_tree(tmp_path, monkeypatch):
    """Comments change nothing, and a helper of the author's counts too.

    What was edited since Python has loaded it is refused, since the old code would run.
    """
    (tmp_path / "own_helper.py").write_text("RATE = 1\n")
    (tmp_path / "own_training.py").write_text("import own_helper, yaml\ndef run(lr, seed): return own_helper.RATE\n")
    monkeypatch.syspath_prepend(tmp_path)
    from own_training import run

    reference = announce(run)
    before = identity_of(reference)
    assert before.code.keys() == {"own_training", "own_helper"}
    assert before.program.keys() == {"python", "PyYAML"}
    (tmp_path / "own_helper.py").write_text("# a comment\nRATE = 1\n")
    assert identity_of(reference) == before
    (tmp_path / "own_helper.py").write_text("RATE = 2\n")
    with pytest.raises(public.EailabError, match="edited since Python has loaded it"):
        identity_of(reference)
    (tmp_path / "own_helper.py").unlink()
    with pytest.raises(public.EailabError, match="edited since Python has loaded it"):
        identity_of(reference)
    monkeypatch.setattr("eailab.engines.function.identity._LOADED", {})
    assert identity_of(reference).notes == ("the file of own_helper is gone: its changes are not seen.",)
    for name in ("own_training", "own_helper"):
        monkeypatch.delitem(sys.modules, name)


def test_an_interrupt_keeps_what_has_finished():
    """As Ctrl-C does: the same call then trains what is left."""
    ended = []

    def on_event(event):
        if isinstance(event, Ended):
            ended.append(event.trial)
            if len(ended) == 2:
                signal.raise_signal(signal.SIGINT)

    arguments = {"seeds": 2, "metric": "val_acc", "audit": False}
    with pytest.raises(public.EailabError, match="stopped: 2 of 4 trials have ended and are kept") as caught:
        public.ablate(train, "lr", [1e-3, 1e-2], on_event=on_event, **arguments)
    assert caught.value.exit_code == 130
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    public.ablate(train, "lr", [1e-3, 1e-2], on_event=on_event, **arguments)
    assert len(set(ended)) == len(ended) == 4


def diverges(lr, seed):
    return nan if lr > 1 else 0.5 + seed


def fails(lr, seed):
    return {"val_acc": 1 / (lr - lr)}


def ignores(lr, seed):
    return lr


def silent(lr, seed):
    return {"valacc": 0.5, "name": "x"}


def words(lr, seed):
    return "good"


def needs(lr, data, seed):
    return 0.0


def unseeded(lr):
    return lr


def test_a_value_that_is_not_finite_is_a_divergence():
    study = public.ablate(diverges, "lr", [1.0, 2.0], seeds=2, metric="val_acc", audit=False)
    assert [trial.state for trial in study.findings.arms[1].trials] == ["diverged", "diverged"]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (fails, "fails(lr=1.0, seed=0) raised ZeroDivisionError"),
        (silent, "did not return val_acc, but valacc; did you mean 'valacc'"),
        (words, "gave 'good' for val_acc: return a number"),
    ],
)
def test_a_function_that_fails_is_explained_at_once(function, said, capfd):
    with pytest.raises(public.EailabError, match="trials ended without a result") as caught:
        public.ablate(function, "lr", [1.0, 2.0], seeds=1, metric="val_acc", audit=False)
    assert caught.value.exit_code == 1
    err = capfd.readouterr().err
    assert said in err
    assert "site-packages" not in err
    assert "engine.py" not in err


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        ((ignores, "lr", [1.0, 2.0]), {"seeds": 2}, "ignores its seed"),
        ((lambda lr, seed: lr, "lr", [1.0, 2.0]), {}, "not a function with a name"),
        ((train, "lrr", [1.0, 2.0]), {}, r"no parameter 'lrr'; did you mean 'lr'\?$"),
        ((train, "lr", [1.0, None]), {}, "the level None is not text"),
        ((train, "lr", [1.0]), {}, "has 1 level"),
        ((train, "lr"), {}, "name a factor and its levels"),
        ((train, "lr", [1.0, 2.0]), {"metric": None}, "metric is missing"),
        ((train, "lr", [1.0, 2.0]), {"metric": "score"}, "goal="),
        ((train, "lr", [1.0, 2.0]), {"recipe": "x"}, "recipe='x' is for a recipe"),
        ((needs, "lr", [1.0, 2.0]), {}, "needs data"),
        ((unseeded, "lr", [1.0, 2.0]), {}, "no parameter 'seed'"),
        ((in_a_notebook(), "lr", [1.0, 2.0]), {"jobs": 2}, "cannot import used"),
        (("lr", [1e-3, 1e-2]), {"metric": None, "unit": "percent"}, "is for a function of yours"),
    ],
)
def test_a_mistake_is_one_clear_error(arguments, options, said):
    with pytest.raises(public.EailabError, match=said) as caught:
        public.ablate(*arguments, **{"metric": "val_acc", **options})
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: public.noise(ignores, settings={"lr": 1.0}, seeds=2, metric="val_acc"), "no noise to measure"),
        (lambda: public.train(train, metric="val_acc"), r"needs lr: add settings=\{'lr'"),
        (lambda: public.train(train, settings={"lr": 1.0}), "metric is missing"),
        (lambda: public.train("digits-mlp", at="best"), "at='best' is for a function of yours"),
        (lambda: public.noise(train, settings={"lr": 1.0}, metric="val_acc", seeds=1), "two blocks or more"),
    ],
)
def test_a_mistake_in_one_function_alone_is_one_clear_error(call, said):
    with pytest.raises(public.EailabError, match=said) as caught:
        call()
    assert caught.value.exit_code == 2
