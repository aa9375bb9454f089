"""Run a training program as a trial of one epoch: fill in its command, watch it, read what it reports."""

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from eailab.engines.base import Engine, OnStep, Scores, Setup, Step
from eailab.engines.program.known import Known
from eailab.engines.program.live import Live
from eailab.engines.program.process import ProcessEnd, last_lines, run_program
from eailab.engines.program.reading import Reading, ReportingRules, Sources, read
from eailab.engines.program.trial_files import (
    CURVES,
    OUT,
    PARAMS,
    REPORTED,
    STDERR,
    STDOUT,
    curves_text,
    new_file,
    own_folder,
    places_of,
)
from eailab.errors import DivergedError, ProgramFailedError, TimedOutError
from eailab.metrics import Metric
from eailab.recipe.own import OwnRecipe, ProgramRecipe
from eailab.recipe.template import FilledCommand, fill_text


class ProgramEngine(Engine):
    """One run of a program; see `eailab.engines.base.Engine`.

    Its trial has one epoch, in which the program runs from its beginning to its end. What it saves in `{out}` is its
    own: a trial that was stopped is run again with that folder and `EAILAB_RESUME=1`.
    """

    def __init__(self, recipe: ProgramRecipe, metrics: tuple[Metric, ...], setup: Setup) -> None:
        self.recipe, self.metrics, self.block = recipe, metrics, setup.block
        self.folder = setup.folder.absolute()
        self.known = Known(recipe, self.folder.parents[1], self._wanted())
        self.reading: Reading | None = None

    def train_epoch(self, number: int, on_step: OnStep) -> Scores:
        """Run the program, and return the values of its metrics.

        Raises:
            DivergedError: A value is not finite.
            TimedOutError: The program was ended at its time limit.
            TrialFailedError: The program failed, or did not report a metric.
        """
        stdout, stderr = self.folder / STDOUT, self.folder / STDERR
        command, environment = self._prepare()
        limit = self.recipe.limit_seconds
        live = Live(self._wanted(), sources_of(self.recipe, self.block, self.folder), self.known.way)
        ended = run_program(
            command,
            environment,
            stdout,
            stderr,
            folder=self.recipe.checkout,
            timeout=limit,
            on_tick=lambda: on_step(Step.own(live.last())),
            on_output=live.take,
        )
        if ended.has_timed_out and limit is not None:
            raise TimedOutError(self._failure(command, ended), limit)
        if ended.code:
            raise ProgramFailedError(self._failure(command, ended))
        self.known.check_code()
        self.reading = read(self._wanted(), sources_of(self.recipe, self.block, self.folder), self.known.way)
        self.known.keep(self.reading.way)
        if not self.reading.is_finite:
            raise DivergedError(number, 0, next(iter(self.reading.values.values())))
        return self.reading.values

    def artifacts(self) -> Mapping[str, bytes]:
        """Return the values that the program reported step by step; it has left its output itself."""
        assert self.reading is not None  # noqa: S101 - asked for after the program has run
        return {CURVES: curves_text(self.reading)}

    def _prepare(self) -> tuple[FilledCommand, dict[str, str]]:
        """Make the trial's own files, and return the filled command and its environment."""
        out, params, reported = own_folder(self.folder / OUT), self.folder / PARAMS, self.folder / REPORTED
        goes_on = any(out.iterdir())
        if not goes_on or reported.is_symlink():
            new_file(reported).close()
        with new_file(params) as file:
            file.write(json.dumps({**self.recipe.settings, "seed": self.block}, indent=2).encode())
        # A Python program becomes repeatable, and its output readable while it runs.
        python = {"PYTHONHASHSEED": str(self.block), "PYTHONUNBUFFERED": "1"}
        environment = {
            "EAILAB_SEED": str(self.block),
            "EAILAB_BLOCK": str(self.block),
            "EAILAB_OUT": str(out),
            "EAILAB_METRICS": str(reported),
            "EAILAB_PARAMS": str(params),
            **({"EAILAB_RESUME": "1"} if goes_on else {}),
            **{name: value for name, value in python.items() if name not in os.environ},
        }
        return self.recipe.template.fill(self.recipe.own_settings, places_of(self.block, self.folder)), environment

    def _wanted(self) -> ReportingRules:
        return ReportingRules(self.metrics, self.recipe.at, self.recipe.metric_regex)

    def _failure(self, command: FilledCommand, ended: ProcessEnd) -> str:
        """Say how a program failed, with the end of its output."""
        if ended.has_timed_out:
            said = f"{command.argv[0]} ran longer than {self.recipe.timeout} and was ended"
        elif ended.code < 0:
            said = f"{command.argv[0]} died of signal {-ended.code} ({signal.Signals(-ended.code).name})"
        else:
            said = f"{command.argv[0]} ended with code {ended.code}"
        output = last_lines(self.folder / STDERR, self.folder / STDOUT)
        return f"{said}: {command}\n{output or '(it printed nothing)'}\nAll of its output is in {self.folder}."


def sources_of(recipe: OwnRecipe, block: int, folder: Path) -> Sources:
    """Return where the program or function of a trial has left its metrics."""
    file = recipe.metrics_file if isinstance(recipe, ProgramRecipe) else None
    filled = None if file is None else Path(fill_text(file, recipe.own_settings, places_of(block, folder)))
    return Sources(folder / REPORTED, folder / STDOUT, folder / STDERR, filled)
