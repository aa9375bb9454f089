"""What programs print, in the styles that people have, and which numbers are read from it."""

import json
from math import inf, isnan

import pytest

from eailab.engines.named_metrics import declare, is_higher_better
from eailab.engines.program.parsing import lines_of_output, metrics_file, number
from eailab.engines.program.reading import Reading, ReportingRules, Sources, check_at, check_names, check_regex, read
from eailab.errors import TrialFailedError, UsageError


@pytest.fixture
def program(tmp_path):
    """Return a function that reads metrics from what a program left."""

    def reading(*names: str, stdout="", stderr="", log=None, file=None, way=None, goal="max", **wanted) -> Reading:
        for name, text in {"stdout": stdout, "stderr": stderr, "log": log, "file": file}.items():
            if text is not None:
                (tmp_path / name).write_text(text, newline="")
        sources = Sources(*(tmp_path / name for name in ("log", "stdout", "stderr", "file")))
        unit = wanted.pop("unit", "raw")
        return read(
            ReportingRules(tuple(declare(name, goal, unit) for name in names or ("val_acc",)), **wanted), sources, way
        )

    return reading


def value(reading: Reading) -> float:
    return next(iter(reading.values.values()))


@pytest.mark.parametrize(
    ("line", "name", "expected"),
    [
        ("val_acc: 0.914", "val_acc", 0.914),
        ("val_acc=0.914", "val_acc", 0.914),
        ("val_acc 0.914", "val_acc", 0.914),
        ("val_acc = 9.14e-1", "val_acc", 0.914),
        ("val_acc:.914", "val_acc", 0.914),
        ("val_acc: +0.914, lr: 1e-3", "val_acc", 0.914),
        ("loss: 1E+3", "loss", 1000),
        ("loss: -0.25", "loss", -0.25),
        ("loss: \u22120.25", "loss", -0.25),
        ("loss: inf", "loss", inf),
        ("loss: -Infinity", "loss", -inf),
        ("reward: 1,234.5", "reward", 1234.5),
        ("reward: 1,234,567", "reward", 1234567),
        ("epoch 1/3 - loss: 0.25 - accuracy: 0.5 - val_loss: 0.75 - val_accuracy: 0.125", "accuracy", 0.5),
        ("1875/1875 ━━━━ 3s 1ms/step - accuracy: 0.5 - loss: 0.25 - val_accuracy: 0.75", "val_accuracy", 0.75),
        ("{'eval_loss': 0.25, 'eval_accuracy': 0.5, 'epoch': 1.0}", "eval_accuracy", 0.5),
        ('{"val_acc": 0.5}', "val_acc", 0.5),
        ("Test set: Average loss: 0.0255, Accuracy: 9914/10000 (99%)", "accuracy", 99.14),
        (" * Acc@1 70.125 Acc@5 89.25", "acc@5", 89.25),
        ("Epoch: [3][ 10/200]\tTime  0.1 ( 0.2)\tLoss 6.5e+00 (6.9e+00)\tAcc@1   1.56 (  0.9)", "loss", 6.5),
        ("|    ep_rew_mean     | 22.5     |", "ep_rew_mean", 22.5),
        ("│        test_acc           │    0.9876   │", "test_acc", 0.9876),
        ("Validation Accuracy: 91.4%", "val_accuracy", 91.4),
        ("Validation Accuracy: 91.4 %", "validation accuracy", 91.4),
        ("Epoch 3 | train loss 0.5 | val loss 0.25", "val_loss", 0.25),
        ("[val] loss 0.5, acc: 0.25", "val_acc", 0.25),
        ("Train - loss: 0.5, acc: 0.9 | Val - loss: 0.6, acc: 0.8", "val/acc", 0.8),
        ("step 7 reached val acc 0.5 after 3.2 s", "val_acc", 0.5),
        ("loss=tensor(0.25, device='cuda:0')", "loss", 0.25),
        ("val_acc: np.float64(0.5)", "val_acc", 0.5),
        ("\x1b[32mval_acc\x1b[0m: \x1b[1m0.5\x1b[0m", "val_acc", 0.5),
        ("100%|████| 10/10 [00:03<00:00,  3.1it/s, loss=0.25, val_acc=0.5]", "val_acc", 0.5),
        ("2026-11-28 22:24:37,123 INFO train.py:12 val_acc=0.5", "val_acc", 0.5),
        ("result -> val_bpb: 1.0123", "val_bpb", 1.0123),
        ("final val_acc: 0.5, best val_acc: 0.75", "val_acc", 0.5),
        ("Précision: 0.5", "Précision", 0.5),
    ],
)
def test_a_line_of_output_is_read(program, line, name, expected):
    assert value(program(name, stdout=f"{line}\n")) == expected


def test_not_a_number_is_read_as_that(program):
    reading = program("loss", stdout="loss nan\n", goal="min")
    assert isnan(value(reading))
    assert not reading.is_finite
    assert program("loss", stdout="loss: 1e50\n").is_finite is False


@pytest.mark.parametrize(
    "line",
    ["val_acc: 12:30", "val_acc: 3/10", "val_acc: 1.2.3", "val_acc: 0.5s", "val_acc: 2026-11-28", "val_acc: v0.5"],
)
def test_times_fractions_versions_and_dates_are_not_values(program, line):
    with pytest.raises(TrialFailedError, match="without reporting val_acc"):
        program(stdout=line)


@pytest.mark.parametrize("text", ["1,234", "0,914", "12,34.5"])
def test_a_comma_that_may_mean_two_things_is_refused(program, text):
    with pytest.raises(TrialFailedError, match=f"val_acc: {text} may stand for several numbers; write a decimal point"):
        program(stdout=f"val_acc: {text}\n")
    assert value(program("loss", stdout=f"n: {text}, loss: 0.5")) == 0.5


def test_the_last_line_counts_and_values_by_epoch_make_a_curve(program):
    lines = "".join(f"Epoch {epoch}/3\nloss: {1 / epoch} val_acc: {epoch / 10}\n" for epoch in (1, 2, 3))
    reading = program("val_acc", "loss", stdout=lines)
    assert reading.values == {"val_acc": 0.3, "loss": 1 / 3}
    assert reading.curves["val_acc"] == ((1, 0.1), (2, 0.2), (3, 0.3))
    assert reading.way == "stdout"


def test_a_progress_bar_counts_once_a_line(program):
    """Its updates follow a carriage return; only the last before the next line stays on the screen."""
    bars = "".join(
        "".join(f"\r{done}%|##| loss={loss:.2f}" for done, loss in ((0, 9), (50, 5), (100, end))) + "\n"
        for end in (0.5, 0.25)
    )
    reading = program("loss", stderr=bars, goal="min")
    assert reading.curves["loss"] == ((1, 0.5), (2, 0.25))
    assert reading.way == "stderr"


def test_steps_are_used_where_epochs_are_fractions(program):
    log = "".join(json.dumps({"epoch": step / 10, "step": step, "loss": step}) + "\n" for step in (5, 10, 15))
    assert program("loss", log=log).curves["loss"] == ((5, 5.0), (10, 10.0), (15, 15.0))


def test_an_epoch_that_is_reported_again_counts_as_it_was_last(program):
    """So it is when a program goes on from a checkpoint."""
    log = "".join(json.dumps({"epoch": epoch, "val_acc": v}) + "\n" for epoch, v in ((1, 0.1), (2, 0.2), (2, 0.25)))
    assert program(log=log).curves["val_acc"] == ((1, 0.1), (2, 0.25))


def test_ways_are_tried_in_order_and_one_holds_all_metrics(program):
    everything = {
        "log": '{"val_acc": 0.1}\n',
        "file": '{"val_acc": 0.2}',
        "stdout": "val_acc 0.3",
        "stderr": "val_acc 0.4",
    }
    for way, expected in zip(("log", "file", "stdout", "stderr"), (0.1, 0.2, 0.3, 0.4), strict=True):
        reading = program(**everything)
        assert (reading.way, value(reading)) == (way, expected)
        everything[way] = ""
    both = program("val_acc", "loss", log='{"val_acc": 0.1}\n', file="", stdout="val_acc: 0.3, loss: 0.5")
    assert (both.way, both.values["val_acc"]) == ("stdout", 0.3)


def test_a_study_keeps_to_its_way(program):
    with pytest.raises(
        TrialFailedError, match=r"in JSON lines at \$EAILAB_METRICS, where earlier trials of this study"
    ):
        program(stdout="val_acc: 0.5", way="log")
    assert program(log='{"val_acc": 0.1}\n', stdout="val_acc: 0.5", way="stdout").values == {"val_acc": 0.5}


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ('{"val_acc": 0.5, "loss": NaN}', 0.5),
        ('{"val_acc": "91.4%"}', 91.4),
        ('{"results": {"val_acc": 0.5}}', 0.5),
        ('{"val": {"acc": 0.5}, "train": {"acc": 0.9}}', 0.5),
        ('{"val_acc": [0.25, 0.5]}', 0.5),
        ('[{"epoch": 1, "val_acc": 0.25}, {"epoch": 2, "val_acc": 0.5}]', 0.5),
        ('{"log_history": [{"epoch": 1, "val_acc": 0.25}, {"epoch": 2, "val_acc": 0.5}], "best": null}', 0.5),
        ('{"val_acc": 0.25}\n{"val_acc": 0.5}\n', 0.5),
        ('{"split": "train", "acc": 0.9}\n{"split": "val", "acc": 0.5}\n', 0.5),
        ("epoch,val_acc\n1,0.25\n2,0.5\n", 0.5),
        ("epoch;val_acc\r\n1;0.25\r\n2;0.5\r\n", 0.5),
        ("\ufeffepoch\tval_acc\n1\t0.25\n2\t0.5\n", 0.5),
        ("epoch,train_loss,val_acc\n0,0.5,\n0,,0.25\n1,0.4,\n1,,0.5\n2,0.3,\n", 0.5),
        ("val_acc: 0.5\nloss: 0.25\n", 0.5),
        ("val_acc = 0.5, loss = 0.25", 0.5),
    ],
)
def test_a_metrics_file_is_json_json_lines_a_table_or_lines(program, file, expected):
    reading = program(file=file)
    assert (reading.way, value(reading)) == ("file", expected)


def test_the_rows_of_a_table_are_epochs(program):
    table = "epoch,step,train_loss,val_acc\n0,10,0.5,\n0,19,,0.25\n1,30,0.4,\n1,39,,0.5\n"
    assert program(file=table).curves["val_acc"] == ((0, 0.25), (1, 0.5))


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        (
            {"log": '{"val_acc": 0.5}\nnot JSON\n{"val_acc": 0.5}\n'},
            "log cannot be read: line 2 is not a JSON object: not",
        ),
        ({"log": "[1, 2]\n{}\n"}, "line 1 is not a JSON object"),
        ({"file": '{"val_acc": 0.5'}, "file cannot be read: it is not JSON: Expecting"),
        ({"file": "[" * 5000}, "file cannot be read: it is"),
    ],
)
def test_a_file_that_is_not_what_it_seems_is_named(program, sources, said):
    with pytest.raises(TrialFailedError, match=said):
        program(**sources)


def test_a_last_line_that_was_cut_short_is_left_out(program):
    assert program(log='{"val_acc": 0.5}\n{"val_a').values == {"val_acc": 0.5}


def test_a_file_that_is_a_pipe_or_too_large_is_refused(program, tmp_path, monkeypatch):
    (tmp_path / "log").symlink_to("/dev/zero")
    with pytest.raises(TrialFailedError, match="a device"):
        program()


def test_a_missing_metric_lists_the_names_that_were_seen_and_the_nearest(program):
    with pytest.raises(TrialFailedError) as caught:
        program(stdout="loss: 0.5 acc1: 0.25\n", stderr="lr 0.1\n")
    assert str(caught.value) == (
        "the program ended without reporting val_acc; seen: loss, acc1, lr. "
        "Print a line such as 'val_acc: 0.5', or call eailab.log(val_acc=0.5)."
    )
    with pytest.raises(TrialFailedError, match=r"seen: acc1, loss\. Did you mean 'acc1'\?"):
        program("acc", stdout="loss: 0.5 acc1: 0.25\n")
    with pytest.raises(TrialFailedError, match="no numbers with names were seen"):
        program(stdout="done\n")
    with pytest.raises(TrialFailedError, match=r"without reporting val/f1; seen: .*eailab\.log\({'val/f1': 0\.5}\)"):
        program("acc", "val/f1", stdout="acc: 0.5")


@pytest.mark.parametrize(
    "stdout",
    [
        "train acc: 0.9\nval acc: 0.8\n",
        "Train - loss: 0.5, acc: 0.9\nVal - loss: 0.6, acc: 0.8\n",
        "Train: loss 0.5 acc 0.9 | Val: loss 0.6 acc 0.8\n",
    ],
)
def test_two_different_metrics_of_one_name_are_refused(program, stdout):
    with pytest.raises(
        TrialFailedError, match=r"two different metrics are called acc: train acc and val acc\. Ask for one"
    ):
        program("acc", stdout=stdout)
    assert value(program("val_acc", stdout=stdout)) == 0.8


def test_one_name_with_two_values_at_once_is_refused(program):
    with pytest.raises(TrialFailedError, match=r"two different values are called acc: 0\.9 and 0\.8 in one line"):
        program("acc", stdout="acc 0.9 acc 0.8\n")
    with pytest.raises(TrialFailedError, match="two different values are called acc"):
        program("acc", log='{"acc": 0.9, "acc": 0.8}\n')
    assert value(program("acc", log="", stdout="acc 0.9 (acc 0.9)\n")) == 0.9


def test_the_best_is_not_the_last(program):
    """A line of the best value is a selection, which a study gets only if it asks for it."""
    lines = "val_acc: 0.75\nval_acc: 0.5\nBest val_acc: 0.75\n"
    assert value(program(stdout=lines)) == 0.5
    assert value(program(stdout=lines, at="best")) == 0.75
    assert value(program("best val_acc", stdout=lines)) == 0.75


def test_a_metric_counts_as_of_a_step_or_of_the_best(program):
    log = "".join(json.dumps({"epoch": n, "val_acc": v, "loss": n}) + "\n" for n, v in ((1, 0.5), (2, 0.75), (3, 0.25)))
    assert program("val_acc", "loss", log=log, at="best").values == {"val_acc": 0.75, "loss": 2.0}
    assert program("loss", log=log, at="best", goal="min").values == {"loss": 1.0}
    assert program(log=log, at="1").values == {"val_acc": 0.5}
    with pytest.raises(TrialFailedError, match="not reported at step 7, but at 3 steps from 1 to 3"):
        program(log=log, at="7")


@pytest.mark.parametrize(("unit", "expected"), [("share", 0.914), ("percent", 91.4), ("raw", 91.4)])
def test_a_percent_sign_means_the_same_in_every_unit(program, unit, expected):
    assert value(program(stdout="val_acc: 91.4%", unit=unit)) == pytest.approx(expected)
    shown = declare("val_acc", unit=unit).value({"val_acc": expected})
    assert shown == pytest.approx(91.4)


def test_a_share_above_one_is_refused(program):
    with pytest.raises(TrialFailedError, match=r"val_acc is 91\.4, and --unit share is for values from 0 to 1"):
        program(stdout="val_acc: 91.4", unit="share")


def test_a_regular_expression_takes_the_place_of_names(program):
    lines = "epoch 1 got 50 of 100\nepoch 2 got 75 of 100\n"
    assert program(stdout=lines, regex=r"got (\d+)").values == {"val_acc": 75.0}
    named = program("val_acc", "loss", stdout=lines, regex=r"epoch (?P<step>\d+) got (?P<value>\d+) of (?P<loss>\d+)")
    assert named.way == "regex"
    assert named.curves == {"val_acc": ((1, 50.0), (2, 75.0)), "loss": ((1, 100.0), (2, 100.0))}
    with pytest.raises(TrialFailedError, match="val_acc: 'abc' is not a number"):
        program(stdout="val abc", regex=r"val (\w+)")


@pytest.mark.parametrize(
    ("regex", "said"),
    [
        ("(", "not a regular expression"),
        ("acc", "has no group"),
        ("(?P<top>.)", "the group 'top' is neither value, step nor a metric"),
        ("(?P<step>.)", r"name the group of val_acc \(\?P<value>"),
        ("(.)", "gives val_acc only: add a group .*loss"),
    ],
)
def test_a_regular_expression_that_gives_no_metric_is_refused_before_any_trial(regex, said):
    with pytest.raises(UsageError, match=said):
        check_regex(regex, [declare("val_acc"), declare("loss")])


def test_a_long_line_without_numbers_is_read_quickly(program):
    """Of base64, or of words: time must not grow with the square of the length."""
    texts = "a" * 1_000_000 + "\n" + "word " * 200_000 + "\n" + "a=" * 500_000 + "\nval_acc: 0.5\n"
    assert value(program(stdout=texts)) == 0.5


def test_goals_are_known_from_names_or_asked_for():
    higher = ["acc", "val_accuracy", "top5", "f1", "macro-F1", "roc_auc", "bleu", "eval/reward"]
    lower = ["loss", "val_err", "ppl", "val_bpb", "RMSE", "mae", "acc_loss", "test.error"]
    assert {is_higher_better(name) for name in higher} == {True}
    assert {is_higher_better(name) for name in lower} == {False}
    with pytest.raises(UsageError, match="more or less score is better is not known from its name: add --goal max or"):
        declare("score")
    assert declare("score", "min").higher_is_better is False
    with pytest.raises(UsageError, match="neither letters nor digits"):
        declare("--", "max")


def test_what_asks_for_the_impossible_is_refused_before_any_trial():
    check_at("best"), check_at("12")
    with pytest.raises(UsageError, match="--at 'first': expected last, best or the number of a step"):
        check_at("first")
    with pytest.raises(UsageError, match="the metrics 'val_acc' and 'val/acc' are one"):
        check_names([declare("val_acc"), declare("val/acc")])


def test_numbers_are_those_of_python_and_no_more():
    for text in ("", "1_000", "0x10", "five", "1.2.3"):
        with pytest.raises(ValueError, match="is not a number"):
            number(text)


def test_an_empty_file_has_no_rows():
    assert metrics_file("") == lines_of_output("") == []
