"""A list of trials says what each is: study, arm, block, score."""

import re
import subprocess
import sys

import pytest
from rich.cells import cell_len

from eailab.errors import UsageError
from eailab.report.listing import TRIAL_HEADINGS, TrialFilter, described, listed
from eailab.report.lists import print_list
from eailab.runs.store import summary


@pytest.fixture
def folder(shop):
    shop.study({"adam": [0.9, "unfinished"], "sgd": [0.7, "diverged"]}, factor="optimizer", name="我的 研究")
    shop.study({10: [0.9, "damaged"], 30: [0.8, 0.85]}, name="我的 研究", study={"metric": "loss-gap"})
    return shop.study({10: [0.9, 0.95], 20: [0.8, 0.85]})


def test_a_line_says_study_arm_block_and_score(shop, folder):
    lines = {one.called: one for one in listed(shop.store)}
    one = lines["20/1"]
    assert one.cells[1:6] == ("tiny-batch-size", "20", "1", "finished", "85.00%")
    assert {len(one.cells) for one in lines.values()} == {len(TRIAL_HEADINGS)}
    assert any(one.cells[1] == "我的 研究-optimizer" and one.cells[4] == "diverged 1/3" for one in lines.values())


def test_the_score_is_that_of_the_studys_metric(shop, folder):
    (one,) = listed(shop.store, TrialFilter(arm="30", block=0))
    assert one.score == "0.1250"


def test_a_trial_of_several_studies_is_listed_once_and_with_the_study_that_is_asked_for(shop, folder):
    """The baseline of three studies is one trial a block."""
    shared = [one for one in listed(shop.store) if len(one.uses) > 1]
    assert [one.summary.block for one in shared] == [0, 1]
    assert shared[0].cells[1].endswith(" +2")
    asked = listed(shop.store, TrialFilter(study="tiny-batch-size"))
    assert [one.uses[0].head.folder for one in asked] == [folder] * 4
    assert [one.cells[2] for one in asked] == ["10", "10", "20", "20"]


@pytest.mark.parametrize(
    ("wanted", "number"),
    [
        (TrialFilter(), 8),
        (TrialFilter(arm="sgd"), 2),
        (TrialFilter(arm="10.0"), 2),
        (TrialFilter(block=1), 4),
        (TrialFilter(state="diverged"), 1),
        (TrialFilter(study="我的 研究-optimizer", state="finished"), 2),
        (TrialFilter(recipe="tiny"), 2),
        (TrialFilter(recipe="nothing"), 0),
    ],
)
def test_a_list_is_narrowed_down(shop, folder, wanted, number):
    assert len(listed(shop.store, wanted)) == number


@pytest.mark.parametrize(
    ("wanted", "said"), [(TrialFilter(study="x"), "no study x"), (TrialFilter(state="ended"), "finished")]
)
def test_a_study_or_a_state_that_there_is_not_is_a_mistake(shop, folder, wanted, said):
    with pytest.raises(UsageError, match=said):
        listed(shop.store, wanted)


def test_a_trial_of_no_study_is_listed_last_by_its_recipe(shop, folder):
    for file in sorted(folder.iterdir()):
        file.unlink()
    last = listed(shop.store)[-1]
    assert last.uses == ()
    assert last.cells[1:4] == ("tiny", "", "1")
    assert last.called == last.summary.name[:12]


def test_one_trial_says_what_differs_from_the_baseline(shop, folder):
    lines = dict(described(next(one for one in listed(shop.store) if one.called == "20/0")))
    assert lines["study"] == f"{folder.name}, arm 20, block 0"
    assert lines["baseline"] == "10; from it to this arm: batch_size 10 -> 20"
    lines = dict(described(listed(shop.store, TrialFilter(study="tiny-batch-size"))[0]))
    assert "this arm" in lines.values()


def test_a_result_without_a_date_is_listed(shop, folder):
    one = listed(shop.store, TrialFilter(arm="20", block=0))[0]
    assert summary(shop.store.folder(one.summary.name)).result is not None
    one.summary.result.provenance["finished"] = "yesterday"
    assert one.finished == "?"


HEADINGS = ("trial", "study", "state", "score", "finished")
ROWS = [
    ("c0026462d2d7", "digits-mlp-batch-size", "finished", "88.89%", "2026-11-28 19:07"),
    ("487f1", "研究", "", "", ""),
]


def printed(capsys, monkeypatch, width, names=()):
    if width is not None:
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(width))
    print_list(HEADINGS, ROWS, numbers=("score", "finished"), names=names)
    said = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    return [line.rstrip() for line in said.splitlines()]


@pytest.mark.parametrize("width", [None, 100, 80, 60, 40, 25])
def test_a_list_loses_no_cell(capsys, monkeypatch, width):
    lines = printed(capsys, monkeypatch, width)
    assert width is None or max(map(cell_len, lines)) <= width
    joined = " ".join(" ".join(lines).split())
    for cell in ("c0026462d2d7", "finished", "88.89%", "2026-11-28", "19:07", "研究"):
        assert cell in joined
    assert "digits-mlp-batch-size" in joined.replace(" ", "")


def test_names_are_shortened_so_that_a_trial_stays_on_one_line(capsys, monkeypatch):
    *_, two, three = printed(capsys, monkeypatch, 68, names=("study",))
    assert two == "c0026462d2d7  digits-ml…tch-size  finished  88.89%  2026-11-28 19:07"
    assert three.split() == ["487f1", "研究"]


def test_listing_imports_no_library_that_only_computing_needs():
    code = (
        "import sys, eailab.report.listing, eailab.report.terminal\n"
        "print([m for m in ('torch', 'numba', 'matplotlib', 'scipy.special') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
