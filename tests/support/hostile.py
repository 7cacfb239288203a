"""Boxes that mean harm, as a table: what each does, and what it may get; and the way to play one against a sandbox.

Each attack returns a string; "refused: …" is what it reports where the system said no. After each, the same worker has
to answer an ordinary call, or, where the worker was meant to die, a new one has to.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boxwright.box.folder import read_release
from boxwright.errors import ModelMayRetry, WorkerLost
from boxwright.sandbox import Sandbox, Worker
from support.boxes import write_box
from support.hostile_attacks import ATTACKS, Attack

__all__ = ["ATTACKS", "GOOD", "SECRET", "Attack", "Outcome", "attack_tool", "play", "run_attack"]

SECRET = "do-not-tell-anybody"
"""Lies where no box may reach; what an attack got never holds it."""
GOOD = '\n\ndef good() -> str:\n    """Answers."""\n    return "good"\n'
HELPERS = """
import ctypes, errno, fcntl, gc, glob, mmap, os, re, resource, select, signal, socket, struct, subprocess, sys, threading, time


def attempt(action):
    try:
        return str(action())
    except BaseException as error:
        return f"refused: {type(error).__name__}: {error}"


def system(number, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    got = libc.syscall(number, *arguments)
    return f"got {got}" if got != -1 else f"refused: {os.strerror(ctypes.get_errno())}"
"""


@dataclass(frozen=True)
class Outcome:
    """What came of an attack."""

    got: str
    """What its last call returned, or the error."""
    after: str
    """What an ordinary call said then."""
    same: bool
    """Whether the same worker said it."""


def attack_tool(body: str, imports: str = "") -> str:
    """Return the source of a box with the tool `attack`, with this body and this code run at import."""
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    return f'{HELPERS}\n{imports}\n\ndef attack(word: str = "") -> str:\n    """Attacks."""\n{lines}\n{GOOD}'


async def run_attack(sandbox: Sandbox, folder: Path, attack: Attack) -> Outcome:
    """Play one attack of the table, with a secret on this machine and a service on it that listens."""
    (folder / "host").mkdir(parents=True)
    (folder / "host" / "secret").write_text(SECRET)
    folder.chmod(0o755)
    with _listening() as name:
        fill = {"HOST_FOLDER": str(folder / "host"), "HOST_SERVICE": name}
        source = attack_tool(_filled(attack.body, fill), _filled(attack.imports, fill))
        calls: list[tuple[str, dict[str, Any]]] = [("attack", {"word": word} if word else {}) for word in attack.words]
        *_, got, after = await play(sandbox, folder / "box", source, *calls, ("good", {}), limits=attack.limits)
    if after.startswith("WorkerLost"):
        (fresh,) = await play(sandbox, folder / "fresh", attack_tool("return ''"), ("good", {}))
        return Outcome(got, fresh, same=False)
    return Outcome(got, after, same=True)


async def play(
    sandbox: Sandbox, folder: Path, source: str, *calls: tuple[str, dict[str, Any]], limits: str = "seconds = 2"
) -> list[str]:
    """Make the calls on one worker of a box with this source; an error becomes its class and message."""
    release = read_release(write_box(folder, source, [], extra=f"limits = {{ {limits} }}"))
    try:
        worker = await sandbox.start(release)
    except WorkerLost as error:
        return [f"WorkerLost: {error}"] * len(calls)
    try:
        return [await _said(worker, tool, arguments) for tool, arguments in calls]
    finally:
        await worker.close()


async def _said(worker: Worker, tool: str, arguments: dict[str, Any]) -> str:
    try:
        return str(await worker.call(tool, arguments))
    except (ModelMayRetry, WorkerLost) as error:
        return f"{type(error).__name__}: {error}"


def _filled(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text


@contextmanager
def _listening() -> Iterator[str]:
    """Listen on an abstract socket of this machine, as desktop services do; gives its name."""
    with socket.socket(socket.AF_UNIX) as service:
        service.bind(b"")  # the kernel names it
        service.listen()
        yield service.getsockname()[1:].decode()
