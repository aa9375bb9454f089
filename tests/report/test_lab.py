"""The lab report: its own structure, published figures beside ours, and a protocol check that says what differs."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from plans import one_factor

from eailab.recipe.load import load, parse_override
from eailab.report.formats import FORMATS
from eailab.report.lab import beside, context, figures
from eailab.report.study_report import Report, load_study
from eailab.report.verify import verify
from eailab.report.write import write_report
from eailab.studies.design import repeated


def recipe(name, *changes):
    return load(name, [parse_override(change) for change in changes]).recipe


def test_the_baseline_of_task_2_stands_beside_the_authors_figure():
    (one,) = beside(recipe("resnet18-cifar10"))
    assert one.figure.test_accuracy == 85.16
    assert one.check == "comparable as far as stated (not stated: val_fraction, split_seed)"


def test_another_protocol_is_named_where_it_differs():
    (one,) = beside(recipe("resnet18-cifar10", "batch_size=64", "epochs=30"))
    assert one.figure.test_accuracy == 83.72
    assert one.check.startswith("not comparable: epochs 30 here, 150 there")


def test_task_1_stands_beside_its_own_figure():
    (one,) = beside(recipe("mnist-mlp"))
    assert (one.figure.test_accuracy, one.differing, one.not_stated) == (97.89, (), ("optimizer", "batch_size"))


def test_a_limit_on_the_training_images_is_never_comparable():
    (one,) = beside(recipe("mnist-mlp", "data.limit=1000"))
    assert one.check.startswith("not comparable: 1000 training images here")


@pytest.mark.parametrize(
    ("changes", "accuracy"),
    [
        (["model.activation=[relu,sigmoid]"], 97.41),
        (["optimizer.lr=1e-4"], 82.89),
        (["schedule=steplr"], 85.86),
        (["data.augment=none"], 76.58),
        (["data.augment=resize-224"], 92.72),
        (["batch_size=16"], 84.31),
        (["optimizer=sgd"], 84.15),
        (["model.stem=3x3"], 90.03),
    ],
)
def test_every_figure_of_the_author_is_found_by_the_recipe_that_it_is_of(changes, accuracy):
    name = "mnist-mlp" if accuracy > 95 else "resnet18-cifar10"
    found = [one.figure.test_accuracy for one in beside(recipe(name, *changes))]
    assert accuracy in found


def test_every_figure_has_a_source_and_is_an_accuracy_in_percent():
    assert len(figures()) >= 14
    assert all(50 < one.test_accuracy < 100 and one.source for one in (*figures(), *context()))


def test_the_lab_report_has_its_task_the_problems_and_the_lesson(shop, tmp_path):
    folder = shop.study({10: [0.9, 0.92, 0.91], 20: [0.8, 0.83, "diverged"]})
    text = write_report([folder], tmp_path / "out", lab=True).files["lab"].read_text()
    for heading in (
        "## Task 1",
        "### Split",
        "### Hyper-parameters",
        "### Architecture",
        "## Problems met",
    ):
        assert heading in text
    assert "Task 2" not in text  # there is no study of it
    assert "ResNet" not in text
    assert "1 of 6 trials diverged" in text
    assert "One factor at a time" in text
    assert verify(tmp_path / "out" / "lab-report.md", shop.store).holds


def test_one_epoch_and_one_block_are_not_plurals(shop, tmp_path):
    folder = shop.of(one_factor(recipe("digits-mlp", "epochs=1"), "lr", [1e-3, 1e-2], range(1)), [[0.9], [0.8]])
    written = write_report([folder], tmp_path / "out", lab=True, fragments=True)
    assert "batch size 32, 1 epoch." in written.files["lab"].read_text()
    fragments = "".join(file.read_text() for file in (tmp_path / "out").rglob("*.tex"))
    assert "over 1 block of shared seeds." in fragments
    assert " 1 epochs" not in fragments
    assert " 1 blocks" not in fragments


def test_a_lab_report_of_both_tasks_has_a_part_for_each(shop, tmp_path):
    second = one_factor(recipe("resnet18-cifar10"), "stem", ["7x7", "3x3"], range(2))
    folders = [shop.study({10: [0.9, 0.92], 20: [0.8, 0.83]}), shop.of(second, [[0.8, 0.82], [0.9, 0.93]])]
    text = write_report(folders, tmp_path / "out", lab=True).files["lab"].read_text()
    found = [line for line in text.splitlines() if line.startswith(("## ", "### Task", "### Well"))]
    first, other = "Task 1: a multi-layer perceptron", "Task 2: a residual network, one factor at a time"
    assert found == [
        f"## {first}",
        f"## {other}",
        "### Well-known figures, not compared",
        "## Methods, error bars and compute",
        f"### {first}",
        f"### {other}",
        "## Problems met, and the lesson",
    ]


def test_a_study_of_no_task_is_left_out_of_the_lab_report_and_alone_refused(eailab, shop):
    Path("runs.csv").write_text("arm,seed,score\na,0,1.0\na,1,1.5\nb,0,2.0\nb,1,2.5\n")
    judged = eailab("judge", "runs.csv", "--goal", "max")
    assert judged.code == 0, judged.err
    (other,) = (folder.name for folder in shop.store.study_folders())
    refused = eailab("report", "--lab")
    assert (refused.code, refused.err[:59]) == (2, "error: --lab reports studies of an MLP or a residual networ")
    shop.study({10: [0.9, 0.92], 20: [0.8, 0.83]})
    made = eailab("report", "--lab")
    assert made.code == 0
    assert f"note: {other} is of no task of the lab: left out" in made.err
    text = Path("report/lab-report.md").read_text()
    assert "## Task 1" in text
    assert "Task 2" not in text
    assert other not in text
    assert eailab("verify", "report/lab-report.md").code == 0


def test_a_set_up_that_differs_between_the_studies_of_a_task_is_said_of_each(shop, tmp_path):
    """The first study's learning rate is not the task's."""
    folders = [
        shop.study({10: [0.9, 0.92], 20: [0.8, 0.83]}, name="one"),
        shop.study({10: [0.9, 0.91], 20: [0.8, 0.84]}, name="two", optimizer={"name": "adam", "lr": 0.01}),
    ]
    text = write_report(folders, tmp_path / "out", lab=True).files["lab"].read_text()
    assert "- Baseline of one-batch-size (optimizer.lr 0.001): Adam (learning rate 0.001; " in text
    assert "- Baseline of two-batch-size (optimizer.lr 0.01): Adam (learning rate 0.01; " in text
    assert text.count("100 images for training, 4 for validation") == 2  # once of the task, once in the methods
    assert verify(tmp_path / "out" / "lab-report.md", shop.store).holds


def test_the_lab_report_is_in_chinese_too_and_verifies(shop, tmp_path):
    folder = shop.study({10: [0.9, 0.92, 0.91], 20: [0.8, 0.83, "diverged"]})
    text = write_report([folder], tmp_path / "out", lab=True, lang="zh-TW").files["lab"].read_text()
    for said in (
        "# 實驗報告",
        "## 任務一：多層感知器",
        "100 張影像用於訓練，4 張用於驗證，25 張用於測試",
        "一次一個因子",
    ):
        assert said in text
    assert "6 次試驗中有 1 次發散" in text
    assert verify(tmp_path / "out" / "lab-report.md", shop.store).holds


def test_the_lab_report_says_the_methods_of_a_task_once(shop, tmp_path):
    """And what differs study by study; all factors of one baseline are in one table."""
    base = [0.9, 0.92, 0.91]
    folders = [
        shop.study({10: base, 20: [0.8, 0.83, 0.81]}),
        shop.study({"adam": base, "sgd": [0.7, 0.75, 0.72]}, factor="optimizer"),
    ]
    text = write_report(folders, tmp_path / "out", lab=True).files["lab"].read_text()
    assert text.count("We trained an MLP") == 1
    assert text.count("Each of the 2 arms was trained in 3 blocks") == 1
    assert text.count("We varied the") == 2
    assert text.count("| optimizer sgd |") == 1
    assert text.count("**Held fixed:**") == text.count("**Device and versions:**") == text.count("**Blocks:**") == 1
    assert verify(tmp_path / "out" / "lab-report.md", shop.store).holds


def test_a_lab_report_in_chinese_names_settings_in_chinese(shop, tmp_path):
    folder = shop.study({10: [0.9, 0.92, 0.91], 20: [0.8, 0.83, 0.81]})
    text = write_report([folder], tmp_path / "out", lab=True, lang="zh-TW").files["lab"].read_text()
    (fixed,) = (line for line in text.splitlines() if line.startswith("- **固定不變"))
    assert "最佳化方法 adam（學習率 0.001、betas [0.9, 0.999]、權重衰減 0.0）；學習率排程 constant" in fixed
    assert not {"optimizer", "batch_size", "val_fraction", "engine", "data"} & set(re.findall("[a-z_]+", fixed))


def test_the_methods_paragraph_says_data_split_blocks_statistics_and_stopping(shop):
    told = load_study(shop.store, shop.study({10: [0.9, 0.92, 0.91], 20: [0.8, 0.83, 0.81]}))
    methods, error_bars, compute = (one.sentence for one in told.answers)
    for part in (
        "We trained an MLP on the UCI handwritten digits: 100 images for training",
        "4 for validation and 25 for testing",
        "seed 23",
        "We varied the batch size (10, 20; baseline 10) and held every other setting fixed: width of the hidden layers",
        "128, 256; activation ReLU; optimizer Adam; learning rate 0.001; schedule constant",
        "Each of the 2 arms was trained in 3 blocks",
        "Every trial ran for 3 epochs",
        "±0.25",
    ):
        assert part in methods
    assert "3 complete blocks" in error_bars
    assert error_bars.endswith("No trial diverged.")
    assert compute.startswith("6 trials took 9 seconds of training in all on cpu")


def test_epochs_that_differ_between_arms_are_all_said(shop):
    told = load_study(shop.store, shop.study({2: [0.9, 0.92], 3: [0.8, "diverged"]}, factor="epochs"))
    methods, error_bars, _ = (one.sentence for one in told.answers)
    assert "ran for 2 or 3 epochs" in methods
    assert error_bars.startswith("No error bars")


def test_one_epoch_is_not_called_epochs(shop):
    methods, *_ = load_study(shop.store, shop.study({10: [0.9, 0.92], 20: [0.8, 0.83]}, epochs=1)).answers
    assert "Every trial ran for 1 epoch, a number fixed in advance; the test images were" in methods.sentence


def test_a_single_block_has_no_error_bars(shop):
    told = load_study(shop.store, shop.study({10: [0.9], 20: [0.8]}))
    assert told.answers[1].sentence.startswith("No error bars")
    assert "# Lab report" in FORMATS["markdown"].text(Report("lab", "en", (told,)))


def test_several_blocks_of_one_recipe_have_the_error_bars_of_their_spread(shop):
    folder = shop.of(repeated(recipe("digits-mlp"), range(3)), [[0.9, 0.92, 0.94]])
    said = load_study(shop.store, folder).answers[1].sentence
    assert said == "SD 2.00 pp, 95% interval 1.04 to 12.57 (chi-square), over 3 blocks of the one recipe."


def test_a_common_baseline_stands_beside_a_published_figure_once(shop, tmp_path, monkeypatch):
    monkeypatch.setattr("eailab.report.lab._belongs", lambda figure, ours: figure.test_accuracy == 97.89)
    base = [0.9, 0.92, 0.91]
    folders = [
        shop.study({10: base, 20: [0.8, 0.83, 0.81]}),
        shop.study({"adam": base, "sgd": [0.7, 0.75, 0.72]}, factor="optimizer"),
    ]
    text = write_report(folders, tmp_path / "out", lab=True).files["lab"].read_text()
    assert [line.split(" | ")[1] for line in text.splitlines() if "| 97.89 |" in line] == ["10", "20", "sgd"]
    assert "Each study counts the trials of the common baseline, which ran once." in text


@pytest.mark.parametrize("kind", ["markdown", "latex", "html"])
def test_a_report_says_for_a_paper_how_it_was_made(shop, kind):
    told = load_study(shop.store, shop.study({10: [0.9], 20: [0.8]}))
    assert "We trained an MLP" in FORMATS[kind].text(Report("report", "en", (told,)))


def test_a_studys_own_table_says_nothing_of_time(shop):
    """The same trials give the same bytes, however long they took."""
    told = load_study(shop.store, shop.study({10: [0.9], 20: [0.8]}))
    assert "seconds" not in FORMATS["markdown"].text(Report("study", "en", (told,)))


def test_the_methods_give_the_values_of_levels_that_a_person_has_called_otherwise(shop):
    made = one_factor(recipe("digits-mlp"), "batch-size", [10, 20], range(3))
    called = tuple(replace(arm, name=name) for arm, name in zip(made.arms, ("small", "large"), strict=True))
    told = load_study(shop.store, shop.of(replace(made, arms=called), [[0.9, 0.92, 0.91], [0.8, 0.83, 0.81]]))
    assert "We varied the batch size (small (10), large (20); baseline small)" in told.answers[0].sentence


def test_the_methods_name_every_model_that_is_compared(shop):
    made = one_factor(recipe("resnet18-digits"), "model", ["resnet18", "resnet34"], range(2))
    (methods, *_) = load_study(shop.store, shop.of(made, [[0.9, 0.92], [0.8, 0.83]])).answers
    assert methods.sentence.startswith("We trained a ResNet-18 and a ResNet-34 on the UCI handwritten digits")
