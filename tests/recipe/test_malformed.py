"""Malformed recipes, kept as files: each is refused with its place and what to do, and nothing else happens."""

import sys
from pathlib import Path

import pytest

from eailab.cli.app import main

FOLDER = Path(__file__).parent / "malformed"

EXPECTED = {
    "alias": {"7:13": "batch_size: an alias, *size: write the value out"},
    "anchor": {"6:9": "epochs: an anchor, &epochs: remove it"},
    "at-sign": {"1:7": "needs quotes"},
    "duplicate-inner-key": {"8:3": "optimizer.lr: this key was already given on line 7: keep one"},
    "duplicate-key": {"7:1": "epochs: this key was already given on line 6: keep one"},
    "empty": {"1:1": "the recipe is empty: start from `eailab recipes copy digits-mlp`"},
    "empty-list": {"4:28": "model.hidden: expected a list of 1 to 32 items"},
    "escaped-control": {"1:7": "name: a control character"},
    "escaped-surrogate": {"1:7": "half a character, made by an escape: remove it"},
    "falling-milestones": {"7:41": "milestones must rise: write each epoch once, in order"},
    "fraction-for-whole": {"7:13": "batch_size: expected a whole number from 1 to 2147483647, found 32.5"},
    "infinite": {"5:29": "optimizer.lr: 1e999 is beyond the largest number"},
    "key-in-the-wrong-part": {"7:1": "lr: this key belongs to optimizer: move it there"},
    "latin-1": {"1:10": "byte 0xe9 is not UTF-8: save the file in UTF-8"},
    "list-as-key": {"6:1": "keys are names, as in `key: value`"},
    "many-problems": {
        "1:1": "batch_size: missing",
        "3:36": "data.val_fraction: expected a number above 0 and below 1, found 1.5",
        "6:16": "model.hidden[1]: expected a whole number from 1 to 65536, found 0",
        "7:15": "model.activation: expected one of relu, sigmoid, tanh, gelu, found 'relv'; did you mean 'relu'?",
        "8:29": "optimizer.lr: expected a number above 0 and at most 1e+38, found -1",
        "10:1": "epochs: this key was already given on line 9",
        "11:1": "imagenet: unknown key; the keys here are name, engine, epochs, threads, study, data, optimizer",
        "12:17": "study.margin: .inf is not a finite number",
    },
    "missing-colon": {"6:1": "a key without its colon: write `key: value`"},
    "missing-keys": {"1:1": "missing: give"},
    "missing-variant-name": {"5:1": "optimizer.name: missing: give name one of sgd, adam, adamw"},
    "momentum-of-one": {"5:34": "expected a number at least 0 and below 1, found 1"},
    "negative-rate": {"5:29": "optimizer.lr: expected a number above 0 and at most 1e+38, found -0.001"},
    "nesterov-alone": {"5:47": "nesterov needs a momentum above 0: set momentum, or nesterov: false"},
    "no-engine": {"1:1": "engine: missing: write one of numpy-mlp, torch-resnet"},
    "not-a-number": {"5:29": "optimizer.lr: .nan is not a finite number"},
    "nul-byte": {"8:10": "U+0000 is not allowed in a recipe: remove it"},
    "null-for-number": {"6:8": "epochs: expected a whole number from 1 to 1000000, found nothing (null)"},
    "number-for-list": {"4:28": "found 64: write [64]"},
    "number-for-text": {"1:7": "found 2026: put it in quotes"},
    "number-in-words": {"6:9": "epochs: expected a whole number from 1 to 1000000, found 'ten'"},
    "on-for-truth": {"4:16": "deterministic: expected true or false, found 'on': write true"},
    "only-comments": {"1:1": "the recipe is empty"},
    "other-engines-augment": {"3:31": "crop-flip is for the engine torch-resnet, and numpy-mlp has none, deform"},
    "other-engines-key": {"7:1": "mixup: a key of the engine torch-resnet, not of numpy-mlp: remove it"},
    "other-engines-model": {"4:15": "start from a recipe such as resnet18-cifar10"},
    "other-variants-key": {"5:25": "adam has no momentum (sgd has): remove it, or change the name"},
    "python-tag": {"6:9": "epochs: a tag, !!python/object/apply:os.system: remove it"},
    "quoted-number": {"6:9": "found '3': remove the quotes"},
    "second-document": {"6:1": "a second document: keep one"},
    "tab-indentation": {"5:1": "a tab cannot indent: use spaces"},
    "text-for-mapping": {"5:12": "expected a mapping of settings, found 'adam': write {name: adam}"},
    "too-deep": {"8:39": "nested more than 32 deep"},
    "too-few-activations": {"4:51": "2 functions for 3 hidden layers: give one name for all layers"},
    "too-many-digits": {"6:9": "a whole number of 21 digits: at most 20 are read"},
    "top-level-list": {"1:1": "a recipe is a mapping: write `key: value` lines"},
    "top-level-text": {"1:1": "a recipe is a mapping: write `key: value` lines"},
    "truth-for-number": {"6:9": "epochs: expected a whole number from 1 to 1000000, found true"},
    "two-colons": {"1:13": "a second ': ' on this line: quote the value"},
    "unclosed-list": {"4:35": "a list is not closed"},
    "unclosed-mapping": {"4:8": "a mapping is not closed"},
    "unclosed-quote": {"1:7": "a quotation mark is not closed"},
    "uneven-indentation": {"6:3": "the indentation does not fit the lines above"},
    "unknown-activation": {"4:55": "model.activation[1]: expected one of relu, sigmoid, tanh, gelu, found 'tahn'"},
    "unknown-augment": {"3:31": "data.augment: expected one of none, deform, found 'flip'"},
    "unknown-engine": {"2:9": "did you mean 'numpy-mlp'?"},
    "unknown-escape": {"1:12": "use single quotes"},
    "unknown-inner-key": {"5:25": "optimizer.lerning_rate: unknown key; did you mean 'lr'?"},
    "unknown-key": {"6:1": "epoch: unknown key; did you mean 'epochs'?"},
    "unknown-optimizer": {
        "5:19": "did you mean 'adam'?",
        "5:29": "optimizer.lr: expected a number above 0 and at most 1e+38, found 'ten'",
    },
    "utf-16": {"1:1": "byte 0xff is not UTF-8: save the file in UTF-8"},
    "wrong-list-item": {"4:33": "model.hidden[1]: expected a whole number from 1 to 65536, found 'many'"},
    "yaml-directive": {"1:1": "remove the line with %"},
    "zero-epochs": {"6:9": "epochs: expected a whole number from 1 to 1000000, found 0"},
}
"""By file, the line and column of each problem and a part of what is said there; every problem is listed."""


def test_every_malformed_recipe_is_in_the_table():
    assert {file.stem for file in FOLDER.glob("*.yaml")} == set(EXPECTED)
    assert len(EXPECTED) >= 36


@pytest.mark.parametrize("name", EXPECTED)
def test_a_malformed_recipe_is_refused_with_its_place_and_what_to_do(name, tmp_path, monkeypatch, capsys):
    """Exit code 2, one explained message on standard error, nothing on standard output, nothing written."""
    file = FOLDER / f"{name}.yaml"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["eailab", "recipes", "check", str(file)])
    with pytest.raises(SystemExit) as stopped:
        main()
    said = capsys.readouterr()
    assert stopped.value.code == 2
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert "Traceback" not in said.err
    assert list(tmp_path.iterdir()) == []

    lines = said.err.removeprefix("error: ").splitlines()
    heads = [line.removeprefix(f"{file}:") for line in lines if line.startswith(f"{file}:")]
    places = {":".join(head.split(":", 2)[:2]): head for head in heads}
    assert set(places) == set(EXPECTED[name])
    for place, fragment in EXPECTED[name].items():
        assert fragment in places[place]
    assert sum(line.strip() == "^" for line in lines) == len(heads)
