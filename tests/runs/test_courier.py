"""Whatever the machines promise, what is finished is asked of the store, and every trial comes to its end."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from eailab.data.table import load as load_data
from eailab.errors import DamagedError, StoppedError, StoreError, UsageError
from eailab.recipe.load import Override, load
from eailab.runs.events import Ended, EpochEnded, Failed, Started, TriedAgain
from eailab.runs.executors import errand
from eailab.runs.executors import ray as on_ray
from eailab.runs.executors.base import Surroundings
from eailab.runs.executors.courier import ATTEMPTS, Dispatch
from eailab.runs.executors.errand import CODES, Return
from eailab.runs.executors.local import LocalExecutor
from eailab.runs.store import Store, Trial


def trials(count):
    small = [("epochs", 2), ("model.hidden", [8])]
    recipe = load("digits-mlp", [Override(path, value, "-o") for path, value in small]).recipe
    return [Trial(recipe, block, load_data("digits").fingerprint) for block in range(count)]


@dataclass
class Pigeons:
    """A courier that trains in this process, and misbehaves as it is told."""

    returns: dict = field(default_factory=dict)
    """By name: the codes to come back with instead of training."""
    sees_the_folder: bool = True
    is_silent: bool = False
    """Train, and never say so."""
    back: list = field(default_factory=list)
    sent: list = field(default_factory=list)
    recalled: bool = False

    def send(self, name, arguments, threads, alone):
        self.sent.append((name, alone))
        if self.returns.get(name):
            self.back.append(Return(name, self.returns[name].pop(0), "a reason"))
            return
        code = errand.main(*arguments)
        if not self.is_silent:
            self.back.append(Return(name, code, ""))

    def collect(self, seconds):
        back, self.back = self.back, []
        return back

    def reads(self, file):
        return file.read_text() if self.sees_the_folder else ""

    def recall(self):
        self.recalled = True


def dispatch(pigeons, root, some, stop=lambda: False):
    events = []
    Dispatch(pigeons, Surroundings(root, device="cpu"), events.append, stop).run(some)
    assert pigeons.recalled
    return events


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


@pytest.fixture(autouse=True)
def keep_signals():
    """An errand listens to signals; here it shares the process with pytest."""
    import signal

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("is_silent", [False, True])
def test_results_are_those_of_this_machine_even_if_nothing_comes_back(tmp_path, is_silent):
    some = trials(2)
    events = dispatch(Pigeons(is_silent=is_silent), tmp_path / "far", some)
    LocalExecutor(1).run(some, Surroundings(tmp_path / "near"), lambda _: None, lambda: False)
    for trial in some:
        far, near = (Store(tmp_path / name).folder(trial.fingerprint) for name in ("far", "near"))
        for name in ("recipe.yaml", "epochs.jsonl", "model.safetensors", "predictions.npz"):
            assert (far.path / name).read_bytes() == (near.path / name).read_bytes()
    assert [len(of(kind, events)) for kind in (Started, EpochEnded, Ended, Failed)] == [2, 4, 2, 0]
    assert not list((tmp_path / "far").glob(".probe*"))


def test_an_errand_that_is_lost_is_sent_again_and_in_the_end_given_up(tmp_path):
    lost, unlucky = trials(2)
    pigeons = Pigeons({lost.fingerprint: [-9, 143], unlucky.fingerprint: [-9] * ATTEMPTS})
    events = dispatch(pigeons, tmp_path, [lost, unlucky])
    assert [event.trial for event in of(Ended, events)] == [lost.fingerprint]
    assert [event.trial for event in of(Failed, events)] == [unlucky.fingerprint]
    assert len(of(TriedAgain, events)) == 2 + ATTEMPTS - 1


def test_a_trial_without_memory_is_tried_once_more_alone_on_a_device(tmp_path):
    (trial,) = trials(1)
    pigeons = Pigeons({trial.fingerprint: [CODES["memory"]]})
    events = dispatch(pigeons, tmp_path, [trial])
    assert pigeons.sent == [(trial.fingerprint, False), (trial.fingerprint, True)]
    assert len(of(Ended, events)) == 1


@pytest.mark.parametrize(("code", "exit_code"), [("trial", 1), ("usage", 2)])
def test_what_went_wrong_with_a_trial_is_told_and_not_tried_again(tmp_path, code, exit_code):
    (trial,) = trials(1)
    (failed,) = of(Failed, dispatch(Pigeons({trial.fingerprint: [CODES[code]]}), tmp_path, [trial]))
    assert (failed.reason, failed.exit_code) == ("a reason", exit_code)


def test_a_store_that_cannot_be_written_there_ends_the_study(tmp_path):
    (trial,) = trials(1)
    with pytest.raises(StoreError, match="a reason"):
        dispatch(Pigeons({trial.fingerprint: [CODES["store"]]}), tmp_path, [trial])


def test_machines_that_do_not_share_the_folder_are_found_out_at_the_start(tmp_path):
    """Not after an hour of training into folders that nobody sees."""
    pigeons = Pigeons(sees_the_folder=False)
    with pytest.raises(StoreError, match="do not see"):
        dispatch(pigeons, tmp_path, trials(1))
    assert pigeons.sent == []


def test_a_stop_recalls_the_errands(tmp_path):
    pigeons = Pigeons()
    with pytest.raises(StoppedError):
        dispatch(pigeons, tmp_path, trials(1), stop=lambda: True)


def test_an_errand_in_a_process_of_its_own_says_how_it_ended(tmp_path):
    (trial,) = trials(1)
    surroundings = Surroundings(tmp_path, device="cpu")
    arguments = errand.command(surroundings, trial.fingerprint)
    assert errand.run(arguments).code == CODES["trial"]  # nothing was ordered there
    surroundings.store.folder(trial.fingerprint).order(trial)
    assert errand.run(arguments) == Return(trial.fingerprint, 0, "")
    assert surroundings.store.folder(trial.fingerprint).result() is not None


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


RAY_ON_LOOPBACK = Path(__file__).with_name("ray_on_loopback.sh")


def test_a_real_cluster_that_loses_a_node_ends_with_the_bytes_of_this_machine(tmp_path):
    """Two nodes of separate processes in a network of their own; one is killed in the middle."""
    python = os.environ.get("EAILAB_RAY_PYTHON", sys.executable)
    if subprocess.run([python, "-c", "import ray"], capture_output=True).returncode:
        pytest.skip("Ray is not installed: pip install ray, or name a Python that has it in EAILAB_RAY_PYTHON")
    apart = ["unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if shutil.which("unshare") is None or subprocess.run([*apart, "true"], capture_output=True).returncode:
        pytest.skip("namespaces for network and processes are not allowed here")
    run = subprocess.run([*apart, "bash", str(RAY_ON_LOOPBACK), python, str(tmp_path)], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "refused without the token" in run.stdout
    assert "one node killed" in run.stdout
    assert "40 trials, equal bytes" in run.stdout
