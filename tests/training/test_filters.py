"""Filters: what the papers keep is kept, and every trajectory is counted once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from boxwright.models import InnerCall, Message, ToolCall, Usage
from boxwright.traces import Trajectory
from boxwright_training.filters import Filters, filtered
from boxwright_training.importers import Sourced, read_trajectories

ASKED = Message(role="user", content="?")
ANSWERED = Message(role="assistant", content="4")
CALL = ToolCall(id="c", name="add", arguments={})
CODE = ToolCall(id="c", name="python", arguments={"code": "print(2 + 2)"})
FINAL = ToolCall(id="c", name="python", arguments={"code": "final_answer(4)"})


def sourced(*messages: Message, **fields: Any) -> Sourced:
    values: dict[str, Any] = {"answer": "4", "ended": "answered", "right": True} | fields
    said = messages or (ANSWERED,)
    return Sourced(Trajectory(prompt="?", messages=(ASKED, *said), model="m", usage=Usage(), **values), "f:1")


def called(call: ToolCall, result: str = "4", inner: tuple[InnerCall, ...] = ()) -> tuple[Message, ...]:
    said = Message(role="assistant", tool_calls=(call,))
    return said, Message(role="tool", content=result, tool_call_id=call.id, inner=inner)


def reason(one: Sourced, **filters: Any) -> str:
    """Why the only trajectory was dropped, or that it was kept."""
    kept, counts = filtered([one], Filters(**filters))
    (name,) = [name for name, count in counts.items() if count and name != "kept without a score"]
    assert (kept == [one]) is (name == "kept")
    return name


def test_counts_add_up_and_the_first_reason_counts() -> None:
    found = [
        sourced(),
        sourced(right=None),
        sourced(right=False, ended="steps", answer=None),
        sourced(*called(CALL, "Error in code parsing: no code"), ended="steps", answer=None),
        sourced(ended="steps", answer=None, right=None),
    ]
    kept, counts = filtered(found, Filters())
    assert kept == found[:2]
    assert counts == {"wrong": 1, "unreadable": 1, "unfinished": 1, "kept": 2, "kept without a score": 1}
    assert sum(counts.values()) - counts["kept without a score"] == len(found)


def test_nothing_is_dropped_or_named_that_no_filter_asks_for() -> None:
    found = [sourced(right=False, ended="steps", answer=None)]
    kept, counts = filtered(found, Filters(right=False, readable=False, finished=False))
    assert (kept, counts) == (found, {"kept": 1, "kept without a score": 0})


@pytest.mark.parametrize(
    "result",
    [
        "Error:\nError in code parsing:\nYour code snippet is invalid",
        "The call of 'add' was not made.\n- a is missing",
        "The code was not run, since it breaks off before its end. Write less at a time.",
        "Your output was not formatted correctly. You must always include one discussion and one command",
    ],
)
def test_what_could_not_be_read_as_an_act_is_unreadable(result: str) -> None:
    assert reason(sourced(ANSWERED, Message(role="user", content=result), ANSWERED)) == "unreadable"


def test_arguments_that_could_not_be_read_are_unreadable() -> None:
    assert reason(sourced(*called(CALL.model_copy(update={"fault": "no JSON", "raw": "{"})))) == "unreadable"


def test_code_that_failed_is_kept_for_reflection() -> None:
    failed = called(CODE, "Error:\nCode execution failed at line '1/0' due to: ZeroDivisionError")
    assert reason(sourced(*failed, ANSWERED, act_language="code")) == "kept"


def test_a_run_in_a_world_without_answers_has_finished_where_it_is_right_or_ends_in_an_act() -> None:
    act = Message(role="assistant", content="> put it", acts=((0, 8),))
    seen = Message(role="user", content="OK.")
    world: dict[str, Any] = {"answer": None, "act_language": "text"}
    assert reason(sourced(act, seen, ended="empty", right=None, **world)) == "kept"
    assert reason(sourced(act, seen, ended="steps", right=True, **world)) == "kept"
    assert reason(sourced(act, seen, ended="steps", right=None, **world)) == "unfinished"
    assert reason(sourced(Message(role="assistant"), ended="empty", answer=None, right=None)) == "unfinished"


def test_an_answer_forced_at_the_bound_is_unfinished_even_where_it_is_right() -> None:
    assert reason(sourced(*called(CODE), ended="steps")) == "unfinished"


def test_more_steps_than_asked_for_are_too_many() -> None:
    one = sourced(*called(CALL), ANSWERED)
    assert reason(one, most_steps=2) == "kept"
    assert reason(one, most_steps=1) == "more than 1 steps"


def test_a_tool_was_used_where_a_call_gave_something() -> None:
    answer = ToolCall(id="c", name="final_answer", arguments={"answer": "4"})
    assert reason(sourced(*called(CALL), ANSWERED), used_tool=True) == "kept"
    assert reason(sourced(), used_tool=True) == "no tool used"
    assert reason(sourced(*called(answer)), used_tool=True) == "no tool used"


def test_in_text_the_answer_alone_uses_no_tool() -> None:
    finish = Message(role="assistant", content="Action: finish[4]", acts=((0, 17),))
    search = Message(role="assistant", content="Action: search[4]", acts=((0, 17),))
    seen = Message(role="user", content="Observation: 4")
    assert reason(sourced(finish, act_language="text"), used_tool=True) == "no tool used"
    assert reason(sourced(search, seen, finish, act_language="text"), used_tool=True) == "kept"


def test_in_code_the_calls_that_it_made_count_where_they_are_known() -> None:
    inner = (InnerCall(call=CALL, text="4"),)
    own: dict[str, Any] = {"act_language": "code", "tools": ("add",)}
    assert reason(sourced(*called(CODE, inner=inner), **own), used_tool=True) == "kept"
    assert reason(sourced(*called(CODE), **own), used_tool=True) == "no tool used"
    assert reason(sourced(*called(CODE), act_language="code"), used_tool=True) == "kept"
    assert reason(sourced(*called(FINAL), act_language="code"), used_tool=True) == "no tool used"


def test_fireact_loses_its_wrong_rows_and_those_that_only_answer(shared_data: Path) -> None:
    found = read_trajectories([shared_data / "fireact"]).found
    kept, counts = filtered(found, Filters(used_tool=True))
    assert counts["wrong"] == 49
    assert sum(counts.values()) == len(found)
    assert all(one.trajectory.calls > 1 for one in kept)


def test_successful_runs_in_alfworld_are_kept(shared_data: Path) -> None:
    found = read_trajectories([shared_data / "knowagent", shared_data / "react_prompts"]).found
    kept, counts = filtered(found, Filters(used_tool=True))
    assert len(kept) == len(found)
    assert counts["kept without a score"] == 60
