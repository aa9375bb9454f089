"""A submission is marked by a rubric, and a mutated one is marked down for the right reason."""

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from eailab.errors import RecipeError, UsageError
from eailab.labs.claims import arm_of, claims_of, judge_claim, mean_half_width
from eailab.labs.folder import LabFolder
from eailab.labs.grade import Grading
from eailab.labs.limited import run_limited
from eailab.labs.marks import as_markdown, for_gradescope
from eailab.labs.new import LABS
from eailab.labs.retraining import prediction_interval
from eailab.labs.rubric import Limits, read_rubric
from eailab.recipe.load import load
from eailab.runs.store import Store

RECIPE = """name: small
engine: numpy-mlp
data: {name: digits, val_fraction: 0.2, limit: 200}
model: {name: mlp, hidden: [16]}
optimizer: {name: adam, lr: 0.01}
epochs: 6
batch_size: 32
"""
STUDY = "name: small\nrecipe: recipe.yaml\nblocks: 3\nfactors:\n  - {factor: lr, levels: [1e-3, 1e-2]}\n"
PLACES = ("plan", "answer lr", "table lr", "figure intervals lr")
CLAIM = "<!-- claim: lr 1e-3 WORSE -->\n"
REPORT = CLAIM + "".join(f"\n<!-- eailab: {place} -->\n<!-- /eailab -->\n" for place in PLACES)
LAYER = """import numpy as np


class Double:
    def forward(self, x):
        return 2.0 * x

    def backward(self, dy):
        return {gradient}
"""
RUBRIC = """title: A small lab
recipe: recipe.yaml
factors:
  - {factor: lr, levels: [1e-3, 1e-2]}
blocks: 3
claims: [lr]
again: {trials: 1}
gradients:
  - {code: "layers.py:Double", input: "2,3"}
limits: {seconds: 60, memory_mb: 4096, file_mb: 8}
"""


@pytest.fixture
def submission(tmp_path, made_once, monkeypatch):
    """A student's folder with its trials, and the rubric beside it."""
    study = ("ablate", "--study", "study.yaml", "-q")
    files = (("recipe.yaml", RECIPE), ("study.yaml", STUDY), ("report.md", REPORT))
    files += (("layers.py", LAYER.format(gradient="2.0 * dy")),)
    freeze = (*study, "--freeze", "-m", "1e-3 is too small")
    made_once(tmp_path / "alice", freeze, (*study, "--jobs", "1"), ("lab", "fill", "."), files=files)
    (tmp_path / "rubric.yaml").write_text(RUBRIC)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "alice"


def frozen(submission: Path) -> str:
    (plan,) = (submission / "runs" / "plans").glob("*.yaml")
    return plan.stem


def marked(submission: Path, *, plan: str | None = None, train=False, run_code=False, rubric=RUBRIC):
    asked = submission.parent / "rubric.yaml"
    asked.write_text(rubric)
    lab = LabFolder(submission, Store(submission / "runs"))
    return Grading(lab, read_rubric(str(asked)), plan or frozen(submission), "cpu", 5, run_code, train).marks()


def failing(marks) -> dict[str, str]:
    return {one.name: "\n".join(one.said) for one in marks.marks if one.state == "fails"}


def changed(file: Path, pattern: str, to: str) -> None:
    text, count = re.subn(pattern, to, file.read_text(), count=1)
    assert count == 1
    file.write_text(text)


@pytest.fixture
def blank(eailab):
    """Leave figures blank, as those of the submission are."""


@pytest.mark.usefixtures("blank")
def test_an_honest_submission_gets_all_points(submission):
    """Trained again it is the same, and a block that the student has not seen is where the others say."""
    marks = marked(submission, train=True, run_code=True)
    assert failing(marks) == {}
    assert marks.points == marks.of == 16
    assert marks.mark("trained_again").said[0].endswith("the same to the bit")
    assert "inside [" in marks.mark("hidden_block").said[0]
    ends = re.findall(r"\[(\S+), (\S+)\]", " ".join(marks.mark("hidden_block").said))
    assert ends
    assert all(abs(float(end)) <= 100 for pair in ends for end in pair)
    assert marks.mark("hidden_block").of == 0
    results = for_gradescope(marks)
    assert results["score"] == 16
    assert {one["status"] for one in results["tests"] if one["max_score"]} == {"passed"}
    assert all(one["output"].split("\n")[0] in ("holds", "to be looked at") for one in results["tests"])
    assert as_markdown(marks).startswith("# A small lab: 16 of 16 points\n")


def one_digit(submission):
    changed(submission / "report.md", r"(?m)^(\| 0\.01 \(baseline\) \| \d)\d", r"\g<1>1")


def one_number_of_the_store(submission):
    result = min((submission / "runs" / "trials").glob("*/result.json"))
    changed(result, r'("validation_accuracy": 0\.\d)\d', r"\g<1>5")


def one_deleted_trial(submission):
    shutil.rmtree(min((submission / "runs" / "trials").iterdir()))


def one_retouched_figure(submission):
    figure = next((submission / "figures").rglob("intervals.png"))
    figure.write_bytes(figure.read_bytes() + b" ")


def one_figure_of_the_store(submission):
    for figure in (*submission.rglob("intervals.png"),):
        figure.write_bytes(figure.read_bytes() + b" ")


def one_sentence_inside(submission):
    changed(submission / "report.md", "WORSE than", "as good as")


def another_hypothesis(submission):
    (plan,) = (submission / "runs" / "plans").glob("*.yaml")
    changed(plan, "1e-3 is too small", "1e-3 is better")


@pytest.mark.usefixtures("blank")
@pytest.mark.parametrize(
    ("mutate", "reasons"),
    [
        (one_digit, {"report": r"table lr: it says '\d1\.\d\d' where its store gives '\d+\.\d\d'"}),
        (one_number_of_the_store, {"store": "differs from its own checksum", "report": "it says"}),
        (one_deleted_trial, {"store": "no result in the store", "report": "it says", "blocks": "has 2 whole blocks"}),
        (one_retouched_figure, {"report": "intervals.png is not the figure of these numbers"}),
        (one_figure_of_the_store, {"report": "intervals.png has other bytes than were drawn"}),
        (one_sentence_inside, {"report": "it says 'as good as' where its store gives 'WORSE than'"}),
        (another_hypothesis, {"plan": "is not what was frozen", "report": "plan"}),
    ],
)
def test_a_mutated_submission_is_marked_down_for_the_right_reason(submission, mutate, reasons):
    plan = frozen(submission)
    mutate(submission)
    found = failing(marked(submission, plan=plan))
    assert set(reasons) <= set(found)
    assert set(found) - set(reasons) <= {"claims", "blocks"}
    for name, reason in reasons.items():
        assert re.search(reason, found[name]), found[name]
    files = re.findall(r"^\S+\.(?:png|svg)", found.get("report", ""), re.MULTILINE)
    assert len(files) == len(set(files))
    assert "'nothing'" not in found.get("report", "")


@pytest.mark.usefixtures("blank")
def test_a_missing_figure_is_named_once(submission):
    plan = frozen(submission)
    (figure,) = (submission / "figures").rglob("intervals.png")
    figure.unlink()
    mark = marked(submission, plan=plan).mark("report")
    assert mark.state == "fails"
    assert mark.said == (f"{figure.relative_to(submission)} is missing",)


@pytest.mark.usefixtures("blank")
def test_a_block_too_few_another_plan_and_another_recipe_are_marked_down(submission):
    """By the rubric's own terms, which the submission does not meet."""
    found = failing(marked(submission, rubric=RUBRIC.replace("blocks: 3", "blocks: 4")))
    assert found == {"blocks": "lr has 3 whole blocks, and 4 were asked for"}
    found = failing(marked(submission, plan="0123456789"))
    assert found == {
        "plan": f"the plan 0123456789 was handed in beforehand, and the store has the plan {frozen(submission)}"
    }
    (submission.parent / "recipe.yaml").write_text(RECIPE.replace("epochs: 6", "epochs: 30"))
    found = failing(marked(submission, rubric=RUBRIC.replace("[1e-3, 1e-2]", "[1e-3, 1e-2, 0.5]")))
    assert found == {"design": "lr lacks the level 0.5\nlr: epochs is 6, not 30"}


@pytest.mark.usefixtures("blank")
def test_without_a_plan_handed_in_it_is_not_shown_when_the_folder_was_written(submission):
    lab = LabFolder(submission, Store(submission / "runs"))
    asked = read_rubric("rubric.yaml")
    mark = Grading(lab, asked, asked.plan_of(submission, None), "cpu", 1, train=False).marks().mark("plan")
    assert (mark.state, mark.of) == ("not checked", 0)
    said = "say which plan was handed in, by --plan or by the rubric's plan; the folder alone cannot show when a plan "
    assert mark.said == (f"not checked: {said}was written",)
    Path("rubric.yaml").write_text(RUBRIC + "plan: {bob: '0123456789'}\n")
    asked = read_rubric("rubric.yaml")
    mark = Grading(lab, asked, asked.plan_of(submission, None), "cpu", 1, train=False).marks().mark("plan")
    assert (mark.state, mark.points, mark.of) == ("not shown", 0, 1)
    assert mark.said == (f"not shown: {said}was written",)


@pytest.mark.usefixtures("blank")
def test_claims_are_held_to_verdicts_and_intervals(submission):
    report = submission / "report.md"
    tags = (
        ("lr 1e-3 WORSE", True), ("lr 0.001 UNDECIDED", True), ("lr 1e-3 SAME", False), ("lr 1e-3 BETTER", False),
        ("lr 0.01 WORSE", False), ("lr 0.02 WORSE", False), ("stem 3x3 BETTER", False),
    )  # fmt: skip
    report.write_text("".join(f"<!-- claim: {tag} -->\n" for tag, _ in tags) + report.read_text())
    lab = LabFolder(submission, Store(submission / "runs"))
    claims, wrong = claims_of(lab)
    assert wrong == []
    assert [judge_claim(lab, claim).holds for claim in claims[:-1]] == [holds for _, holds in tags]
    values = lab.load(lab.wanted(["lr"])).findings.arms[1].values
    low = sum(values) / 3 - mean_half_width(values)
    for value, holds in ((low - 0.1, True), (low + 0.1, False)):
        report.write_text(f"<!-- claim: lr 0.01 reaches {value:.2f}% -->")
        lab = LabFolder(submission, lab.store)
        ((claim,), _) = claims_of(lab)
        assert judge_claim(lab, claim).holds is holds
    report.write_text("It reaches 99%.\n`<!-- claim: an example -->`\n<!-- claim: lr is nice -->\n")
    mark = marked(submission).mark("claims")
    assert mark.state == "fails"
    assert "line 3: 'lr is nice' is not a claim" in mark.said[0]
    assert "line 1: 'reaches 99%' has no tag" in mark.said[-1]


def test_a_claim_may_name_a_variant_without_its_settings_where_no_other_has_the_name():
    labels = ("constant", "steplr (step_size 2)", "cosine (warmup_epochs 1)", "cosine (warmup_epochs 2)")
    findings = SimpleNamespace(arms=[SimpleNamespace(label=one) for one in labels], tuning=None)
    assert arm_of(findings, "steplr").label == "steplr (step_size 2)"
    assert arm_of(findings, "cosine (warmup_epochs 2)").label == labels[3]
    assert arm_of(findings, "cosine") is None


@pytest.mark.usefixtures("blank")
def test_wrong_gradients_and_code_that_does_not_end_cost_their_points_only(submission):
    assert marked(submission).mark("gradients").state == "not checked"
    (submission / "layers.py").write_text(LAYER.format(gradient="dy"))
    mark = marked(submission, run_code=True).mark("gradients")
    assert (mark.state, mark.points) == ("fails", 0)
    assert "the gradient of x is wrong" in mark.said[0]
    (submission / "layers.py").unlink()
    assert "there is no file layers.py" in marked(submission, run_code=True).mark("gradients").said[0]


@pytest.mark.parametrize(
    ("code", "limits", "why"),
    [
        ("while True: pass", {"seconds": 1}, "ended after 1 s"),
        ("x = bytearray(2**30); print('{}')", {"memory_mb": 256}, "MemoryError"),
        ("open('f', 'wb').write(b'x' * 2**22); print('{}')", {"file_mb": 1}, "ended with"),
        ("import os; print(os.environ['SECRET'])", {}, "KeyError"),
    ],
)
def test_submitted_code_has_limits_on_time_memory_and_files(tmp_path, monkeypatch, code, limits, why):
    """And neither the variables of whoever grades nor the submission itself, of which it has a copy."""
    monkeypatch.setenv("SECRET", "1")
    outcome = run_limited(("-c", code), tmp_path, Limits(**limits))
    assert outcome.result is None
    assert why in outcome.why
    assert list(tmp_path.iterdir()) == []


def test_a_prediction_interval_is_students_for_one_more_value():
    """Against the textbook's formula with the t quantile of a table: t(0.9995, 4) = 8.610."""
    low, high = prediction_interval([1.0, 2.0, 3.0, 4.0, 5.0], 1)
    half = 8.610 * 2.5**0.5 * (1 + 1 / 5) ** 0.5
    assert (low, high) == pytest.approx((3 - half, 3 + half), rel=1e-3)
    assert prediction_interval([1.0, 1.0], 1, step=0.5) == (0.5, 1.5)


@pytest.mark.parametrize("name", LABS)
def test_the_rubrics_that_come_with_the_labs_can_be_read_and_copied(name, eailab, tmp_path):
    assert read_rubric(name).recipe is not None
    assert eailab("lab", "rubric", name, "mine.yaml").code == 0
    assert read_rubric("mine.yaml").rubric == read_rubric(name).rubric
    assert eailab("lab", "rubric", name, "mine.yaml").code == 2


def test_a_rubric_of_a_lab_that_was_given_out_with_another_recipe(eailab, submission):
    """It can be copied with that recipe; one of other digits names the recipe that the submission has."""
    assert eailab("lab", "rubric", "task1", "mnist.yaml", "--recipe", "mnist-mlp").code == 0
    assert read_rubric("mnist.yaml").recipe == load("mnist-mlp").recipe
    Path("of").mkdir()
    assert eailab("lab", "rubric", "fair", "of/own.yaml", "--recipe", "recipe.yaml").code == 0
    assert read_rubric("of/own.yaml").recipe.name == "small"
    missing = eailab("lab", "rubric", "task1", "none.yaml", "--recipe", "mnist-mpl")
    assert missing.code == 2
    assert "did you mean 'mnist-mlp'?" in missing.err
    unfit = eailab("lab", "rubric", "task2", "none.yaml", "--recipe", "mnist-mlp")
    assert unfit.code == 2
    assert "the lab task2 does not fit the recipe mnist-mlp. " in unfit.err
    assert "'stem' is a factor of the engine torch-resnet" in unfit.err
    assert not Path("none.yaml").exists()


@pytest.mark.parametrize("name", ["digits-mlp", "resnet18-digits"])
def test_another_shipped_recipe_is_named_in_place_of_its_settings(submission, monkeypatch, name):
    """Of the same engine, or of another."""
    monkeypatch.setattr("eailab.labs.grade.shipped", lambda: {"recipe.yaml": None})
    assert failing(marked(submission, rubric=RUBRIC.replace("recipe.yaml", name))) == {
        "design": f"lr: the settings are those of recipe.yaml, and the rubric's are {name}'s: if the lab was given "
        "out with --recipe recipe.yaml, copy the rubric with the same option (eailab lab rubric)"
    }


def test_a_rubrics_mistakes_are_reported_together_with_their_places(tmp_path):
    file = tmp_path / "r.yaml"
    file.write_text(
        "title: x\nfactors:\n  - {factor: lr, level: [1]}\n  - sched\npoints: {reports: 1}\nblocks: no\nlab: task9\n"
    )
    with pytest.raises(RecipeError) as found:
        read_rubric(str(file))
    for said in ("r.yaml:3:18: ", "did you mean 'levels'", "did you mean 'report'", "r.yaml:6:9: blocks"):
        assert said in str(found.value)
    assert "factors[1]: expected a mapping with the keys factor, levels, tuned, found 'sched'" in str(found.value)
    assert "blocks: expected a whole number from 1 to 10000, found 'no'" in str(found.value)
    with pytest.raises(UsageError, match="there is no rubric"):
        read_rubric(str(tmp_path / "none.yaml"))


@pytest.mark.usefixtures("blank")
def test_a_submission_without_its_trials_says_so_once(submission):
    shutil.rmtree(submission / "runs")
    found = failing(marked(submission, plan="0123456789"))
    said = f"there is no folder {submission / 'runs'}: hand it in too, or name it with --runs"
    assert found["store"] == said
    assert found["design"] == "lr was not trained"


@pytest.mark.usefixtures("blank")
def test_grading_on_the_command_line(eailab, submission):
    """A submission without anything gets no points, and the command still ends with 0."""
    (submission.parent / "bob").mkdir()
    done = eailab("lab", "grade", "bob", "--rubric", "rubric.yaml", "--no-train", "--results", "results.json")
    assert done.code == 0, done.err
    assert "0 of" in done.out.splitlines()[0]
    assert json.loads(Path("results.json").read_text())["score"] == 0
    done = eailab(
        "lab", "grade", "alice", "--rubric", "rubric.yaml", "--no-train", "--json", "--plan", frozen(submission)
    )
    said = json.loads(done.out)
    assert (said["points"], said["of"]) == (11, 11)
    assert eailab("lab", "grade", "carol", "--rubric", "rubric.yaml").code == 2
