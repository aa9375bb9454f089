"""Load and run a person's own code: its errors by file and line, and nothing that it prints in a command's result."""

import inspect
import os
import random
import sys
import sysconfig
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from contextvars import ContextVar
from io import TextIOBase
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import numpy as np

from eailab import files
from eailab.errors import EailabError, UsageError, shortage_of
from eailab.own_code.arguments import completed, lacking
from eailab.own_code.identity import files_of
from eailab.own_code.reference import defined, parsed
from eailab.plain import nearest, plain

MOST_PRINTED = 20
"""Lines that own code may print."""


class _NothingToReadError(Exception):
    """The code reads standard input."""


class _NoInput(TextIOBase):
    """Standard input, for code that must not wait for a person."""

    def read(self, *_: Any) -> str:
        """Refuse to read."""
        raise _NothingToReadError

    readline = readlines = __next__ = read  # type: ignore[assignment]  # input() and loops call these
    buffer = property(read)
    """Bytes, which are not read either."""


class _FirstLines(TextIOBase):
    """Standard output of own code: its first lines go to standard error, since results are printed on the other."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._left = most
        self._is_within_line = False

    def end_line(self) -> None:
        """End a line that was begun, such as a question, so that what others print begins one."""
        if self._is_within_line:
            self.write("\n")

    def write(self, text: str) -> int:
        """Print text while lines are left."""
        self._is_within_line = self._left > 0 and not text.endswith("\n")
        if self._left > 0:
            self._left -= text.count("\n")
            sys.stderr.write(text if self._left > 0 else f"{text}(what the code prints further is left out)\n")
            sys.stderr.flush()
        return len(text)


_TOGETHER: ContextVar[_FirstLines | None] = ContextVar("together", default=None)
"""What several modules print to."""


@contextmanager
def printing_together() -> Iterator[None]:
    """Count the lines that own code prints over all modules that are loaded in this context."""
    token = _TOGETHER.set(_FirstLines(MOST_PRINTED))
    try:
        yield
    finally:
        _TOGETHER.reset(token)


class OwnModule:
    """A file of Python that was run, with the modules next to it that it imports.

    Modules next to the file are its own: they are known to Python only while this code runs, so that two files may have
    modules of one name.

    Args:
        file: Its path.

    Raises:
        UsageError: It is not Python, or fails while it is run; the message has the line.
    """

    def __init__(self, file: Path) -> None:
        parsed(file)
        self.file = file
        self.folder = file.absolute().parent
        self._beside: dict[str, ModuleType] = {}
        self._before: set[str] = set()
        self._names = {Path(name).parts[0].removesuffix(".py") for name in files_of(file) if name}
        self._is_running = False
        self._printed = _TOGETHER.get() or _FirstLines(MOST_PRINTED)
        self._module = ModuleType(f"own_{file.stem}")
        self._module.__file__ = str(file.absolute())
        self._beside[self._module.__name__] = self._module
        with self.running("importing it"):
            code = compile(files.read(file, files.CODE), str(file.absolute()), "exec", dont_inherit=True)
            exec(code, vars(self._module))  # noqa: S102 - a person named this file to have it run

    def find(self, name: str) -> Any:
        """Return what a name stands for.

        Raises:
            UsageError: The file has no such name.
        """
        if not hasattr(self._module, name):
            known = defined(self.file)
            raise UsageError(
                f"{plain(str(self.file))} has no {plain(name)}: it has {', '.join(known) or 'no class or function'}"
                f"{nearest(name, known) or '.'}"
            )
        return getattr(self._module, name)

    @contextmanager
    def running(self, doing: str) -> Iterator[None]:
        """Run code of the file in this context: what it raises becomes one error with file and line.

        What it prints goes to standard error, and what it reads, forks or ends is refused. One within another keeps the
        modules next to the file as they are, and names what is done more closely.

        Args:
            doing: For the message, such as "calling forward".

        Raises:
            UsageError: The code raised an error, ended the program, read standard input or forked.
        """
        try:
            with nullcontext() if self._is_running else self._alone():
                yield
        except EailabError:
            raise
        except (Exception, SystemExit) as error:
            raise self._explained(error, doing) from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Have the modules next to the file among Python's; keep the code from the terminal, from forks and exits."""
        others = self._put_modules()
        path, stdin = list(sys.path), sys.stdin
        refused = {name: getattr(os, name) for name in _REFUSED if hasattr(os, name)}  # Windows has no fork
        sys.path.insert(0, str(self.folder))
        for name in refused:
            setattr(os, name, _REFUSED[name])
        self._is_running = True
        sys.stdin = _NoInput()
        try:
            with redirect_stdout(self._printed), warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                yield
        finally:
            self._is_running = False
            self._printed.end_line()
            sys.path[:], sys.stdin = path, stdin
            for name, own in refused.items():
                setattr(os, name, own)
            self._take_modules()
            sys.modules.update(others)

    def _put_modules(self) -> dict[str, ModuleType]:
        """Put the modules next to the file among Python's; return those of a person's program that have their names."""
        names = set(self._beside)
        if self._names and len(names) < 2:  # nothing is imported yet
            known = list(sys.modules.items())
            names |= {name for name, one in known if name.partition(".")[0] in self._names and _is_own(one)}
        others = {name: sys.modules.pop(name) for name in names if name in sys.modules}
        sys.modules.update(self._beside)
        if len(sys.modules) != len(self._before):  # there are thousands, and this is done at each step of a training
            self._before = set(sys.modules)
        return others

    def _take_modules(self) -> None:
        """Take the modules next to the file that were not there before out of Python's, until the code runs again."""
        if len(sys.modules) != len(self._before):
            self._beside |= {
                name: sys.modules[name]
                for name in sys.modules.keys() - self._before
                if name.partition(".")[0] != "eailab" and self._is_beside(getattr(sys.modules[name], "__file__", None))
            }
        for name in self._beside:
            sys.modules.pop(name, None)

    def _is_beside(self, file: str | None) -> bool:
        if file is None:
            return False
        path = Path(file)
        return path.is_relative_to(self.folder) and "site-packages" not in path.parts

    def _explained(self, error: BaseException, doing: str) -> EailabError:
        """Return one message for what the code raised; an error of ours is raised as it is."""
        if isinstance(error, Exception) and shortage_of(error) is not None:
            raise error
        lines = [
            (Path(frame.filename), frame.lineno)
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename != __file__ and self._is_beside(frame.filename)
        ]
        if not lines and not isinstance(error, SystemExit | SyntaxError):
            raise error
        file, line = lines[-1] if lines else (self.file, None)
        if isinstance(error, SyntaxError) and error.filename and self._is_beside(error.filename):
            file, line = Path(error.filename), error.lineno
        name = self.file if file == self.file.absolute() else file
        where = plain(f"{_short(name)}:{line}" if line else str(_short(name)))
        return UsageError(f"{where}: {_said(error, doing)}")


def _is_own(module: ModuleType) -> bool:
    """Return whether a module is a person's, and neither Python's nor an installed one."""
    path = Path(getattr(module, "__file__", None) or sysconfig.get_path("stdlib"))
    return not path.is_relative_to(sysconfig.get_path("stdlib")) and "site-packages" not in path.parts


def _short(file: Path) -> Path:
    return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file


def _said(error: BaseException, doing: str) -> str:
    match error:
        case _NothingToReadError():
            return f"{doing} reads standard input, and nothing can be typed there: give it as an argument or a file."
        case SystemExit():
            how = "sys.exit or os._exit"
            return f"{doing} ends the program ({how}): remove that, or put it below `if __name__ == '__main__':`."
    kind, text = type(error).__name__, plain(str(error))
    return f"{doing} raised {kind}{': ' if text else ''}{text[:400]}{'' if text.endswith('.') else '.'}"


def _refuse_fork() -> NoReturn:
    raise RuntimeError("a copy of this process is not started here (os.fork, multiprocessing): remove that")


def _refuse_exit(status: int) -> NoReturn:
    raise SystemExit(status)


_REFUSED = {"fork": _refuse_fork, "_exit": _refuse_exit}
"""Functions of `os` that own code does not get. It starts no copy of this process, which would have to end by `_exit`;
and here that would end the command without a word."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the generators that own code may draw from, Python's, numpy's and torch's, and put all back afterwards."""
    torch = sys.modules.get("torch")
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 - own code may use it
    state = None if torch is None else torch.get_rng_state()
    on_gpu = torch.cuda.get_rng_state() if torch is not None and torch.cuda.is_initialized() else None
    try:
        reseed(seed)
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002 - own code may use it
        if torch is not None:
            torch.set_rng_state(state)
        if torch is not None and on_gpu is not None:
            torch.cuda.set_rng_state(on_gpu)


def reseed(seed: int) -> None:
    """Seed Python's, numpy's and, where it is loaded, torch's generators."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - own code may use it
    if (torch := sys.modules.get("torch")) is not None:
        torch.default_generator.manual_seed(seed)
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed(seed)


def construct(
    module: OwnModule,
    make: Callable[..., Any],
    title: str,
    positional: Sequence[Any],
    named: Mapping[str, Any],
    offered: Mapping[str, Any],
) -> Any:
    """Call a class of a file.

    Args:
        module: The file.
        make: The class.
        title: The file and the class, as a person gave them.
        positional: What it is given by place.
        named: What it is given by name.
        offered: What is added by name.

    Raises:
        UsageError: It wants something that is not given, or takes something else, or its code fails.
    """
    together = {**offered, **named}
    try:
        inspect.signature(make).bind(*positional, **together)
    except TypeError as error:
        line = line_of(make)
        where = plain(f"{_short(module.file)}{f':{line}' if line else ''}")
        lacks, advice = lacking(make, positional, together), _meant(make, named) or "."
        if any(lacks):
            advice = f": give what it wants, as in '{completed(title, positional, named, *lacks)}'."
        raise UsageError(
            f"{where}: {make.__name__}{inspect.signature(make)} cannot be called so: {plain(str(error))}{advice}"
        ) from error
    except ValueError:  # it has no signature that Python knows
        pass
    with module.running(f"constructing {make.__name__}"):
        return make(*positional, **together)


def _meant(make: Callable[..., Any], named: Mapping[str, Any]) -> str:
    """Say which argument of a class may have been meant by the first one that it does not take; nothing else."""
    known = inspect.signature(make).parameters
    return next((nearest(name, known) for name in named if name not in known), "")


def line_of(thing: Any) -> int | None:
    """Return the line where a function, or a class's constructor, begins; None where that is not known."""
    code = getattr(getattr(thing, "__init__", thing), "__code__", None)
    return None if code is None else int(code.co_firstlineno)
