"""Calls in a real sandbox: what comes back, what the limits do, and which box may run where."""

import asyncio
import sys
import tarfile
from pathlib import Path

import anyio
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
from boxwright.sandbox import Sandbox, ToolRunner, choose_sandbox
from boxwright.sandbox.docker import Docker
from boxwright.sandbox.process import Process
from boxwright.sandbox.trust import Trust, shipped
from boxwright.settings import Settings
from support.boxes import TOOLS, write_box
from support.docker_engine import Running
from support.sandboxes import BOTH, running

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


@pytest.fixture(params=BOTH)
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """Each real sandbox."""
    found: Sandbox = request.getfixturevalue(request.param)
    return found


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
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boxwright.sandbox.lines.START_SECONDS", 2.0)
    cases = {"import numpy_that_is_not": "ModuleNotFoundError", "while True: pass": "within 2 seconds"}
    cases["import os; os._exit(0)"] = "did not start"
    for source, words in cases.items():
        release = read_release(write_box(tmp_path / words.split()[0], source, []))
        with pytest.raises(WorkerLost, match=words):
            async with sandbox.worker(release):
                raise AssertionError("it started")


@pytest.mark.parametrize("line", ['permissions = { network = "all" }', 'requires-python = ">=4"'])
async def test_a_box_that_asks_for_what_no_sandbox_gives_is_refused(
    tmp_path: Path, sandbox: Sandbox, line: str
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
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    with pytest.raises(SandboxMissing, match="apt-get install bubblewrap"):
        choose_sandbox(settings.model_copy(update={"sandbox": "bubblewrap"}))
    with pytest.raises(SandboxMissing, match="no Docker engine answers|boxwright.docker."):
        choose_sandbox(settings.model_copy(update={"sandbox": "docker"}))
    assert choose_sandbox(settings).name == "process"


async def test_a_worker_may_be_closed_twice_at_once_and_during_a_call(sandbox: Sandbox, tmp_path: Path) -> None:
    worker = await sandbox.start(read_release(write_box(tmp_path / "box", ODD, [])))
    call = asyncio.create_task(worker.call("loop", {}))
    await asyncio.sleep(0.1)
    await asyncio.gather(worker.close(), worker.close())
    with pytest.raises(WorkerLost):
        await call
    assert not worker.alive
    assert not running(sandbox, tmp_path)


async def test_nothing_is_left_when_a_worker_is_closed_or_never_started(sandbox: Sandbox, tmp_path: Path) -> None:
    async with sandbox.worker(read_release(write_box(tmp_path / "box"))) as worker:
        assert await worker.call("double", {"number": 1}) == 2
        assert running(sandbox, tmp_path)
    assert not running(sandbox, tmp_path)
    with pytest.raises(WorkerLost):
        await sandbox.start(read_release(write_box(tmp_path / "bad", "1 / 0", [])))
    assert not running(sandbox, tmp_path)


@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.1, 0.25, 0.5])
async def test_a_start_that_is_cancelled_leaves_nothing(sandbox: Sandbox, tmp_path: Path, seconds: float) -> None:
    start = asyncio.create_task(sandbox.start(read_release(write_box(tmp_path / "box", "while True: pass", []))))
    await asyncio.sleep(seconds)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert not running(sandbox, tmp_path)


@pytest.mark.parametrize("seconds", [0.0, 0.005, 0.02, 0.1])
async def test_a_start_that_mcp_gives_up_leaves_nothing(sandbox: Sandbox, tmp_path: Path, seconds: float) -> None:
    box = read_release(write_box(tmp_path / "box", "while True: pass", []))
    for _ in range(4):
        with anyio.move_on_after(seconds):  # which cancels again at each turn of the loop
            await sandbox.start(box)
    async with asyncio.timeout(20):
        while running(sandbox, tmp_path):
            await asyncio.sleep(0.1)


HOST = """
import asyncio, sys
from pathlib import Path
from boxwright.box.folder import read_release
from boxwright.sandbox.bubblewrap import Bubblewrap
from boxwright.sandbox.docker import Docker

async def main():
    sandbox = Docker(sys.argv[2], Path(sys.argv[3])) if sys.argv[2] else Bubblewrap()
    starting = asyncio.create_task(sandbox.start(read_release(Path(sys.argv[1]))))
    await asyncio.wait([starting], timeout=2)
    print("up", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def _killed_host(sandbox: Sandbox, box: Path, home: Path, image: str) -> None:
    """Start a worker of the box in another process, see it run, and kill that process."""
    host = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOST, str(box), image, str(home), stdout=asyncio.subprocess.PIPE
    )
    assert host.stdout is not None
    assert await host.stdout.readline() == b"up\n"
    assert running(sandbox, box)
    host.kill()
    await host.communicate()


async def _gone(sandbox: Sandbox, folder: Path) -> None:
    async with asyncio.timeout(20):
        while running(sandbox, folder):
            await asyncio.sleep(0.1)


async def test_a_worker_ends_with_the_process_that_started_it(
    sandbox: Sandbox, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    image = request.getfixturevalue("engine").image if sandbox.name == "docker" else ""
    await _killed_host(sandbox, write_box(tmp_path / "box"), tmp_path / "home", image)
    await _gone(sandbox, tmp_path)


@pytest.mark.extended
async def test_what_a_killed_process_left_all_the_same_goes_with_the_next_start(
    docker: Docker, engine: Running, tmp_path: Path
) -> None:
    hung = write_box(tmp_path / "hung", "while True: pass", [])
    await _killed_host(docker, hung, tmp_path / "home", engine.image)
    assert running(docker, tmp_path)  # its import never looks at the closed pipe
    next_one = Docker(engine.image, tmp_path / "home")
    async with next_one.worker(read_release(write_box(tmp_path / "box"))) as worker:
        assert [one for one in running(docker, tmp_path) if "running" in one] == running(docker, tmp_path / "box")
        assert await worker.call("double", {"number": 2}) == 4
    await _gone(docker, tmp_path)


@pytest.mark.extended
async def test_an_engine_or_image_that_is_not_there_is_told(
    engine: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    release = read_release(write_box(tmp_path / "box"))
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    with pytest.raises(SandboxMissing, match="run: docker pull no-such-image:1"):
        await Docker("no-such-image:1", tmp_path / "home").start(release)
    monkeypatch.setenv("PATH", str(tmp_path))
    here = settings.model_copy(update={"docker_image": engine.image})
    assert choose_sandbox(here).name == "docker"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    with pytest.raises(SandboxMissing, match="no Docker engine answers"):
        await Docker(engine.image, tmp_path / "home").start(release)


@pytest.mark.extended
async def test_an_image_without_a_python_is_told(docker: Docker, engine: Running, tmp_path: Path) -> None:
    import docker as package

    client = package.APIClient(engine.host, version="auto")
    empty = tmp_path / "empty.tar"
    with tarfile.open(empty, "w") as archive:
        archive.addfile(tarfile.TarInfo("nothing"))
    client.import_image_from_file(str(empty), repository="boxwright-test", tag="empty")
    try:
        release = read_release(write_box(tmp_path / "box"))
        with pytest.raises(SandboxMissing, match="boxwright-test:empty runs no Python"):
            await Docker("boxwright-test:empty", tmp_path / "home").start(release)
    finally:
        client.remove_image("boxwright-test:empty", force=True)
        client.close()


@pytest.mark.extended
async def test_the_images_own_python_decides_what_a_box_may_ask_for(docker: Docker, tmp_path: Path) -> None:
    release = read_release(write_box(tmp_path / "box", extra='requires-python = ">=3.99"'))
    with pytest.raises(SandboxMissing, match=r"asks for Python >=3.99; this is 3\.\d+\.\d+"):
        await docker.start(release)
