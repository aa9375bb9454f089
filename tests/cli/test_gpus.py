"""`--gpus`: each running trial of a program sees a GPU of its own."""

import os

import pytest
from conftest import run_here

PRINTS_ITS_GPU = ("noise", "--run", "sh -c 'sleep 0.3; echo gpu=$CUDA_VISIBLE_DEVICES {seed}'", "--metric", "gpu")
OPTIONS = ("--goal", "min", "--no-audit", "--quiet")


def seen(folder):
    """Return what the programs have seen, one entry a trial."""
    return sorted(file.read_text().split()[0] for file in folder.glob("runs/trials/*/stdout.txt"))


def test_trials_side_by_side_see_one_gpu_each(tmp_path, monkeypatch):
    """Two GPUs are two jobs: no program sees what another one uses, or what the shell had chosen."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "9")
    done = run_here(*PRINTS_ITS_GPU, *OPTIONS, "--seeds", "2", "--gpus", "4,7")
    assert done.code == 0, done.err
    assert seen(tmp_path) == ["gpu=4", "gpu=7"]


def test_a_single_job_sees_the_first(tmp_path, monkeypatch):
    """Trials one after the other need one GPU; the environment is as it was afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "9")
    assert run_here(*PRINTS_ITS_GPU, *OPTIONS, "--seeds", "2", "--gpus", "4,7", "--jobs", "1").code == 0
    assert seen(tmp_path) == ["gpu=4", "gpu=4"]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "9"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--gpus", "0,0"), "give each GPU once"),
        (("--gpus", "0,"), "give each GPU once"),
        (("--gpus", "0", "--jobs", "2"), "--jobs 2 is more than the 1 GPU"),
    ],
)
def test_what_gives_no_trial_a_gpu_of_its_own_is_refused(tmp_path, monkeypatch, words, said):
    """Nothing runs where two trials would share a GPU."""
    monkeypatch.chdir(tmp_path)
    done = run_here(*PRINTS_ITS_GPU, *OPTIONS, *words)
    assert done.code == 2
    assert said in done.err
    assert not (tmp_path / "runs").exists()


def test_gpus_need_a_program(tmp_path, monkeypatch):
    """The networks of eailab choose their device by `--device`."""
    monkeypatch.chdir(tmp_path)
    done = run_here("noise", "digits-mlp", "--gpus", "0")
    assert (done.code, "--gpus needs a program of yours" in done.err) == (2, True)
