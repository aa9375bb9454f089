"""Read the energy that an NVIDIA GPU has used from the driver's counter; nothing where there is none.

Spoken to through the C interface of NVML, which comes with the driver: no package is needed.
"""

import ctypes
from functools import cache
from typing import Any

SUCCESS = 0


@cache
def _library() -> Any:
    """Return the driver's library, started; None where there is none."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    return library if library.nvmlInit_v2() == SUCCESS else None


def joules(uuid: str) -> float | None:
    """Return the energy that a GPU has used since its driver was loaded; None where none is counted (before Volta).

    Args:
        uuid: The GPU's, as torch tells it.
    """
    library = _library()
    if library is None:
        return None
    gpu, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
    if library.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}".encode(), ctypes.byref(gpu)) != SUCCESS:
        return None
    if library.nvmlDeviceGetTotalEnergyConsumption(gpu, ctypes.byref(millijoules)) != SUCCESS:
        return None
    return millijoules.value / 1000.0
