"""`eailab recipes` lists, shows, checks and copies recipes, and prints their schema."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import run_here

from eailab.cli.app import main
from eailab.recipe.catalogue import shipped, shipped_studies
from eailab.recipe.load import load
from eailab.studies.study_file import declared


@pytest.fixture
def eailab(monkeypatch, capsys):
    """Run the program here; gives its exit code, standard output and standard error."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["eailab", *words])
        with pytest.raises(SystemExit) as stopped:
            main()
        said = capsys.readouterr()
        return int(stopped.value.code or 0), said.out, said.err

    return run


def test_every_shipped_recipe_is_listed_with_its_engine_and_command(eailab):
    code, out, _ = eailab("recipes", "list")
    assert code == 0
    for name in shipped():
        assert name in out
    entries = json.loads(eailab("recipes", "list", "--json")[1])["recipes"]
    assert [entry["name"] for entry in entries] == list(shipped())
    assert all(entry["run"].startswith("eailab ") and entry["what"] and entry["engine"] for entry in entries)


def test_shipped_studies_are_listed_and_can_be_copied_and_planned(eailab, tmp_path, monkeypatch):
    """A study file is the shortest way to a design of several factors: there has to be one to start from."""
    monkeypatch.chdir(tmp_path)
    listed = json.loads(eailab("recipes", "list", "--json")[1])["studies"]
    assert [entry["name"] for entry in listed] == list(shipped_studies())
    for entry in listed:
        assert f"{entry['name']}  (a study)\n    {entry['what']}\n    {entry['run']}\n" in eailab("recipes", "list")[1]
        assert eailab("recipes", "copy", entry["name"])[:2] == (0, f"{entry['name']}.yaml\n")
    assert declared("lab-task1.yaml").studies == declared("lab-task1").studies


def test_a_recipe_is_shown_in_full_with_the_origin_of_each_value(eailab):
    code, out, err = eailab("recipes", "show", "digits-mlp", "-o", "optimizer=sgd", "-o", "lr=0.1")
    assert code == 0
    lines = {tuple(part.strip() for part in line.split("  # ")) for line in out.splitlines()}
    assert ("lr: 0.1", "-o") in lines
    assert ("momentum: 0.9", "default") in lines
    assert ("epochs: 30", "digits-mlp.yaml:9") in lines
    assert err.startswith("note: optimizer sgd brings momentum 0.9")


def test_what_is_shown_is_the_recipe_again(eailab, tmp_path):
    """The output of `show` is a recipe: its comments are comments."""
    file = tmp_path / "again.yaml"
    file.write_text(eailab("recipes", "show", "resnet18-cifar10")[1])
    assert load(file).recipe == load("resnet18-cifar10").recipe


def test_a_recipe_is_shown_as_json(eailab):
    shown = json.loads(eailab("recipes", "show", "digits-mlp", "-o", "epochs=3", "--json")[1])
    assert shown["recipe"]["epochs"] == 3
    assert shown["origins"]["epochs"] == "-o"
    assert shown["recipe"] == load("digits-mlp").recipe.model_dump(mode="json") | {"epochs": 3}
    assert shown["notes"] == []


def test_a_sound_file_is_ok(eailab, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(shipped()["mnist-mlp"].read_text())
    assert eailab("recipes", "check", str(file)) == (0, f"{file}: OK (mnist-mlp, a recipe of numpy-mlp)\n", "")


def test_a_copy_is_the_same_bytes_and_overwrites_nothing(eailab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = eailab("recipes", "copy", "digits-mlp")
    assert (code, out) == (0, "digits-mlp.yaml\n")
    assert Path("digits-mlp.yaml").read_bytes() == shipped()["digits-mlp"].read_bytes()

    Path("digits-mlp.yaml").write_text("mine")
    code, _, err = eailab("recipes", "copy", "digits-mlp")
    assert code == 2
    assert "exists already" in err
    assert Path("digits-mlp.yaml").read_text() == "mine"

    Path("folder").mkdir()
    assert eailab("recipes", "copy", "digits-mlp", "folder")[1] == "folder/digits-mlp.yaml\n"
    assert eailab("recipes", "copy", "digits-mlp", "other.yaml")[1] == "other.yaml\n"


def test_a_copy_that_cannot_be_made_says_why(eailab, tmp_path):
    code, _, err = eailab("recipes", "copy", "digit-mlp", str(tmp_path))
    assert code == 2
    assert "did you mean 'digits-mlp'?" in err
    code, _, err = eailab("recipes", "copy", "digits-mlp", str(tmp_path / "absent" / "x.yaml"))
    assert code == 1
    assert "cannot be written: No such file or directory" in err
    assert list(tmp_path.iterdir()) == []


def test_the_schema_describes_every_setting_of_both_engines(eailab):
    schema = json.loads(eailab("recipes", "schema")[1])
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(schema["discriminator"]["mapping"]) == {"numpy-mlp", "torch-resnet", "program", "function"}
    for definition in schema["$defs"].values():
        assert definition["additionalProperties"] is False
        for key, setting in definition["properties"].items():
            assert key in {"name", "engine"} or "$ref" in setting or "oneOf" in setting or setting["description"], key
    augment = schema["$defs"]["MlpData"]["properties"]["augment"]
    assert {"none", "deform"} <= set(json.dumps(augment).split('"'))


@pytest.mark.parametrize("words", [["list"], ["show"], ["check"], ["copy"], ["schema"], []])
def test_help_shows_an_example_to_copy(eailab, words):
    code, out, _ = eailab("recipes", *words, "--help")
    assert code == 0
    assert not words or "Example: eailab recipes " in out


def test_help_needs_no_heavy_library():
    """Help answers at once: what reads recipes is imported by what reads recipes."""
    script = "import eailab.cli.recipes, sys; print(*{'pydantic', 'yaml', 'numpy', 'torch'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""


def test_the_program_itself_refuses_a_malformed_recipe(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text("name: 3\n")
    ran = subprocess.run([sys.executable, "-m", "eailab", "recipes", "check", file], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("error: 2 problems:\n")
    assert f"{file}:1:7: name: expected text" in ran.stderr


def test_a_recipe_is_written_from_a_programs_command(tmp_path, monkeypatch):
    """The file is the recipe of the command: and it is never replaced."""
    monkeypatch.chdir(tmp_path)
    asked = ("recipes", "new", "--run", "python train.py --lr {lr} {aug} {seed}", "-o", "lr=1e-3", "-o", "aug=mixup")
    done = run_here(*asked, "--metric", "val_acc", "--timeout", "2h")
    assert (done.code, done.out) == (0, "train.yaml\n"), done.err
    recipe = load("train.yaml").recipe
    assert recipe.run == "python train.py --lr {lr} {aug} {seed}"
    assert (recipe.settings, recipe.metric, recipe.timeout) == ({"lr": 0.001, "aug": "mixup"}, "val_acc", "2h")
    before = (tmp_path / "train.yaml").read_bytes()
    assert run_here(*asked, "--metric", "loss").code == 2
    assert (tmp_path / "train.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--run", "python train.py {lr} {seed}", "--metric", "loss"), "lr"),
        (("--run", "python train.py {seed}"), "--metric is missing"),
        ((), "name a program of yours"),
    ],
)
def test_a_command_that_makes_no_recipe_is_refused(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    done = run_here("recipes", "new", *words)
    assert done.code == 2
    assert said in done.err
    assert not list(tmp_path.iterdir())
