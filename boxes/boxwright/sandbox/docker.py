"""The Docker sandbox (wherever an engine runs): a hardened container for each worker, with the same worker inside.

What a box sees: its own files, the image's Python, an empty `/tmp` capped in size and number of files. The worker in
the container takes the same limits and filters as in the other sandboxes. It ends when its standard input does, so that
nothing stays when this process is killed; what stays all the same goes when the next process starts.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from packaging.version import InvalidVersion, Version

from boxwright.box.manifest import Limits
from boxwright.box.release import Release
from boxwright.errors import SandboxMissing, WorkerLost
from boxwright.sandbox.engine import Container, Engine
from boxwright.sandbox.lines import START_SECONDS, LineSandbox, LineWorker, in_brackets, longest_reply, whole
from boxwright.sandbox.owners import Owner
from boxwright.sandbox.packages import NO_PACKAGES, Packages
from boxwright.sandbox.rules import FIRST_UID, PACKAGES, check_release, configuration, next_uid, over_memory, shown

OLDEST_PYTHON = "3.11"
"""That the worker inside runs on."""
_STDOUT = 1
_HEADER = 8
"""Bytes before each piece of output: the stream it belongs to, three unused, its length."""
_STDERR_KEPT = 2000


class DockerWorker(LineWorker):
    """A worker behind the attached streams of a container."""

    def __init__(
        self,
        engine: Engine,
        container: Container,
        release: Release,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        super().__init__(release)
        self._engine, self._container = engine, container
        self._reader, self._writer = streams
        self._line, self._stderr = bytearray(), bytearray()

    @property
    def _running(self) -> bool:
        return not self._reader.at_eof()

    async def _send(self, line: bytes) -> None:
        self._writer.write(line)
        await self._writer.drain()

    async def _receive(self) -> bytes:
        while b"\n" not in self._line:
            if len(self._line) > longest_reply(self._release):
                raise ValueError("a line is longer than it may be")
            try:
                header = await self._reader.readexactly(_HEADER)
                piece = await self._reader.readexactly(int.from_bytes(header[4:]))
            except asyncio.IncompleteReadError:
                return bytes(self._line)
            if header[0] == _STDOUT:
                self._line += piece
            else:
                self._stderr = (self._stderr + piece)[-_STDERR_KEPT:]
        end = self._line.index(b"\n") + 1
        line = bytes(self._line[:end])
        del self._line[:end]
        return line

    async def _kill(self) -> str:
        if self._reader.at_eof() and await asyncio.to_thread(self._engine.killed, self._container.id):
            self._over = over_memory(self._release.manifest.limits)
        self._writer.close()
        with suppress(OSError):  # an engine that has gone took the container with it
            await asyncio.to_thread(self._engine.remove, self._container.id)
        return in_brackets(bytes(self._stderr))


class Docker(LineSandbox):
    """Runs each worker in a container of its own."""

    name = "docker"

    def __init__(self, image: str, home: Path, packages: Packages = NO_PACKAGES) -> None:
        self._image, self._home, self._packages = image, home, packages
        self._ready: _Ready | None = None
        self._turn = asyncio.Lock()

    async def start(self, release: Release) -> LineWorker:
        """See `Sandbox.start`."""
        async with self._turn:
            if self._ready is None:
                self._ready = await asyncio.to_thread(_prepare, self._image, self._home)
        ready = self._ready
        check_release(release, ready.python)
        environment = await self._packages.environment(release, ready.python)
        uid = next_uid()
        container = await _launched(ready, release, uid, shown(release, environment))
        # Of the container's own user from the start, so there is no user to become.
        config = configuration(
            release.manifest.limits,
            tools="/box/tools.py",
            packages=PACKAGES if environment else "",
            scratch="/tmp",  # noqa: S108  # the sandbox's own
            uid=0,
            own_processes=True,
            seccomp=True,
        )
        worker = DockerWorker(ready.engine, container, release, await asyncio.open_connection(sock=container.socket))
        await worker._begin(config)
        return worker


@dataclass(frozen=True)
class _Ready:
    """What is found out once."""

    engine: Engine
    image: str
    python: str
    owner: Owner


def why_missing(image: str) -> str | None:
    """Return why Docker cannot be used here and what would mend it, or None where it works."""
    try:
        engine = Engine()
        try:
            engine.image(image)
        finally:
            engine.close()
    except SandboxMissing as error:
        return str(error)
    return None


def _prepare(image: str, home: Path) -> _Ready:
    """Find the engine, the image and its Python, and clear away what killed processes left."""
    engine = Engine()
    found = engine.image(image)
    owner = Owner(home / "docker")
    for gone in owner.gone():
        engine.remove_all_of(gone)
    return _Ready(engine, found, _python(engine, found, owner.name, image), owner)


def _python(engine: Engine, image: str, owner: str, name: str) -> str:
    """Return the version of the image's Python, which a container of it is asked for."""
    asked = ["-c", "import platform; print(platform.python_version())"]
    try:
        container = engine.launch(image, asked, uid=FIRST_UID, limits=Limits(), shown={}, owner=owner)
        try:
            with container.socket as connection:
                connection.settimeout(START_SECONDS)
                with connection.makefile("rb") as stream:
                    said = stream.read()[_HEADER:].decode(errors="replace").strip()
        finally:
            engine.remove(container.id)
        found = Version(said)
    except (OSError, InvalidVersion) as error:
        raise SandboxMissing(
            f"the image {name} runs no Python ({error}); set BOXWRIGHT_DOCKER_IMAGE to one with Python {OLDEST_PYTHON} "
            "or later"
        ) from error
    if found < Version(OLDEST_PYTHON):
        raise SandboxMissing(
            f"the image {name} has Python {found}; set BOXWRIGHT_DOCKER_IMAGE to one with {OLDEST_PYTHON} or later"
        )
    return str(found)


async def _launched(ready: _Ready, release: Release, uid: int, files: dict[str, Path]) -> Container:
    limits = release.manifest.limits

    def launch() -> Container:
        return ready.engine.launch(
            ready.image, ["/inside/worker.py"], uid=uid, limits=limits, shown=files, owner=ready.owner.name
        )

    async def undo(container: Container) -> None:
        container.socket.close()
        await asyncio.to_thread(ready.engine.remove, container.id)

    try:
        return await whole(asyncio.to_thread(launch), undo)
    except OSError as error:
        raise WorkerLost(f"the worker of box {release.title} did not start: {error}") from error
