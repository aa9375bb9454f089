"""Whether the seed and the factor reach a program, told from its first runs."""

import pytest

from eailab.engines.named_metrics import declare
from eailab.engines.program.evidence import Evidence, evidence
from eailab.engines.program.reading import Sources
from eailab.errors import StudyError
from eailab.studies.audit import audit, raise_ignored_seed

METRIC = declare("val_acc", "max")
LR = {"lr": ("1e-3", "1e-4")}


def run(value: float, arm="1e-3", block=0, settings=(), **numbers) -> Evidence:
    texts = {name: (str(number),) for name, number in {"val_acc": value, **numbers}.items()}
    return Evidence(arm, block, {"val_acc": value}, texts, dict(settings))


def checks(runs, repeat=None, factor=LR, baseline="1e-3") -> dict[str, tuple[str, str]]:
    found = {(one.block, one.arm): one.values["val_acc"] for one in runs}
    arms = dict.fromkeys(one.arm for one in runs)
    values = [[found.get((block, arm)) for arm in arms] for block in sorted({one.block for one in runs})]
    return {one.name: (one.state, str(one.text)) for one in audit(runs, repeat, METRIC, factor, baseline, values)}


def test_one_seed_twice_gives_the_same_or_a_difference():
    name = "the same seed twice"
    assert checks([run(0.5)], run(0.5))[name] == ("passed", "seed 0 twice gave the same numbers to the last digit")
    said = "seed 0 twice gave 0.5000 and 0.6250: runs of one seed differ by 0.125"
    assert checks([run(0.5)], run(0.625))[name] == ("passed", said)
    said = "seed 0 twice gave the same val_acc, but not the same loss"
    assert checks([run(0.5, loss=1)], run(0.5, loss=2))[name] == ("passed", said)
    assert checks([run(0.5)])[name][0] == "not checked"


def test_two_seeds_that_give_one_value_are_an_ignored_seed():
    """Five blocks would be one run five times, with an interval of width 0."""
    found = audit([run(0.5), run(0.5, block=1)], run(0.5), METRIC, LR, "1e-3", [])
    with pytest.raises(
        StudyError, match=r"ignores its seed: 2 seeds gave .* \{seed\} .*EAILAB_SEED.*--unseeded"
    ) as error:
        raise_ignored_seed(found)
    assert error.value.exit_code == 2


def test_runs_without_a_seed_that_are_equal_are_not_independent():
    """To name `--unseeded` to someone who has given it helps nobody."""
    found = audit([run(0.5), run(0.5, block=1)], run(0.5), METRIC, LR, "1e-3", [], takes_seeds=False)
    with pytest.raises(StudyError, match=r"2 runs of your program .* not independent .*--no-audit"):
        raise_ignored_seed(found)


def test_two_seeds_that_differ_pass():
    found = checks([run(0.5), run(0.75, block=1)])
    assert found["different seeds"] == ("passed", "2 seeds gave different values, 0.25 apart")
    raise_ignored_seed(audit([run(0.5), run(0.75, block=1)], None, METRIC, LR, "1e-3", []))


def test_a_coarse_metric_that_is_equal_by_chance_is_no_ignored_seed():
    """Of 360 test images, two seeds often get equally many right; their losses differ."""
    found = checks([run(0.5, loss=1), run(0.5, block=1, loss=2)])
    assert found["different seeds"] == ("passed", "2 seeds gave the same val_acc, but not the same loss")


def test_a_seed_that_changes_no_more_than_a_repeat_is_named():
    found = checks([run(0.5), run(0.51, block=1)], run(0.6))
    assert found["different seeds"][0] == "warning"
    assert "whether the program ignores its seed cannot be known" in found["different seeds"][1]
    assert checks([run(0.5), run(0.6, block=1)], run(0.501))["different seeds"][0] == "passed"


def test_arms_that_are_equal_to_the_last_digit_are_named():
    equal = [run(0.5), run(0.5, "1e-4"), run(0.75, block=1), run(0.75, "1e-4", block=1)]
    said = "lr seems to have no effect: 1e-3 and 1e-4 gave the same numbers to the last digit"
    assert checks(equal)["different arms"] == ("warning", said)
    assert checks([*equal[:3], run(0.8, "1e-4", block=1)])["different arms"][0] == "passed"
    printed = [run(0.5, lr=1e-3), run(0.5, "1e-4", lr=1e-4)]
    assert checks(printed)["different arms"][0] == "warning"
    assert checks(equal, factor={})["different arms"][1].startswith("the command seems to have no effect")


def test_a_setting_that_changes_beside_the_factor_is_named():
    ours, theirs = {"lr": "0.001", "optim.wd": "0.0", "name": "a"}, {"lr": "0.0001", "optim.wd": "0.01", "name": "a"}
    runs = [run(0.5, settings=ours), run(0.6, "1e-4", settings=theirs)]
    state, said = checks(runs)["other settings"]
    assert (state, said) == ("warning", "lr is not all that differs: optim.wd (0.0 in 1e-3, 0.01 in 1e-4)")
    alone = [run(0.5, settings=ours), run(0.6, "1e-4", settings={**ours, "lr": "0.0001"})]
    assert checks(alone)["other settings"] == ("passed", "configuration files differ in the factor alone")
    assert checks(runs, factor={})["other settings"][0] == "passed"
    assert checks([run(0.5), run(0.6, "1e-4")])["other settings"][0] == "not checked"


def test_a_setting_of_another_name_with_the_levels_as_values_is_the_factor():
    runs = [run(0.5, settings={"learning_rate": "0.001"}), run(0.6, "1e-4", settings={"learning_rate": "0.0001"})]
    assert checks(runs)["other settings"][0] == "passed"


def test_the_correlation_of_blocks_needs_three():
    values = {0: (0.1, 0.2), 1: (0.3, 0.4), 2: (0.2, 0.3)}
    runs = [run(value, arm, block) for block, pair in values.items() for arm, value in zip(LR["lr"], pair, strict=True)]
    assert checks(runs)["correlation of blocks"][1].startswith("1.00 between arms")
    assert checks(runs[:4])["correlation of blocks"] == ("not checked", "too few blocks are complete")


def test_evidence_leaves_out_what_differs_between_runs_anyway(tmp_path):
    """Times, seeds and paths; of a progress bar, whose updates depend on the clock, all but the last."""
    out = tmp_path / "out"
    (out / ".hydra").mkdir(parents=True)
    (out / ".hydra" / "config.yaml").write_text(f"optimizer: {{lr: 1e-3, wd: 0.0}}\nseed: 3\nroot: {out}/x\n")
    (out / "args.json").write_text('{"epochs": 5, "note": "a"}')
    (out / "hparams.yaml").write_text("!!python/object:a.B {}")
    (tmp_path / "stdout").write_text("seed: 3\nepoch 1 loss 0.5 time 3.25\nepoch 2 loss 0.25 time 3.5\n")
    (tmp_path / "stderr").write_text("\racc 0.1\racc 0.2\racc 0.3\n")
    sources = Sources(tmp_path / "none", tmp_path / "stdout", tmp_path / "stderr")
    found = evidence("a", 3, {"loss": 0.25}, sources, out)
    assert found.numbers == {"loss": ("0.5", "0.25"), "acc": ("0.3",)}
    assert found.settings == {"optimizer.lr": "0.001", "optimizer.wd": "0", "epochs": "5", "note": "a"}


def test_an_epoch_that_a_resumed_program_reports_again_counts_once(tmp_path):
    """Else the run that was killed would differ from the same run undisturbed."""
    log = tmp_path / "metrics.jsonl"
    log.write_text('{"epoch": 1, "loss": 0.5}\n{"epoch": 2, "loss": 0.25}\n{"epoch": 2, "loss": 0.25}\n')
    sources = Sources(log, tmp_path / "stdout", tmp_path / "stderr")
    assert evidence("a", 3, {"loss": 0.25}, sources, tmp_path / "out").numbers == {"loss": ("0.5", "0.25")}
