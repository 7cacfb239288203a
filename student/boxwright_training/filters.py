"""Which trajectories are trained on, and why the others are not: the filters of the papers. Nothing is changed here.

Sources: Kang et al. (arXiv 2505.17612, filter_agent_training_data.py: the score is 1, no "Error in code parsing", no
"Reached max steps"; code that failed is kept, for reflection); FireAct (arXiv 2310.05915: the right ones); "Search, Do
not Guess" (arXiv 2604.04651: those that really call the tool).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from pydantic import BaseModel, ConfigDict, Field

from boxwright.models import Message
from boxwright.traces import Trajectory
from boxwright_training.importers import Sourced

KEPT = "kept"
UNSCORED = "kept without a score"
_UNREAD = re.compile(
    r"Error in code parsing"  # smolagents
    r"|\AThe (?:call(?: of .+)?|code) was not (?:made|run)\b"  # ours
    r"|\AYour (?:output was not formatted correctly|last output did not use any tool calls)"  # SWE-agent
)
_FINAL = "final_answer"


class Filters(BaseModel):
    """What a trajectory must be to be trained on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    right: bool = True
    """Drop those that are scored as wrong; those without a score are kept, and counted apart."""
    readable: bool = True
    """Drop those in which the model wrote what could not be read as an act."""
    most_steps: int | None = Field(default=None, ge=1)
    """Drop those with more steps; a step is what the model says at once."""
    used_tool: bool = False
    """Drop those in which no act was seen to give anything."""
    finished: bool = True
    """Drop those that a bound, an error or a person ended. Some worlds take no answer: there one that is right has
    finished, and so has one that was not cut off and ends in an act."""


def filtered(found: Sequence[Sourced], filters: Filters) -> tuple[list[Sourced], dict[str, int]]:
    """Return what is kept, and how many were dropped for each reason, the first that applies.

    The counts add up to the number of trajectories, but for `kept without a score`, which is a part of `kept`.
    """
    checks = [(reason, drops) for reason, asked, drops in _checks(filters) if asked]
    counts = {reason: 0 for reason, _ in checks} | {KEPT: 0, UNSCORED: 0}
    kept: list[Sourced] = []
    for one in found:
        reason = next((reason for reason, drops in checks if drops(one.trajectory)), KEPT)
        counts[reason] += 1
        if reason == KEPT:
            kept.append(one)
            counts[UNSCORED] += one.trajectory.right is None
    return kept, counts


def _checks(filters: Filters) -> list[tuple[str, bool, Callable[[Trajectory], bool]]]:
    most = filters.most_steps
    return [
        ("wrong", filters.right, lambda one: one.right is False),
        ("unreadable", filters.readable, _unreadable),
        ("unfinished", filters.finished, lambda one: not _finished(one)),
        (f"more than {most} steps", most is not None, lambda one: most is not None and _steps(one) > most),
        ("no tool used", filters.used_tool, lambda one: not _used_tool(one)),
    ]


def _unreadable(one: Trajectory) -> bool:
    if any(call.fault for message in one.messages for call in message.tool_calls):
        return True
    return any(_UNREAD.search(message.content) for message in one.messages if message.role in ("user", "tool"))


def _finished(one: Trajectory) -> bool:
    if one.ended == "answered" or (one.right and one.answer is None):
        return True
    said = [message for message in one.messages if message.role == "assistant"]
    return one.ended == "empty" and bool(said) and bool(said[-1].acts or said[-1].tool_calls)


def _steps(one: Trajectory) -> int:
    return sum(message.role == "assistant" for message in one.messages)


def _used_tool(one: Trajectory) -> bool:
    """Say whether an act that is no answer gave something.

    Where acts are code it is the calls that the code made; where nobody recorded those, the code itself.
    """
    if one.act_language == "text":
        return any(said.acts and seen.role == "user" for said, seen in pairwise(one.messages))
    if one.act_language == "code" and one.tools:
        return one.calls > 0
    return any(message.role == "tool" and not _answers(message, one) for message in one.messages)


def _answers(result: Message, one: Trajectory) -> bool:
    """Say whether a result is that of giving the answer: smolagents' `final_answer`, alone or as all of the code."""
    calls = (call for message in one.messages for call in message.tool_calls if call.id == result.tool_call_id)
    call = next(calls, None)
    if call is None or call.name == _FINAL:
        return True
    return str(call.arguments.get("code", "")).lstrip().startswith(f"{_FINAL}(")
