"""What tests of several rooms share."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the real MNIST and CIFAR-10; tests that ask for it are skipped where there is none.

    `EAILAB_TEST_DATA` names one; else it is unpacked from `shared/data`, if that lies beside the repository.
    """
    if named := os.environ.get("EAILAB_TEST_DATA"):
        return Path(named)
    script = Path(__file__).resolve().parents[2] / "shared" / "data" / "unpack.py"
    if not script.is_file():
        pytest.skip("no real data: EAILAB_TEST_DATA is not set, and shared/data is not beside the repository")
    folder = tmp_path_factory.mktemp("real-data")
    subprocess.run([sys.executable, str(script), str(folder)], check=True, capture_output=True)
    return folder
