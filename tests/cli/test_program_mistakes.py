"""Each mistake with a program is one clear error: 2 before a trial runs or when its code is edited, 1 for failures."""

import sys

import pytest

OPTIONS = ("--metric", "val_acc", "--seeds", "2", "--no-audit")
RUN = ("--run", f"{sys.executable} -S train.py {{lr}} {{seed}}")


@pytest.fixture
def train(tmp_path):
    """Return a function that writes the program."""

    def write(text: str) -> None:
        (tmp_path / "train.py").write_text(f"import sys\nlr, seed = float(sys.argv[1]), int(sys.argv[2])\n{text}\n")

    write("print('val_acc', lr + seed)")
    return write


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("lr", "1", "2\0", *RUN, *OPTIONS), "NUL"),
        (("lr", "1", "2", *RUN, "--metric", "val_acc", "--seeds", "one,two"), "one"),
        (("lr", "1", "2", *RUN, *OPTIONS, "--at", "first"), "expected last, best or the number of a step"),
        (("lr", "1", "2", *RUN, *OPTIONS, "--metric-regex", "("), "not a regular expression"),
        (("lr", "1", "2", *RUN, *OPTIONS, "--metric", "val/acc"), "'val_acc' and 'val/acc' are one"),
        (("lr", "1", "2", *RUN, *OPTIONS, "--code", "trian.py"), "did you mean 'train.py'?"),
        (("lr", "1", "2", *RUN, *OPTIONS, "--data", "nowhere"), "--data nowhere: there is no such file"),
        (("lr", "1", "2", "--run", "python -S trian.py {lr} {seed}", *OPTIONS), "did you mean 'train.py'?"),
        (("lr", "1", "2", "--run", "./train.py {lr} {seed}", *OPTIONS), "may not be executed"),
        (("lr", "1", "2", "--run", "python train.py '{lr} {seed}", *OPTIONS), "quote"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_runs(eailab, train, tmp_path, arguments, said):
    done = eailab("ablate", *arguments)
    assert done.code == 2, done.err
    assert said in done.err
    assert "Traceback" not in done.err
    assert not list(tmp_path.glob("runs/trials/*/stdout.txt"))


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("print('loss', 1)", 1, "without reporting val_acc"),
        ("print('train val_acc 0.9, test val_acc 0.8')", 1, "two different metrics are called val_acc"),
        ("print('val_acc 0.9 val_acc 0.8')", 1, "two different values are called val_acc"),
        ("print('val_acc 1,234')", 1, "1,234 may stand for several numbers"),
        ("sys.exit(3)", 1, "ended with code 3"),
        ("open('train.py', 'a').write('# x\\nprint(0)\\n')\nprint('val_acc', lr)", 2, "train.py has changed"),
    ],
)
def test_trials_that_failed_leave_a_study_to_go_on_with(eailab, train, text, code, said):
    command = ("ablate", "lr", "1", "2", *RUN, "--metric", "val_acc", "--seeds", "1", "--no-audit")
    train(text)
    done = eailab(*command)
    assert done.code == code, done.err
    assert said in done.err
    assert "Traceback" not in done.err
    train("print('val_acc', lr + seed)")
    done = eailab(*command)
    assert done.code == 0, done.err


def test_an_out_that_cannot_be_made_is_named(eailab, train, tmp_path):
    """A stranger has put a link in the place of the trial's own folder."""
    command = ("ablate", "lr", "1", "2", *RUN, *OPTIONS)
    train("sys.exit(1)")
    assert eailab(*command).code == 1
    (tmp_path / "elsewhere").mkdir()
    for trial in tmp_path.glob("runs/trials/*"):
        (trial / "out").rmdir()
        (trial / "out").symlink_to(tmp_path / "elsewhere")
    done = eailab(*command)
    assert done.code == 1
    assert "out is a link" in done.err
    assert "Traceback" not in done.err
    assert not list((tmp_path / "elsewhere").iterdir())


def test_diverged_trials_of_a_program_are_a_result(eailab, train):
    train("print('val_acc', 'nan' if lr > 1 else seed)")
    done = eailab("ablate", "lr", "1", "2", *RUN, *OPTIONS)
    assert done.code == 0, done.err
    assert "2 of 2 diverged" in done.out


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("gate", "--arm"),
        ("noise", "--arm"),
        ("audit", "--no-audit"),
        ("recipes new", "--arm"),
        ("recipes new", "--gpus"),
    ],
)
def test_a_command_lacks_the_options_that_it_has_no_use_for(eailab, command, option):
    """`noise` ran the first of several arms, and said nothing of the others."""
    assert option not in eailab(*command.split(), "-h").out
    done = eailab(*command.split(), option, "a=train {seed}")
    assert done.code == 2
    assert f"there is no option {option} here; there is `eailab ablate {option}`" in done.err
