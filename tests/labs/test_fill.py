"""A student's folder: written from a lab, filled from the store, and never robbed of a sentence."""

import json
import re
from pathlib import Path

import pytest
from stores import Shop

from eailab import __version__
from eailab.cli import lab as commands
from eailab.errors import UsageError
from eailab.labs.folder import ExpectedStudy, LabFolder
from eailab.labs.new import LABS, write_lab
from eailab.labs.places import filled, places_of, seal_of, without_places
from eailab.studies.study_file import declared
from eailab.translation import languages

LR = [[0.90, 0.91, 0.92], [0.95, 0.97, 0.96]]
ACTIVATION = [[0.95, 0.97, 0.96], [0.95, 0.96, 0.97], [0.90, 0.95, 0.93]]


@pytest.fixture
def task1(tmp_path) -> Path:
    """Task 1 as a student has it, in three blocks of three epochs."""
    write_lab("task1", tmp_path / "task1", None, "en")
    recipe = tmp_path / "task1" / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("epochs: 30", "epochs: 3"))
    study = tmp_path / "task1" / "study.yaml"
    study.write_text(study.read_text().replace("blocks: 5", "blocks: 3"))
    return tmp_path / "task1"


def train(folder: Path, *outcomes) -> Shop:
    """Put results of a folder's studies into its store."""
    shop = Shop(folder / "runs")
    for study, own in zip(declared(folder / "study.yaml").studies, outcomes, strict=False):
        shop.of(study, own)
    return shop


def test_the_command_knows_the_labs():
    assert list(commands.NAMES) == list(LABS)


@pytest.mark.parametrize("name", LABS)
def test_a_lab_has_every_language_with_the_same_places_and_commands(name, tmp_path):
    reports = []
    for lang in languages():
        write_lab(name, tmp_path / lang, None, lang)
        text = (tmp_path / lang / "report.md").read_text()
        asked = [place.asked for place in places_of(text, "report.md")]
        reports.append((asked, re.findall(r"^ *eailab (.*?)(?: -m .*)?$", text, re.MULTILINE), text.count("**")))
    assert reports[0][0]
    assert all(one == reports[0] for one in reports)


def test_a_folder_is_filled_and_the_students_words_stay(eailab, task1):
    """The places alone change; what is missing is named by its command."""
    train(task1, LR)
    report = task1 / "report.md"
    report.write_text(report.read_text().replace("*Your answer.*", "Meine Antwort: ≤ 3 % — sicher.", 1))
    before = report.read_text()
    done = eailab("lab", "fill", "task1", "--json")
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert said["missing"]["eailab ablate --study study.yaml"] == [
        "answer activation", "table activation", "figure intervals activation", "gap activation",
        "figure training-validation activation", "factors",
    ]  # fmt: skip
    after = report.read_text()
    assert "0.0001: WORSE than 0.001, -5.00 pp" in after
    assert "Meine Antwort: ≤ 3 % — sicher." in after
    own = [without_places(text, places_of(text, "")) for text in (before, after)]
    assert own[0].split() == own[1].split()
    figure = re.search(r"!\[Learning curves\]\((.*?)\)", after)
    assert figure
    assert (task1 / figure[1]).is_file()
    assert eailab("lab", "fill", "task1").code == 0
    assert report.read_text() == after

    train(task1, LR, ACTIVATION)
    done = eailab("lab", "fill", "task1")
    assert "13 of 13 places are filled" in done.out
    text = report.read_text()
    assert "No plan was frozen before these trials, and none can be written now." in text
    assert "| activation relu, sigmoid |" in text
    assert "| relu (baseline) | 0.3467 | 0.4717 | 0.1250 | 96.00 | 96.00 | 0.00 |" in text


def test_a_sentence_inside_a_place_is_not_lost(eailab, task1):
    train(task1, LR, ACTIVATION)
    assert eailab("lab", "fill", "task1").code == 0
    report = task1 / "report.md"
    line = next(place.line for place in places_of(report.read_text(), "") if place.asked == "table lr")
    text = report.read_text().replace("| 0.0001 |", "| I think that 0.0001 |", 1)
    report.write_text(text)
    done = eailab("lab", "fill", "task1")
    assert done.code == 2
    assert f"task1/report.md:{line}: table lr" in done.err
    assert report.read_text() == text
    assert eailab("lab", "fill", "task1", "--replace").code == 0
    assert "I think" not in report.read_text()


def test_mistakes_in_marks_are_reported_together_with_their_lines(eailab, task1):
    train(task1, LR)
    report = task1 / "report.md"
    marks = ("tabel lr", "table learning", "figure curve lr", "figure curves", "setup lr", "table lr tunde", "")
    report.write_text("".join(f"<!-- eailab: {mark} -->\n<!-- /eailab -->\n" for mark in marks))
    before = report.read_text()
    done = eailab("lab", "fill", "task1")
    assert done.code == 2
    for number, said in enumerate(
        ("'table'", "no factor learning", "'curves'", "names no factor", "stands alone", "'tunde'", "cannot hold ''")
    ):
        assert re.search(rf"report\.md:{2 * number + 1}: .*{re.escape(said)}", done.err), said
    assert report.read_text() == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<!-- eailab: plan -->\nmore", "report.md:1: this place is not closed"),
        ("<!-- /eailab -->", "report.md:1: this mark closes no place"),
        ("<!-- eailab: plan -->\n<!-- eailab: setup -->\n<!-- /eailab -->", "report.md:1: .* not closed before line 2"),
    ],
)
def test_marks_come_in_pairs(text, said):
    with pytest.raises(UsageError, match=said):
        places_of(text, "report.md")


def test_line_ends_stay_as_they_are():
    text = "a\r\n<!-- eailab: plan -->\r\nold\r\n<!-- /eailab -->\r\nmy\r\nwords"
    (place,) = places_of(text, "")
    again = filled(text, [(place, "new\nlines")])
    seal = seal_of("new\nlines")
    assert (
        again == f"a\r\n<!-- eailab: plan -->\r\nnew\r\nlines\r\n<!-- /eailab {seal} {__version__} -->\r\nmy\r\nwords"
    )
    assert not places_of(again, "")[0].is_edited
    assert filled(again, [(places_of(again, "")[0], "new\nlines")]) == again


def test_a_changed_recipe_is_another_study(task1):
    """What was trained before the change does not answer what is asked now."""
    shop = train(task1, LR)
    lab = LabFolder(task1, shop.store)
    assert lab.find(lab.wanted(["lr"])) is not None
    recipe = task1 / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("epochs: 3", "epochs: 4"))
    lab = LabFolder(task1, shop.store)
    assert lab.find(lab.wanted(["lr"])) is None
    assert lab.find(ExpectedStudy(lab.declared[0], is_tuned=True)) is None


def test_bad_folders_are_refused_in_one_message(eailab, task1):
    assert "exists" not in (done := eailab("lab", "new", "task1")).out
    assert done.code == 2
    assert "task1 exists already" in done.err
    assert "did you mean 'task2'" in eailab("lab", "new", "taks2").err
    done = eailab("lab", "new", "task2", "other", "--recipe", "digits-mlp")
    assert done.code == 2
    assert "stem" in done.err
    assert not Path("other").exists()
    (task1 / "report.md").write_bytes(b"\xff\xfe")
    assert "UTF-8" in eailab("lab", "fill", "task1").err
    (task1 / "report.md").unlink()
    assert "has no report.md" in eailab("lab", "fill", "task1").err
