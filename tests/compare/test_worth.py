"""What tools are worth: verdicts, tools that stand in for each other, use, and the command from end to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from boxwright.errors import BadInput
from boxwright.models import Completion, Scripted, ToolCall, ToolDefinition
from boxwright.models.base import Request, RequestModel
from boxwright.models.scripted import calling
from boxwright.sandbox.bubblewrap import Bubblewrap
from boxwright.tasks import Task
from boxwright.traces import TraceStore
from boxwright_compare import worth
from boxwright_compare.use import use_of
from boxwright_compare.worth import Worth, measure
from boxwright_compare.worth_report import conclusion
from boxwright_student import Agent, ToolOutcome, box_server

TASKS = [Task(id=f"t{n}", prompt=f"Say {n}.", scorer="exact", answer=str(n), split="dev") for n in range(2)]


class Seeing(RequestModel):
    """Answers right where the tools that it is shown let it, and calls none."""

    uri, label = "seeing", "a test's"

    def __init__(self, can: Callable[[set[str]], bool]) -> None:
        self._can = can
        self.asked = 0

    async def answer_one(self, request: Request, seed: int | None) -> Completion:
        self.asked += 1
        right = self._can({tool.name for tool in request.tools})
        return Completion(text=request.messages[-1].content[4:-1] if right else "no idea")


async def measured(model: RequestModel, folder: Path, tasks: list[Task] = TASKS) -> Worth:
    server = box_server("--listing", "tools", "--box", "dates")
    return await measure(
        model, tasks, "s", folder, server=server, concurrency=2, on_arm=lambda name: lambda attempt: None
    )


async def test_a_tool_is_kept_if_fewer_tasks_are_right_without_it(sandbox: Bubblewrap, tmp_path: Path) -> None:
    found = await measured(Seeing(lambda names: "dates__weekday" in names), tmp_path)
    assert found.kept == ["dates__weekday"]
    assert found.dropped == ["dates__days_between", "dates__shift"]
    assert [(one.pair.only_second, one.pair.only_first) for one in found.tools] == [(0, 0), (0, 0), (2, 0)]
    assert (found.alone.only_second, found.pruning.first.right, found.holds) == (2, 2, True)
    assert "Kept: dates__weekday." in conclusion(found)[0]
    assert conclusion(found)[-1] == (
        "To mount what is kept: boxwright serve --box dates "
        "(boxes are served whole, dates__days_between, dates__shift with them)"
    )


async def test_tools_that_stand_in_for_each_other_are_not_pruned(sandbox: Bubblewrap, tmp_path: Path) -> None:
    found = await measured(Seeing(lambda names: bool(names & {"dates__weekday", "dates__shift"})), tmp_path)
    assert (found.kept, found.holds) == ([], False)
    assert (found.pruning.only_second, found.pruning.only_first) == (2, 0)
    assert len(conclusion(found)) == 1
    assert conclusion(found)[0].startswith("No pruning: ")


async def test_a_tool_that_hurts_goes_though_it_is_never_called(sandbox: Bubblewrap, tmp_path: Path) -> None:
    found = await measured(Seeing(lambda names: "dates__shift" not in names), tmp_path)
    (shift,) = [one for one in found.tools if one.tool == "dates__shift"]
    assert (shift.called, shift.pair.only_first, shift.verdict) == (0, 2, "no worth here")
    assert (found.alone.only_first, found.pruning.only_first, found.use["all"].called) == (2, 2, 0)
    assert "no box (dates can go)" in conclusion(found)[-1]


async def test_where_all_tools_are_kept_there_is_nothing_to_prune(sandbox: Bubblewrap, tmp_path: Path) -> None:
    model = Seeing(lambda names: len(names) == 3)
    found = await measured(model, tmp_path)
    assert (found.dropped, found.pruning.p_value) == ([], 1.0)
    assert conclusion(found) == ["Every tool is worth its place here: nothing to prune."]
    assert model.asked == 5 * len(TASKS)  # bare, all and each without one: the pruned set is all


async def test_what_is_there_is_not_run_again_and_no_set_takes_another_ones(
    sandbox: Bubblewrap, tmp_path: Path
) -> None:
    assert (await measured(Seeing(lambda names: "dates__weekday" in names), tmp_path, TASKS[:1])).holds
    again = Seeing(lambda names: "dates__weekday" in names)
    found = await measured(again, tmp_path)
    assert (found.kept, again.asked) == (["dates__weekday"], 6)  # the second task, in six arms
    kept = {path.name: TraceStore(path).read() for path in tmp_path.glob("*.jsonl")}
    assert len(kept) == 6
    assert {len(attempts) for attempts in kept.values()} == {2}
    assert len({one.toolset for attempts in kept.values() for one in attempts}) == 6


class Changing:
    """A toolset that is another one at each look."""

    definitions = (ToolDefinition(name="echo", description="Echo.", parameters={"type": "object"}),)

    def __init__(self) -> None:
        self._looks = 0

    @property
    def digest(self) -> str:
        self._looks += 1
        return str(self._looks)

    def news(self) -> list[str]:
        return []

    def read_only(self, name: str) -> bool:
        return True

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        return ToolOutcome("broken", failed="fail" in arguments)


async def test_boxes_that_change_meanwhile_are_not_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def connect(servers: object) -> AsyncIterator[Changing]:
        yield Changing()

    monkeypatch.setattr(worth, "connect", connect)
    with pytest.raises(BadInput, match="changed meanwhile"):
        await measured(Seeing(lambda names: True), tmp_path)


async def test_use_tells_calls_that_failed_from_calls_that_were_not_made() -> None:
    unread = Completion(tool_calls=(ToolCall(id="c", name="echo", arguments={}, fault="not JSON"),))
    written = '<tool_call>{"name": "eccho_all", "arguments": {}}</tool_call>'
    script: list[Completion | str] = [
        calling("echo", fail=1),
        calling("echo", n=1),
        calling("frobnicate"),
        unread,
        written,
        "done",
    ]
    models = (Scripted(script), Scripted(["nothing to call"]))
    use = use_of([await Agent(model, Changing()).run("?") for model in models])
    assert (use.called, use.calls, use.failed, use.refused) == (1, 2, 1, 3)


def boxwright(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "boxwright", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, env=dict(os.environ))


def test_the_command_keeps_the_tool_that_solves_and_a_second_run_finds_it_done(
    sandbox: Bubblewrap, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    mounted = ("--box", "game_of_24", "--box", "calculator")
    for _ in range(2):
        done = boxwright("worth", "game24", "--limit", "3", "--model", "rules", *mounted, "--out", str(out))
        last = done.stdout.splitlines()[-1]
        assert "boxwright serve --box game_of_24 (calculator can go;" in last, done.stderr
    told = json.loads((out / "worth.json").read_text())
    assert (told["kept"], told["holds"]) == (["game_of_24__solve"], True)
    assert told["remarks"] == ["The answers are from: rules: not a language model."]
    assert told["use"]["all"]["called"] == 3
    assert "| game_of_24__solve | 3 of 3 | 3 / 0 | 3 / 0 | 0.25 | keep |" in (out / "worth.md").read_text()
    assert {len(TraceStore(path).read()) for path in out.glob("*.jsonl")} == {3}


def test_an_unknown_box_and_a_split_without_tasks_are_told_before_anything_runs(
    sandbox: Bubblewrap, tmp_path: Path
) -> None:
    out = ("--model", "rules", "--out", str(tmp_path / "out"))
    unknown = boxwright("worth", "game24", "--limit", "1", "--box", "game_of_42", *out)
    assert "did you mean 'game_of_24'" in unknown.stderr
    (tmp_path / "s.jsonl").write_text(TASKS[0].model_dump_json() + "\n")
    empty = boxwright("worth", str(tmp_path / "s.jsonl"), "--split", "test", *out)
    assert "has no task in the split 'test'" in empty.stderr
    assert boxwright("worth", "game24", "--limit", "0", *out).returncode == 2
    assert (unknown.returncode, empty.returncode, (tmp_path / "out").exists()) == (1, 1, False)
