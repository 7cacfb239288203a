"""A command at a terminal, as a person has it: a pseudo-terminal on its stdin, stdout and stderr."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS = 60.0
AT_ITS_OWN = """
import fcntl, termios
from boxwright.cli.main import main
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
main()
"""
"""Makes the terminal the command's own, so that Ctrl-C at it is a signal."""


class Terminal:
    """What a test sees and types."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process, self._master = process, master
        self.screen = ""
        """All that was printed, with the terminal's line ends made plain."""
        self._read = 0

    def until(self, text: str, insisting: Callable[[], None] | None = None) -> str:
        """Wait until the text is printed, after what was waited for before; return what came up to it.

        `insisting` is done each second: a signal that comes between readline's prompt and its wait shows no effect.
        """
        again = time.monotonic()
        while (at := self.screen.find(text, self._read)) < 0:
            if insisting is not None and time.monotonic() >= again:
                insisting()
                again = time.monotonic() + 1.0
            assert self._more(SECONDS if insisting is None else 1.0), f"no {text!r} in {self.screen[self._read :]!r}"
        before, self._read = self.screen[self._read : at], at + len(text)
        return before

    def type(self, text: str) -> None:
        """Type; `\\x03` is Ctrl-C and `\\x04` Ctrl-D."""
        os.write(self._master, text.encode())

    def end(self) -> int:
        """Wait for the command's end and return its status."""
        while self._more(SECONDS):
            pass
        return self.process.wait(SECONDS)

    def terminate(self) -> int:
        """Send SIGTERM, each second, until the command ends; return its status."""
        deadline = time.monotonic() + SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.screen
            self.process.terminate()
            self._more(1.0)
        return self.process.returncode

    def _more(self, seconds: float) -> bool:
        """Read on; False when the command has ended or printed nothing within so many seconds."""
        ready, _, _ = select.select([self._master], [], [], seconds)
        try:
            piece = os.read(self._master, 65536) if ready else b""
        except OSError:  # the other side is closed
            return False
        self.screen += piece.decode(errors="replace").replace("\r\n", "\n")
        return bool(piece) or seconds < SECONDS


@contextmanager
def terminal(*arguments: str, **environment: str) -> Iterator[Terminal]:
    """Run `boxwright` with the arguments at a terminal of its own."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", AT_ITS_OWN, *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        env={**os.environ, "TERM": "dumb", "COLUMNS": "200", **environment},
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        process.kill()
        process.wait()
        os.close(master)
