"""What tools are worth: verdicts, tools that stand in for each other, use, and the command from end to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from boxwright.errors import BadInput
from boxwright.models import Completion, ModelFacts, Scripted, ToolCall, ToolDefinition
from boxwright.models.base import Request, RequestModel
from boxwright.models.scripted import calling
from boxwright.sandbox.bubblewrap import Bubblewrap
from boxwright.tasks import Task
from boxwright.traces import TraceStore
from boxwright_compare import worth
from boxwright_compare.use import use_of
from boxwright_compare.worth import Worth, measure
from boxwright_compare.worth_report import NOTHING_RIGHT, conclusion, tables
from boxwright_student import Agent, ToolOutcome, box_server
from support.adder import NUMBER, Adder, Facts

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


async def measured(
    model: RequestModel, folder: Path, tasks: list[Task] = TASKS, *, boxes: Sequence[str] = ("dates",)
) -> Worth:
    server = box_server("--listing", "tools", *(f"--box={box}" for box in boxes))
    return await measure(
        model, tasks, "s", folder, server=server, concurrency=2, on_arm=lambda name: lambda attempt: None
    )


def right(found: Worth, name: str) -> int:
    return found.sets[name].figures.right


async def test_a_tool_is_kept_if_fewer_tasks_are_right_without_it(sandbox: Bubblewrap, tmp_path: Path) -> None:
    found = await measured(Seeing(lambda names: "dates__weekday" in names), tmp_path)
    assert (found.kept, found.dropped) == (("dates__weekday",), ["dates__days_between", "dates__shift"])
    assert [(one.pair.only_second, one.pair.only_first) for one in found.tools] == [(0, 0), (0, 0), (2, 0)]
    assert (right(found, "bare"), right(found, "all"), right(found, "pruned")) == (0, 2, 2)
    assert conclusion(found) == [
        "Kept: dates__weekday. Right: 2 of 2, with all tools 2 of 2 (only with what is kept 0, only with all 0, p = 1), "
        "at 0 tokens a task in place of 0.",
        "No box can go: boxes are served whole, and each has a tool that is kept.",
    ]


async def test_of_tools_that_stand_in_for_each_other_not_all_are_pruned(sandbox: Bubblewrap, tmp_path: Path) -> None:
    found = await measured(Seeing(lambda names: bool(names & {"dates__weekday", "dates__shift"})), tmp_path)
    assert {one.verdict for one in found.tools} == {"no worth here"}
    assert (right(found, "pruned"), right(found, "kept"), len(found.kept)) == (0, 2, 2)
    assert conclusion(found)[1] == (
        "Judged one by one, the tools to keep are: nothing. With only these, 0 of 2 are right "
        "(p = 0.5 against what is kept)."
    )


async def test_a_tool_that_hurts_goes_though_it_is_never_called(sandbox: Bubblewrap, tmp_path: Path) -> None:
    found = await measured(Seeing(lambda names: "dates__shift" not in names), tmp_path)
    (shift,) = [one for one in found.tools if one.tool == "dates__shift"]
    assert (shift.reached, shift.pair.only_first, shift.verdict) == (0, 2, "no worth here")
    assert (found.kept, found.pruning.only_first, found.sets["all"].use.reached) == ((), 2, 0)
    assert "no box (dates can go)" in conclusion(found)[-1]


async def test_a_tool_that_another_one_spoils_is_kept_without_it(sandbox: Bubblewrap, tmp_path: Path) -> None:
    model = Seeing(lambda names: "dates__weekday" in names and "dates__shift" not in names)
    found = await measured(model, tmp_path)
    assert [one.verdict for one in found.tools] == ["never right", "no worth here", "never right"]
    assert (found.kept, found.dropped) == (("dates__days_between", "dates__weekday"), ["dates__shift"])
    assert "Right: 2 of 2, with all tools 0 of 2" in conclusion(found)[0]
    assert not [line for line in conclusion(found) if "boxwright serve" in line]


async def test_where_no_task_is_ever_right_nothing_is_concluded(sandbox: Bubblewrap, tmp_path: Path) -> None:
    found = await measured(Seeing(lambda names: False), tmp_path)
    assert {one.verdict for one in found.tools} == {"never right"}
    assert conclusion(found) == [NOTHING_RIGHT]


async def test_what_would_be_served_is_measured_too(sandbox: Bubblewrap, tmp_path: Path) -> None:
    model = Seeing(lambda names: "dates__weekday" in names)
    found = await measured(model, tmp_path, boxes=("dates", "calculator"))
    assert (found.kept, len(found.sets["boxes"].tools)) == (("dates__weekday",), 3)
    assert conclusion(found)[-1] == (
        "To mount what is kept: boxwright serve --box dates (calculator can go; boxes are served whole, "
        "dates__days_between, dates__shift along: 2 of 2 right)"
    )
    assert len(tables(found, "")[1].rows) == 4  # bare; all; pruned, which is kept; boxes


async def test_where_whole_boxes_do_worse_than_all_none_can_go(sandbox: Bubblewrap, tmp_path: Path) -> None:
    whole = {"dates__days_between", "dates__shift", "dates__weekday"}
    model = Seeing(lambda names: "dates__weekday" in names and names != whole)
    found = await measured(model, tmp_path, boxes=("dates", "game_of_24"))
    assert (found.kept, right(found, "boxes")) == (("dates__weekday",), 0)
    assert conclusion(found)[-1] == (
        "No box can go: boxes are served whole, and with dates whole (dates__days_between, dates__shift along) only "
        "0 of 2 are right."
    )


async def test_where_all_tools_are_kept_there_is_nothing_to_prune(sandbox: Bubblewrap, tmp_path: Path) -> None:
    model = Seeing(lambda names: len(names) == 3)
    found = await measured(model, tmp_path)
    assert (found.dropped, found.pruning.p_value) == ([], 1.0)
    assert conclusion(found) == ["Every tool is worth its place here: nothing to prune."]
    assert model.asked == 5 * len(TASKS)  # bare, all and each without one: the pruned set is all


async def test_what_is_there_is_not_run_again_and_no_set_takes_another_ones(
    sandbox: Bubblewrap, tmp_path: Path
) -> None:
    assert (await measured(Seeing(lambda names: "dates__weekday" in names), tmp_path, TASKS[:1])).kept
    again = Seeing(lambda names: "dates__weekday" in names)
    found = await measured(again, tmp_path)
    assert (found.kept, again.asked) == (("dates__weekday",), 6)  # the second task, in six arms
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
    assert (use.reached, use.calls, use.failed, use.refused) == (1, 2, 1, 3)


async def test_a_call_beside_one_that_could_not_be_read_is_not_made_either_where_samples_vote() -> None:
    unread = ToolCall(id="u", name="echo", arguments={}, fault="not JSON")
    both = Completion(tool_calls=(ToolCall(id="c", name="echo", arguments={}), unread))
    attempt = await Agent(Scripted([both, both, "done", "done"]), Changing(), samples=2).run("?")
    use = use_of([attempt])
    assert (use.reached, use.calls, use.failed, use.refused) == (0, 0, 0, 2)


async def test_calls_of_the_loops_own_tools_reach_none() -> None:
    others = [ToolDefinition(name=f"thing_{n}", description="", parameters=NUMBER) for n in range(400)]
    own = [calling("plan", steps=["look"]), calling("plan", steps=[]), calling("search_tools", query="thing 7")]
    attempts = [
        await Agent(Facts([*script, "1"], ModelFacts(context_tokens=4096)), Adder(others=others), planning=True).run(
            "?"
        )
        for script in (own, [calling("thing_7", n=1)])
    ]
    named = [message.name for message in attempts[0].messages if message.role == "tool"]
    assert named == ["plan", "plan", "search_tools"]
    use = use_of(attempts)
    assert (use.reached, use.calls, use.failed, use.refused) == (1, 1, 0, 0)


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
    assert (told["kept"], told["dropped"][0]) == (["game_of_24__solve"], "calculator__evaluate")
    assert told["remarks"] == ["The answers are from: rules: not a language model."]
    assert told["sets"]["all"]["use"]["reached"] == 3
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
