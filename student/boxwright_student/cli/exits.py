"""How the student's commands end: exit codes, errors in a line, and signals that stop them in order. Not a command.

0 answered; 1 an error, with its message; 2 wrong usage; 3 no answer within bounds; 4 the model cannot be reached; 5 the
tools cannot be reached; 130 stopped by Ctrl-C; 143 stopped by SIGTERM.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import IO, Any, TypeVar

import click

from boxwright.errors import BadInput, BoxwrightError, ModelUnreachable, RecordInvalid, ToolsUnreachable
from boxwright.traces import TraceStore, Trajectory
from boxwright.visible import visible

T = TypeVar("T")
NO_ANSWER, NO_MODEL, NO_TOOLS = 3, 4, 5
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Failure(click.ClickException):
    """An error with the exit code that stands for it."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(visible(message))  # servers' last words stand in it, and models' errors
        self.exit_code = exit_code  # type: ignore[misc]  # click declares it for the class, and reads it here


class Stopped(Failure):
    """A signal ended the command, which is no error; `show` leaves that word out."""

    def show(self, file: IO[Any] | None = None) -> None:
        """See `ClickException.show`."""
        click.echo(self.format_message(), file=file, err=file is None)


class Interrupts:
    """While entered, the first Ctrl-C or SIGTERM calls `stop` in the event loop, and the next one ends all at once."""

    def __init__(self, stop: Callable[[], object]) -> None:
        self._stop, self._loop = stop, asyncio.get_running_loop()
        self.got: int | None = None
        """The signal that came."""

    def __enter__(self) -> Interrupts:
        self._before = {number: signal.signal(number, self._take) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self.got is not None:
            raise KeyboardInterrupt
        self.got = number
        self._loop.call_soon_threadsafe(self._stop)


def run_command(main: Coroutine[Any, Any, T], stopped: Callable[[], str]) -> T:
    """Run a command's coroutine to its end; Ctrl-C and SIGTERM cancel it.

    Args:
        main: What to run.
        stopped: Says, once it was cancelled, what is kept.

    Raises:
        Stopped: A signal ended it.
        Failure: It raised an error on purpose.
    """
    got: int | None = None

    async def guarded() -> T:
        nonlocal got
        task = asyncio.ensure_future(main)
        with Interrupts(task.cancel) as interrupts:
            try:
                return await task
            finally:
                got = interrupts.got

    # What the SDK logs of a server's slips is in its messages to us, and a terminal is no place for tracebacks.
    logging.getLogger("mcp").addHandler(logging.NullHandler())
    with errors():
        try:
            return asyncio.run(guarded())
        except (asyncio.CancelledError, KeyboardInterrupt):
            raise Stopped(stopped(), 128 + (got or signal.SIGINT)) from None


@contextmanager
def errors() -> Iterator[None]:
    """Turn an error raised on purpose into its message and exit code."""
    try:
        yield
    except ModelUnreachable as error:
        raise Failure(str(error), NO_MODEL) from error
    except ToolsUnreachable as error:
        raise Failure(str(error), NO_TOOLS) from error
    except BoxwrightError as error:
        raise Failure(str(error)) from error
    except OSError as error:
        if error.errno == errno.EPIPE:  # nobody reads on, as behind `| head`: click ends in silence
            raise
        raise Failure(f"{error}; free space, or name another file or folder") from error


@contextmanager
def failures_as_json(wanted: Callable[[], bool]) -> Iterator[None]:
    """Print `{"error": …}` for a failure, where that is wanted: who asked for JSON gets it, whatever comes."""
    try:
        yield
    except (BoxwrightError, click.ClickException) as error:
        if wanted():
            with suppress(OSError):  # stdout itself may be what failed
                click.echo(json.dumps({"error": str(error)}))
        raise


def keep(store: TraceStore, trajectory: Trajectory) -> list[str]:
    """Add a trajectory to the store, and return what to say where that fails: an answer is shown all the same."""
    try:
        store.append(trajectory)
    except (BadInput, RecordInvalid, OSError) as error:
        return [f"the trajectory is not kept: {error}"]
    return []


def check_answered(trajectory: Trajectory) -> None:
    """Raise the failure of an attempt that came to its end without an answer."""
    if trajectory.answer is None:
        code = 1 if trajectory.ended == "model-error" else NO_ANSWER
        raise Failure(f"no answer: {trajectory.ended}{f', {trajectory.note}' if trajectory.note else ''}", code)
