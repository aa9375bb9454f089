"""Call a training function as a trial of one epoch, and read what it returns or yields."""

import json
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import isfinite
from typing import Any

from eailab.engines.base import Engine, OnStep, Reported, Scores, Setup, Step
from eailab.engines.function.identity import identity_of
from eailab.engines.function.lookup import function_of
from eailab.engines.program.engine import sources_of
from eailab.engines.program.known import keep_identity
from eailab.engines.program.reading import Reading, ReportingRules, read
from eailab.engines.program.trial_files import CURVES, REPORTED, curves_text, new_file
from eailab.errors import DivergedError, EailabError, ProgramFailedError, TrialFailedError, shortage_of
from eailab.metrics import Metric
from eailab.plain import plain
from eailab.recipe.describe import nearest
from eailab.recipe.own import FunctionRecipe

LINES = 20
"""Of a traceback that a message shows."""


class FunctionEngine(Engine):
    """One call of a function; see `eailab.engines.base.Engine`.

    Its reports are written as a program writes them for `eailab.log`, and read the same way.
    """

    def __init__(self, recipe: FunctionRecipe, metrics: tuple[Metric, ...], setup: Setup) -> None:
        self.recipe, self.metrics, self.block = recipe, metrics, setup.block
        self.folder = setup.folder.absolute()
        self.function = function_of(recipe.function)
        self.reading: Reading | None = None
        keep_identity(identity_of(recipe.function), self.folder.parents[1])

    def train_epoch(self, number: int, on_step: OnStep) -> Scores:
        """Call the function, and return the values of its metrics.

        Raises:
            DivergedError: A value is not finite.
            ProgramFailedError: It raised an error.
            TrialFailedError: It did not return a metric, or not as a number.
        """
        seen: dict[str, None] = {}
        with new_file(self.folder / REPORTED) as file:
            for count, row in enumerate(self._rows(), start=1):
                seen |= dict.fromkeys(row)
                file.write(json.dumps(row).encode() + b"\n")
                on_step(Step.own(self._reported(row, count)))
        for metric in self.metrics:
            if metric.name not in seen:
                names = ", ".join(map(plain, seen)) or "nothing"
                meant = nearest(metric.name, list(seen)) or "."
                raise TrialFailedError(
                    f"{self._called} did not return {metric.name}, but {names}{meant} "
                    f"Return or yield a mapping such as {{{metric.name!r}: 0.5}}."
                )
        wanted = ReportingRules(self.metrics, self.recipe.at)
        self.reading = read(wanted, sources_of(self.recipe, self.block, self.folder), "log")
        if not self.reading.is_finite:
            raise DivergedError(number, 0, next(iter(self.reading.values.values())))
        return self.reading.values

    def artifacts(self) -> Mapping[str, bytes]:
        """Return the values that the function reported step by step."""
        assert self.reading is not None  # noqa: S101 - asked for after the function was called
        return {CURVES: curves_text(self.reading)}

    def _reported(self, row: Mapping[str, float], count: int) -> Reported:
        """Return what a report says for people who look on; it is read as a result when all is there."""
        values = {one.key: row[one.name] for one in self.metrics if one.name in row and isfinite(row[one.name])}
        number = row.get("epoch", row.get("step", float(count)))
        is_step = "step" in row and "epoch" not in row
        return Reported(values, "step" if is_step else "epoch", int(number) if isfinite(number) else count)

    @property
    def _called(self) -> str:
        settings = {**self.recipe.settings, **self._seed}
        return f"{self.function.__name__}({', '.join(f'{name}={value!r}' for name, value in settings.items())})"

    @property
    def _seed(self) -> dict[str, int]:
        return {} if self.recipe.unseeded else {"seed": self.block}

    def _rows(self) -> Iterator[dict[str, float]]:
        """Yield what the function reports, an epoch each."""
        with self._explained():
            returned = self.function(**self.recipe.settings, **self._seed)
        if not isinstance(returned, Iterator):
            yield self._row(returned)
            return
        while True:
            with self._explained():
                row = next(returned, None)
            if row is None:
                return
            yield self._row(row)

    def _row(self, reported: Any) -> dict[str, float]:
        """Return the numbers of one report; anything else next to the metrics is left out."""
        judged = self.metrics[0].name
        row: dict[str, float] = {}
        for name, value in (reported if isinstance(reported, Mapping) else {judged: reported}).items():
            try:
                row[str(name)] = float(value)
            except (TypeError, ValueError, RuntimeError) as error:
                if any(name == metric.name for metric in self.metrics):
                    raise TrialFailedError(
                        f"{self._called} gave {plain(repr(value))[:60]} for {plain(str(name))}: return a number, or a "
                        f"mapping such as {{{judged!r}: 0.5}}, or yield one an epoch."
                    ) from error
        return row

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn an error of the function into one with the end of its traceback."""
        try:
            yield
        except EailabError:
            raise
        except Exception as error:
            if shortage_of(error) is not None:
                raise
            # the first two frames are ours
            frames = error.__traceback__ and error.__traceback__.tb_next and error.__traceback__.tb_next.tb_next
            lines = "".join(traceback.format_exception(type(error), error, frames)).splitlines()[-LINES:]
            raise ProgramFailedError(
                f"{self._called} raised {type(error).__name__}:\n" + "\n".join(map(plain, lines))
            ) from error
