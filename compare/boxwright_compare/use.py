"""What a student did with its tools, read from its trajectories.

Whether a call failed, or was made at all, is read off the text that the model got, since a trajectory keeps no more: a
result of a tool's own that begins with `Error: ` counts as failed too. Attempts whose acts are code are not for here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from boxwright.models import Message
from boxwright.traces import Trajectory
from boxwright_student.acts import FAILED, tells_not_made


@dataclass(frozen=True)
class Use:
    """One arm's use of its tools."""

    reached: int
    """Tasks in which a call reached a tool."""
    calls: int
    """Calls that reached one."""
    failed: int
    """Those of them that the tool, or its server, answered with an error."""
    refused: int
    """Calls that the model wrote and that were not made: no such tool, or the arguments do not fit its schema."""
    tokens_a_task: float
    seconds_a_task: float
    """Of the model."""


def use_of(trajectories: Sequence[Trajectory]) -> Use:
    """Return what was done with the tools in one arm's attempts, of which there is at least one."""
    made = [calls_made(one) for one in trajectories]
    return Use(
        reached=sum(bool(calls) for calls in made),
        calls=sum(map(len, made)),
        failed=sum(call.content.startswith(FAILED) for calls in made for call in calls),
        refused=sum(tells_not_made(message) for one in trajectories for message in one.messages),
        tokens_a_task=sum(one.usage.tokens for one in trajectories) / len(trajectories),
        seconds_a_task=sum(one.usage.seconds for one in trajectories) / len(trajectories),
    )


def calls_made(trajectory: Trajectory) -> list[Message]:
    """Return the results of the calls that reached a mounted tool; each says by its name which.

    The loop's own tools, its search for tools and the plan, are none.
    """
    return [
        message
        for message in trajectory.messages
        if message.role == "tool" and message.name in trajectory.tools and not tells_not_made(message)
    ]
