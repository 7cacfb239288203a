"""The agent loop and the student's commands, over real MCP."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from boxwright.errors import BadInput, CallerMustHandle, ModelError
from boxwright.models import Budgeted, Completion, Scripted, ToolCall, ToolDefinition, Usage, load_model
from boxwright.models.scripted import calling
from boxwright.sandbox.bubblewrap import Bubblewrap
from boxwright.settings import Settings
from boxwright.tasks import load_suite
from boxwright.traces import TraceStore
from boxwright_student import Agent, Bounds, NoTools, ToolOutcome, connect
from boxwright_student.events import Calling, Event, Result, Step, TextPiece
from boxwright_student.mcp_tools import ServerEntry, box_server, read_mcp_json
from boxwright_student.suite_run import run_tasks
from support.model_server import model_server

ECHO = ToolDefinition(name="echo", description="Echo.", parameters={"type": "object", "properties": {}})


class Echo:
    """A toolset of one tool."""

    definitions = (ECHO,)
    digest = "echo"

    def news(self) -> list[str]:
        return []

    def read_only(self, name: str) -> bool:
        return True

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        return ToolOutcome(json.dumps(arguments), failed="fail" in arguments)


async def test_an_attempt_is_calls_and_results_and_an_answer() -> None:
    heard: list[Event] = []
    trajectory = await Agent(Scripted([calling("echo", n=1), "It is 1."]), Echo()).run("?", on_event=heard.append)
    assert (trajectory.answer, trajectory.ended, trajectory.calls) == ("It is 1.", "answered", 1)
    assert [message.role for message in trajectory.messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert trajectory.messages[3].content == '{"n": 1}'
    assert [type(one) for one in heard] == [Calling, Result, Step, TextPiece, Step]


async def test_failures_are_told_to_the_model_which_may_mend_them() -> None:
    unread = Completion(tool_calls=(ToolCall(id="c", name="echo", arguments={}, fault="not JSON"),))
    model = Scripted([calling("frobnicate"), unread, calling("echo", fail=True), "sorry"])
    trajectory = await Agent(model, Echo()).run("?")
    told = [message.content for message in trajectory.messages if message.role == "tool"]
    assert "there is no tool 'frobnicate'; the tools are: echo" in told[0]
    assert "The call of 'echo' was not made" in told[1]
    assert told[2] == 'Error: {"fail": true}'


@pytest.mark.parametrize(
    ("completions", "bounds", "ended"),
    [
        ([calling("echo", n=n) for n in range(9)], Bounds(steps=3), "steps"),
        ([calling("echo", n=1)] * 9, Bounds(), "repetition"),
        (
            [calling("echo", n=n).model_copy(update={"usage": Usage(prompt_tokens=60)}) for n in range(9)],
            Bounds(tokens=100),
            "tokens",
        ),
        ([calling("echo", n=n) for n in range(9)], Bounds(seconds=0), "seconds"),
        ([calling("echo", n=1)], Bounds(), "model-error"),
        (["   ", ""], Bounds(), "empty"),
    ],
)
async def test_an_attempt_ends_within_its_bounds(completions: list[Completion], bounds: Bounds, ended: str) -> None:
    trajectory = await Agent(Scripted(completions), Echo(), bounds=bounds).run("?")
    assert (trajectory.ended, trajectory.answer) == (ended, None)


async def test_a_run_is_resumed_without_asking_again_and_retries_what_failed(tmp_path: Path) -> None:
    tasks = load_suite("game24").split("dev", 4)
    store = TraceStore(tmp_path / "t.jsonl")
    first = await run_tasks(Agent(Scripted(["a", "b", "c"]), NoTools()), tasks, "game24", store, concurrency=1)
    assert [one.ended for one in first] == ["answered"] * 3 + ["model-error"]
    again = Scripted(["d"])
    second = await run_tasks(Agent(again, NoTools()), tasks, "game24", store, concurrency=1)
    assert [one.answer for one in second] == ["a", "b", "c", "d"]
    assert len(again.requests) == 1


async def test_a_spent_budget_stops_a_run_and_keeps_what_was_done(tmp_path: Path) -> None:
    used = Completion(text="x", usage=Usage(prompt_tokens=100))
    model = Budgeted(Scripted([used] * 9), dollars=0, tokens=200)
    store = TraceStore(tmp_path / "t.jsonl")
    tasks = load_suite("game24").split("dev", 5)
    with pytest.raises(ModelError, match="is spent"):
        await run_tasks(Agent(model, NoTools()), tasks, "game24", store, concurrency=1)
    assert len(store.read()) == 2


async def test_attempts_that_are_cancelled_are_on_disk_and_are_made_anew(tmp_path: Path) -> None:
    class Stuck(Echo):
        async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
            await asyncio.sleep(60)
            raise AssertionError

    tasks = load_suite("game24").split("dev", 2)
    store = TraceStore(tmp_path / "t.jsonl")
    running = asyncio.create_task(run_tasks(Agent(Scripted([calling("echo")] * 2), Stuck()), tasks, "game24", store))
    await asyncio.sleep(0.2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [(one.ended, one.calls, one.suite) for one in store.read()] == [("cancelled", 1, "game24")] * 2
    done = await run_tasks(Agent(Scripted(["a", "b"]), Echo()), tasks, "game24", store)
    assert [one.ended for one in done] == ["answered"] * 2


async def test_boxes_are_called_over_mcp(sandbox: Bubblewrap) -> None:
    async with connect({"boxwright": box_server("--box", "game_of_24")}) as tools:
        assert [tool.name for tool in tools.definitions] == ["game_of_24__solve", "game_of_24__check"]
        right = await tools.call("game_of_24__solve", {"numbers": [4, 9, 10, 13]})
        wrong = await tools.call("game_of_24__solve", {"numbers": [1, 1, 1, 1]})
    assert (right.text, right.failed) == ("(4 - 10) * (9 - 13)", False)
    assert wrong.failed
    assert "cannot be made" in wrong.text


async def test_two_servers_with_one_name_keep_their_tools_apart(sandbox: Bubblewrap) -> None:
    entry = box_server("--box", "dates")
    async with connect({"one": entry, "two": entry}) as tools:
        names = [tool.name for tool in tools.definitions]
        assert {"one__dates__weekday", "two__dates__weekday"} <= set(names)
        assert (await tools.call("two__dates__weekday", {"day": "2000-01-01"})).text == "Saturday"


async def test_a_server_that_cannot_be_reached_is_named() -> None:
    for entry in (ServerEntry(command="no-such-program"), ServerEntry(url="http://127.0.0.1:9/mcp")):
        with pytest.raises(CallerMustHandle, match="cannot reach the MCP server 'x'"):
            async with connect({"x": entry}):
                raise AssertionError("it connected")


async def test_a_server_without_tools_is_an_error() -> None:
    code = "from fastmcp import FastMCP; FastMCP('empty', version='1').run(show_banner=False)"
    with pytest.raises(CallerMustHandle, match="list no tool"):
        async with connect({"x": ServerEntry(command=sys.executable, args=["-c", code])}):
            raise AssertionError("it connected")


async def test_a_model_that_only_fails_is_an_error_with_its_cause(tmp_path: Path) -> None:
    tasks = load_suite("game24").split("dev", 2)
    with pytest.raises(ModelError, match="the script is at its end"):
        await run_tasks(Agent(Scripted([]), NoTools()), tasks, "game24", TraceStore(tmp_path / "t.jsonl"))


def test_an_mcp_json_is_read_as_clients_write_it(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_text('{"mcpServers": {"a": {"command": "x", "args": ["y"]}, "b": {"url": "http://z", "type": "http"}}}')
    assert [entry.command for entry in read_mcp_json(path).values()] == ["x", None]
    for text in ("{}", "[]", "{", '{"mcpServers": {"a": {}}}', '{"mcpServers": {"a": {"command": 3}}}'):
        path.write_text(text)
        with pytest.raises(BadInput, match=r"mcp.json"):
            read_mcp_json(path)


async def test_a_model_behind_http_solves_a_task_with_a_box(settings: Settings, sandbox: Bubblewrap) -> None:
    def answer(body: dict[str, Any]) -> dict[str, Any]:
        last = body["messages"][-1]
        if last["role"] == "tool":
            return {"content": f"\\boxed{{{last['content']}}}"}
        return {"calls": [("game_of_24__solve", '{"numbers": [4, 9, 10, 13]}')]}

    task = load_suite("game24").task("game24-4-9-10-13")
    with model_server(answer) as server:
        model = load_model("ollama/qwen3:8b", settings.model_copy(update={"ollama_url": server.url}))
        async with connect({"boxwright": box_server()}) as tools:
            trajectory = await Agent(model, tools).attempt(task, "game24")
    assert trajectory.right, trajectory.reason
    assert trajectory.usage.tokens == 30


def boxwright(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "boxwright", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, env=dict(os.environ))


def test_ask_answers_on_stdout_and_tells_the_calls_on_stderr(sandbox: Bubblewrap, settings: Settings) -> None:
    done = boxwright("ask", "Use 4, 9, 10 and 13 to make 24", "--model", "rules")
    assert done.stdout == "(4 - 10) * (9 - 13)\n"
    assert "game_of_24__solve(numbers=[4, 9, 10, 13])" in done.stderr
    assert "not a language model" in done.stderr
    (kept,) = TraceStore(settings.home / "trajectories" / "ask.jsonl").read()
    assert kept.answer == "(4 - 10) * (9 - 13)"


def test_run_scores_a_suite_and_a_second_run_finds_it_done(sandbox: Bubblewrap, tmp_path: Path) -> None:
    out = tmp_path / "t.jsonl"
    for _ in range(2):
        done = boxwright("run", "game24", "--limit", "5", "--model", "rules", "--out", str(out))
        assert "right      5 of 5" in done.stdout, done.stderr
    assert len(TraceStore(out).read()) == 5


def test_run_keeps_log_probabilities_and_says_where_the_server_gives_none(tmp_path: Path) -> None:
    row = {"id": "a", "prompt": "2+2?", "scorer": "number", "split": "dev", "answer": "4"}
    (tmp_path / "mine.jsonl").write_text(json.dumps(row))
    told = {"content": [{"token": "4", "logprob": -0.1, "top_logprobs": [{"token": "4", "logprob": -0.1}]}]}
    choice = {"index": 0, "message": {"role": "assistant", "content": "4"}, "finish_reason": "stop"}

    def answer(body: dict[str, Any]) -> dict[str, Any]:
        return {"choices": [choice | {"logprobs": told if body.get("top_logprobs") == 20 else None}]}

    with model_server(answer) as server:
        asked = ["run", str(tmp_path / "mine.jsonl"), "--bare", "--model", f"openai/t@{server.url}/v1"]
        done = boxwright(*asked, "--logprobs", "20", "--out", str(tmp_path / "kept.jsonl"))
        none = boxwright(*asked, "--logprobs", "21", "--out", str(tmp_path / "none.jsonl"))
    assert "gave no log-probabilities" not in done.stderr
    assert "gave no log-probabilities" in none.stderr
    (kept,) = TraceStore(tmp_path / "kept.jsonl").read()
    assert kept.messages[-1].written[0].likeliest == (("4", -0.1),)


def test_run_with_a_file_of_ones_own(tmp_path: Path) -> None:
    row = {"id": "a", "prompt": "2+2?", "scorer": "number", "split": "dev", "answer": "4"}
    (tmp_path / "mine.jsonl").write_text(json.dumps(row))
    done = boxwright("run", str(tmp_path / "mine.jsonl"), "--bare", "--model", "rules")
    assert "right      0 of 1" in done.stdout
    empty = boxwright("run", str(tmp_path / "mine.jsonl"), "--split", "test", "--model", "rules")
    assert "no task in the split 'test'" in empty.stderr
