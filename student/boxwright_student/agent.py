"""The agent loop: plan, act, observe, answer, within bounds. The only one there is; student and teacher both run it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from boxwright.errors import BudgetSpent, ModelError, ModelUnreachable, RecordingMiss
from boxwright.models import ChatModel, Completion, Message, ToolCall, Usage
from boxwright.tasks import Task, score
from boxwright.traces import Trajectory
from boxwright_student.toolset import ToolOutcome, Toolset, unknown_tool

Ended = Literal["answered", "steps", "tokens", "seconds", "repetition", "model-error"]
SYSTEM = (
    "You solve tasks. When a tool computes something the task needs, call it instead of computing yourself, and use "
    "its result as it is. If a call fails, read why, mend it, and try again. When you have the answer, give it on "
    "its own. If no tool applies, answer as well as you can, or say what you could not do."
)
MOST_SAME_CALLS = 2
"""A call made more often than this, with the same arguments, ends the attempt."""


@dataclass(frozen=True)
class Bounds:
    """How far an attempt may go."""

    steps: int = 8
    """Completions of the model."""
    tokens: int = 100_000
    """Prompt and completion tokens together."""
    seconds: float = 300.0
    max_tokens: int = 2048
    """The longest single completion."""


class Agent:
    """A model with tools and bounds; each `run` is one attempt at one prompt, and nothing is kept between them."""

    def __init__(
        self,
        model: ChatModel,
        tools: Toolset,
        *,
        system: str = SYSTEM,
        bounds: Bounds | None = None,
        temperature: float = 0.0,
        seed: int | None = None,
    ) -> None:
        self._model, self._tools, self._system = model, tools, system
        self._bounds = bounds or Bounds()
        self._temperature, self._seed = temperature, seed

    async def run(
        self, prompt: str, *, first_words: str = "", on_message: Callable[[Message], None] | None = None
    ) -> Trajectory:
        """Attempt the prompt and return the trajectory.

        Args:
            prompt: What is asked.
            first_words: Text the first completion starts with (the first-thought prefix of Kang et al., 2505.17612).
            on_message: Called with every message as it comes.

        Raises:
            BudgetSpent: The model's budget was used up; the attempt is void.
            ModelUnreachable: The model's server, the model or the key is not there.
            RecordingMiss: A replayed model was asked for what it does not hold.
            CallerMustHandle: The tools cannot be reached.
        """
        attempt = _Attempt(prompt, self._system, on_message)
        ended, note = await self._loop(attempt, first_words)
        return Trajectory(
            prompt=prompt,
            messages=tuple(attempt.messages),
            answer=attempt.answer,
            ended=ended,
            note=note,
            model=self._model.uri,
            label=self._model.label,
            tools=tuple(tool.name for tool in self._tools.definitions),
            toolset=self._tools.digest,
            usage=attempt.usage,
        )

    def did(self, trajectory: Trajectory, task: Task, suite: str) -> bool:
        """Say whether a kept trajectory is this agent's attempt at the task as it stands, and ended by itself."""
        asked = (trajectory.suite, trajectory.task, trajectory.prompt) == (suite, task.id, task.prompt)
        same = (trajectory.model, trajectory.toolset) == (self._model.uri, self._tools.digest)
        return asked and same and trajectory.ended != "model-error"

    async def attempt(self, task: Task, suite: str = "", *, first_words: str = "") -> Trajectory:
        """Attempt a task and score the answer; raises as `run`."""
        trajectory = await self.run(task.prompt, first_words=first_words)
        outcome = score(task, trajectory.answer)
        scored = {
            "right": outcome.right,
            "reason": outcome.reason,
            "task": task.id,
            "suite": suite,
            "split": task.split,
        }
        return trajectory.model_copy(update=scored)

    async def _loop(self, attempt: _Attempt, first_words: str) -> tuple[Ended, str]:
        deadline = asyncio.get_running_loop().time() + self._bounds.seconds
        for step in range(self._bounds.steps):
            try:
                async with asyncio.timeout_at(deadline):
                    completion = await self._complete(attempt, first_words if step == 0 else "")
            except TimeoutError:
                return "seconds", f"{self._bounds.seconds:g} seconds"
            except (BudgetSpent, ModelUnreachable, RecordingMiss):
                raise  # the next attempt would fare no better
            except ModelError as error:
                return "model-error", str(error)
            attempt.add(completion.message())
            attempt.usage = attempt.usage + completion.usage
            if not completion.tool_calls:
                attempt.answer = completion.text.strip() or None
                return "answered", ""
            for call in completion.tool_calls:
                attempt.same[call.name, repr(call.arguments)] += 1
                await self._act(attempt, call)
            if max(attempt.same.values()) > MOST_SAME_CALLS:
                return "repetition", f"the same call was made {MOST_SAME_CALLS + 1} times"
            if attempt.usage.tokens >= self._bounds.tokens:
                return "tokens", f"{attempt.usage.tokens} tokens, of {self._bounds.tokens}"
        return "steps", f"{self._bounds.steps} steps"

    async def _complete(self, attempt: _Attempt, prefix: str) -> Completion:
        completions = await self._model.complete(
            attempt.messages,
            tools=self._tools.definitions,
            temperature=self._temperature,
            seed=self._seed,
            max_tokens=self._bounds.max_tokens,
            prefix=prefix,
        )
        return completions[0]

    async def _act(self, attempt: _Attempt, call: ToolCall) -> None:
        names = [tool.name for tool in self._tools.definitions]
        if call.fault:
            outcome = ToolOutcome(call.fault, failed=True)
        elif call.name not in names:
            outcome = unknown_tool(call.name, names)
        else:
            outcome = await self._tools.call(call.name, call.arguments)
        text = f"Error: {outcome.text}" if outcome.failed else outcome.text
        attempt.add(Message(role="tool", content=text, tool_call_id=call.id, name=call.name))


class _Attempt:
    """What grows while an attempt goes on."""

    def __init__(self, prompt: str, system: str, on_message: Callable[[Message], None] | None) -> None:
        self.messages = [Message(role="system", content=system), Message(role="user", content=prompt)]
        self.answer: str | None = None
        self.usage = Usage()
        self.same: Counter[tuple[str, str]] = Counter()
        self._on_message = on_message

    def add(self, message: Message) -> None:
        self.messages.append(message)
        if self._on_message:
            self._on_message(message)
