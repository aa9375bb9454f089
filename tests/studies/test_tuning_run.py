"""Tuning with trials of the store: what is trained, kept beside the study of the winners, and reported of it."""

import json
from dataclasses import replace
from itertools import combinations
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st
from line_engine import LineRecipe
from plans import one_factor, train_plan

from eailab.errors import StoppedError, UsageError
from eailab.findings.merging import Merging
from eailab.findings.statements import state_sentences
from eailab.findings.study import study_findings
from eailab.findings.tables import main_table
from eailab.findings.trial import TrialFindings
from eailab.findings.tuning import best_of, tuning_facts
from eailab.recipe.load import load
from eailab.recipe.validate import recipe_from
from eailab.report.describe import study_figure
from eailab.report.figures import figure_names
from eailab.report.formats import FORMATS
from eailab.report.json_report import costs_json
from eailab.report.listing import listed
from eailab.report.plots import draw
from eailab.report.study_report import Report, load_study
from eailab.report.verify import verify
from eailab.runs.context import Ended, EpochEnded, RunContext
from eailab.runs.executors.local import LocalExecutor
from eailab.runs.retrain import retrain
from eailab.seeding import TUNING_BLOCKS
from eailab.studies.admin import own_trials, problems
from eailab.studies.heads import heads
from eailab.studies.lookup import find_trial, one_study
from eailab.studies.plan import plan
from eailab.studies.run import Runner, with_looks
from eailab.studies.storage import read_record, write_record
from eailab.studies.tuned_studies import refuse_untuned
from eailab.studies.tuning import asked
from eailab.studies.tuning_file import TunedArm, TuningTrial, read_tuning, write_tuning
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

    @property
    def ended(self):
        return sum(isinstance(event, Ended) for event in self.events)

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


def test_what_another_tuning_replaces_is_kept_and_called_what_it_is(shelf):
    """The same again replaces nothing; one that chose alike is earlier, one that cannot be read is damaged."""
    folder, notes = plan(shelf.tune(RANGE), shelf.context).folder, []
    tuning = read_tuning(folder)
    write_tuning(folder, tuning, notes.append)
    assert notes == []
    write_tuning(folder, replace(tuning, everything=True), notes.append)
    (folder / "tuning.json").write_text("{}")
    write_tuning(folder, tuning, notes.append)
    assert read_tuning(folder) == tuning
    assert {file.name for file in folder.glob("tuning.json*")} == {
        "tuning.json",
        "tuning.json.earlier-1",
        "tuning.json.damaged-1",
    }
    assert "tuned before in another way, which is kept as tuning.json.earlier-1" in notes[0]
    assert "was damaged, and is kept as tuning.json.damaged-1" in notes[1]


def test_a_tuning_that_was_stopped_at_any_trial_goes_on_to_the_same_bytes(shelf, tmp_path):
    """What has finished is found in the store; only the rest is trained."""
    whole = plan(shelf.tune(RANGE), shelf.context).folder / "tuning.json"
    for number in (1, 9):
        other = Shelf(tmp_path / str(number))
        stopped = replace(other.context, should_stop=lambda number=number, other=other: other.ended >= number)
        with pytest.raises(StoppedError):
            tuned(plan(other.study(), stopped), RANGE, Runner(stopped, jobs=1))
        assert other.ended == number
        assert not list((tmp_path / str(number)).glob("studies/*/tuning.json"))
        again = plan(other.tune(RANGE), other.context).folder / "tuning.json"
        assert other.ended == 12
        assert again.read_bytes() == whole.read_bytes()


def test_each_round_goes_to_the_executor_that_was_asked_for(shelf, monkeypatch):
    """A cluster gets the trainings of all arms at once, as far as they are known."""
    sent = []

    class Elsewhere(LocalExecutor):
        def run(self, trials, context):
            sent.append(len(trials))
            super().run(trials, replace(context, on="local"))

    monkeypatch.setattr("eailab.studies.run.executor_for", lambda on, workers: {"slurm": Elsewhere}[on](workers))
    context = replace(shelf.context, on="slurm")
    tuned(plan(shelf.study(), context), RANGE, Runner(context, jobs=1))
    assert sent == [8, 4]


# --- several values of an arm in the comparison -----------------------------------------------------------------------

CARRY = replace(RANGE, carry=2)
AGAIN = replace(RANGE, blocks=1, again=True)


def scores_of(shelf, folder):
    """Return the mean of each value of each arm over its tuning trials and those of its study, by hand."""
    found = {}
    record, tuning = read_record(folder), read_tuning(folder)
    for arm in tuning.arms:
        for one in arm.carried:
            index = [other.label for other in record.study.arms].index(one.label)
            judged = [
                record.study.measure.value(shelf.context.store.folder(record.trials[index, block]).result().values)
                for block in record.study.blocks
            ]
            found[one.label] = [*(t.score for t in arm.trainings if t.value == one.value), *judged]
    return found


def test_the_best_two_values_of_each_arm_are_compared_by_the_better_over_all_blocks(shelf):
    """Four arms are trained and two compared; the choice is the mean's over the tuning's blocks and the study's."""
    folder = shelf.compare(CARRY)
    record, tuning = read_record(folder), read_tuning(folder)
    assert len(record.study.arms) == 4
    assert [[one.value for one in arm.carried] for arm in tuning.arms] == [
        [arm.winner, arm.runner_up] for arm in tuning.arms
    ]
    means = {label: sum(scores) / len(scores) for label, scores in scores_of(shelf, folder).items()}
    best = [min(arm.labels, key=means.get) for arm in tuning.arms]
    found = shelf.findings(folder)
    assert [arm.label for arm in found.arms] == best
    assert found.baseline_arm.label == best[[arm.before for arm in tuning.arms].index("6")]
    assert [one.mean_of_all for one in found.carried] == pytest.approx(list(means.values()))
    assert [one.value for one in found.carried if one.stands_in] == [label.partition("+")[2] for label in best]
    (fact,) = tuning_facts(found)
    assert "best value of each arm" in fact.sentence
    assert "The first verdicts are held at 4% in place of 5%" in fact.sentence
    assert main_table(found).columns[4].heading == "96% interval"
    written = json.loads(FORMATS["json"].text(Report("study", "en", (load_study(shelf.context.store, folder),))))
    assert [arm["label"] for arm in written["arms"]] == best
    assert len(written["carried"]) == 4
    assert [arm["level"] for arm in written["arms"] if not arm["is_baseline"]] == [0.04]


def test_the_better_of_two_values_is_judged_more_strictly_each_time(shelf):
    """At 4%, and as the study grows at a tenth of that, since the tuning may have dropped the best value."""
    folder = shelf.compare(CARRY)
    record = read_record(folder)
    first = replace(record, judged=((0, 1),))
    write_record(folder, first)
    further = plan(replace(record.study, blocks=(0, 1, 2)), shelf.context)
    assert any(
        "Judgement 2 is held at 0.4%, since all that come after the first share 0.8%" in x for x in further.notes
    )
    assert train_plan(further, shelf.context) == []
    write_record(folder, replace(read_record(folder), judged=((0, 1), (0, 1, 2))))
    found = shelf.findings(folder)
    assert (found.levels, found.looks.levels) == ((0.004,), (0.04, 0.004))


@pytest.mark.parametrize(("request_", "may"), [(RANGE, True), (CARRY, False), (AGAIN, False)])
def test_looks_are_advised_where_a_study_can_have_them(shelf, request_, may):
    """That is where each of its arms is one value of its tuning."""
    folder = shelf.compare(request_)
    record = read_record(folder)
    write_record(folder, replace(record, judged=((0, 1),)))
    (note,) = [x for x in plan(replace(record.study, blocks=(0, 1, 2)), shelf.context).notes if "Judgement 2" in x]
    assert ("--until-decided" in note) is may


def test_a_value_that_failed_in_a_block_never_stands_for_its_arm(shelf):
    """However good its other trials are."""
    folder = shelf.compare(CARRY)
    record, store = read_record(folder), shelf.context.store
    values = {name: record.study.measure.value(store.folder(name).result().values) for name in store.trial_names()}
    rows = [
        tuple(
            TrialFindings(block, name := record.trials[index, block], "finished", value=values[name])
            for block in record.study.blocks
        )
        for index in range(len(record.study.arms))
    ]
    merging = Merging(record, read_tuning(folder))
    before = [arm.label for arm in merging.merged(rows)[0].study.arms]
    lost = [arm.label for arm in record.study.arms].index(before[0])
    rows[lost] = (replace(rows[lost][0], state="diverged", value=None), *rows[lost][1:])
    after = [arm.label for arm in merging.merged(rows)[0].study.arms]
    assert after[0] != before[0]
    assert after[1:] == before[1:]


def test_arms_that_are_tuned_again_for_each_block_have_the_winner_of_that_block(shelf):
    """Each tuning has a block of its own, and no verdict rests on one of them."""
    folder = shelf.compare(AGAIN)
    record, tuning = read_record(folder), read_tuning(folder)
    assert (tuning.again, tuning.blocks) == ((0, 1), (TUNING_BLOCKS, TUNING_BLOCKS + 1))
    found = shelf.findings(folder)
    assert [arm.label for arm in found.arms] == ["3", "6"]
    labels = [arm.label for arm in record.study.arms]
    for arm, tuned_arm in zip(found.arms, tuning.arms, strict=True):
        for trial, first in zip(arm.trials, tuning.blocks, strict=True):
            scores = {one.value: one.score for one in tuned_arm.trainings if one.block == first}
            winner = min(scores, key=scores.get)
            assert trial.fingerprint == record.trials[labels.index(f"{tuned_arm.before}+{winner}"), trial.block]
    (fact,) = tuning_facts(found)
    assert "chosen again for each block" in fact.sentence
    assert "the chance of the tuning included" in fact.sentence


@pytest.mark.parametrize("request_", [CARRY, AGAIN], ids=["carry", "again"])
def test_a_comparison_of_several_values_goes_on_verifies_and_names_its_trials(shelf, tmp_path, request_):
    """Nothing is trained again, every trial is the study's own, and another choice is found."""
    folder = shelf.compare(request_)
    before, trained = (folder / "tuning.json").read_bytes(), shelf.epochs
    assert shelf.compare(request_) == folder
    assert (folder / "tuning.json").read_bytes() == before
    assert shelf.epochs == trained
    store = shelf.context.store
    head = one_study(heads(store.root), folder.name, store.root)
    assert set(own_trials(store, head, heads(store.root))) == set(store.trial_names())
    report = tmp_path / "table.md"
    report.write_text(FORMATS["markdown"].text(Report("study", "en", (load_study(store, folder),))))
    found = verify(report, store)
    assert (found.holds, found.trials) == (True, len(store.trial_names()))
    for name in ("html", "latex", "csv"):
        assert FORMATS[name].text(Report("report", "zh-TW", (load_study(store, folder),)))

    tuning = read_tuning(folder)
    first, *others = tuning.arms
    one, *rest = first.carried
    changed = replace(first, carried=(replace(one, value="9.9"), *rest))
    write_tuning(folder, replace(tuning, arms=(changed, *others)), lambda _: None)
    assert any("is not what the tuning" in problem.reason for problem in problems(store))


def test_further_blocks_of_arms_that_are_tuned_again_are_tuned_too(shelf):
    """The tuning that is there is not set aside, since the new one contains it; nor is a block judged without one."""
    folder = shelf.compare(AGAIN)
    study = read_record(folder).study
    with pytest.raises(UsageError, match="not yet for block 2"):
        refuse_untuned([replace(study, blocks=(0, 1, 2))], shelf.context)
    planned, notes = plan(shelf.study((0, 1, 2)), shelf.context), []
    runner = Runner(shelf.context, jobs=1)
    object.__setattr__(runner, "note", notes.append)
    winners = tuned(planned, AGAIN, runner)
    if winners.folder_name == study.folder_name:
        assert read_tuning(folder).again == (0, 1, 2)
    assert not any("set aside" in note or "another way" in note for note in notes)


def test_no_command_adds_a_block_that_arms_tuned_again_were_not_tuned_for(shelf, eailab):
    """However blocks are added to their study: by looks, for a difference, or by their numbers; nothing is written."""
    folder = shelf.compare(AGAIN)
    grow = ("ablate", "--study", folder.name, "--jobs", "1", "-n")
    files = {file: file.read_bytes() for file in shelf.context.runs_dir.rglob("*.*") if file.is_file()}
    for how, said in (
        (("--until-decided", "--max-trials", "9"), "several of their values"),
        (("--detect", "0.01", "--sd", "0.02"), "not yet for block 2"),
        (("--seeds", "3"), "not yet for block 2"),
    ):
        done = eailab(*grow, *how)
        assert (done.code, said in done.err) == (2, True), done.err
    assert {file: file.read_bytes() for file in shelf.context.runs_dir.rglob("*.*") if file.is_file()} == files


def test_a_tuned_study_that_grows_until_it_is_decided_keeps_its_tuning(shelf, eailab):
    """The study with looks has it beside its record, says it, and names all trials that it rests on."""
    before = shelf.compare(RANGE)
    grow = ("ablate", "--study", before.name, "--until-decided", "--max-trials", "4", "--jobs", "1", "-q")
    done = eailab(*grow)
    assert done.code == 0, done.err
    (after,) = set(shelf.context.runs_dir.glob("studies/*")) - {before}
    assert (after / "tuning.json").read_bytes() == (before / "tuning.json").read_bytes()
    assert tuning_facts(shelf.findings(after))
    assert list(problems(shelf.context.store)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"carry": 3}, r"--carry 3 \(from Python carry\): give 1 or 2"),
        ({"carry": 0}, r"--carry 0 \(from Python carry\): give 1 or 2"),
        ({"carry": 2, "again": True}, "leave one out"),
        ({"blocks": 0}, "a number of blocks from 1 to 100"),
    ],
)
def test_numbers_that_no_tuning_can_have_are_refused(change, said):
    with pytest.raises(UsageError, match=said):
        replace(RANGE, **change)


def test_blocks_that_have_no_tuning_blocks_of_their_own_are_refused(shelf):
    with pytest.raises(UsageError, match="block 600 has no 2 tuning blocks"):
        replace(AGAIN, blocks=2).of_each([shelf.study((0, 600))])


# --- of several studies, and of what arms are called ------------------------------------------------------------------


def test_each_of_several_factors_is_tuned_by_the_options_of_its_own_arms(shelf):
    """An option for an arm of one factor says nothing of another's; one for no arm at all is a mistake."""
    rates = one_factor(shelf.study().arms[0].recipe, "lr", [0.1, 0.3], [0, 1])
    request = Request((asked("3:lr=0.3,0.6"), asked("6:lr=0.1,0.3")), blocks=1)
    mine, none = request.of_each([shelf.study(), rates])
    assert (mine, none) == (request, None)
    with pytest.raises(UsageError, match="7 is not an arm; the arms are 3, 6"):
        Request((asked("7:lr=0.3,0.6"),)).of_each([shelf.study(), rates])
    with pytest.raises(UsageError, match="lr is what is compared"):
        RANGE.of_each([shelf.study(), rates])


def test_winners_are_looked_at_as_their_study_was_to_be(shelf):
    """`--until-decided` adds blocks to the arms that were chosen."""
    study = with_looks([shelf.study()], 12)
    winners = tuned(plan(study, shelf.context), RANGE, Runner(shelf.context, jobs=1))
    assert (winners.looks, winners.blocks) == (study.looks, study.blocks)
    assert len(winners.looks) > 1


def test_winners_keep_the_labels_of_their_arms(shelf):
    """A study file may call its levels otherwise."""
    study = shelf.study()
    arms = tuple(replace(arm, name=name) for arm, name in zip(study.arms, ("short", "long"), strict=True))
    planned = plan(replace(study, arms=arms), shelf.context)
    winners = tuned(planned, RANGE, Runner(shelf.context, jobs=1))
    assert [arm.label for arm in winners.arms] == ["short+0.6", "long+0.6"]
    assert [arm.label for arm in read_tuning(plan(winners, shelf.context).folder).arms] == ["short+0.6", "long+0.6"]


def test_what_an_arm_lacks_is_refused_before_anything_is_trained(shelf):
    """The winners are compared in the settings that all arms have."""
    momentum = Request((asked("sgd:momentum=0.5,0.9"),), unequal=True)
    optimizers = one_factor(load("digits-mlp").recipe, "optimizer", ["adam", "sgd"], [0])
    with pytest.raises(UsageError, match="the arm adam lacks"):
        momentum.of_each([optimizers])


# --- its trials are trials of the study ------------------------------------------------------------------------------


def test_trials_of_a_tuning_are_found_by_value_and_block_and_go_with_their_study(shelf):
    """Their names are `BEFORE+VALUE/BLOCK`; removing the study removes them."""
    folder = shelf.compare(RANGE)
    store = shelf.context.store
    tried = {f"{label}/{block}": trial for label, block, trial in read_tuning(folder).tried}
    assert len(tried) == 12
    for name, trial in tried.items():
        assert find_trial(store, name).path.name == trial
    head = one_study(heads(store.root), "line-epochs-tuned-lr", store.root)
    assert set(own_trials(store, head, heads(store.root))) == set(store.trial_names())
    assert {one.called for one in listed(store)} >= set(tried)


def test_a_report_is_held_to_the_trials_of_the_tuning_too(shelf, tmp_path):
    """They are checked as all others are, and one can be trained again by its name."""
    folder = shelf.compare(RANGE)
    report = tmp_path / "table.md"
    report.write_text(FORMATS["markdown"].text(Report("study", "en", (load_study(shelf.context.store, folder),))))
    found = verify(report, shelf.context.store)
    assert (found.holds, found.trials) == (True, 16)
    again = retrain(found.trial(shelf.context.store, "3+0.3/1000000"), shelf.context)
    assert again.differences == ()

    _, _, name = next(iter(read_tuning(folder).tried))
    (shelf.context.store.folder(name).path / "epochs.jsonl").write_text("")
    found = verify(report, shelf.context.store)
    assert (found.failing, found.holds) == (1, False)
    assert "3+0.1/1000000" in found.problems[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda arm: replace(arm, winner="0.3"), "0.3 is not what the tuning of 3 chose"),
        (lambda arm: replace(arm, trainings=(replace(arm.trainings[0], score=0.0), *arm.trainings[1:])), "score"),
        (lambda arm: replace(arm, trainings=(replace(arm.trainings[0], value="0.3"), *arm.trainings[1:])), "recipe"),
        (lambda arm: replace(arm, trainings=(replace(arm.trainings[0], block=1000002), *arm.trainings[1:])), "another"),
        (lambda arm: replace(arm, label="7"), "of other arms"),
    ],
)
def test_a_tuning_that_does_not_follow_from_its_trials_is_found(shelf, change, said):
    """Who writes another winner or score can seal the file again; the trials still say what they came to."""
    folder = shelf.compare(RANGE)
    store = shelf.context.store
    assert list(problems(store)) == []
    tuning = read_tuning(folder)
    first, *others = tuning.arms
    write_tuning(folder, replace(tuning, arms=(change(first), *others)), lambda _: None)
    found = list(problems(store))
    assert {problem.path for problem in found} == {folder / "tuning.json"}
    assert any(said in problem.reason for problem in found)


# --- figures and costs -----------------------------------------------------------------------------------------------


def test_figures_show_every_score_by_value_and_the_best_of_k_values(shelf):
    """In files and on the page, from one description."""
    folder = shelf.compare(RANGE)
    found = shelf.findings(folder)
    assert "tuning" in figure_names(found)
    figure = study_figure(found, "tuning")
    by_rate, best = figure.panels
    assert [len(one.dots) for one in by_rate.lines] == [6, 6]
    first = found.tuning.arms[0]
    assert {y for _, y in by_rate.lines[0].dots} == {one.score for one in first.trainings}
    assert [x for x, _ in by_rate.lines[0].line] == [0.1, 0.3, 0.6, 1.2]
    assert best.lines[0].line[-1][1] == min(one.score for one in first.trainings if one.block == TUNING_BLOCKS)
    drawn = draw(figure, kinds=("svg", "pdf"))
    assert b"best of k values" in drawn["svg"]
    page = FORMATS["html"].text(Report("study", "en", (load_study(shelf.context.store, folder),)))
    assert page.count('<circle class="block"') >= 12
    assert "Cost of the tuning" in page


def test_the_seconds_of_each_arms_tuning_are_beside_those_of_its_trials(shelf):
    """In `costs.json` and on the page, since no table has a time."""
    study = load_study(shelf.context.store, shelf.compare(RANGE))
    assert [(cost.label, cost.timed, cost.epochs) for cost in study.tuning_costs] == [("3", 18, 18), ("6", 36, 36)]
    assert all(cost.seconds > 0.0 for cost in study.tuning_costs)
    written = json.loads(costs_json("line", study.costs, study.tuning_costs))
    assert [len(one["seconds_by_block"]) for one in written["tuning"]] == [6, 6]


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=6))
def test_the_best_of_k_values_is_the_mean_over_all_choices(scores):
    """Held to the enumeration of all of them."""
    trainings = tuple(TuningTrial(str(place), TUNING_BLOCKS, "", score) for place, score in enumerate(scores))
    arm = TunedArm("", "", ("lr",), (), trainings, "", None, None, False)
    for higher, best in ((True, max), (False, min)):
        expected = [sum(map(best, combinations(scores, k))) / comb(len(scores), k) for k in range(1, len(scores) + 1)]
        assert best_of(arm, higher_is_better=higher) == pytest.approx(expected)
