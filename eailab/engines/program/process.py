"""Run one training program to its end: in a process group of its own, with a time limit, its output kept."""

import atexit
import errno
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from eailab import files
from eailab.engines.program import watchdog
from eailab.engines.program.trial_files import new_file
from eailab.errors import RecipeError, StoreError
from eailab.recipe.template import FilledCommand

TICK_SECONDS = 0.1
"""Between two calls of `on_tick`."""
GRACE_SECONDS = 30.0
"""That a program has after SIGTERM to save what it wants, before it is killed."""
KEPT_BYTES = 2 * 2**20
"""Of the beginning of an output, and as much of its end; what lies between is left out."""
SHOWN_LINES = 20
"""Of a failed program's output."""


@dataclass(frozen=True)
class ProcessEnd:
    """Describe how a program ended."""

    code: int
    """Exit status; that of a signal below 0."""
    has_timed_out: bool


def run_program(
    command: FilledCommand,
    environment: Mapping[str, str],
    stdout: Path,
    stderr: Path,
    *,
    folder: str | None = None,
    timeout: float | None = None,
    on_tick: Callable[[], None] = lambda: None,
    on_output: Callable[[Path, bytes], None] = lambda *_: None,
) -> ProcessEnd:
    """Run a program until it, and every process of its group, has ended.

    Args:
        command: What to start.
        environment: Variables besides those of this process and of the command.
        stdout: File for its standard output; of a long one the middle is left out.
        stderr: File for its standard error, as above.
        folder: In which it starts; None for the current one.
        timeout: Seconds after which it is ended.
        on_tick: Called several times a second; what it raises ends the program, and is raised again after that.
        on_output: Called with the file of an output and what the program has printed to it.

    Raises:
        RecipeError: There is no such program, or it cannot be executed.
    """
    mark = uuid4().hex
    supervisor = _supervisor()
    supervisor.send(f"+{mark}")
    try:
        with ExitStack() as opened:
            outputs = [opened.enter_context(_Capped(path, on_output)) for path in (stdout, stderr)]
            process = _start(command, {**os.environ, **environment, **command.environment, watchdog.MARK: mark}, folder)
            supervisor.send(f"{mark} {process.pid}")
            with process:
                return _follow(process, outputs, _Ending(process.pid, mark, timeout, on_tick))
    finally:
        supervisor.send(f"-{mark}")


def last_lines(*outputs: Path) -> str:
    """Return the end of the first output that is not empty, for a message."""
    for file in outputs:
        with suppress(FileNotFoundError, StoreError):
            lines = (
                files.read(file, files.KEPT_OUTPUT).decode(errors="replace").replace("\r", "\n").rstrip().splitlines()
            )
            if lines:
                return "\n".join(lines[-SHOWN_LINES:])
    return ""


def _start(command: FilledCommand, environment: Mapping[str, str], folder: str | None) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - the user's own command
            command.argv,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
    except OSError as error:
        if error.errno in (errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE):
            raise
        raise RecipeError(f"{command.argv[0]} cannot be started: {error.strerror}.") from error


def _follow(process: subprocess.Popen[bytes], outputs: "list[_Capped]", ending: "_Ending") -> ProcessEnd:
    """Keep a program's output until it has ended; end it when its time is up, or when it is to stop."""
    with selectors.DefaultSelector() as selector, ExitStack() as handles:
        for pipe, output in zip((process.stdout, process.stderr), outputs, strict=True):
            assert pipe is not None  # noqa: S101 - it was asked for
            selector.register(pipe, selectors.EVENT_READ, output)
        if hasattr(os, "pidfd_open"):  # wakes us when the program ends while a child of it holds the pipes
            handle = os.pidfd_open(process.pid)
            handles.callback(os.close, handle)
            selector.register(handle, selectors.EVENT_READ)
        while process.poll() is None:
            for key, _ in selector.select(TICK_SECONDS):
                if key.data is not None and not key.data.take(key.fd):
                    selector.unregister(key.fileobj)
            ending.check()
        ending.end_the_rest()
        for key in [key for key in selector.get_map().values() if key.data is not None]:
            os.set_blocking(key.fd, False)
            while key.data.take(key.fd):
                pass
    if ending.stop is not None:
        raise ending.stop
    return ProcessEnd(process.returncode, ending.has_timed_out)


@dataclass
class _Ending:
    """Decides when a program is to end, and ends it: it is asked to, and killed if it does not."""

    group: int
    mark: str
    timeout: float | None
    on_tick: Callable[[], None]
    stop: BaseException | None = None
    """What `on_tick` raised."""
    has_timed_out: bool = False

    def __post_init__(self) -> None:
        self.began = time.monotonic()
        self.kill_at: float | None = None
        """Set once the program has been asked to end."""

    def check(self) -> None:
        """End the program if its time is up or `on_tick` raises; kill it if it was asked long ago."""
        now = time.monotonic()
        if self.kill_at is not None:
            if now >= self.kill_at:
                watchdog.kill(self.group, self.mark)
            return
        self.has_timed_out = self.timeout is not None and now - self.began >= self.timeout
        try:
            self.on_tick()
        except BaseException as error:  # noqa: BLE001 - raised again once the program has ended
            self.stop = error
        if self.stop is not None or self.has_timed_out:
            _ask_to_end(self.group)
            self.kill_at = now + GRACE_SECONDS

    def end_the_rest(self) -> None:
        """End what the program has left of its group."""
        until = time.monotonic() + min(GRACE_SECONDS, 2.0)
        if watchdog.is_running(self.group):
            _ask_to_end(self.group)
            while watchdog.is_running(self.group) and time.monotonic() < until:
                time.sleep(0.01)
            watchdog.kill(self.group, self.mark)
        elif self.kill_at is not None:
            watchdog.kill(None, self.mark)


def _ask_to_end(group: int) -> None:
    """Send SIGTERM to a process group, if anything is left of it."""
    with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        os.killpg(group, signal.SIGTERM)


class _Capped:
    """A file for a program's output, of which the middle is left out where it is long."""

    def __init__(self, path: Path, on_output: Callable[[Path, bytes], None]) -> None:
        self._path, self._on_output = path, on_output
        self._file = new_file(path)
        self._written = self._left_out = 0
        self._tail = bytearray()

    def __enter__(self) -> "_Capped":
        return self

    def __exit__(self, *_: object) -> None:
        with self._file as file:
            if self._left_out:
                file.write(f"\n[... {self._left_out} bytes left out ...]\n".encode())
            file.write(self._tail)

    def take(self, handle: int) -> bool:
        """Read what a pipe has, and return whether there may be more."""
        try:
            some = os.read(handle, 2**16)
        except BlockingIOError:
            return False
        head = some[: max(0, KEPT_BYTES - self._written)]
        self._file.write(head)
        self._file.flush()
        self._written += len(head)
        self._tail += some[len(head) :]
        self._on_output(self._path, some)
        if (more := len(self._tail) - KEPT_BYTES) > 0:
            self._left_out += more
            del self._tail[:more]
        return bool(some)


class _Supervisor:
    """The watchdog of this process, and the pipe whose end tells it that we are gone."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-I", "-S", watchdog.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )
        atexit.register(self.close)

    def send(self, line: str) -> None:
        """Tell the watchdog of a program; one that was killed meanwhile is started again with the next program."""
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        with suppress(BrokenPipeError):
            self._process.stdin.write(f"{line}\n".encode())

    @property
    def is_alive(self) -> bool:
        """Return whether it belongs to this process and runs."""
        return self.owner == os.getpid() and self._process.poll() is None

    def close(self) -> None:
        """End the watchdog."""
        if self.owner == os.getpid():
            assert self._process.stdin is not None  # noqa: S101 - it was asked for
            self._process.stdin.close()
            self._process.wait()


_running: list[_Supervisor] = []


def _supervisor() -> _Supervisor:
    """Return the watchdog of this process; one serves all its programs."""
    if not _running or not _running[-1].is_alive:
        _running[:] = [_Supervisor()]
    return _running[-1]
