"""The mistakes that newcomers make, and what is said to them: what was found, what is right, and nothing written."""

import re
import shlex

import pytest

MISTAKES = {
    # words that are not commands
    "abalte lr 1 2": "did you mean ablate?",
    "run list": "did you mean runs?",
    "recipe list": "did you mean recipes?",
    "train --recipe digits-mlp": "did you mean train-mlp or train-resnet?",
    "runs lst": "did you mean list?",
    "runs frob": "there are list, show",
    # options that are not there, or elsewhere
    "ablate lr 1 2 --epochs 5": "write -o epochs=5",
    "ablate lr 1 2 --epochs=5": "write -o epochs=5",
    "ablate lr 1 2 -epochs 5": "no option -epochs; to change the recipe's epochs, write -o epochs=5",
    "ablate lr 1 2 --learning-rate 0.1": "write -o lr=0.1",
    "ablate lr -0.5 1 --epoch 3": "write -o epochs=3",
    "noise --batch-size 16": "write -o batch-size=16",
    "split --val 0.2": "write -o val-fraction=0.2",
    "ablate lr 1 2 --seed 3": "did you mean --seeds?",
    "train-mlp --seeds 3": "did you mean --seed?",
    "ablate lr 1 2 --blocks 3": "did you mean --seeds?",
    "noise digits-mlp --repeats 3": "did you mean --seeds?",
    "train-mlp --block 3": "did you mean --seed?",
    "ablate lr 1 2 --format html": "no option --format here; there is `eailab report --format`.",
    "ablate lr 1 2 --out x": "no option --out here; there is `eailab split --out` and `eailab report --out`.",
    "ablate lr 1 2 --lang zh-TW": "`eailab report --lang` and `eailab lab new --lang`",
    "judge results.csv -q": "no option -q here: it hides the progress of commands that train",
    "report --quiet": "no option --quiet here: it hides the progress of commands that train",
    "ablate lr 1 2 --tirals 3": "did you mean --max-trials?",
    "ablate lr 1 2 --patience 3": "there is no option --patience. `eailab ablate -h`",
    "train-mlp --batch_size 3": "did you mean --batch-size?",
    "--recipe digits-mlp ablate lr 1 2": "--recipe belongs after a command",
    "runs --study x": "as in `eailab runs list … --study …`",
    "ablate lr 1 2 --recipe": "--recipe needs a value after it",
    "runs list --json=yes": "--json is a switch",
    # values of options
    "predict x y --top abc": "--top abc: give a whole number",
    "predict x y --top 0": "--top 0: give 1 or more",
    "ablate lr 1 2 --detect lots": "--detect lots: give a number",
    "train-resnet --device gpu": "give one of auto, cpu, cuda; did you mean 'cuda'?",
    "export x --to pdf": "--to pdf: give one of safetensors, onnx, torch-export",
    "ablate lr 1 2 --recipe digits-mlp --metric accuracy": "did you mean 'validation-accuracy'?",
    "ablate lr 1 2 --recipe digits-mlp --metric loss": "did you mean 'validation-loss'?",
    "ablate lr 1 2 --recipe digits-mlp --margin 1pp": "--margin 1pp: study.margin: expected a number",
    "ablate lr 1 2 --verbose --quiet": "--verbose and --quiet exclude each other: give one of them",
    "noise --recipe digits-mlp": "no option --recipe: write digits-mlp alone",
    "train-mlp -o lr = 0.1": "write KEY=VALUE without spaces",
    "train-mlp -o epochs 5": "write -o epochs=5, without spaces",
    "train-mlp -o 'lr: 0.1'": "such as -o lr=0.1",
    # too many words, or too few
    "predict x": "IMAGE is missing: write for example `eailab predict",
    "train-mlp digits-mlp": "write --recipe digits-mlp",
    "train-mlp epochs=3": "write -o epochs=3",
    "train-mlp --hidden 64 32": "join them by commas: --hidden 64,32",
    "ablate digits-mlp lr 1 2": "write --recipe digits-mlp",
    "ablate lr=1e-3,1e-2": "\n  eailab ablate lr 1e-3 1e-2\n",
    # recipes that are not there
    "ablate lr 1 2 --recipe digits-mlp.yml": "did you mean digits-mlp, which comes with eailab",
    "ablate lr 1 2 --recipe digits_mlp": "did you mean 'digits-mlp'?",
    "ablate --study lab-task3": "did you mean 'lab-task2'?",
    "ablate --study digits-mlp": "digits-mlp is a recipe: write --recipe digits-mlp",
    # levels
    "ablate lr -1 1 --recipe digits-mlp": "optimizer.lr=-1: expected a number above 0",
    "ablate lr 0,001 0,01 --recipe digits-mlp": "write 0.001, with a point",
    "ablate dropout 0% 50% --recipe digits-mlp": "found '0%': write 0",
    "ablate ema none 0.9 --recipe digits-mlp": "write null",
    "ablate dropout none 0.1 --recipe digits-mlp": "write 0",
    "ablate sched none cosine --recipe digits-mlp": "did you mean 'constant'?",
    "ablate model.hidden 64,32 128,64 --recipe digits-mlp": "write [64, 32]",
    "ablate model.hidden 64,32 --recipe digits-mlp": "write [64], or several in one list, [64, 64]",
    "ablate seed 1 2 3 --recipe digits-mlp": "--seeds 5 says how many blocks",
    "train-mlp -o seed=3": "--seed 3",
    # letters of other alphabets
    "ablate lr 1 2 —seeds 5 --recipe digits-mlp": "U+2014 EM DASH is used where '-' is meant",
    "ablate lr １ 2 --recipe digits-mlp": "U+FF11 FULLWIDTH DIGIT ONE",
    "ablate ｌｒ 1 2 --recipe digits-mlp": "did you mean 'lr'?",
    "ablate optimizer \u0430dam sgd --recipe digits-mlp": "U+0430 CYRILLIC SMALL LETTER A is not a Latin letter",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_answered_with_what_is_right(line, eailab, tmp_path):
    done = eailab(*shlex.split(line))
    assert done.code == 2
    assert done.err.startswith("error: ")
    assert MISTAKES[line] in done.err
    assert done.out == ""
    assert list(tmp_path.iterdir()) == []
    assert not re.search("Input should|Value error|Traceback|type=", done.err)


def test_a_file_that_is_nearly_there_is_named(eailab, tmp_path):
    (tmp_path / "mine.yaml").touch()
    assert "did you mean mine.yaml?" in eailab("recipes", "check", "mine.yml").err


def test_numbers_below_zero_are_levels(eailab):
    """`-n` after them is still an option: the plan is refused for its level, not for what the parser takes it for."""
    assert "val_fraction=-1: expected" in eailab("ablate", "val-fraction", "-1", "-.5", "--recipe", "digits-mlp").err


@pytest.mark.parametrize("option", ["--runs", "EAILAB_RUNS"])
def test_a_tilde_is_the_home_folder_also_where_no_shell_has_expanded_it(option, eailab, tmp_path, monkeypatch):
    """Neither `--runs=~/x` in bash nor a variable of a container's file is expanded by anyone."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "x").mkdir(parents=True)
    if option == "--runs":
        done = eailab("runs", "list", "--runs=~/x")
    else:
        monkeypatch.setenv("EAILAB_RUNS", "~/x")
        done = eailab("runs", "list")
    assert done.out == f"0 trials in {tmp_path}/home/x\n"
    assert (
        "~nobody-of-that-name/x: the home folder is not known"
        in eailab("runs", "list", "--runs=~nobody-of-that-name/x").err
    )


@pytest.mark.parametrize("words", [("report", "--out"), ("report", "--runs"), ("verify",), ("train-mlp", "--runs")])
def test_a_path_that_no_system_takes_is_a_mistake_and_not_a_full_disk(eailab, words):
    done = eailab(*words, 300 * "x")
    assert (done.code, "is too long a name for this disk" in done.err) == (2, True)


def test_a_tilde_in_the_name_of_a_recipe_or_of_data_is_the_home_folder(eailab, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert eailab("recipes", "copy", "digits-mlp", "~/mine.yaml").code == 0
    assert eailab("recipes", "check", "~/mine.yaml").out.startswith("~/mine.yaml: OK")
    assert f"{tmp_path}/data" in eailab("data", "list", "--data-dir", "~/data").out
    monkeypatch.setenv("EAILAB_DATA", "~/others")
    assert f"{tmp_path}/others" in eailab("data", "list").out
