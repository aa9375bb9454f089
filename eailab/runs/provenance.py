"""What a result depends on besides its recipe: versions, machine, device."""

import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TypedDict

from eailab import __version__


class Provenance(TypedDict):
    """Where and with what a trial was trained; never part of its identity."""

    eailab: str
    python: str
    packages: dict[str, str]
    platform: str
    processor: str
    cores: int
    host: str
    device: str
    threads: int
    finished: str


def collect(device: str, threads: int, uses: tuple[str, ...]) -> Provenance:
    """Describe this process.

    Args:
        device: What the engine ran on, in words.
        threads: CPU threads that the trial was given.
        uses: Names of the packages whose versions can change the trial's bits.
    """
    return Provenance(
        eailab=__version__,  # a checkout on the path counts too, and is no installed package
        python=platform.python_version(),
        packages={name: _version(name) for name in uses},
        platform=f"{sys.platform} {platform.machine()}",
        processor=_processor(),
        cores=os.cpu_count() or 1,
        host=platform.node(),
        device=device,
        threads=threads,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def bits_depend_on(provenance: Provenance) -> str:
    """Return, in words, what a trial's bits depend on besides its recipe; a trial comes from one such environment."""
    packages = ", ".join(f"{name} {version}" for name, version in sorted(provenance["packages"].items()))
    processor = f" ({provenance['processor']})" if provenance["device"].endswith("cpu") else ""
    return f"{provenance['device']}{processor}; {provenance['platform']}; {packages}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - not a file on a disk
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
