"""Oracles: what they write is right, really computed, the same for the same seed, and shared by no two splits."""

from __future__ import annotations

import json
import re
from collections import Counter
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from boxwright.errors import BadInput, NotFound
from boxwright.models import ToolCall, Usage
from boxwright.sandbox import Sandbox, ToolRunner
from boxwright.settings import Settings
from boxwright.tasks import Split, Task, load_suite, score
from boxwright.tasks.suites import masked
from boxwright.tasks.task import SPLITS
from boxwright.traces import TraceStore, Trajectory
from boxwright_student.acts import observation
from boxwright_student.agent import SYSTEM
from boxwright_student.attempt import SAME_AGAIN
from boxwright_student.mcp_tools import box_server, connect
from boxwright_training.oracles import ORACLES, LibraryTools, oracle_tasks, oracle_trajectories, write_trajectories
from boxwright_training.oracles.drawing import wordings
from boxwright_training.oracles.mistakes import FAILED
from boxwright_training.oracles.unit_table import DIMENSIONS
from boxwright_training.oracles.units import factor

DRAWN = ("arithmetic", "dates", "units")
"""The oracles whose tasks are drawn; those of game24 are counted."""
LEAST = {"build": 12, "dev": 4, "test": 4}
CALLS: list[tuple[str, dict[str, object]]] = [
    ("calculator__evaluate", {"expression": "1/3 + 2"}),
    ("calculator__evaluate", {"expression": "2 x 3"}),
    ("dates__days_between", {"start": "2024-02-28", "end": "2024-03-01"}),
    ("dates__shift", {"start": "2024-01-31", "amount": 1, "unit": "months"}),
    ("dates__shift", {"start": "2024-01-31", "amount": 1, "unit": "fortnights"}),
    ("dates__weekday", {"day": "2024-02-29"}),
    ("dates__weekday", {"day": "29 February 2024"}),
    ("game_of_24__check", {"expression": "1 + 2", "numbers": [1, 2]}),
    ("game_of_24__solve", {"numbers": [4, 9, 10, 13]}),
    ("game_of_24__solve", {"numbers": [1, 1, 1]}),
    ("python__run", {"code": "[1, 2.5, None]"}),
]


async def played(
    name: str, count: int, runner: ToolRunner, *, split: Split = "build", seed: int = 1
) -> list[Trajectory]:
    tools = LibraryTools(runner)
    return [one async for one in oracle_trajectories(name, split=split, count=count, seed=seed, tools=tools)]


def written(path: Path, tasks: list[Task]) -> Path:
    path.write_text("".join(task.model_dump_json() + "\n" for task in tasks))
    return path


@pytest.mark.parametrize("name", ORACLES)
def test_every_kind_of_task_has_wordings_enough_and_no_two_splits_share_one(name: str) -> None:
    read = wordings(name)
    kinds = {split: set(own) for split, own in read.prompts.items()}
    assert kinds["build"] == kinds["dev"] == kinds["test"]
    sentences: dict[str, str] = {}
    for split, own in read.prompts.items():
        for kind, told in own.items():
            assert len(told) >= LEAST[split], (split, kind)
            for sentence in told:
                same = masked(re.sub(r"\{\w+\}", "#", sentence))
                assert sentences.setdefault(same, split) == split, sentence


@pytest.mark.parametrize("name", DRAWN)
def test_names_and_things_belong_to_one_split(name: str) -> None:
    words = wordings(name).words
    for pool in set(words["build"]) - {"currencies", "number_forms", "forms"}:
        one, two, three = (set(words[split][pool]) for split in SPLITS)
        assert not one & two and not one & three and not two & three, pool


@pytest.mark.parametrize("name", DRAWN)
def test_thousands_of_tasks_share_no_masked_text_between_splits_and_load_as_a_suite(name: str, tmp_path: Path) -> None:
    counts: dict[Split, int] = {"build": 10_000, "dev": 3000, "test": 3000}
    tasks = [task for split in SPLITS for task in oracle_tasks(name, split=split, count=counts[split], seed=5)]
    suite = load_suite(str(written(tmp_path / "tasks.jsonl", tasks)))
    assert {split: len(suite.split(split)) for split in SPLITS} == counts
    assert len({task.prompt for task in tasks}) == len(tasks)


def test_all_puzzles_of_a_split_are_asked_in_every_wording_and_load_as_a_suite(tmp_path: Path) -> None:
    tasks = []
    for split in SPLITS:
        own = {puzzle.numbers for puzzle in load_suite("game24").split(split)}
        count = len(own) * (len(wordings("game24").prompts[split]["puzzle"]) + 1)
        made = oracle_tasks("game24", split=split, count=count, seed=2)
        assert {task.numbers for task in made} == own
        assert {task.numbers for task in made[: len(own)]} == own
        with pytest.raises(BadInput, match=f"has {count}; ask for at most {count}"):
            oracle_tasks("game24", split=split, count=count + 1, seed=2)
        tasks += made
    assert len({task.prompt for task in tasks}) == len(tasks)
    assert len(load_suite(str(written(tmp_path / "tasks.jsonl", tasks))).tasks) == len(tasks)


def test_the_suites_own_task_is_among_those_of_game24() -> None:
    suite = {task.id: task for task in load_suite("game24").tasks}
    made = [task for task in oracle_tasks("game24", split="dev", count=272, seed=3) if task.id in suite]
    assert made and all(task == suite[task.id] for task in made)


@pytest.mark.parametrize("name", ORACLES)
def test_a_seed_gives_its_tasks_whatever_their_number_and_another_gives_others(name: str) -> None:
    many = oracle_tasks(name, split="dev", count=60, seed=1)
    assert oracle_tasks(name, split="dev", count=20, seed=1) == many[:20]
    assert [task.prompt for task in oracle_tasks(name, split="dev", count=60, seed=2)] != [task.prompt for task in many]


def test_what_cannot_be_made_is_refused_with_the_way_out() -> None:
    with pytest.raises(NotFound, match="no oracle 'unit'; did you mean 'units'.*an oracle is one of arithmetic, dates"):
        oracle_tasks("unit", split="build", count=1, seed=0)
    with pytest.raises(BadInput, match="got the count 0; ask for 1 or more"):
        oracle_tasks("units", split="build", count=0, seed=0)
    with pytest.raises(BadInput, match="'train' is no split; it is one of build, dev, test"):
        oracle_tasks("units", split="train", count=1, seed=0)  # type: ignore[arg-type]  # what a command may be given


async def test_tools_are_shown_and_told_as_the_student_meets_them_over_mcp(runner: ToolRunner) -> None:
    library = LibraryTools(runner)
    ours = library.toolset(library.names())
    async with connect({"boxes": box_server()}) as theirs:
        assert list(ours.definitions) == list(theirs.definitions)
        assert ours.digest == theirs.digest
        assert {name for name, _ in CALLS} == set(library.names())
        for number, (name, arguments) in enumerate(CALLS):
            call = ToolCall(id=f"call_{number}", name=name, arguments=arguments)
            mine, real = await ours.call(name, arguments), await theirs.call(name, arguments)
            assert observation(call, mine) == observation(call, real)
            assert ours.read_only(name) == theirs.read_only(name)
        absent = await ours.call("dates__day", {}), await theirs.call("dates__day", {})
        assert absent[0] == absent[1]


@pytest.mark.parametrize("name", ORACLES)
async def test_trajectories_are_whole_right_and_in_the_order_of_their_tasks(name: str, runner: ToolRunner) -> None:
    tasks = oracle_tasks(name, split="build", count=400, seed=1)
    trajectories = await played(name, 400, runner)
    for task, one in zip(tasks, trajectories, strict=True):
        assert (one.task, one.prompt, one.suite, one.split, one.model) == (
            task.id,
            task.prompt,
            name,
            "build",
            f"oracle/{name}",
        )
        assert one.right and score(task, one.answer).right and one.ended == "answered"
        assert one.usage == Usage() and one.times == ()
        assert [message.role for message in one.messages[:2]] == ["system", "user"]
        assert (one.messages[0].content, one.messages[1].content) == (SYSTEM, task.prompt)
        assert one.messages[-1].content == one.answer and not one.messages[-1].tool_calls
        assert one.tools == tuple(tool.name for tool in one.definitions)
        check_steps(one)


def check_steps(one: Trajectory) -> None:
    """Every step says why, makes one call of a tool that is shown, and is answered."""
    steps = one.messages[2:-1]
    for number, (said, told) in enumerate(zip(steps[::2], steps[1::2], strict=True)):
        (call,) = said.tool_calls
        assert said.role == "assistant" and 10 < len(said.content) < 420 and "{" not in said.content
        assert call.id == f"call_{number}" and call.name in one.tools and not call.fault
        assert (told.role, told.tool_call_id, told.name) == ("tool", call.id, call.name)
        assert told.content and SAME_AGAIN not in told.content


@pytest.mark.extended
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("name", ORACLES)
async def test_a_thousand_trajectories_of_every_split_are_right(name: str, split: Split, runner: ToolRunner) -> None:
    for one in await played(name, 1000, runner, split=split, seed=8):
        check_steps(one)


@pytest.mark.parametrize("name", ORACLES)
async def test_episodes_take_fewer_or_more_steps_and_show_few_or_many_tools(name: str, runner: ToolRunner) -> None:
    trajectories = await played(name, 200, runner, split="dev")
    calls = Counter(one.calls for one in trajectories)
    assert {1, 2, 3} <= set(calls) and max(calls.values()) < 160, calls
    assert len({len(one.tools) for one in trajectories}) > 3
    assert len({one.tools for one in trajectories}) > 20


@pytest.mark.parametrize("name", ORACLES)
async def test_a_minority_of_episodes_holds_a_mistake_and_mends_it(name: str, runner: ToolRunner) -> None:
    trajectories = await played(name, 400, runner, split="test")
    mistaken = [one for one in trajectories if mends(one)]
    assert 0.04 < len(mistaken) / 400 < 0.1
    refused = [one for one in mistaken if any(message.content.startswith(FAILED) for message in one.messages)]
    assert refused


def mends(one: Trajectory) -> bool:
    """Say whether a call was mistaken: refused, found wrong, or made again with other arguments at once."""
    told = [message.content for message in one.messages if message.role == "tool"]
    made = [call.arguments for message in one.messages for call in message.tool_calls]
    again = any(set(map(str, a.values())) == set(map(str, b.values())) and a != b for a, b in pairwise(made))
    fewer = "numbers" in made[0] and len(made[0]["numbers"]) < 4
    return again or fewer or any(text.startswith(FAILED) or '"correct":false' in text for text in told)


async def test_a_seed_gives_the_same_file_to_the_byte(sandbox: Sandbox, settings: Settings, tmp_path: Path) -> None:
    files = []
    for run, seed in (("first", 4), ("second", 4), ("third", 5)):
        path = tmp_path / run / "oracle.jsonl"
        heard: list[Trajectory] = []
        for name in ORACLES:
            await write_trajectories(
                name,
                split="dev",
                count=12,
                seed=seed,
                store=TraceStore(path),
                settings=settings,
                on_trajectory=heard.append,
            )
        read = TraceStore(path).read()
        assert [one.model_dump() for one in read] == [one.model_dump() for one in heard]
        assert len(heard) == 12 * len(ORACLES)
        files.append(path.read_bytes())
    assert files[0] == files[1] != files[2]


async def test_what_a_unit_is_stands_in_the_reason_of_a_conversion(runner: ToolRunner) -> None:
    for one in await played("units", 100, runner):
        if "degrees" in one.prompt or "kelvins" in one.prompt:
            continue
        first = next(message for message in one.messages if message.tool_calls)
        told = [
            unit.factor for kind in DIMENSIONS for unit in kind.units if f" 1 {unit.one} is " in f" {first.content}"
        ]
        assert told and all(known in first.content for known in told), first


def test_factors_of_units_agree_with_what_defines_them() -> None:
    units = {unit.many: factor(unit) for dimension in DIMENSIONS for unit in dimension.units}
    assert units["miles"] == 5280 * units["feet"] == 1760 * units["yards"] == 63360 * units["inches"]
    assert units["stone"] == 14 * units["pounds"] and units["short tons"] == 2000 * units["pounds"]
    assert units["pounds"] == 16 * units["ounces"]
    gallon = units["US gallons"]
    assert (
        gallon
        == 231 * units["cubic inches"]
        == 4 * units["US quarts"]
        == 8 * units["US pints"]
        == 128 * units["US fluid ounces"]
    )
    assert units["cubic inches"] == units["inches"] ** 3 * 1000
    assert units["square yards"] == 9 * units["square feet"] == units["yards"] ** 2
    assert units["square inches"] == units["inches"] ** 2
    assert units["miles per hour"] == units["miles"] / 3600 and units["knots"] == units["nautical miles"] / 3600
    assert units["kilometres per hour"] == Fraction(5, 18)
    assert units["gibibytes"] == 2**30 and units["megabits"] == Fraction(10**6, 8)


def test_answers_of_drawn_tasks_are_numbers_that_json_and_people_read_alike() -> None:
    for name in DRAWN:
        for task in oracle_tasks(name, split="build", count=2000, seed=9):
            if task.scorer == "number":
                assert task.answer and "e" not in task.answer and float(task.answer) == json.loads(task.answer)
