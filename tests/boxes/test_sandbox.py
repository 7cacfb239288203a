"""Calls in a real sandbox: what comes back, what the limits do, and which box may run where."""

import asyncio
from pathlib import Path

import pytest

from boxwright.box import Release
from boxwright.box.folder import read_release
from boxwright.errors import (
    ArgumentsInvalid,
    BadInput,
    SandboxMissing,
    ToolFailed,
    ToolLimitReached,
    ToolRefused,
    ToolResultInvalid,
    ToolUnknown,
    WorkerLost,
)
from boxwright.registry import build, staged
from boxwright.sandbox import ToolRunner, choose_sandbox
from boxwright.sandbox.bubblewrap import Bubblewrap
from boxwright.sandbox.process import Process
from boxwright.sandbox.trust import Trust, shipped
from boxwright.settings import Settings
from support.boxes import TOOLS, write_box

ODD = '''
"""Tools that misbehave."""
import math
import time


def loop() -> int:
    """Never ends."""
    while True:
        pass


def sleep(seconds: float) -> str:
    """Sleeps."""
    time.sleep(seconds)
    return "slept"


def memory(megabytes: int) -> int:
    """Allocates."""
    return len(bytearray(megabytes << 20))


def long(length: int) -> str:
    """Answers at length."""
    return "x" * length


def wrong() -> int:
    """Breaks its own schema."""
    return "text"


def nan() -> float:
    """Not finite."""
    return math.nan


def pair() -> list[int]:
    """A tuple."""
    return (1, 2)


def crash() -> int:
    """Fails."""
    return 1 // 0


def half_text() -> str:
    """Half a surrogate pair."""
    return chr(0xD800)


def huge() -> int:
    """A very long number."""
    return 10**5000


def leave() -> int:
    """Ends its process."""
    import os

    os._exit(3)
'''


async def built(folder: Path, runner: ToolRunner, tools: str = ODD, extra: str = "") -> Release:
    """Return the box with its tools described, without examples."""
    write_box(folder, tools, [], extra=extra)
    source = read_release(folder)
    async with runner.worker(source) as worker:
        described = await worker.describe()
    from dataclasses import replace

    from boxwright.registry.build import _tool

    return replace(source, tools=tuple(_tool(one, source) for one in described["tools"]))


@pytest.mark.parametrize(
    ("tool", "arguments", "error", "words"),
    [
        ("loop", {}, ToolLimitReached, "ran over its 1 seconds"),
        ("sleep", {"seconds": 30}, ToolLimitReached, "ran over its 1 seconds"),
        ("memory", {"megabytes": 4096}, ToolLimitReached, "memory"),
        ("long", {"length": 2_000_000}, ToolLimitReached, "may have 1000000"),
        ("wrong", {}, ToolResultInvalid, 'must be a whole number, got "text"'),
        ("nan", {}, ToolResultInvalid, "finite"),
        ("pair", {}, ToolResultInvalid, "tuple"),
        ("crash", {}, ToolFailed, r"ZeroDivisionError.*tools.py, line"),
        ("leave", {}, ToolFailed, "without a result .exit status 3"),
        ("sleep", {"seconds": "1"}, ArgumentsInvalid, "must be a number"),
        ("sleep", {}, ArgumentsInvalid, "'seconds' is missing"),
        ("sleep", {"second": 1, "seconds": 1}, ArgumentsInvalid, "did you mean 'seconds'"),
        ("half_text", {}, ToolResultInvalid, "not Unicode"),
        ("huge", {}, ToolResultInvalid, "integer of"),
        ("sleep", {"seconds": float("nan")}, ArgumentsInvalid, "not finite"),
        ("sleep", {"seconds": 10**5000}, ArgumentsInvalid, "not finite JSON"),
        ("slep", {}, ToolUnknown, "did you mean 'sleep'"),
    ],
)
async def test_each_way_to_go_wrong_has_its_own_error_and_the_next_call_answers(
    tmp_path: Path, runner: ToolRunner, tool: str, arguments: dict[str, object], error: type[Exception], words: str
) -> None:
    release = await built(tmp_path / "box", runner, extra="limits = { seconds = 1 }")
    with pytest.raises(error, match=words):
        await runner.call(release, tool, arguments)
    assert await runner.call(release, "long", {"length": 3}) == "xxx"


async def test_a_refusal_carries_the_tools_own_words(tmp_path: Path, runner: ToolRunner) -> None:
    release = await built(tmp_path / "box", runner, TOOLS)
    with pytest.raises(ToolRefused, match="^number must be at most 1000, got 1001$"):
        await runner.call(release, "double", {"number": 1001})
    for wrong in (1.5, 4.0, True, None, "4"):
        with pytest.raises(ArgumentsInvalid, match="must be a whole number"):
            await runner.call(release, "double", {"number": wrong})


async def test_many_calls_at_once_each_get_their_own_answer(tmp_path: Path, runner: ToolRunner) -> None:
    release = await built(tmp_path / "box", runner, TOOLS)
    results = await asyncio.gather(*(runner.call(release, "double", {"number": n}) for n in range(200)))
    assert results == [2 * n for n in range(200)]


async def test_a_cancelled_call_ends_its_worker_and_another_serves_the_next(tmp_path: Path, runner: ToolRunner) -> None:
    release = await built(tmp_path / "box", runner)
    call = asyncio.create_task(runner.call(release, "sleep", {"seconds": 8}))
    await asyncio.sleep(0.3)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await runner.call(release, "long", {"length": 1}) == "x"


async def test_an_import_that_fails_or_hangs_is_told(
    tmp_path: Path, sandbox: Bubblewrap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boxwright.sandbox.local.START_SECONDS", 1.0)
    cases = {"import numpy_that_is_not": "ModuleNotFoundError", "while True: pass": "within 1 seconds"}
    cases["import os; os._exit(0)"] = "did not start"
    for source, words in cases.items():
        release = read_release(write_box(tmp_path / words.split()[0], source, []))
        with pytest.raises(WorkerLost, match=words):
            async with sandbox.worker(release):
                raise AssertionError("it started")


@pytest.mark.parametrize(
    "line", ['permissions = { network = "all" }', 'dependencies = ["sympy==1.13.3"]', 'requires-python = ">=4"']
)
async def test_a_box_that_asks_for_what_no_sandbox_gives_is_refused(
    tmp_path: Path, sandbox: Bubblewrap, line: str
) -> None:
    with pytest.raises(SandboxMissing, match="asks for"):
        await sandbox.start(read_release(write_box(tmp_path / "box", extra=line)))


async def test_without_a_real_sandbox_only_trusted_boxes_run(tmp_path: Path) -> None:
    process = Process(Trust(tmp_path / "home"), "install bubblewrap")
    async with ToolRunner(process) as runner, staged(write_box(tmp_path / "box")) as stage:
        with pytest.raises(SandboxMissing, match="boxwright boxes trust sha256:"):
            await build(stage, runner)
        source = read_release(stage)
        Trust(tmp_path / "home").add(source.digest)
        async with runner.worker(source) as worker:
            assert await worker.call("double", {"number": 4}) == 8
    with pytest.raises(BadInput, match="is no digest"):
        Trust(tmp_path / "home").add("abc")


async def test_the_shipped_library_runs_without_a_real_sandbox(tmp_path: Path, settings: Settings) -> None:
    from boxwright.registry import open_registry

    plain = settings.model_copy(update={"sandbox": "process"})
    async with ToolRunner(choose_sandbox(plain)) as runner:
        release = open_registry(plain).resolve("game_of_24")
        assert release.digest in shipped()
        assert await runner.call(release, "solve", {"numbers": [3, 3, 8, 8]}) == "8 / (3 - 8 / 3)"


def test_a_sandbox_asked_for_by_name_that_is_not_here_is_an_error(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxMissing, match="apt-get install bubblewrap"):
        choose_sandbox(settings.model_copy(update={"sandbox": "bubblewrap"}))
    assert choose_sandbox(settings).name == "process"
