"""Turns an episode into a trajectory: the student's own loop runs it, with the solving in the model's place.

So the conversation is what the student's would have been, ids, refusals and all; only the thinking is a program's.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime

from boxwright.models import Completion, ToolCall, Usage
from boxwright.models.base import Request, RequestModel
from boxwright.traces import Trajectory
from boxwright_student.agent import Agent
from boxwright_training.oracles.drawing import Draw
from boxwright_training.oracles.episode import Episode, Solving
from boxwright_training.oracles.library import LibraryTools
from boxwright_training.oracles.mistakes import MISTAKEN, mended

STARTED = datetime(2000, 1, 1, tzinfo=UTC)
"""When every trajectory is said to have started: a seed gives the same file whenever it is written."""
TOOLSETS = 64
"""How many sets and orders of tools are drawn; a trace store keeps each of them once."""


class OracleModel(RequestModel):
    """Answers with the steps of a solving, one after the other, and with its answer at the end."""

    def __init__(self, name: str, solving: Solving) -> None:
        self.uri = f"oracle/{name}"
        self._solving = solving
        self.answered = ""
        """The answer, once it was given."""

    async def answer_one(self, request: Request, seed: int | None) -> Completion:
        """Return the next step as a call, having read what came of the one before."""
        last = request.messages[-1]
        try:
            step = self._solving.send(last.content) if last.role == "tool" else next(self._solving)
        except StopIteration as end:
            self.answered = str(end.value)
            return Completion(text=self.answered)
        call = ToolCall(id="", name=step.tool, arguments=step.arguments)
        return Completion(text=step.reason, tool_calls=(call,), finish="tool_calls")


async def play(name: str, episode: Episode, tools: LibraryTools) -> Trajectory:
    """Return the trajectory of an episode; it is right, or the oracle has a bug.

    Raises:
        CallerMustHandle: The tools cannot be called.
    """
    solving = episode.solve()
    if random.Random(f"{episode.seed}/mistaken").random() < MISTAKEN:
        solving = mended(solving, Draw("mistakes", episode.task.split, f"{episode.seed}/mistake"))
    model = OracleModel(name, solving)
    chosen = random.Random(f"{episode.seed}/tools").randrange(TOOLSETS)
    shown = tools.some(episode.boxes, random.Random(f"{'+'.join(episode.boxes)}/{chosen}"))
    trajectory = await Agent(model, shown).attempt(episode.task, episode.suite)
    assert trajectory.right and trajectory.answer == model.answered, f"{episode.task.id} is wrong: {trajectory}"
    return trajectory.model_copy(update={"usage": Usage(), "started": STARTED, "times": ()})
