"""Tuning with trials of the store: what is trained, kept beside the study of the winners, and reported of it."""

import json
from dataclasses import replace

import pytest
from line_engine import LineRecipe
from plans import one_factor, train_plan

from eailab.errors import UsageError
from eailab.findings.statements import state_sentences
from eailab.findings.study import study_findings
from eailab.findings.tuning import tuning_facts
from eailab.recipe.validate import recipe_from
from eailab.runs.context import EpochEnded, RunContext
from eailab.seeding import TUNING_BLOCKS
from eailab.studies.plan import plan
from eailab.studies.run import Runner
from eailab.studies.storage import read_record
from eailab.studies.tuning import asked
from eailab.studies.tuning_file import read_tuning
from eailab.studies.tuning_run import Request, tuned

pytestmark = pytest.mark.usefixtures("line")

RANGE = Request((asked("lr=0.1,0.3,0.6,1.2"),), blocks=2)
SHORT_ALONE = Request((asked("3:lr=0.3,0.6,1.2"),), blocks=1, unequal=True)


class Shelf:
    """A store in which lines are fitted in few and in many epochs, each at its own learning rate."""

    def __init__(self, root):
        self.events = []
        self.context = RunContext(root, on_event=self.events.append)

    @property
    def epochs(self):
        return sum(isinstance(event, EpochEnded) for event in self.events)

    def study(self, blocks=(0, 1)):
        recipe = recipe_from({"name": "line", "engine": "line", "epochs": 6})
        assert isinstance(recipe, LineRecipe)
        return one_factor(recipe, "epochs", [3, 6], list(blocks))

    def tune(self, request):
        return tuned(plan(self.study(), self.context), request, Runner(self.context, jobs=1))

    def compare(self, request):
        """Tune, train the winners, and return the folder of their study."""
        planned = plan(self.tune(request), self.context)
        assert train_plan(planned, self.context) == []
        return planned.folder

    def findings(self, folder):
        return study_findings(self.context.store, read_record(folder))


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path / "runs")


def test_a_second_tuning_trains_nothing_and_chooses_the_same(shelf):
    """Trials that are there are not trained again, and the file keeps its bytes."""
    folder = plan(shelf.tune(RANGE), shelf.context).folder
    before, trained = (folder / "tuning.json").read_bytes(), shelf.epochs
    (folder / "tuning.json").unlink()
    shelf.tune(RANGE)
    assert (folder / "tuning.json").read_bytes() == before
    assert shelf.epochs == trained == (3 + 6) * 6
    tuning = read_tuning(folder)
    assert {one.block for arm in tuning.arms for one in arm.trainings} == {TUNING_BLOCKS, TUNING_BLOCKS + 1}
    assert [arm.winner for arm in tuning.arms] == ["0.6", "0.6"]


def test_unequal_tuning_is_refused_before_anything_is_trained_unless_it_is_asked_for(shelf):
    """The arm that is tuned more looks better than it is; a report that has such arms says so first."""
    with pytest.raises(UsageError, match="not tuned alike"):
        shelf.tune(replace(SHORT_ALONE, unequal=False))
    assert shelf.events == []
    found = shelf.findings(shelf.compare(SHORT_ALONE))
    (said,) = state_sentences(found)
    assert said.startswith("UNEQUAL TUNING (3: 3 trainings, 6: 0 trainings): ")
    assert [fact.name for fact in tuning_facts(found)] == ["Tuning"]


def test_a_damaged_file_of_a_tuning_costs_a_study_what_it_said_and_nothing_else(shelf):
    """The verdicts stand, and the reader is told what is missing; the study's own command writes it again."""
    folder = shelf.compare(RANGE)
    whole = shelf.findings(folder)
    file = folder / "tuning.json"
    before = file.read_text()
    file.write_text(before.replace('"winner": "0.6"', '"winner": "0.3"', 1))
    found = shelf.findings(folder)
    (said,) = state_sentences(found)
    assert said.startswith("tuning.json of this study is damaged")
    assert (found.tuning, found.comparison) == (None, whole.comparison)
    shelf.tune(RANGE)
    assert json.loads(file.read_text()) == json.loads(before)
