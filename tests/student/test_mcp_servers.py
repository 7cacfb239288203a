"""MCP servers as they are in the wild, over real stdio and HTTP: their ends, their changes and their results."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from boxwright_student.mcp_tools import McpTools, ServerEntry, ToolsUnreachable, connect
from support.model_server import model_server
from support.odd import OLD, free_port, listening, odd, odd_http


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.touch()
    return path


def calls(log: Path) -> list[str]:
    return log.read_text().split()


async def test_a_call_that_may_be_repeated_is_when_its_server_ends(log: Path) -> None:
    async with connect({"odd": odd(log)}) as tools:
        assert (await tools.call("die_once", {})).text == "die_once {}"
    assert calls(log) == ["die_once", "die_once"]


async def test_a_call_that_may_not_be_repeated_is_told_to_be_in_doubt(log: Path) -> None:
    async with connect({"odd": odd(log)}) as tools:
        lost = await tools.call("die", {})
        assert lost.failed
        assert "may or may not have been done" in lost.text
        assert (await tools.call("write", {})).text == "written"
    assert calls(log) == ["die", "write"]


async def test_a_server_that_keeps_ending_is_an_error_with_its_last_words(log: Path) -> None:
    async with connect({"odd": odd(log)}) as tools:
        with pytest.raises(ToolsUnreachable, match=r"'odd' keeps ending .*(?s:.)*I was told to die"):
            await tools.call("die_always", {})
        assert (await tools.call("echo", {})).text == "echo {}"
    assert calls(log) == ["die_always", "die_always", "echo"]


async def test_calls_that_lose_their_server_together_are_one_end(log: Path) -> None:
    async with connect({"odd": odd(log)}) as tools:
        outcomes = await asyncio.gather(*(tools.call(name, {}) for name in ("die_once", "echo", "echo", "echo")))
    assert [one.failed for one in outcomes] == [False] * 4


async def test_a_server_that_does_not_start_is_named_with_what_it_said() -> None:
    code = "import sys; sys.exit('no licence')"
    entry = ServerEntry(command=sys.executable, args=["-c", code])
    with pytest.raises(ToolsUnreachable, match=r"cannot reach the MCP server 'x'(?s:.)*no licence"):
        async with connect({"x": entry, "odd": odd()}):
            raise AssertionError("it connected")


RAW = r"""
import json, sys
sys.stdout.buffer.write(b"caf\xe9 server 1.0\n\n{}\n")
def answer(request, result):
    print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if request["method"] == "initialize":
        about = {"capabilities": {"tools": {}}, "serverInfo": {"name": "raw", "version": "1"}}
        answer(request, {"protocolVersion": request["params"]["protocolVersion"], **about})
    elif request["method"] == "tools/list":
        answer(request, {"tools": [{"name": "cut", "inputSchema": {"type": "object"}}]})
    elif request["method"] == "tools/call":
        answer(request, {"content": [{"type": "text", "text": "half \ud83d"}]})
    elif "id" in request:
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32601, "message": "no"}}), flush=True)
"""


async def test_a_banner_on_stdout_and_half_a_letter_in_a_result_do_no_harm() -> None:
    async with connect({"raw": ServerEntry(command=sys.executable, args=["-c", RAW])}) as tools:
        async with asyncio.timeout(30):
            assert (await tools.call("cut", {})).text == "half \N{REPLACEMENT CHARACTER}"


async def test_a_server_that_speaks_no_mcp_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boxwright_student.servers.connection.START_SECONDS", 1.0)
    entry = ServerEntry(command=sys.executable, args=["-c", "print('hello'); input(); input(); input()"])
    with pytest.raises(ToolsUnreachable, match=r"no answer within 1 seconds(?s:.)*on stdout: hello"):
        async with connect({"x": entry}):
            raise AssertionError("it connected")


async def test_the_status_of_an_http_refusal_is_told() -> None:
    with (
        model_server(lambda _: {"status": 401, "body": {}}) as server,
        pytest.raises(ToolsUnreachable, match="HTTP 401 Unauthorized"),
    ):
        async with connect({"x": ServerEntry(url=f"{server.url}/mcp")}):
            raise AssertionError("it connected")


@pytest.mark.parametrize("options", [(), ("--sessions",)])
async def test_an_http_server_that_was_restarted_is_reached_again(options: tuple[str, ...], tmp_path: Path) -> None:
    port = free_port()
    with odd_http(port, *options) as first:
        async with connect({"odd": ServerEntry(url=f"http://127.0.0.1:{port}/mcp")}) as tools:
            assert (await tools.call("write", {})).text == "written"
            first.kill()
            first.wait()
            with odd_http(port, *options):
                told = (await tools.call("write", {})).text
                if "may or may not have been done" in told:  # it met the end: no later one may
                    told = (await tools.call("write", {})).text
                assert told == "written"


@pytest.mark.extended
async def test_an_http_server_that_dies_under_a_call_leaves_it_in_doubt_and_is_given_up_when_it_stays_away() -> None:
    port = free_port()
    with odd_http(port):
        async with connect({"odd": ServerEntry(url=f"http://127.0.0.1:{port}/mcp")}) as tools:
            lost = await tools.call("die", {})
            assert "may or may not have been done" in lost.text
            with pytest.raises(ToolsUnreachable, match="'odd' is gone"):
                await tools.call("echo", {})


SSE = """
import sys
from fastmcp import FastMCP
server = FastMCP("sse", version="1")
@server.tool
def add(a: int, b: int) -> int:
    return a + b
server.run(transport="sse", port=int(sys.argv[1]), show_banner=False, log_level="critical")
"""


async def test_a_server_of_the_first_http_transport_is_reached() -> None:
    port = free_port()
    with subprocess.Popen([sys.executable, "-c", SSE, str(port)], stderr=subprocess.DEVNULL) as process:
        try:
            listening(process, port)
            async with connect({"sse": ServerEntry(url=f"http://127.0.0.1:{port}/sse", type="sse")}) as tools:
                assert (await tools.call("add", {"a": 1, "b": 2})).value == 3
        finally:
            process.kill()


async def names_after_growing(tools: McpTools) -> set[str]:
    assert not (await tools.call("grow", {})).failed
    return {tool.name for tool in tools.definitions}


async def test_tools_that_change_are_shown_at_the_next_step_in_both_eras() -> None:
    async with connect({"odd": odd()}) as tools:
        before = tools.digest
        names = await names_after_growing(tools)
        assert "grown" in names
        assert "empty" not in names
        assert tools.digest != before
        assert tools.news() == ["the tools of 'odd' have changed; new: grown; gone: empty"]
        assert tools.news() == []
        assert (await tools.call("empty", {})).text.startswith("there is no tool 'empty'")
    async with connect({"old": OLD}) as tools:
        assert await names_after_growing(tools) == {"echo", "write", "grow", "grown"}


async def test_tools_that_change_over_http_are_shown_too() -> None:
    port = free_port()
    with odd_http(port):
        async with connect({"odd": ServerEntry(url=f"http://127.0.0.1:{port}/mcp")}) as tools:
            await tools.call("grow", {})
            async with asyncio.timeout(10):  # the stream of changes is another than that of the call
                while "grown" not in {tool.name for tool in tools.definitions}:
                    await asyncio.sleep(0.02)


async def test_results_of_every_kind_become_bounded_text() -> None:
    async with connect({"odd": odd()}) as tools:
        told = {
            name: await tools.call(name, {})
            for name in ("big", "blocks", "structured", "wrapped", "broken", "empty", "error", "refuse")
        }
    assert told["big"].text.startswith("aaa")
    assert told["big"].text.endswith("bbb")
    assert "[… 4750000 characters left out …]" in told["big"].text
    assert len(told["big"].text.encode()) < 1_000_000
    assert told["blocks"].text.splitlines() == [
        "seen",
        "[image/png, 36 kB: not shown to this model]",
        "[audio/wav, 3 bytes: not shown to this model]",
        "[file:///a.txt]",
        "inside",
        "[file:///a.bin, application/zip, 36 kB: not shown to this model]",
        "[file:///b.txt: b, a resource: not read]",
    ]
    assert (told["structured"].text, told["structured"].value) == ('{"n": 7}', {"n": 7})
    assert (told["wrapped"].text, told["wrapped"].value) == ("[1, 2]", [1, 2])
    assert told["empty"].text == "(the tool gave no result)"
    failed = {name: one.text for name, one in told.items() if one.failed}
    assert failed == {
        "broken": "the tool's result breaks its own schema: Invalid structured content returned by tool broken: "
        "'seven' is not of type 'integer'",
        "error": "it is not so",
        "refuse": "the server refused the call: rate limit",
    }


async def test_what_a_server_writes_to_stderr_is_kept_and_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    async with connect({"odd": odd()}) as tools:
        assert not (await tools.call("noise", {})).failed  # 1.4 MB: a pipe that nobody reads holds 64 kB
        with pytest.raises(ToolsUnreachable, match="noise 19999") as raised:
            await tools.call("die_always", {})
    assert str(raised.value).count("noise") == 18
    assert "noise" not in capfd.readouterr().err


async def test_only_a_trusted_servers_word_makes_a_tool_read_only() -> None:
    async with connect({"one": odd(), "two": odd(trusted=True)}) as tools:
        assert tools.read_only("two__echo")
        assert not tools.read_only("one__echo")
        assert not tools.read_only("two__write")
        assert not tools.read_only("nobody")


async def test_two_servers_with_one_name_both_get_their_own_in_front() -> None:
    async with connect({"one": odd(), "two": odd(), "old": OLD}) as tools:
        names = {tool.name for tool in tools.definitions}
        assert {"one__echo", "two__echo", "one__grow", "old__grow"} <= names
        assert "echo" not in names
        assert [name for name in names if not re.fullmatch("[A-Za-z0-9_-]{1,64}", name)] == []
        assert (await tools.call("old__grow", {})).text == "grew"


PARENT = """
import asyncio, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit that it is ignored
from boxwright_student.mcp_tools import box_server, connect
from support.odd import odd
async def main():
    async with connect({"odd": odd(), "boxes": box_server("--box", "calculator")}):
        print("ready", flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_server_outlives_its_client(how: signal.Signals) -> None:
    tests = str(Path(__file__).parent.parent)
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": tests},
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        parent.send_signal(how)
        parent.wait(timeout=30)
    assert len(children) == 2
    deadline = time.monotonic() + 20
    while alive := [pid for pid in children if running(pid)]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.05)


def running(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
