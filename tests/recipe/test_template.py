"""Commands with placeholders: split as a shell splits words, filled after that, and refused with the nearest name."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eailab.recipe.template import FilledCommand, Places, Template, Value, fill_text

PLACES = Places(seed=3, out=Path("/runs/a b/out"), params=Path("/runs/params.json"))
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


def filled(text: str, *, by_shell: bool = False, **settings: Value) -> FilledCommand:
    template = Template(text, by_shell)
    template.check(list(settings))
    return template.fill(settings, PLACES)


@given(st.lists(st.text("ab '\"\\\n\t#x=", max_size=8), max_size=4))
def test_a_command_is_split_as_a_shell_splits_it(words):
    """`shlex` is the reference; `#` begins no comment in it either."""
    text = shlex.join(["p", *words])
    assert filled(text).argv == tuple(shlex.split(text))


@given(TEXTS.filter(lambda text: not text.startswith("-")))
def test_a_value_stays_one_argument(value):
    assert filled("p --x {x} --y={x} '{x}' \"{x}\"", x=value).argv == ("p", "--x", value, f"--y={value}", value, value)


@given(TEXTS.filter(lambda text: not text.startswith("-")))
def test_a_shell_hands_a_value_over_as_it_is(value):
    """In each kind of quotes; `printf` tells what a program would get."""
    script = filled("printf '%s\\0' {x} '{x}' \"{x}\" a{x}", by_shell=True, x=value).argv
    assert script[:2] == ("/bin/sh", "-c")
    told = subprocess.run(script, capture_output=True, check=True).stdout
    assert told == b"".join(text.encode() + b"\0" for text in (value, value, value, f"a{value}"))


def test_placeholders_of_the_trial_are_filled():
    command = filled("p {seed} {block} {out} {params} --lr={lr}", lr=1e-3)
    assert command.argv == ("p", "3", "3", "/runs/a b/out", "/runs/params.json", "--lr=0.001")


def test_all_settings_may_be_handed_over_at_once():
    command = filled("p {args} {overrides} '{args}'", lr=0.1, name="a b", flag=True)
    pairs = ("--lr", "0.1", "--name", "a b", "--flag", "true")
    assert command.argv == ("p", *pairs, "lr=0.1", "name=a b", "flag=true", "--lr 0.1 --name 'a b' --flag true")


def test_a_level_may_be_a_piece_of_a_command():
    """So that switches can be varied: nothing, or an option with its value."""
    assert filled("p {aug} end", aug="").argv == ("p", "end")
    assert filled("p {aug} end", aug="--mixup 0.2 --name 'a b'").argv == ("p", "--mixup", "0.2", "--name", "a b", "end")
    assert filled("p '{aug}' x{aug}", aug="--mixup 0.2").argv == ("p", "--mixup 0.2", "x--mixup 0.2")
    assert filled("p {low}", low=-0.5).argv == ("p", "-0.5")
    assert filled("p {aug} | cat", by_shell=True, aug="--mixup 0.2").argv[2] == "p --mixup 0.2 | cat"


def test_words_before_the_program_are_its_environment():
    command = filled("LR={lr} NAME='a b' p X={lr}", lr=0.1)
    assert (command.argv, dict(command.environment)) == (("p", "X=0.1"), {"LR": "0.1", "NAME": "a b"})
    assert shlex.split(str(command)) == ["LR=0.1", "NAME=a b", "p", "X=0.1"]


def test_doubled_braces_are_braces():
    assert filled("""p '{{"lr": {lr}}}' {{x}}""", lr=0.1).argv == ("p", '{"lr": 0.1}', "{x}")


def test_hyphens_and_underscores_are_alike():
    assert filled("p {batch-size}", batch_size=16).argv == ("p", "16")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("p 'x", "an open quote, '"),
        ('p "x', 'an open quote, "'),
        ("p {lr", "the brace in p {lr belongs to no placeholder"),
        ("python train.py {lr --epochs 3", "the brace in … train.py {lr --epoch… belongs to no placeholder"),
        ("""p '{"a": 1}'""", "write {{ and }}"),
        ("", "names no program"),
        ("LR=1 B=2", "names no program"),
        ("p {lrr} {lr}", "{lrr} has no value; did you mean 'lr'?"),
        ("p {lr} {sead}", "{sead} has no value; did you mean 'seed'?"),
        ("p {l_r}", "{l_r} has no value"),
        ("p", "the setting lr is not in the command: write {lr}"),
        ("p {lr} | tee log", "| means something to a shell, and none runs this command: add --shell"),
        ("cd x && p {lr}", "&& means something to a shell"),
        ("p {lr} 2>&1", "2>&1 means something to a shell"),
        ("p {lr} $HOME", "$HOME means something to a shell"),
        ('p {lr} "$HOME"', "$HOME means something to a shell"),
    ],
)
def test_a_command_that_cannot_be_meant_is_refused(text, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        filled(text, lr=0.1)


def test_a_shell_may_have_what_only_it_understands():
    assert filled("cd x && p {lr} > $HOME/log", by_shell=True, lr=0.1).argv[2] == "cd x && p 0.1 > $HOME/log"
    assert filled("p '$HOME' '|' \\> \"a|b\" {lr}", lr=0.1).argv == ("p", "$HOME", "|", ">", "a|b", "0.1")


def test_a_setting_that_stands_nowhere_names_what_may_have_been_meant():
    with pytest.raises(ValueError, match="the setting learning_rate is not in the command; did you mean"):
        Template("p {learning_rat} {seed}").check(["learning_rat", "learning_rate"])


def test_a_path_is_filled_in_without_splitting():
    assert fill_text("{out}/run {lr} {other}.json", {"lr": 0.1}, PLACES) == "/runs/a b/out/run 0.1 {other}.json"
