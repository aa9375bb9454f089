"""Choose the device of a trial and its arithmetic, and read the energy that a GPU has used."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch

from eailab.engines.base import DeviceName
from eailab.errors import DeviceError
from eailab.recipe.schema import ResNetRecipe


def cuda_is_here() -> bool:
    """Check whether a GPU answers."""
    return torch.cuda.is_available()


def memory_held() -> tuple[int, int] | None:
    """Return the most bytes that torch held on the GPU at once, and what the GPU has; None where it held nothing."""
    held = torch.cuda.max_memory_reserved() if torch.cuda.is_available() else 0
    return (held, torch.cuda.get_device_properties(0).total_memory) if held else None


def choose(name: DeviceName) -> torch.device:
    """Return the device of this name; `auto` is CUDA where there is one.

    Raises:
        DeviceError: CUDA was asked for and is not here.
    """
    present = cuda_is_here()
    if name == "cuda" and not present:
        built = torch.version.cuda is not None
        reason = "no GPU answers" if built else "this torch was built without CUDA"
        raise DeviceError(
            f"--device cuda: {reason} (torch {torch.__version__}). Use --device cpu, or auto to take what there is; "
            + ("nvidia-smi shows the GPUs that the driver knows" if built else "pytorch.org says how to install it")
        )
    return torch.device("cuda" if present and name != "cpu" else "cpu")


def describe(device: torch.device) -> str:
    """Return "cpu", or the GPU's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def check_precision(recipe: ResNetRecipe, device: torch.device) -> None:
    """Refuse a precision that the device has not.

    Raises:
        DeviceError: tf32 without an NVIDIA GPU of compute capability 8 or later, or bf16 on an older one.
    """
    if recipe.precision == "fp32" or (recipe.precision == "bf16" and device.type == "cpu"):
        return
    able = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
    if not able:
        others = "fp32 or bf16" if device.type == "cpu" else "fp32"
        raise DeviceError(
            f"precision {recipe.precision} needs an NVIDIA GPU of compute capability 8.0 or later (Ampere), "
            f"and this trial would run on {describe(device)}: use precision {others}"
        )


@contextmanager
def arithmetic(recipe: ResNetRecipe, device: torch.device) -> Iterator[None]:
    """Set torch's process-wide switches as the recipe asks while a pass runs, and put them back after it.

    On the CPU none is touched: with a fixed number of threads its kernels here repeat their bits anyway. On CUDA, fp32
    is IEEE float32 (torch's own default for convolutions is TF32), and a deterministic recipe takes only kernels that
    repeat their bits, chosen without timing them.
    """
    if device.type == "cpu":
        yield
        return
    if recipe.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read by cuBLAS when it is first used
    products = "tf32" if recipe.precision == "tf32" else "ieee"
    cudnn: Any = torch.backends.cudnn
    matmul: Any = torch.backends.cuda.matmul
    before = cudnn.conv.fp32_precision, matmul.fp32_precision, cudnn.benchmark, cudnn.deterministic
    strict = torch.are_deterministic_algorithms_enabled()
    cudnn.conv.fp32_precision = matmul.fp32_precision = products
    cudnn.benchmark, cudnn.deterministic = not recipe.deterministic, recipe.deterministic
    torch.use_deterministic_algorithms(recipe.deterministic)
    try:
        yield
    finally:
        cudnn.conv.fp32_precision, matmul.fp32_precision, cudnn.benchmark, cudnn.deterministic = before
        torch.use_deterministic_algorithms(strict)


# --- energy, from the driver's counter -------------------------------------------------------------------------------


NVML_SUCCESS = 0


@cache
def _nvml() -> Any:
    """Load and start the driver's library; None where there is none."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    return library if library.nvmlInit_v2() == NVML_SUCCESS else None


def joules(device: torch.device) -> float | None:
    """Return the energy that the whole GPU has used since its driver was loaded, whoever used it.

    None on the CPU and where none is counted (before Volta). NVML is called through its C interface, which comes with
    the driver: no package is needed.
    """
    if device.type != "cuda" or (library := _nvml()) is None:
        return None
    name = f"GPU-{torch.cuda.get_device_properties(device).uuid}".encode()
    gpu, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
    if library.nvmlDeviceGetHandleByUUID(name, ctypes.byref(gpu)) != NVML_SUCCESS:
        return None
    if library.nvmlDeviceGetTotalEnergyConsumption(gpu, ctypes.byref(millijoules)) != NVML_SUCCESS:
        return None
    return millijoules.value / 1000.0
