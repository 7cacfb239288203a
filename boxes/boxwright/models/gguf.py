"""`gguf/<file>`: a model file, run by llama.cpp through xllamacpp; nothing else has to be installed or started.

xllamacpp runs llama.cpp's server and opens its HTTP interface on loopback in any case, so it is asked as any server is.
It runs in a child process: loading holds Python's lock for as long as it takes, and a failed assertion inside llama.cpp
ends the process it is in.
"""

from __future__ import annotations

import asyncio
import atexit
import importlib.util
import os
import secrets
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from boxwright.errors import BadInput, ExtraMissing, ModelUnreachable
from boxwright.models.base import Completion, ModelFacts, Request, RequestModel
from boxwright.models.openai_api import OpenAiApi

_PROGRAM = Path(__file__).with_name("llama_server.py")
_MAGIC = b"GGUF"
_CLOSING_SECONDS = 5.0


class Gguf(RequestModel):
    """A model file; it is loaded when it is first asked, once for all that ask it, and until this process ends.

    Raises:
        ExtraMissing: xllamacpp is not installed.
        BadInput: There is no such file, or it is no GGUF file.
    """

    streams = True

    def __init__(
        self,
        path: Path,
        context_tokens: int,
        *,
        adapter: Path | None = None,
        threads: int = 0,
        thinking: bool = False,
    ) -> None:
        if importlib.util.find_spec("xllamacpp") is None:
            raise ExtraMissing("a model file (GGUF)", "gguf")
        given = [path, *([adapter] if adapter else [])]
        for file in given:
            _check(file.expanduser())
        self.uri = f"gguf/{'+'.join(map(str, given))}"
        self._files = _Files(tuple(file.expanduser().resolve() for file in given), context_tokens, threads)
        self._thinking = thinking
        self._asked: tuple[_Child, OpenAiApi] | None = None

    async def look_up(self) -> ModelFacts:
        """Return what llama.cpp tells, once the model is loaded."""
        return await (await self._api()).facts()

    async def answer(self, request: Request) -> list[Completion]:
        """See `RequestModel.answer`.

        Raises:
            ModelUnreachable: llama.cpp could not load the file, or it ended.
        """
        return await (await self._api()).answer(request)

    async def answer_one(self, request: Request, seed: int | None) -> Completion:
        """Never called: `answer` passes the whole request on."""
        raise NotImplementedError

    async def _api(self) -> OpenAiApi:
        child = _child_of(self._files)
        # Shielded: whoever gives up waiting must not end the loading that others wait for.
        address = await asyncio.shield(asyncio.wrap_future(child.address))
        if self._asked is None or self._asked[0] is not child:
            url, thinking = f"{address}/v1", self._thinking
            name = self._files.paths[0].name
            self._asked = child, OpenAiApi(name, url, thinking=thinking, key=child.key, uri=self.uri)
        return self._asked[1]


class _Files(NamedTuple):
    """What a process has loaded."""

    paths: tuple[Path, ...]
    """The model's file, and its adapter's where it has one."""
    context_tokens: int
    threads: int
    """How many compute; 0 for as many as llama.cpp sees fit."""


class _Child:
    """A process that has a model loaded, or is about to."""

    def __init__(self, files: _Files) -> None:
        self._files = files
        self.key = secrets.token_urlsafe()
        self.address: Future[str] = Future()
        """Where it listens, once the model is loaded."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # a pipe that nobody reads would fill up
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-P",
                str(_PROGRAM),
                str(files.context_tokens),
                str(files.threads),
                *map(str, files.paths),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            # Threads that wait in a loop take the cores from one another on a machine with few of them.
            env={"OMP_WAIT_POLICY": "passive", **os.environ},
            start_new_session=True,  # the terminal's Ctrl-C is for this process, which then ends the child
        )
        assert self.process.stdin and self.process.stdout
        self._stdin, self._stdout = self.process.stdin, self.process.stdout
        with suppress(BrokenPipeError):
            self._stdin.write(f"{self.key}\n".encode())
            self._stdin.flush()
        threading.Thread(target=self._wait, daemon=True).start()

    def close(self) -> None:
        """End the process."""
        with suppress(BrokenPipeError):
            self._stdin.close()
        try:
            self.process.wait(_CLOSING_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._errors.close()

    def _wait(self) -> None:
        line = self._stdout.readline().decode().strip()
        self._stdout.close()
        if line:
            self.address.set_result(line)
            return
        said = f"exit status {self.process.wait()}"
        with suppress(ValueError):  # closed meanwhile
            self._errors.seek(0)
            lines = [one.strip() for one in self._errors.read().decode(errors="replace").splitlines() if one.strip()]
            # The first error is the cause; what follows is who passed it on.
            errors = [one for one in lines if " E " in one or "error" in one.lower()]
            said = next(iter(errors), lines[-1] if lines else said)
        self.address.set_exception(ModelUnreachable(_not_loaded(self._files, said[:300])))


def _not_loaded(files: _Files, said: str) -> str:
    model, *adapters = map(str, files.paths)
    with_adapter = f" with the adapter {adapters[0]!r}" if adapters else ""
    or_adapter = "the adapter may be of another model; " if adapters else ""
    return (
        f"llama.cpp cannot load {model!r}{with_adapter} ({said}); {or_adapter}the file may be cut short, need more "
        "memory than there is, or be of a kind that this xllamacpp does not know: fetch it again, choose a smaller "
        "one, set BOXWRIGHT_CONTEXT_TOKENS lower, or upgrade xllamacpp"
    )


_children: dict[_Files, _Child] = {}
_lock = threading.Lock()


def _child_of(files: _Files) -> _Child:
    """Return the process that has the model loaded; a new one where there is none, or it ended."""
    with _lock:
        child = _children.get(files)
        if child and child.process.poll() is not None:
            child.close()
            child = None
        if child is None:
            child = _children[files] = _Child(files)
        return child


@atexit.register
def close_all() -> None:
    """End every process that has a model loaded; the next request loads it again."""
    with _lock:
        while _children:
            _children.popitem()[1].close()


def _check(path: Path) -> None:
    try:
        with path.open("rb") as stream:
            magic = stream.read(len(_MAGIC))
    except OSError as error:
        raise BadInput(f"cannot read the model file {str(path)!r}: {error.strerror}") from error
    if magic != _MAGIC:
        raise BadInput(f"{str(path)!r} is no GGUF file: it begins with {magic!r}, not with {_MAGIC!r}")
