"""Whatever the machines promise, what is finished is asked of the store, and every trial comes to its end."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans import one_factor
from scores import scored

from eailab.data.registry import load as load_data
from eailab.engines.registry import ENGINES, engine_of
from eailab.errors import DamagedError, DeviceError, StoppedError, StoreError, UsageError
from eailab.recipe.load import Override, load
from eailab.recipe.of_command import recipe_of_command
from eailab.runs.context import Ended, EpochEnded, Failed, RunContext, SetAside, Started, TriedAgain
from eailab.runs.executors import cluster, remote_worker
from eailab.runs.executors import ray as on_ray
from eailab.runs.executors import slurm as on_slurm
from eailab.runs.executors.attempts import Outcome
from eailab.runs.executors.cluster import ATTEMPTS, Dispatcher, packed
from eailab.runs.executors.local import LocalExecutor
from eailab.runs.executors.remote_worker import Died, Resources, Task, TaskResult
from eailab.runs.records import Epoch
from eailab.runs.store import Store
from eailab.runs.trial import Trial
from eailab.studies.plan import plan
from eailab.studies.run import Runner
from eailab.studies.tuning import asked
from eailab.studies.tuning_run import Request, tuned

SMALL = load("digits-mlp", [Override("epochs", 2, "-o"), Override("model.hidden", [8], "-o")]).recipe


KILLED, STOPPED = Died(-9, "a reason"), Died(143, "a reason")


def trials(count, epochs=2):
    recipe = SMALL.model_copy(update={"epochs": epochs})
    return [Trial(recipe, block, load_data("digits").fingerprint) for block in range(count)]


@dataclass
class FakeBackend:
    """A backend that trains in this process, and misbehaves as it is told."""

    returns: dict = field(default_factory=dict)
    """By name: the ends to come back with instead of training."""
    sees_the_folder: bool = True
    is_silent: bool = False
    """Train, and never say so."""
    worth_seconds: float = 0.0
    measures: bool = False
    takes: float = 1.0
    """Seconds that a trial is said to take."""
    at_once: int = 2
    back: list = field(default_factory=list)
    sent: list = field(default_factory=list)
    measured: list = field(default_factory=list)
    cancelled: bool = False

    def machines(self):
        return ["first", "second"]

    def send(self, tasks):
        for sent in tasks:
            if sent.kind == "look":
                if self.sees_the_folder or sent.machine == "first":
                    self.back += remote_worker.perform(sent)
                else:
                    self.back.append(TaskResult(sent.names[0], Outcome("store", "not here")))
            elif sent.kind == "measure":
                self.measured += sent.names
                self.back += [TaskResult(name, Outcome(), Resources(self.takes)) for name in sent.names]
            else:
                self.sent.append((sent.names, sent.alone))
                self.train(sent)

    def train(self, sent):
        for place, name in enumerate(sent.names):
            if self.returns.get(name):
                end = self.returns[name].pop(0)
                self.back.append(TaskResult(name, end))
                if isinstance(end, Died):
                    self.back += [TaskResult(later, None) for later in sent.names[place + 1 :]]
                    return
                continue
            back = list(remote_worker.perform(replace(sent, names=(name,))))
            if not self.is_silent:
                self.back += back

    def collect(self, seconds):
        back, self.back = self.back, []
        return back

    def cancel(self):
        self.cancelled = True


def dispatch(backend, root, some, stop=lambda: False, retries=0):
    events = []
    context = RunContext(root, device="cpu", retries=retries, on_event=events.append, should_stop=stop)
    Dispatcher(backend, context).run(some)
    assert backend.cancelled
    return events


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


@pytest.fixture(autouse=True)
def keep_signals():
    """A task listens to signals; here it shares the process with pytest."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("name", ["model.safetensors", "recipe.yaml"])
def test_what_a_machine_sets_aside_is_said_here(tmp_path, name):
    """What was damaged is trained again, or written again, elsewhere; the store tells of it, not the machine."""
    (trial,) = trials(1)
    dispatch(FakeBackend(), tmp_path, [trial])
    folder = Store(tmp_path).folder(trial.fingerprint)
    good = (folder.path / name).read_bytes()
    (folder.path / name).write_bytes(good[: len(good) // 2])
    events = dispatch(FakeBackend(), tmp_path, [trial])
    (aside,) = of(SetAside, events)
    assert f"{folder.path} were set aside as {name}.damaged-1" in aside.reason
    assert ("trained again" in aside.reason) == (name == "model.safetensors")
    assert len(of(Ended, events)) == 1
    assert (folder.path / name).read_bytes() == good


@pytest.mark.parametrize("is_silent", [False, True])
def test_results_are_those_of_this_machine_even_if_nothing_comes_back(tmp_path, is_silent):
    some = trials(2)
    events = dispatch(FakeBackend(is_silent=is_silent), tmp_path / "far", some)
    LocalExecutor(1).run(some, RunContext(tmp_path / "near"))
    for trial in some:
        far, near = (Store(tmp_path / name).folder(trial.fingerprint) for name in ("far", "near"))
        for name in ("recipe.yaml", "epochs.jsonl", "model.safetensors", "predictions.npz"):
            assert (far.path / name).read_bytes() == (near.path / name).read_bytes()
    assert [len(of(kind, events)) for kind in (Started, EpochEnded, Ended, Failed)] == [2, 4, 2, 0]
    assert not list((tmp_path / "far").glob(".probe*"))


def test_a_task_that_is_lost_is_sent_again_and_in_the_end_given_up(tmp_path):
    lost, unlucky = trials(2)
    backend = FakeBackend({lost.fingerprint: [KILLED, STOPPED], unlucky.fingerprint: [KILLED] * ATTEMPTS})
    events = dispatch(backend, tmp_path, [lost, unlucky])
    assert [event.trial for event in of(Ended, events)] == [lost.fingerprint]
    assert [event.trial for event in of(Failed, events)] == [unlucky.fingerprint]
    assert len(of(TriedAgain, events)) == 2 + ATTEMPTS - 1


def test_a_trial_without_memory_is_tried_once_more_alone_on_a_device(tmp_path):
    (trial,) = trials(1)
    backend = FakeBackend({trial.fingerprint: [Outcome("memory", "a reason")]})
    events = dispatch(backend, tmp_path, [trial])
    assert backend.sent == [((trial.fingerprint,), False), ((trial.fingerprint,), True)]
    assert len(of(Ended, events)) == 1


def test_short_trials_share_a_task(tmp_path):
    """A job's start costs seconds; what a trial takes is measured once for each arm."""
    some = trials(5)
    backend = FakeBackend(measures=True, takes=40.0, worth_seconds=100.0)
    events = dispatch(backend, tmp_path, some)
    names = [trial.fingerprint for trial in some]
    assert len(backend.measured) == 1
    assert backend.sent == [(tuple(names[:3]), False), (tuple(names[3:]), False)]
    assert len(of(Ended, events)) == 5


def test_a_persons_program_is_not_run_only_to_see_what_it_takes(tmp_path, monkeypatch):
    monkeypatch.setitem(ENGINES, SMALL.engine, replace(ENGINES[SMALL.engine], is_foreign=True))
    backend = FakeBackend(measures=True, worth_seconds=100.0)
    assert len(of(Ended, dispatch(backend, tmp_path, trials(2)))) == 2
    assert (len(backend.sent), backend.measured) == (2, [])


@given(
    st.lists(st.tuples(st.floats(0, 50), st.sampled_from([1, 2])), max_size=30),
    st.sampled_from([0.0, 1.0, 100.0]),
)
def test_packs_keep_the_order_and_are_closed_once_they_are_worth_it(sizes, worth):
    some = [
        Trial(SMALL.model_copy(update={"threads": threads}), block, "data") for block, (_, threads) in enumerate(sizes)
    ]
    packs = list(packed(some, lambda trial: sizes[trial.block][0], worth))
    assert [trial for pack in packs for trial in pack] == some
    for pack in packs:
        assert len({trial.recipe.threads for trial in pack}) == 1
        assert len(pack) == 1 or sum(sizes[trial.block][0] for trial in pack[:-1]) < worth
    for pack, after in pairwise(packs):
        if after[0].recipe.threads == pack[0].recipe.threads:
            assert sum(sizes[trial.block][0] for trial in pack) >= worth


def test_a_trial_that_kills_its_process_takes_no_other_along(tmp_path):
    first, killer, last = some = trials(3)
    backend = FakeBackend({killer.fingerprint: [KILLED] * ATTEMPTS}, measures=True, worth_seconds=100.0)
    events = dispatch(backend, tmp_path, some)
    assert [event.trial for event in of(Ended, events)] == [first.fingerprint, last.fingerprint]
    assert [event.trial for event in of(Failed, events)] == [killer.fingerprint]
    assert {event.trial for event in of(TriedAgain, events)} == {killer.fingerprint}
    assert [names for names, _ in backend.sent[1:]] == [
        (killer.fingerprint,), (last.fingerprint,), *[(killer.fingerprint,)] * (ATTEMPTS - 2)
    ]  # fmt: skip


def test_a_trial_that_comes_further_each_time_is_never_given_up(tmp_path):
    """One that takes longer than a job may last is stopped again and again."""
    (trial,) = trials(1)
    folder = Store(tmp_path).folder(trial.fingerprint)

    class Brief(FakeBackend):
        def train(self, sent):
            if len(self.sent) <= 2 * ATTEMPTS:
                folder.add_epoch(Epoch(len(self.sent), scored((1.0, 0.5), (1.0, 0.5))))
                self.back.append(TaskResult(trial.fingerprint, STOPPED))
            else:
                super().train(sent)

    events = dispatch(Brief(), tmp_path, [trial])
    assert len(of(TriedAgain, events)) == 2 * ATTEMPTS
    assert len(of(Ended, events)) == 1


def test_a_result_may_take_a_while_to_be_seen_here(tmp_path, monkeypatch):
    """A network's file system shows new files late; a task that is done and never left one has failed."""
    (trial,) = trials(1)
    backend = FakeBackend({trial.fingerprint: [Outcome()]})
    monkeypatch.setattr(cluster, "LATE_SECONDS", 0.05)
    (failed,) = of(Failed, dispatch(backend, tmp_path, [trial]))
    assert failed.reason == "it left no result"


def test_a_watcher_is_told_the_epochs_of_this_command_only_and_always_the_last(tmp_path):
    one, other = trials(2)
    far = RunContext(tmp_path, device="cpu")
    folder = far.store.folder(one.fingerprint)
    LocalExecutor(1).run([one], far)
    folder.result_file.unlink()  # all epochs are there, and no result: the last ones are trained again
    events = dispatch(FakeBackend(), tmp_path, [one, other])
    told = [(type(event), getattr(event, "resumed", 0)) for event in events if event.trial == one.fingerprint]
    assert told == [(Started, 1), (EpochEnded, 0), (Ended, 0)]
    assert [event.epoch.number for event in of(EpochEnded, events) if event.trial == other.fingerprint] == [1, 2]


@pytest.mark.parametrize(("problem", "exit_code"), [("trial", 1), ("trial", 2), ("program", 1)])
def test_what_went_wrong_with_a_trial_is_reported_and_not_tried_again(tmp_path, problem, exit_code):
    (trial,) = trials(1)
    (failed,) = of(
        Failed, dispatch(FakeBackend({trial.fingerprint: [Outcome(problem, "a reason", exit_code)]}), tmp_path, [trial])
    )
    assert (failed.reason, failed.exit_code) == ("a reason", exit_code)


def test_a_task_is_told_all_that_its_trials_depend_on(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setitem(remote_worker.TASKS, "look", lambda names, context: seen.append(context) or [])
    for keep_code in (True, False):
        context = RunContext(tmp_path, tmp_path / "data", "cpu", keep_code=keep_code)
        assert not list(remote_worker.perform(Task("look", (), remote_worker.where(context))))
        assert seen.pop() == context


def test_a_program_that_failed_is_started_again_as_often_as_was_asked(tmp_path):
    lucky, unlucky = trials(2)
    failure = Outcome("program", "a reason")
    backend = FakeBackend({lucky.fingerprint: [failure] * 2, unlucky.fingerprint: [failure] * 3})
    events = dispatch(backend, tmp_path, [lucky, unlucky], retries=2)
    assert [event.trial for event in of(Ended, events)] == [lucky.fingerprint]
    assert [event.trial for event in of(Failed, events)] == [unlucky.fingerprint]
    assert [event.reason for event in of(TriedAgain, events)] == ["a reason\nIt is started again."] * 4


def test_a_persons_program_runs_on_other_machines_as_here(tmp_path, monkeypatch):
    """Its command, folder and code are in the store and the working folder, which the machines share."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.sh").write_text('echo "epoch 1 loss $1.5"; exit $(($1 == 2))\n')
    recipe = recipe_of_command("sh train.sh {seed} {out}", {"metric": "loss"}, {})
    runs = tmp_path / "runs"
    some = [Trial(recipe, block, engine_of(recipe).inputs(recipe, None, runs)) for block in range(3)]
    events = dispatch(FakeBackend(), runs, some)
    assert {event.trial: event.values for event in of(Ended, events)} == {
        one.fingerprint: {"loss": one.block + 0.5} for one in some[:2]
    }
    (failed,) = of(Failed, events)
    assert (failed.trial, failed.exit_code) == (some[2].fingerprint, 1)
    assert "sh ended with code 1" in failed.reason


@pytest.mark.parametrize("name", ["ray", "slurm"])
def test_arms_are_tuned_on_other_machines_as_here(tmp_path, monkeypatch, name):
    """Each round goes out as tasks, one of which is lost and sent again; winners and trials are the same."""
    sent = []

    class Elsewhere:
        def run(self, some, context):
            losses = {} if sent else {some[0].fingerprint: [KILLED]}
            sent.append(len(some))
            Dispatcher(FakeBackend(losses), context).run(some)

    recipe = SMALL.model_copy(update={"epochs": 1})
    study = one_factor(recipe, "optimizer", ["adam", "sgd"], [0])
    request = Request((asked("lr=0.01,0.1"),), blocks=1, carry=2)
    files = {}
    for on in ("local", name):
        with monkeypatch.context() as patched:
            if on != "local":
                patched.setattr("eailab.studies.run.executor_for", lambda on, _jobs: {name: Elsewhere()}[on])
            context = RunContext(tmp_path / on, device="cpu", on=on)
            winners = tuned(plan(study, context), request, Runner(context, jobs=1))
            files[on] = (plan(winners, context).folder / "tuning.json").read_bytes()
    assert sent[0] == 4
    assert files[name] == files["local"]
    assert Store(tmp_path / name).trial_names() == Store(tmp_path / "local").trial_names()


def test_a_store_that_cannot_be_written_there_ends_the_study(tmp_path):
    (trial,) = trials(1)
    with pytest.raises(StoreError, match="a reason"):
        dispatch(FakeBackend({trial.fingerprint: [Outcome("store", "a reason")]}), tmp_path, [trial])


def test_machines_that_do_not_share_the_folder_are_found_out_at_the_start(tmp_path):
    """Not after an hour of training into folders that nobody sees."""
    backend = FakeBackend(sees_the_folder=False)
    with pytest.raises(StoreError, match="not every machine can read"):
        dispatch(backend, tmp_path, trials(1))
    assert backend.sent == []


def test_machines_that_are_all_lost_at_the_start_are_no_answer(tmp_path):
    class Lost(FakeBackend):
        def send(self, tasks):
            self.back += [back for sent in tasks for back in sent.lost("gone")]

    with pytest.raises(StoreError, match="no machine has answered"):
        dispatch(Lost(), tmp_path, trials(1))


@pytest.mark.parametrize("tasks", [0, 2])
def test_a_stop_recalls_the_tasks_and_sends_no_more(tmp_path, tasks):
    backend = FakeBackend(at_once=1)
    asked = iter([False] * (tasks and tasks + 1))
    with pytest.raises(StoppedError):
        dispatch(backend, tmp_path, trials(5), stop=lambda: next(asked, True))
    assert len(backend.sent) == tasks


def test_a_task_in_a_process_of_its_own_says_how_it_ended(tmp_path):
    (trial,) = trials(1)
    context = RunContext(tmp_path, device="cpu")
    context.store.folder(trial.fingerprint).order(trial)
    names = ("0" * 20, trial.fingerprint)  # nothing was ordered under the first
    missing, done = remote_worker.run(Task("train", names, remote_worker.where(context)))
    assert (missing.name, missing.end.problem) == (names[0], "trial")
    assert "block" in missing.end.reason or "not the recipe" in missing.end.reason
    assert done == TaskResult(trial.fingerprint, Outcome())
    assert context.store.folder(trial.fingerprint).result() is not None


def test_an_order_for_another_trial_is_refused(tmp_path):
    one, other = trials(2)
    folder = Store(tmp_path).folder(one.fingerprint)
    folder.order(one)
    assert folder.ordered() == one
    shutil.copytree(folder.path, Store(tmp_path).folder(other.fingerprint).path)
    with pytest.raises(DamagedError, match="not named after"):
        Store(tmp_path).folder(other.fingerprint).ordered()


# --- Ray -------------------------------------------------------------------------------------------------------------


def test_a_token_that_others_can_read_is_refused(tmp_path, monkeypatch):
    """Whoever has it runs code as its owner; Ray's own command writes it for all to read."""
    token = tmp_path / "token"
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
    with pytest.raises(UsageError, match="no token yet"):
        on_ray._check_token()
    token.write_text("secret")
    token.chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        on_ray._check_token()
    token.chmod(0o600)
    on_ray._check_token()


@pytest.mark.parametrize(
    ("gigabytes", "share"),
    [
        (None, 1.0),
        (70.0, 1.0),  # with what cannot be measured, two would be too many
        (30.0, 0.5),
        (25.0, 0.3333),  # three times 0.3334 would be more than a GPU
        (11.5, 0.1666),
        (0.2, 0.125),  # however small, they share its arithmetic
    ],
)
def test_as_many_trials_share_a_gpu_as_its_memory_holds(gigabytes, share):
    held = None if gigabytes is None else int(gigabytes * 2**30)
    assert on_ray.gpu_share(Resources(60.0, held, None if held is None else 80 * 2**30)) == share


def test_ray_is_asked_for_what_a_trial_takes():
    measured = Resources(60.0, 2**30, 10 * 2**30)
    nodes = [{"Alive": True, "NodeID": "a", "Resources": {"CPU": 4.0}}, {"Alive": False, "Resources": {"CPU": 9.0}}]
    ray = SimpleNamespace(nodes=lambda: nodes)
    task = Task("train", ("trial",), ("runs", "auto", "1", "", ""), threads=2, measured=measured)

    def asked(on_gpus, task):
        options = on_ray._RayBackend(ray, on_gpus).options(task)
        return options["num_cpus"], options["num_gpus"]

    assert asked(True, task) == (2, 0.25)
    assert asked(True, replace(task, measured=None)) == (2, 1.0)
    assert asked(True, replace(task, alone=True)) == (4.0, 1.0)
    assert asked(False, task) == (2, 0.0)


def test_a_termination_signal_stays_ours_where_ray_takes_it(monkeypatch):
    """Ray's own handler ends the process at once, with another code and without a word."""

    def init(**_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init))
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    before = signal.getsignal(signal.SIGTERM)
    on_ray._connect(None)
    assert signal.getsignal(signal.SIGTERM) is before


def test_shared_memory_that_cannot_be_written_is_named_before_ray_waits_for_it(monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    monkeypatch.setattr(on_ray, "SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(on_ray.os, "access", lambda path, _: path != tmp_path)
    with pytest.raises(DeviceError, match="cannot be written, and Ray keeps its objects there"):
        on_ray._connect(None)


@pytest.mark.parametrize("error", [Exception("timed out"), ConnectionError("refused"), RuntimeError("no")])
def test_whatever_ray_raises_when_it_starts_is_one_error(monkeypatch, error):
    def init(**_):
        raise error

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init))
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    with pytest.raises(DeviceError, match=f"could not connect to Ray at .*: {error}"):
        on_ray._connect("ray://elsewhere")


RAY_ON_LOOPBACK = Path(__file__).with_name("ray_on_loopback.sh")


def on_loopback(script, python, folder):
    """Run a script in namespaces for network and processes of its own, and return what it says."""
    apart = ["unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if shutil.which("unshare") is None or subprocess.run([*apart, "true"], capture_output=True).returncode:
        pytest.skip("namespaces for network and processes are not allowed here")
    run = subprocess.run([*apart, "bash", str(script), python, str(folder)], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_a_real_cluster_that_loses_a_node_ends_with_the_bytes_of_this_machine(tmp_path):
    """Two nodes of separate processes in a network of their own; one is killed in the middle."""
    python = os.environ.get("EAILAB_RAY_PYTHON", sys.executable)
    if subprocess.run([python, "-c", "import ray"], capture_output=True).returncode:
        pytest.skip("Ray is not installed: pip install ray, or name a Python that has it in EAILAB_RAY_PYTHON")
    said = on_loopback(RAY_ON_LOOPBACK, python, tmp_path)
    assert "refused without the token" in said
    assert "two trials on one GPU" in said
    assert "one node killed" in said
    assert "terminated: 143, and it named the command that goes on" in said
    assert "refused: not every machine can read" in said
    assert "40 trials, equal bytes, equal tables" in said


# --- Slurm -----------------------------------------------------------------------------------------------------------


@dataclass
class Submitter:
    """Takes jobs as submitit does, and never runs them."""

    folder: Path
    arrays: list = field(default_factory=list)
    parameters: dict = field(default_factory=dict)

    def update_parameters(self, **given):
        self.parameters |= given

    def map_array(self, job, tasks):
        self.arrays.append((dict(self.parameters), list(tasks)))
        number = len(self.arrays)
        names = [f"{number}_{place}" if len(tasks) > 1 else f"{number}" for place in range(len(tasks))]
        return [SimpleNamespace(job_id=n, paths=SimpleNamespace(result_pickle=self.folder / n)) for n in names]


def test_tasks_go_out_as_arrays_of_jobs_with_the_same_needs(tmp_path):
    submitter = Submitter(tmp_path)
    tasks = [Task("train", (name,), ("", "", "", "", ""), threads) for name, threads in (("a", 1), ("b", 2), ("c", 1))]
    on_slurm._SlurmBackend(submitter, 0.0).send(tasks)
    assert [[sent.names for sent in some] for _, some in submitter.arrays] == [[("a",), ("c",)], [("b",)]]
    assert [parameters["cpus_per_task"] for parameters, _ in submitter.arrays] == [1, 2]
    assert submitter.parameters["srun_args"] == ["--cpus-per-task=2"]


def test_jobs_are_left_only_where_nobody_else_can_write(tmp_path):
    """What lies there is unpickled as the user who sent it."""
    folder = tmp_path / "runs" / ".slurm"
    on_slurm._check_private(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    on_slurm._check_private(folder)
    folder.chmod(0o770)
    with pytest.raises(UsageError, match="others can write"):
        on_slurm._check_private(folder)


def test_a_job_is_lost_when_slurm_does_not_know_it_and_not_when_slurm_does_not_answer(tmp_path, monkeypatch):
    slurm = on_slurm._SlurmBackend(Submitter(tmp_path), 0.0)
    slurm.send([Task("train", (name,), ("", "", "", "", "")) for name in ("known", "lost")])
    monkeypatch.setattr(on_slurm, "LOST_SECONDS", 0.0)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    squeue = tmp_path / "squeue"

    def says(script):
        squeue.write_text(f"#!/bin/sh\n{script}\n")
        squeue.chmod(0o755)

    says("echo unable to contact the controller >&2; exit 1")
    assert slurm.collect(0.0) == []
    says("echo 1_0; echo 7")
    assert [(back.name, back.end.code) for back in slurm.collect(0.0)] == [("lost", -1)]
    assert list(slurm.jobs) == ["1_0"]


def test_a_job_that_is_pushed_off_its_machine_waits_until_its_trial_is_saved(tmp_path, monkeypatch):
    """Submitit asks for it in the middle of the job, and then gives the machine up."""
    (trial,) = trials(1, epochs=100_000)
    context = RunContext(tmp_path, device="cpu")
    folder = context.store.folder(trial.fingerprint)
    folder.order(trial)
    sent = Task("train", (trial.fingerprint,), remote_worker.where(context))
    helpers = SimpleNamespace(DelayedSubmission=lambda job, argument: (type(job), argument))
    monkeypatch.setitem(sys.modules, "submitit", SimpleNamespace(helpers=helpers))
    monkeypatch.setitem(sys.modules, "submitit.helpers", helpers)
    job, again = on_slurm.Job(), []

    def hurry(*_):
        assert not folder.checkpoint_file.exists()
        again.append(job.checkpoint(sent))
        assert folder.checkpoint_file.exists()

    def push():
        while not folder.epochs():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGUSR2)

    signal.signal(signal.SIGUSR2, hurry)
    pusher = threading.Thread(target=push)
    pusher.start()
    assert job(sent) == [TaskResult(trial.fingerprint, Died(143, ""))]
    pusher.join()
    assert again == [(on_slurm.Job, sent)]


SLURM_ON_LOOPBACK = Path(__file__).with_name("slurm_on_loopback.sh")


def test_real_slurm_that_loses_a_node_ends_with_the_bytes_of_this_machine(tmp_path):
    """A controller and two nodes; an urgent job pushes ours off one of them, and the other is killed in the middle."""
    python = os.environ.get("EAILAB_SLURM_PYTHON")
    if python is None:
        pytest.skip("takes one to two minutes: name a Python with submitit in EAILAB_SLURM_PYTHON")
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
    if missing := [name for name in ("slurmctld", "slurmd", "munged", "sbatch") if not shutil.which(name, path=path)]:
        pytest.skip(f"{', '.join(missing)} not installed: apt-get install slurmctld slurmd slurm-client munge")
    said = on_loopback(SLURM_ON_LOOPBACK, python, tmp_path)
    assert "n2 killed with" in said
    assert "20 trials, equal bytes, equal tables" in said


def test_a_file_that_a_machine_does_not_see_is_told_by_its_name(tmp_path):
    """So that a folder which is not shared is known before anything is trained."""
    (tmp_path / "here").write_text("a word")
    here, gone = remote_worker.TASKS["look"](["here", "gone"], RunContext(tmp_path))
    assert here == TaskResult("here", Outcome())
    assert (gone.name, gone.end.problem) == ("gone", "store")
    assert "gone" in gone.end.reason
    assert {file.name for file in tmp_path.iterdir()} == {"here", f"here{remote_worker.ANSWER}"}
