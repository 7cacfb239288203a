"""One attempt at a prompt: the loop of asking, acting and observing, and the trajectory it leaves, whatever ends it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from boxwright.errors import BudgetSpent, CallerMustHandle, ContextOverflow, ModelError, ModelUnreachable, RecordingMiss
from boxwright.jsontypes import canonical, digest
from boxwright.models import ChatModel, Completion, Message, ModelFacts, ToolDefinition, Usage
from boxwright.traces import ActLanguage, Ended, Trajectory
from boxwright_student.acts import Acts, Done, Sent, ToolCallActs, Turn
from boxwright_student.calls.thinking import split_thinking
from boxwright_student.context import Window
from boxwright_student.conversation import CallIds, cleaned, continued, sayable
from boxwright_student.events import Event, Note, Step
from boxwright_student.mounted import PLAN, Allow, Mounted, own_tool
from boxwright_student.streaming import ShownText
from boxwright_student.telemetry import attempt_span, chat_span
from boxwright_student.toolset import Toolset

MOST_SAME = 2
"""Acts that are done more often than this, with the same outcome and nothing new between, end the attempt."""
MOST_REFUSALS = 5
"""How often the prompt is made smaller for a server that says it is too long."""
TOOLS_SHARE = 0.4
"""How much of the room for a prompt the tools' definitions may take; the others are searched for."""
SAMPLES_TEMPERATURE = 0.4
"""The least that samples are drawn at, as Kang et al. do; at 0 they would all be the same."""
PLANNING = (
    "Before you act, call {plan} with the steps you are going to take; call it again when a step is done or fails."
)
STEP_BY_STEP = (
    "Solve the task step by step. Before you compute anything, say in one paragraph how you will go about it."
)
SAME_AGAIN = "(You have done this before, with the same outcome. Use it, or do something else.)"
EMPTY = "Your answer was empty. Call a tool, or write the answer."
TOO_LONG = "Your answer was cut off because it was too long. Call a tool, or answer in a few words."


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

    def note(self, ended: Ended) -> str:
        """Return how the note ends of an attempt that ended so; empty where that is none of these bounds."""
        told = {"steps": f"{self.steps} steps", "tokens": f"of {self.tokens}", "seconds": f"{self.seconds:g} seconds"}
        return told.get(ended, "")


@dataclass(frozen=True)
class Setup:
    """What an agent is made of; see `Agent`."""

    model: ChatModel
    tools: Toolset
    system: str
    bounds: Bounds
    temperature: float
    seed: int | None
    acts: ActLanguage
    samples: int
    planning: bool
    allow: Allow | None
    top_logprobs: int
    first_thought: bool

    @property
    def told(self) -> str:
        """The system message."""
        plan = own_tool(PLAN, self.tools).name
        return f"{self.system} {PLANNING.format(plan=plan)}" if self.planning else self.system

    @property
    def toolset(self) -> str:
        """What tells attempts of this kind from others, beside the model: the tools, and how they are used."""
        use = [self.acts, self.samples, self.planning, *([self.first_thought] if self.first_thought else [])]
        return self.tools.digest if use == ["tool-calls", 1, False] else digest([self.tools.digest, *use])


class Attempt:
    """One attempt; `finish` runs it, and `trajectory` tells how far it came, at any time."""

    def __init__(
        self,
        setup: Setup,
        prompt: str,
        *,
        history: Sequence[Message] = (),
        first_words: str = "",
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self._setup, self._prompt, self._first_words = setup, prompt, first_words
        self._emit = on_event or (lambda event: None)
        # llama.cpp refuses a stream with log-probabilities where tools are shown.
        self._streams = on_event is not None and setup.samples == 1 and not setup.top_logprobs
        self._messages = [
            Message(role="system", content=setup.told),
            *continued(history),
            Message(role="user", content=sayable(prompt)),
        ]
        self._question = len(self._messages) - 1
        self._started, self._began = datetime.now(UTC), time.monotonic()
        self._times = [0.0] * len(self._messages)
        self._tools = Mounted(setup.tools, emit=self._emit, allow=setup.allow, planning=setup.planning)
        self._outcomes: Counter[str] = Counter()
        self._nudged: set[str] = set()
        self._constrained = False
        self._usage = Usage()
        self._answer: str | None = None
        self._ended: Ended = "cancelled"
        self._note = ""

    async def finish(self) -> Trajectory:
        """Run the attempt to its end.

        Raises:
            BudgetSpent: The model's budget was used up.
            ModelUnreachable: The model's server, the model or the key is not there.
            RecordingMiss: A replayed model was asked for what it does not hold.
            CallerMustHandle: The tools cannot be reached.
        """
        self._started, self._began = datetime.now(UTC), time.monotonic()
        bound = asyncio.timeout(self._setup.bounds.seconds)
        with attempt_span(self._setup.model.uri) as span:
            try:
                async with bound:
                    self._ended, self._note = await self._loop()
            except TimeoutError:
                if not bound.expired():
                    raise
                self._ended, self._note = "seconds", self._setup.bounds.note("seconds")
            except ContextOverflow as error:
                self._ended, self._note = "context", str(error)
            except ModelError as error:
                self._ended, self._note = "model-error", str(error)
                if isinstance(error, BudgetSpent | ModelUnreachable | RecordingMiss):
                    raise  # the next attempt would fare no better
            except CallerMustHandle as error:
                self._ended, self._note = "tools-error", str(error)
                raise
            finally:
                span.ended(self._ended != "answered", self._ended)
        return self.trajectory()

    def trajectory(self) -> Trajectory:
        """Return what there is of the attempt; one that has not come to its end counts as cancelled."""
        setup = self._setup
        return Trajectory(
            prompt=self._prompt,
            messages=tuple(self._messages),
            answer=self._answer,
            ended=self._ended,
            note=self._note,
            model=setup.model.uri,
            label=setup.model.label,
            act_language=setup.acts,
            tools=tuple(tool.name for tool in setup.tools.definitions),
            toolset=setup.toolset,
            definitions=tuple(setup.tools.definitions),
            usage=self._usage,
            started=self._started,
            times=tuple(self._times),
        )

    async def _loop(self) -> tuple[Ended, str]:
        bounds = self._setup.bounds
        facts = await self._setup.model.facts()
        window = Window(facts.context_tokens, bounds.max_tokens)
        async with self._acts(facts) as acts:
            return await self._steps(window, acts, facts)

    def _acts(self, facts: ModelFacts) -> Acts:
        ids = CallIds(self._messages)
        if self._setup.acts == "code":
            from boxwright_student.code_acts import CodeActs  # only who writes code pays for Monty

            return CodeActs(self._tools, self._emit, ids=ids, candidates=self._setup.samples)
        return ToolCallActs(self._tools, native=facts.tools, ids=ids)

    async def _steps(self, window: Window, acts: Acts, facts: ModelFacts) -> tuple[Ended, str]:
        bounds = self._setup.bounds
        if self._setup.first_thought and not self._first_words:
            self._first_words = await self._think()
        for step in range(bounds.steps):
            for told in self._tools.news():
                self._emit(Note(told))
            constrained = self._constrained and facts.schema
            text = ShownText(self._emit) if self._streams else None
            completions = await self._ask(window, acts, text, constrained=constrained, first=step == 0)
            turns = [acts.read(completion, self._tools.definitions) for completion in completions]
            if text:
                text.end(turns[0].answer)
            place, done = (0, None) if len(turns) == 1 else await self._vote(acts, turns, completions)
            turn = turns[place]
            self._add(turn.message.model_copy(update={"written": completions[place].written}))
            for note in turn.notes:
                self._emit(Note(note))
            if turn.answer is not None:
                ended = self._take_answer(turn.answer, completions[place].finish)
            else:
                ended = self._observe(window, turn, done or await acts.do(turn))
            self._emit(Step(step + 1, self._usage))
            if ended:
                return ended
            if self._usage.tokens >= bounds.tokens:
                return "tokens", f"{self._usage.tokens} tokens, {bounds.note('tokens')}"
        return "steps", bounds.note("steps")

    async def _vote(self, acts: Acts, turns: Sequence[Turn], completions: Sequence[Completion]) -> tuple[int, Done]:
        """Return the place of the turn that most samples agree with, and what came of its acts."""
        from boxwright_student.vote import Sample, elect

        samples = [
            Sample(
                answer=turn.answer,
                calls=turn.calls,
                code=turn.code,
                fault="unreadable"
                if turn.corrections
                else "cut off"
                if one.finish == "length" and not turn.acts
                else "",
                usage=one.usage,
            )
            for turn, one in zip(turns, completions, strict=True)
        ]
        schemas = {tool.name: tool.output_schema for tool in self._tools.definitions}
        election = await elect(
            samples, self._tools.make, self._tools.read_only, run_code=acts.run_code, schemas=schemas
        )
        self._emit(Note(f"{election.votes} of {len(samples)} samples agree"))
        return election.winner, acts.elected(turns[election.winner], election)

    async def _ask(
        self, window: Window, acts: Acts, text: ShownText | None, *, constrained: bool, first: bool
    ) -> list[Completion]:
        """Ask the model for its next completions, with as much of the conversation as fits."""
        for refusals in range(MOST_REFUSALS + 1):
            room = None if window.room is None else int(window.room * TOOLS_SHARE)
            tools = self._tools.shown(self._prompt, room, acts.weigh)
            form = acts.form(tools, constrained=constrained)
            view = window.fit(self._messages, form, self._question, self._remembered())
            for note in view.notes:
                self._emit(Note(note))
            try:
                completions = await self._complete(view.sent, tools if constrained else (), text, first)
            except ContextOverflow as error:
                if refusals == MOST_REFUSALS:
                    raise
                self._emit(Note(f"{error}: the prompt is made smaller"))
                window.refused(view.sent, error)
                continue
            window.took(view.sent, completions[0].usage.prompt_tokens)
            return completions
        raise AssertionError("unreachable")

    async def _think(self) -> str:
        """Return the first paragraph of what the model would write with no tools at hand."""
        setup = self._setup
        with chat_span(setup.model.uri) as span:
            completions = await setup.model.complete(
                [Message(role="system", content=STEP_BY_STEP), Message(role="user", content=sayable(self._prompt))],
                temperature=setup.temperature,
                seed=setup.seed,
                max_tokens=setup.bounds.max_tokens,
            )
            span.completed(completions)
        self._usage += completions[0].usage
        said, thought = split_thinking(completions[0].text)
        paragraph = (said.strip() or thought.strip()).split("\n\n")[0].strip()
        return f"{paragraph}\n\n" if paragraph else ""

    async def _complete(
        self, sent: Sent, schema_of: Sequence[ToolDefinition], text: ShownText | None, first: bool
    ) -> list[Completion]:
        from boxwright_student.calls import call_schema

        setup = self._setup
        messages, tools = sent
        with chat_span(setup.model.uri) as span:
            completions = await setup.model.complete(
                messages,
                tools=tools,
                n=setup.samples,
                temperature=setup.temperature if setup.samples == 1 else max(setup.temperature, SAMPLES_TEMPERATURE),
                seed=setup.seed,
                max_tokens=setup.bounds.max_tokens,
                prefix=self._first_words if first else "",
                schema=call_schema(schema_of) if schema_of else None,
                top_logprobs=setup.top_logprobs,
                on_text=text,
            )
            span.completed(completions)
        self._usage = sum((one.usage for one in completions), self._usage)
        return completions

    def _take_answer(self, text: str, finish: str) -> tuple[Ended, str] | None:
        """Keep an answer, or ask for a better one once: an empty one says nothing, and one cut off may be endless."""
        if text.strip() and finish != "length":
            self._answer = sayable(text).strip()
            return "answered", ""
        kind: Literal["length", "empty"] = "length" if finish == "length" else "empty"
        if kind in self._nudged:
            return kind, "the answer was cut off twice" if kind == "length" else "the model answered nothing, twice"
        self._nudged.add(kind)
        self._add(Message(role="user", content=TOO_LONG if kind == "length" else EMPTY))
        return None

    def _observe(self, window: Window, turn: Turn, done: Done) -> tuple[Ended, str] | None:
        """Put what came of a turn's acts into the conversation, and see whether the model goes round in circles."""
        seen = [one.model_copy(update={"content": window.bound(one.content)}) for one in done.observations]
        self._constrained = bool(turn.corrections) and self._setup.acts == "tool-calls"
        self._add(*seen, *turn.corrections)
        if done.answer is not None:
            self._answer = done.answer
            return "answered", ""
        key = canonical([turn.key, [one.content for one in seen]])
        if key not in self._outcomes:  # something new: what is done again after it is no circle yet
            self._outcomes = Counter(dict.fromkeys(self._outcomes, 0))
        self._outcomes[key] += 1
        most = MOST_SAME - 1 if turn.corrections else MOST_SAME
        if self._outcomes[key] > most:
            return "repetition", f"the same call was made {most + 1} times, with the same outcome"
        if self._outcomes[key] == MOST_SAME:
            last = self._messages[-1]
            self._messages[-1] = last.model_copy(update={"content": f"{last.content}\n{SAME_AGAIN}"})
        return None

    def _add(self, *messages: Message) -> None:
        self._messages += map(cleaned, messages)
        self._times += [time.monotonic() - self._began] * len(messages)

    def _remembered(self) -> str:
        return "Your plan:\n" + "\n".join(f"- {step}" for step in self._tools.plan) if self._tools.plan else ""
