"""Devices and precisions that are not here, and the energy counter of an NVIDIA GPU."""

import ctypes
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from eailab.engines.torch_resnet import devices
from eailab.errors import DeviceError


def test_auto_is_cuda_where_there_is_one():
    assert devices.choose("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_the_cpu_is_always_here():
    assert devices.describe(devices.choose("cpu")) == "cpu"


def test_cuda_without_a_gpu_is_refused_with_what_to_do(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=r"--device cuda.*Use --device cpu, or auto") as raised:
        devices.choose("cuda")
    assert raised.value.exit_code == 2
    assert devices.choose("auto").type == "cpu"


def test_tf32_is_refused_on_the_cpu(make_recipe):
    with pytest.raises(DeviceError, match=r"precision tf32 needs an NVIDIA GPU.*use precision fp32 or bf16"):
        devices.check_precision(make_recipe(precision="tf32"), torch.device("cpu"))


@pytest.mark.parametrize("precision", ["bf16", "tf32"])
def test_an_old_gpu_is_refused_by_its_capability(monkeypatch, make_recipe, precision):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Old GPU")
    with pytest.raises(DeviceError, match="Old GPU: use precision fp32"):
        devices.check_precision(make_recipe(precision=precision), torch.device("cuda"))


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize(("precision", "products"), [("fp32", "ieee"), ("tf32", "tf32"), ("bf16", "ieee")])
def test_switches_are_set_for_a_pass_and_put_back(make_recipe, precision, products, deterministic, monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    switches = torch.backends.cudnn

    def now():
        return (
            switches.conv.fp32_precision,
            torch.backends.cuda.matmul.fp32_precision,
            switches.deterministic,
            switches.benchmark,
            torch.are_deterministic_algorithms_enabled(),
        )

    before = now()
    recipe = make_recipe(precision=precision, deterministic=deterministic)
    within = []

    def a_pass_that_fails():
        with devices.arithmetic(recipe, torch.device("cuda")):
            within.append(now())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        a_pass_that_fails()
    assert within == [(products, products, deterministic, not deterministic, deterministic)]
    assert now() == before


def test_the_cpu_needs_no_switch(make_recipe):
    with devices.arithmetic(make_recipe(deterministic=True), torch.device("cpu")):
        assert not torch.are_deterministic_algorithms_enabled()


SETTING_UP = """
import sys
from eailab.recipe.load import load
from eailab.runs.training import limited_threads
assert "torch" not in sys.modules
with limited_threads(load("resnet18-digits", []).recipe):
    import torch
    torch.ones(100_000).add(1)
"""


@pytest.mark.parametrize(("asked", "turns"), [({}, "10000"), ({"OMP_WAIT_POLICY": "passive"}, "0")])
def test_threads_sleep_soon_where_nothing_else_is_asked(asked, turns):
    """GNU OpenMP says what it has read; it does so once, when torch is imported."""
    environment = {name: value for name, value in os.environ.items() if name not in {"GOMP_SPINCOUNT", *asked}}
    done = subprocess.run(
        [sys.executable, "-c", SETTING_UP],
        env=environment | {"OMP_DISPLAY_ENV": "verbose"} | asked,
        capture_output=True,
        text=True,
        check=True,
    )
    if "GOMP" not in done.stderr:
        pytest.skip("this torch has another OpenMP")
    assert f"GOMP_SPINCOUNT = '{turns}'" in done.stderr


class Driver:
    """Answers as NVML does: a status, and the value in the caller's memory."""

    def __init__(self, *, counts=True):
        self.counts, self.asked = counts, []

    def nvmlInit_v2(self):  # noqa: N802 - NVML's own name
        return devices.NVML_SUCCESS

    def nvmlDeviceGetHandleByUUID(self, uuid, gpu):  # noqa: N802
        self.asked.append(uuid)
        gpu._obj.value = 7
        return devices.NVML_SUCCESS

    def nvmlDeviceGetTotalEnergyConsumption(self, gpu, millijoules):  # noqa: N802
        assert gpu.value == 7
        millijoules._obj.value = 12_345_678
        return devices.NVML_SUCCESS if self.counts else 3  # NVML_ERROR_NOT_SUPPORTED


@pytest.fixture
def install(monkeypatch):
    def installed(driver):
        def opened(name):
            if driver is None:
                raise OSError(name)
            return driver

        devices._nvml.cache_clear()
        monkeypatch.setattr(ctypes, "CDLL", opened)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid="4d2c"))
        return driver

    yield installed
    devices._nvml.cache_clear()


def test_the_counter_is_read_in_joules_by_the_gpus_own_name(install):
    driver = install(Driver())
    assert devices.joules(torch.device("cuda")) == 12345.678
    assert driver.asked == [b"GPU-4d2c"]


@pytest.mark.parametrize("driver", [None, Driver(counts=False)])
def test_without_a_driver_or_a_counter_there_is_no_energy_and_no_error(install, driver):
    install(driver)
    assert devices.joules(torch.device("cuda")) is None
