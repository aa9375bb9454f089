"""The energy counter of an NVIDIA GPU, through a library that stands in for the driver's."""

import ctypes

import pytest

from eailab.engines.torch_resnet import nvml


class Driver:
    """Answers as NVML does: a status, and the value in the caller's memory."""

    def __init__(self, *, counts=True):
        self.counts, self.asked = counts, []

    def nvmlInit_v2(self):  # noqa: N802 - NVML's own name
        return nvml.SUCCESS

    def nvmlDeviceGetHandleByUUID(self, uuid, gpu):  # noqa: N802
        self.asked.append(uuid)
        gpu._obj.value = 7
        return nvml.SUCCESS

    def nvmlDeviceGetTotalEnergyConsumption(self, gpu, millijoules):  # noqa: N802
        assert gpu.value == 7
        millijoules._obj.value = 12_345_678
        return nvml.SUCCESS if self.counts else 3  # NVML_ERROR_NOT_SUPPORTED


@pytest.fixture
def install(monkeypatch):
    def installed(driver):
        def opened(name):
            if driver is None:
                raise OSError(name)
            return driver

        nvml._library.cache_clear()
        monkeypatch.setattr(ctypes, "CDLL", opened)
        return driver

    yield installed
    nvml._library.cache_clear()


def test_the_counter_is_read_in_joules_by_the_gpus_own_name(install):
    driver = install(Driver())
    assert nvml.joules("4d2c") == 12345.678
    assert driver.asked == [b"GPU-4d2c"]


@pytest.mark.parametrize("driver", [None, Driver(counts=False)])
def test_without_a_driver_or_a_counter_there_is_no_energy_and_no_error(install, driver):
    install(driver)
    assert nvml.joules("4d2c") is None
