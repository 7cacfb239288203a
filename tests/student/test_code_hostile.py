"""Code that means harm, or that a small model wrote without meaning it: each act ends, alone, and the attempt goes on."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from boxwright_student.code import CodeLimits, CodeSession
from support.code_tools import CountingTools

LIMITS = CodeLimits(seconds=0.5, megabytes=32, calls=20, characters=1000)


@pytest.fixture
async def session() -> AsyncIterator[CodeSession]:
    async with CodeSession(CountingTools(), LIMITS) as session:
        await session.act("kept = 1")
        yield session
        assert (await session.act("kept")).value == 1


def workers() -> set[str]:
    """Return the process ids of the Monty workers under this process."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            name, _, rest = status.read_text().partition(") ")
            if "(monty" in name and rest.split()[1] == str(os.getpid()):
                found.add(status.parent.name)
    return found


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("while True:\n    pass", "longer than 0.5 seconds"),
        (
            "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass",
            "longer than",
        ),
        ("sum(range(10 ** 12))", "longer than"),
        ("x = 'a' * 10 ** 9", "too much memory"),
        ("x = []\nwhile True:\n    x.append('a' * 1000)", "too much memory"),
        ("x = 9 ** 9 ** 9", "too much memory"),
        ("try:\n    x = 'a' * 10 ** 9\nexcept BaseException:\n    pass", "too much memory"),
        ("def f(n):\n    return f(n + 1)\nf(0)", "RecursionError"),
        ("x = " + "(" * 5000, "too deeply nested"),
        ("x = " + "-" * 30_000 + "1", "too deeply nested"),
        ("x = 1\n" * 10_000, "more than 40000; write less"),
        ("while True:\n    try:\n        nothing_such\n    except NameError:\n        pass", "too often"),
        ("for n in range(10 ** 6):\n    double(n % 3)", "more than 20 tool calls"),
        (
            "while True:\n    try:\n        double(1)\n    except BaseException:\n        pass",
            "more than 20 tool calls",
        ),
    ],
)
async def test_code_that_takes_too_much_ends_and_says_so(session: CodeSession, code: str, told: str) -> None:
    result = await session.act(code)
    assert told in result.fault
    assert len(result.observation) < 2000


@pytest.mark.parametrize("code", ["print('a' * 10 ** 7)", "for n in range(10 ** 4):\n    print('a' * 1000)"])
async def test_a_flood_of_output_is_cut_and_held_nowhere(session: CodeSession, code: str) -> None:
    result = await session.act(code)
    assert len(result.printed) == 1000
    assert "of which 1000 are shown" in result.observation


async def test_endless_printing_ends_with_its_time(session: CodeSession) -> None:
    result = await session.act("while True:\n    print('a' * 1000)")
    assert "longer than 0.5 seconds" in result.fault
    assert len(result.printed) == 1000


@pytest.mark.parametrize(
    "code",
    [
        "open('/etc/passwd').read()",
        "open('x', 'w').write('x')",
        "import pathlib\npathlib.Path('/etc/passwd').read_text()",
        "import os\nos.listdir('/')",
        "import os\nos.environ['HOME']",
        "import os\nos.system('id')",
        "import subprocess",
        "import socket",
        "import ctypes",
        "__import__('os').system('id')",
        "().__class__.__base__.__subclasses__()",
        "exec('import subprocess')",
        "import sys\nsys.modules['os']",
        "double.__globals__",
        "double.__code__",
    ],
)
async def test_nothing_of_the_machine_can_be_reached(session: CodeSession, code: str) -> None:
    assert (await session.act(code)).fault


async def test_the_final_answer_cannot_be_caught(session: CodeSession) -> None:
    code = "while True:\n    try:\n        final_answer(7)\n    except BaseException:\n        pass\n    finally:\n        print('no')"
    result = await session.act(code)
    assert (result.answer, result.printed) == ("7", "")


async def test_values_that_contain_themselves_do_no_harm(session: CodeSession) -> None:
    result = await session.act("x = []\nx.append(x)\nsay(x)\nx")
    assert "[...]" in result.observation


@pytest.mark.parametrize("last", ["x", "final_answer(x)", "say(x)", "say(text=[x])"])
@pytest.mark.parametrize("levels", [200, 5000, 50_000])
async def test_values_nested_too_deeply_are_refused(session: CodeSession, levels: int, last: str) -> None:
    result = await session.act(f"x = []\nfor n in range({levels}):\n    x = [x]\n{last}")
    assert "nested more than 100 levels deep" in result.fault


async def test_a_cancelled_act_leaves_no_process_running() -> None:
    before = workers()
    async with CodeSession(CountingTools(), CodeLimits(seconds=60)) as session:
        await session.act("x = 1")
        for code in ("while True:\n    pass", "hang()"):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await session.act(code)
        assert (await session.act("x")).value == 1
    assert workers() == before


async def test_a_worker_that_is_killed_costs_one_act_and_no_variable() -> None:
    async with CodeSession(CountingTools(), CodeLimits(seconds=60)) as session:
        await session.act("x = 1")
        running = asyncio.create_task(session.act("while True:\n    pass"))
        await asyncio.sleep(0.2)
        for pid in workers():
            os.kill(int(pid), 9)
        assert "took its interpreter down" in (await running).fault
        assert (await session.act("x")).value == 1
