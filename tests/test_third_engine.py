"""An engine without a data set, registered from outside, goes through every command: `tests/line_engine.py`."""

import json
import multiprocessing
import os
import re
import signal

import pytest
from line_engine import LINE, LineRecipe

from eailab.engines.registry import ENGINES, register
from eailab.recipe.load import load
from eailab.recipe.schema import RECIPES
from eailab.runs.context import EpochEnded, RunContext
from eailab.runs.store import Store
from eailab.runs.training import run_trial
from eailab.runs.trial import Trial

RECIPE = "name: line\nengine: line\nepochs: 12\n"
FOREIGN = re.compile(r"image|accurac|\bsplits?\b(?! by)|validation|test set|\bpp\b|augment|nats|weights", re.IGNORECASE)
"""Words of image classification."""
FOREIGN_ZH = re.compile("影像|圖片|準確率|驗證|測試|資料增強|百分點|權重")


STUDY = ("ablate", "lr", "0.05", "0.1", "0.3", "--recipe", "./line.yaml", "--seeds", "3", "--jobs", "1")


@pytest.fixture
def shop(line, eailab, made_once, tmp_path):
    """A folder with the recipe, and a study of it in `runs`."""
    made_once(tmp_path, STUDY, files=(("line.yaml", RECIPE),))
    return eailab


def clean(text):
    """Return a text without what a person may read of image classification, or fail."""
    assert not (found := FOREIGN.search(text) or FOREIGN_ZH.search(text)), text[
        max(0, found.start() - 200) : found.end()
    ]
    return text


def test_an_ablation_compares_its_arms_by_the_metric_that_the_engine_declares(shop):
    done = shop(*STUDY)
    assert "9 trials: 9 finished already, 0 to train" in done.err
    table = clean(done.out)
    assert "Does the learning rate change the mean squared error?" in table
    assert re.search(r"0\.3 .* BETTER", table)
    assert re.search(r"0\.05 .* WORSE", table)
    assert "mean squared error after the last epoch, in square metres" in table
    assert "lower is better" in table
    clean(done.err)


def test_a_trial_leaves_what_its_engine_declares_and_no_more(shop, tmp_path):
    for folder in (tmp_path / "runs" / "trials").iterdir():
        record = json.loads((folder / "result.json").read_text())
        assert set(record["files"]) == {"recipe.yaml", "epochs.jsonl"}
        assert record["data"] == ""
        assert record["parameters"] is None
        assert record["metrics"].keys() == {"mean_squared_error"}
        assert not [*folder.glob("*.safetensors"), *folder.glob("*.npz")]


def test_a_report_in_every_format_speaks_of_the_engines_own_metric(shop, tmp_path):
    languages = {"en": ("markdown", "html", "latex", "json", "csv"), "zh-TW": ("markdown", "html")}
    for number, (lang, kinds) in enumerate(languages.items()):
        for kind in kinds:
            done = shop("report", "--format", kind, "--out", f"report-{number}-{kind}", "--lang", lang)
            assert done.code == 0, done.err
        clean((tmp_path / f"report-{number}-markdown" / "report.md").read_text())
        page = (tmp_path / f"report-{number}-html" / "report.html").read_text()
        clean(re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL))
    files = list(tmp_path.glob("report-*/report.*"))
    assert {file.suffix for file in files} == {".md", ".html", ".tex", ".json", ".csv"}
    for file in files:
        assert shop("verify", str(file)).code == 0, file


@pytest.mark.parametrize("tool", ["csv", "tensorboard"])
def test_an_export_names_the_engines_own_metric(shop, tmp_path, tool):
    if tool == "tensorboard":
        pytest.importorskip("tensorboard")
    done = shop("report", "--export", tool, "--out", "report")
    assert done.code == 0, done.err
    exported = b"".join(file.read_bytes() for file in (tmp_path / "report" / tool).rglob("*") if file.is_file())
    assert b"mean_squared_error" in exported
    assert not re.search(b"accuracy|validation", exported)


def test_a_retrained_trial_has_the_same_bits(shop, tmp_path):
    assert shop("report", "--out", "report").code == 0
    name = next((tmp_path / "runs" / "trials").iterdir()).name
    done = shop("verify", "report/report.md", "--retrain", name)
    assert done.code == 0, done.err
    assert shop("runs", "verify").code == 0


def test_noise_is_measured_and_speaks_of_no_images(shop):
    done = shop("noise", "./line.yaml", "--seeds", "3", "--jobs", "1")
    assert done.code == 0, done.err
    assert "How much does chance move the mean squared error of line?" in clean(done.out)


@pytest.mark.parametrize(
    "arguments",
    [
        ("ablate", "lr", "0.1", "0.6", "--until-decided", "--max-trials", "12"),
        ("ablate", "lr", "0.1", "0.3", "--and", "epochs=6,12", "--cross", "--seeds", "2"),
        ("ablate", "lr", "0.1", "0.3", "--detect", "0.5", "--sd", "0.2"),
        ("ablate", "lr", "0.1", "0.3", "--json", "--seeds", "2"),
    ],
)
def test_studies_of_other_designs_run(line, eailab, tmp_path, arguments):
    (tmp_path / "line.yaml").write_text(RECIPE)
    done = eailab(*arguments, "--recipe", "./line.yaml", "--jobs", "1")
    assert done.code == 0, done.err
    if "--json" not in arguments:
        clean(done.out)


def test_a_plan_is_timed_by_the_engine_itself(line, eailab, tmp_path):
    (tmp_path / "line.yaml").write_text(RECIPE)
    done = eailab("ablate", "lr", "0.1", "0.3", "--recipe", "./line.yaml", "--dry-run")
    assert done.code == 0, done.err
    assert "2 arms in 5 blocks, 10 trials" in clean(done.out)
    assert not (tmp_path / "runs").exists()


def test_trials_side_by_side_are_those_of_one_process(shop, tmp_path):
    assert shop(*STUDY[:-1], "2", "--runs", "others").code == 0
    assert len([*(tmp_path / "runs" / "trials").iterdir()]) == 9
    for folder in (tmp_path / "runs" / "trials").iterdir():
        other = tmp_path / "others" / "trials" / folder.name
        assert (folder / "epochs.jsonl").read_bytes() == (other / "epochs.jsonl").read_bytes()


def test_trials_are_listed_shown_compared_and_explained(shop, tmp_path):
    first, second = sorted(folder.name for folder in (tmp_path / "runs" / "trials").iterdir())[:2]
    for arguments in (("runs", "list"), ("runs", "show", first), ("diff", first, second), ("studies", "list")):
        done = shop(*arguments)
        assert done.code == 0, done.err
        clean(done.out.replace("weights", "") if arguments[1] == "show" else done.out)
    (tmp_path / "other.yaml").write_text(RECIPE.replace("12", "6") + "lr: 0.3\n")
    done = shop("explain", "./line.yaml", "./other.yaml", "--seeds", "2", "--jobs", "1")
    assert done.code == 0, done.err
    clean(done.out)


def test_what_needs_a_network_is_one_clear_error(shop, tmp_path):
    name = next((tmp_path / "runs" / "trials").iterdir()).name
    (tmp_path / "image.png").write_bytes(b"")
    for arguments in (
        ("predict", name, "image.png"),
        ("export", name, "--to", "onnx"),
        ("split", "--recipe", "./line.yaml"),
    ):
        done = shop(*arguments)
        assert done.code == 2
        assert done.out == ""
        assert re.search("has no network|has no data set", done.err)
    held = shop("ablate", "lr", "0.1", "0.3", "--recipe", "./line.yaml", "--hold", "updates")
    assert held.code == 2
    assert "--hold updates needs batches of images" in held.err


def killed_in_epoch_six(runs_dir):
    """Train, and end this process without a word within the sixth epoch's record."""

    def watch(event):
        if isinstance(event, EpochEnded) and event.epoch.number == 6:
            os.kill(os.getpid(), signal.SIGKILL)

    train(runs_dir, watch, "2")


def train(runs_dir, watch=lambda _: None, every="10s"):
    from eailab.runs.checkpoint import parse_cadence

    trial = Trial(LineRecipe(name="line", engine="line", epochs=12), 0, "")
    run_trial(trial, RunContext(runs_dir, cadence=parse_cadence(every), on_event=watch))
    return Store(runs_dir).folder(trial.fingerprint)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_killed_trial_ends_with_the_bytes_of_an_uninterrupted_one(line, tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=killed_in_epoch_six, args=(tmp_path / "parts",))
    process.start()
    process.join(timeout=120)
    assert process.exitcode == -signal.SIGKILL
    started = []
    parts, whole = train(tmp_path / "parts", started.append), train(tmp_path / "whole")
    assert next(event.resumed for event in started if hasattr(event, "resumed")) == 4
    assert parts.epochs_file.read_bytes() == whole.epochs_file.read_bytes()


def test_a_metric_that_the_engine_does_not_record_is_refused_with_those_that_it_does(line, eailab, tmp_path):
    (tmp_path / "line.yaml").write_text(RECIPE + "study: {metric: validation-accuracy}\n")
    done = eailab("ablate", "lr", "0.1", "0.3", "--recipe", "./line.yaml")
    assert done.code == 2
    assert (
        "the engine line does not record the metric 'validation-accuracy': choose one of mean-squared-error" in done.err
    )


def test_a_store_of_an_engine_that_is_not_here_is_left_alone(shop, tmp_path):
    before = {file: file.read_bytes() for file in (tmp_path / "runs" / "trials").rglob("*") if file.is_file()}
    for table in (ENGINES, RECIPES):
        table.pop(LINE.name)
    try:
        done = shop("runs", "verify", "--repair")
        assert done.code == 1
        assert "was trained by the engine line: install what that comes with" in done.err
    finally:
        register(LINE)
    assert {file: file.read_bytes() for file in (tmp_path / "runs" / "trials").rglob("*") if file.is_file()} == before


def test_it_is_a_recipe_like_any_other(line, tmp_path):
    (tmp_path / "line.yaml").write_text(RECIPE)
    recipe = load(tmp_path / "line.yaml").recipe
    assert recipe.images is None
    assert recipe.data_name is None
    assert recipe == LineRecipe(name="line", engine="line", epochs=12)
