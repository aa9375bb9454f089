"""`benchmarks/gpu.py` where there is no GPU; its checks and timings are rehearsed by hand with `--rehearse`."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "gpu.py"


def test_without_a_gpu_it_says_so_and_measures_nothing():
    """Predictions are promises about a GPU, so they are not printed either."""
    hidden = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, str(SCRIPT)], env=hidden, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("no GPU answers here: nothing was measured.")
