"""What a student did with its tools, read from its trajectories."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from boxwright.models import Message
from boxwright.traces import Trajectory

_REFUSED = re.compile(r"(Error: )?The call(s stand within your thinking| (of .+ )?was not made\.)")
"""How the loop's answer to a call begins that it could not read, or whose tool or arguments no schema knows."""
_FAILED = "Error: "


@dataclass(frozen=True)
class Use:
    """One arm's use of its tools."""

    called: int
    """Tasks in which a call was made."""
    calls: int
    """Calls that were made."""
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
        called=sum(bool(calls) for calls in made),
        calls=sum(map(len, made)),
        failed=sum(call.content.startswith(_FAILED) for calls in made for call in calls),
        refused=sum(_refused(message) for one in trajectories for message in one.messages),
        tokens_a_task=sum(one.usage.tokens for one in trajectories) / len(trajectories),
        seconds_a_task=sum(one.usage.seconds for one in trajectories) / len(trajectories),
    )


def calls_made(trajectory: Trajectory) -> list[Message]:
    """Return the results of the calls that reached a tool; each says by its name which."""
    return [message for message in trajectory.messages if message.role == "tool" and not _refused(message)]


def _refused(message: Message) -> bool:
    return message.role in ("tool", "user") and _REFUSED.match(message.content) is not None
