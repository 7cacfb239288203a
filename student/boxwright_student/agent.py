"""The agent: a model, tools and bounds. The only agent loop there is (`attempt`); student and teacher both run it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from boxwright.errors import BadInput
from boxwright.models import ChatModel, Message
from boxwright.tasks import Task, score
from boxwright.traces import ActLanguage, Trajectory
from boxwright_student.attempt import PLANNING, Attempt, Bounds, Setup
from boxwright_student.events import Event
from boxwright_student.mounted import Allow
from boxwright_student.toolset import NoTools, Toolset

__all__ = ["PLANNING", "SYSTEM", "Agent", "Bounds"]

SYSTEM = (
    "You solve tasks. When a tool computes something the task needs, call it instead of computing yourself, and use "
    "its result as it is. If a call fails, read why, mend it, and try again. When you have the answer, give it on "
    "its own. If no tool applies, answer as well as you can, or say what you could not do."
)


class Agent:
    """A model with tools and bounds; each `run` is one attempt at one prompt, and nothing is kept between them.

    Args:
        model: The model, from `boxwright.models.load_model` or any `ChatModel`.
        tools: The tools, from `connect` or any `Toolset`; none by default.
        system: The system message.
        bounds: Steps, tokens, seconds, and the longest completion.
        temperature: 0 is greedy; several samples are drawn at 0.4 or more.
        seed: For servers that take one.
        acts: Whether the model calls tools, or writes Python that calls them (Kang et al., 2505.17612).
        samples: How many completions are drawn at each step and voted on (self-consistent actions, same paper).
        planning: Give the model a tool to write its plan down, and ask it to.
        allow: Asked before a tool is called that is not known to change nothing; None allows all.
        top_logprobs: How many of the likeliest tokens are asked for in each token's place and kept in the trajectory
            (`Message.written`), for a student to learn from; 0 for none. With them no text is streamed, since
            llama.cpp refuses the two together where tools are shown.
        first_thought: Ask the model first without tools, and begin the attempt with the first paragraph of what it
            says (the first-thought prefix of Kang et al.); for teachers, whose trajectories shall reason well.

    Raises:
        BadInput: There is less than one sample.
    """

    def __init__(
        self,
        model: ChatModel,
        tools: Toolset | None = None,
        *,
        system: str = SYSTEM,
        bounds: Bounds | None = None,
        temperature: float = 0.0,
        seed: int | None = None,
        acts: ActLanguage = "tool-calls",
        samples: int = 1,
        planning: bool = False,
        allow: Allow | None = None,
        top_logprobs: int = 0,
        first_thought: bool = False,
    ) -> None:
        if samples < 1:
            raise BadInput(f"an agent draws at least one sample, got {samples!r}")
        self._setup = Setup(
            model=model,
            tools=tools or NoTools(),
            system=system,
            bounds=bounds or Bounds(),
            temperature=temperature,
            seed=seed,
            acts=acts,
            samples=samples,
            planning=planning,
            allow=allow,
            top_logprobs=top_logprobs,
            first_thought=first_thought,
        )

    def start(
        self,
        prompt: str,
        *,
        history: Sequence[Message] = (),
        first_words: str = "",
        on_event: Callable[[Event], None] | None = None,
    ) -> Attempt:
        """Return an attempt that has not begun; for callers that want its trajectory whatever ends it. See `run`."""
        return Attempt(self._setup, prompt, history=history, first_words=first_words, on_event=on_event)

    async def run(
        self,
        prompt: str,
        *,
        history: Sequence[Message] = (),
        first_words: str = "",
        on_event: Callable[[Event], None] | None = None,
    ) -> Trajectory:
        """Attempt the prompt and return the trajectory.

        Args:
            prompt: What is asked.
            history: An earlier conversation that it goes on from, such as the messages of the trajectory before.
            first_words: Text the first completion starts with (the first-thought prefix of Kang et al., 2505.17612).
            on_event: Called with what happens, as it happens.

        Raises:
            BudgetSpent: The model's budget was used up; the attempt is void.
            ModelUnreachable: The model's server, the model or the key is not there.
            RecordingMiss: A replayed model was asked for what it does not hold.
            CallerMustHandle: The tools cannot be reached.
        """
        return await self.start(prompt, history=history, first_words=first_words, on_event=on_event).finish()

    def did(self, trajectory: Trajectory, task: Task, suite: str) -> bool:
        """Say whether a kept trajectory is this agent's attempt at the task as it stands, and ended by itself.

        It is not where the model, the tools, their use or the system message were others, where it ended at a bound
        that is another one now, or where log-probabilities are asked for and it holds none.
        """
        setup = self._setup
        asked = (trajectory.suite, trajectory.task, trajectory.prompt) == (suite, task.id, task.prompt)
        told = trajectory.messages[0].content if trajectory.messages else ""
        same = (trajectory.model, trajectory.toolset, told) == (setup.model.uri, setup.toolset, setup.told)
        bound = trajectory.note.endswith(setup.bounds.note(trajectory.ended))
        told_of = not setup.top_logprobs or any(message.written for message in trajectory.messages)
        whole = bound and told_of
        return asked and same and whole and trajectory.ended not in ("model-error", "tools-error", "cancelled")

    async def attempt(self, task: Task, suite: str = "", *, first_words: str = "") -> Trajectory:
        """Attempt a task and score the answer; raises as `run`."""
        return scored(await self.run(task.prompt, first_words=first_words), task, suite)


def scored(trajectory: Trajectory, task: Task, suite: str) -> Trajectory:
    """Return an attempt at a task with its score."""
    outcome = score(task, trajectory.answer)
    found = {
        "right": outcome.right,
        "reason": outcome.reason,
        "task": task.id,
        "suite": suite,
        "split": task.split,
    }
    return trajectory.model_copy(update=found)
