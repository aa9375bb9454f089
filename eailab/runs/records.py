"""Read and write what a trial's files say, as objects and as the records of JSON in the files.

A record carries a checksum: a CRC-32 at the end of a line, a SHA-256 in `result.json`. What is read back is checked:
a `LookupError`, `TypeError` or `ValueError` says that a record is not what it should be.
"""

import hashlib
import json
import os
import platform
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from typing import Any, Literal, Self, TypedDict, cast

from eailab import __version__
from eailab.engines.base import Scores
from eailab.engines.summary import NetworkSummary
from eailab.metrics import LARGEST_NUMBER, TRAIN, VALIDATION, Metric, SplitName, recorded
from eailab.recipe.parts import MOST_EPOCHS
from eailab.seeding import LARGEST_BLOCK
from eailab.units import LONGEST_SECONDS

Status = Literal["finished", "diverged", "timed-out"]


# --- where a trial was trained ----------------------------------------------------------------------------------------


class Provenance(TypedDict):
    """Hold where and with what a trial was trained; never part of its identity."""

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
    """Describe this process, with the versions of the packages that can change the trial's bits."""
    return Provenance(
        eailab=__version__,  # a checkout on the path counts too, and is not an installed package
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


@cache
def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


@cache
def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - not a file on a disk
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


# --- what a trial's files say -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Epoch:
    """One finished epoch of a trial."""

    number: int
    values: Scores
    """Of the training split, running over the epoch's own (augmented) batches, and of the validation split after it."""

    def record(self) -> dict[str, Any]:
        """Return the record that `read` takes."""
        return {"epoch": self.number, **self.values}

    @classmethod
    def read(cls, record: Mapping[str, Any], metrics: Sequence[Metric] | None = None) -> Self:
        """Return the epoch that a record tells of, whose values are those of the metrics where these are known."""
        return cls.read_all([record], metrics)[0]

    @classmethod
    def read_all(cls, found: Sequence[Mapping[str, Any]], metrics: Sequence[Metric] | None = None) -> list[Self]:
        """Return the epochs that records tell of, as `read` does."""
        declared = _declared(metrics, TRAIN, VALIDATION)
        epochs = []
        for record in found:
            values = {key: value for key, value in record.items() if key != "epoch"}
            epochs.append(cls(_whole(record["epoch"], MOST_EPOCHS), _checked(values, declared)))
        return epochs


@dataclass(frozen=True)
class Position:
    """Describe how far a trial in training has come, and what the epoch in progress has taken up to there."""

    epochs: int = 0
    """Finished."""
    step: int = 0
    """Steps done of the next epoch."""
    seconds: float = 0.0
    """That these steps took, in all attempts that they come from."""
    joules: float | None = 0.0
    """That the device used meanwhile, whoever used it; None where it does not count."""

    def __str__(self) -> str:
        return f"epoch {self.epochs + 1}, step {self.step}" if self.step else f"epoch {self.epochs}"

    def facts(self) -> dict[str, str]:
        """Return the texts that `read` takes."""
        return {
            "epoch": str(self.epochs),
            "step": str(self.step),
            "seconds": repr(self.seconds),
            "joules": "" if self.joules is None else repr(self.joules),
        }

    @classmethod
    def read(cls, facts: Mapping[str, str]) -> Self:
        """Return the position that texts tell of; those of earlier versions have the epoch only."""
        joules = facts.get("joules", "0.0")
        return cls(
            epochs=_whole(int(facts["epoch"]), MOST_EPOCHS),
            step=_whole(int(facts.get("step", "0"))),
            seconds=_number(float(facts.get("seconds", "0.0")), 0.0, LONGEST_SECONDS),
            joules=_number(float(joules), 0.0, LARGEST_NUMBER) if joules else None,
        )


@dataclass(frozen=True)
class Timing:
    """Describe how long an epoch took, validation included."""

    seconds: float
    images_per_second: float | None
    """None of an engine without images."""
    device: str
    ended: float | None = None
    """When it ended, in seconds since 1970; None where that was not written down, as by earlier versions."""
    joules: float | None = None
    """That the device used meanwhile, whoever used it; None where it does not count."""

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Self:
        """Return the timing that a record tells of."""
        return cls(
            _number(record["seconds"], 0.0, LONGEST_SECONDS),
            None if (rate := record.get("images_per_second")) is None else _number(rate, 0.0, LARGEST_NUMBER),
            _text(record["device"]),
            ended=_moment(record.get("ended")),
            joules=None if (joules := record.get("joules")) is None else _number(joules, 0.0, LARGEST_NUMBER),
        )


@dataclass(frozen=True)
class Result:
    """Describe how a trial ended."""

    status: Status
    epochs: int
    """Epochs that were finished."""
    values: Mapping[str, float | None]
    """Of the last epoch, and of the test split, which is read once after it; None for each when the trial failed."""
    diverged_at: tuple[int, int] | None
    """Epoch and step (from 1) at which the loss was no longer finite."""
    parameters: int | None
    """None of an engine without a network."""
    provenance: Provenance
    largest_pixel: int | None = None
    """Of the training split, by which pictures can be told that are on another scale; older results lack it."""
    limit_seconds: float | None = None
    """After which its program was ended; None of a trial that did not time out."""
    network: NetworkSummary | None = None
    """Layers of a network whose code is not eailab's; None of others, and of older results."""

    def has_more_time(self, seconds: float | None) -> bool:
        """Return whether the trial timed out before a limit that it is given now; None for no limit."""
        return self.limit_seconds is not None and (seconds is None or seconds > self.limit_seconds)

    def record(self) -> dict[str, Any]:
        """Return the record that `read` takes."""
        return {
            "status": self.status,
            "epochs": self.epochs,
            "diverged_at": list(self.diverged_at) if self.diverged_at else None,
            "metrics": dict(self.values),
            "parameters": self.parameters,
            "largest_pixel": self.largest_pixel,
            **({} if self.limit_seconds is None else {"limit_seconds": self.limit_seconds}),
            **({} if self.network is None else {"network": asdict(self.network)}),
            "provenance": dict(self.provenance),
        }

    @classmethod
    def read(cls, record: Mapping[str, Any], metrics: Sequence[Metric] | None = None) -> Self:
        """Return the result that a record tells of, whose values are those of the metrics where these are known."""
        where, values = record["diverged_at"], dict(record["metrics"])
        has_values = any(value is not None for value in values.values())
        result = cls(
            status=record["status"],
            epochs=_whole(record["epochs"], MOST_EPOCHS),
            values=values,
            diverged_at=(_whole(where[0], MOST_EPOCHS), _whole(where[1])) if where else None,
            parameters=None if (count := record["parameters"]) is None else _whole(count),
            provenance=_provenance(record["provenance"]),
            largest_pixel=None if (largest := record.get("largest_pixel")) is None else _whole(largest, 255),
            limit_seconds=None
            if (limit := record.get("limit_seconds")) is None
            else _number(limit, 0.0, LONGEST_SECONDS),
            network=None if (network := record.get("network")) is None else _network(network),
        )
        if has_values:
            _checked({key: value for key, value in values.items() if value is not None}, _declared(metrics))
        said = (result.status, has_values, result.diverged_at is not None, result.limit_seconds is not None)
        if said not in (
            ("finished", True, False, False),
            ("diverged", False, True, False),
            ("timed-out", False, False, True),
        ):
            raise ValueError("its status does not fit its metrics")
        return result


def checked_result(record: Mapping[str, Any], metrics: Sequence[Metric] | None) -> Result:
    """Return the result in a record of `result.json`, none of whose values is one that no such trial can have."""
    for text in (record["trial"], record["data"], record["engine"], *record["files"].keys()):
        _text(text)
    _whole(record["block"], LARGEST_BLOCK)
    _whole(record["engine_version"])
    return Result.read(record, metrics)


def parse(text: bytes) -> dict[str, Any]:
    """Return the record that a JSON text holds, whose numbers are all finite, and whose keys are there once."""
    return dict(_FINITE.decode(text.decode()))


def seal(record: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a record, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(record, sort_keys=True, allow_nan=False).encode()).hexdigest()


def sealed_line(record: Mapping[str, Any]) -> bytes:
    """Return a record as a line of JSON whose last field is the CRC-32 of what comes before it."""
    body = json.dumps(record, allow_nan=False)[:-1]
    return f'{body}, "crc": "{zlib.crc32(body.encode()):08x}"}}\n'.encode()


def unsealed(line: bytes) -> dict[str, Any] | None:
    """Return the record of a sealed line, or None where the line is damaged or cut short.

    A number that is too large for a float is infinite in it, which no value, time or count may be.
    """
    body, mark, crc = line.rpartition(b', "crc": "')
    if not mark or crc != f'{zlib.crc32(body):08x}"}}'.encode():
        return None
    try:
        return dict(_QUICK.decode(body.decode() + "}"))
    except (ValueError, TypeError, RecursionError):
        return None


def timing(line: bytes) -> tuple[int, Timing] | None:
    """Return an epoch's number and its timing, or None where the line is damaged or cut short."""
    try:
        record = unsealed(line)
        return None if record is None or int(record["epoch"]) < 1 else (int(record["epoch"]), Timing.read(record))
    except (ValueError, KeyError, TypeError, OverflowError):
        return None


def _declared(metrics: Sequence[Metric] | None, *splits: SplitName) -> dict[str, Metric] | None:
    """Return the metrics that records have values of, by key; None where they are not known."""
    return None if metrics is None else {metric.key: metric for metric in recorded(metrics, *splits)}


def _checked(values: Mapping[str, Any], declared: Mapping[str, Metric] | None) -> dict[str, float]:
    """Return the values of a record, each in its range; where metrics are known, they are those of these metrics."""
    if declared is None:
        return {key: _number(value, -LARGEST_NUMBER, LARGEST_NUMBER) for key, value in values.items()}
    if values.keys() != declared.keys():
        needed = {key for key, metric in declared.items() if not metric.is_optional}
        if not needed <= values.keys() <= declared.keys():
            raise ValueError(
                f"the metrics {', '.join(map(str, values))!s:.200} are not those of the recipe's engine "
                f"({', '.join(declared)})"
            )
    return {key: _number(value, declared[key].least, declared[key].most) for key, value in values.items()}


def _number(value: object, least: float, most: float) -> float:
    if type(value) not in (int, float) or not least <= value <= most:  # type: ignore[operator]
        raise ValueError(f"{value!r:.40} is not a number from {least:g} to {most:g}")
    return value  # type: ignore[return-value]


def _whole(value: object, most: int = 2**63 - 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError(f"{value!r:.40} is not a whole number from 0 to {most}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is not a text")
    return value


def _network(record: object) -> NetworkSummary:
    from pydantic import TypeAdapter  # only here: few results have one

    return TypeAdapter(NetworkSummary).validate_json(json.dumps(record), strict=True)


def _provenance(found: Mapping[str, Any]) -> Provenance:
    """Return what a result was made on, each part of the type that it should have."""
    if missing := set(Provenance.__annotations__) - set(found):
        raise ValueError(f"no {min(missing)} in its provenance")
    provenance = cast(Provenance, dict(found))
    for name, release in provenance["packages"].items():
        _text(name), _text(release)
    for name, value in found.items():
        if name in ("cores", "threads"):
            _whole(value)
        elif name != "packages":
            _text(value)
    return provenance


def _moment(text: object) -> float | None:
    """Return the seconds since 1970 of a date and time with its zone, or None."""
    return None if text is None else datetime.fromisoformat(str(text)).timestamp()


def _finite(text: str) -> float:
    """Return the number of a JSON text; `NaN`, `Infinity` and `1e999` are none."""
    if not isfinite(number := float(text)):
        raise ValueError(f"{text:.40} is not a finite number")
    return number


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object whose keys differ: of two with one key, programs differ in which they read."""
    found = dict(members)
    if len(found) < len(members):
        raise ValueError("a key is there twice")
    return found


_FINITE = json.JSONDecoder(parse_constant=_finite, parse_float=_finite, object_pairs_hook=_once)
_QUICK = json.JSONDecoder(parse_constant=_finite, object_pairs_hook=_once)
