"""Fitting conversations into windows: folded, left out, never in silence, and never a call without its result."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwright.errors import ContextOverflow
from boxwright.models import Completion, Message, ModelFacts, Scripted, ToolCall, ToolDefinition, Usage
from boxwright.models.base import Request
from boxwright.models.scripted import calling
from boxwright.models.tokens import estimate_tokens
from boxwright_student import Agent, Bounds, ToolOutcome
from boxwright_student.acts import Sent
from boxwright_student.context import Window, fold, shorten
from boxwright_student.events import Event, Note


def conversation(steps: int, size: int) -> list[Message]:
    messages = [Message(role="system", content="Be brief."), Message(role="user", content="What is it?")]
    for step in range(steps):
        call = ToolCall(id=f"c{step}", name="look", arguments={"at": step})
        messages.append(Message(role="assistant", tool_calls=(call,)))
        messages.append(Message(role="tool", content=f"{step} " + "x" * size, tool_call_id=call.id, name="look"))
    return messages


def plain(messages: Sequence[Message]) -> Sent:
    """The form of a conversation that is sent as it is, without tools."""
    return messages, ()


def whole(messages: tuple[Message, ...]) -> bool:
    """Whether every result has its call before it, and every call its results."""
    called = [call.id for one in messages for call in one.tool_calls]
    answered = [one.tool_call_id for one in messages if one.role == "tool"]
    return called == answered


def test_what_fits_is_left_as_it_is() -> None:
    messages = conversation(3, 50)
    view = Window(8192, 1024).fit(messages, plain, 1)
    assert (list(view.messages), view.notes) == (messages, ())


def test_where_the_window_is_unknown_nothing_is_touched() -> None:
    messages = conversation(50, 5_000)
    assert list(Window(None, 1024).fit(messages, plain, 1).messages) == messages


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(0, 4_000), st.integers(700, 20_000))
def test_a_view_fits_and_keeps_the_question_and_the_latest_turn(steps: int, size: int, tokens: int) -> None:
    messages = conversation(steps, size)
    window = Window(tokens, 256)
    try:
        view = window.fit(messages, plain, 1)
    except ContextOverflow:
        assert estimate_tokens(messages[-2:], ()) > (window.room or 0) // 2
        return
    assert estimate_tokens(view.messages, ()) <= (window.room or 0)
    assert whole(view.messages)
    assert view.messages[0] == messages[0]
    assert view.messages[1].content.startswith("What is it?")
    assert view.messages[-1].content == window.bound(messages[-1].content)
    gone = len(messages) - len(view.messages)
    assert (gone > 0) == ("messages are left out here" in view.messages[1].content)
    folded = sum("characters folded" in one.content for one in view.messages)
    assert bool(view.notes) == bool(gone or folded)


def test_folding_stays_so_that_a_server_can_reuse_what_it_has_read() -> None:
    messages = conversation(30, 400)
    window = Window(4096, 512)
    first = window.fit(messages, plain, 1).messages
    longer = [*messages, *conversation(1, 10)[2:]]
    second = window.fit(longer, plain, 1).messages
    assert second[: len(first)] == first


def test_left_out_calls_are_recalled_and_so_is_the_plan() -> None:
    messages = conversation(60, 300)
    (question,) = [
        one for one in Window(1500, 256).fit(messages, plain, 1, "Your plan:\n- look").messages if one.role == "user"
    ]
    assert 'look({"at": ' in question.content
    assert question.content.endswith("Your plan:\n- look")


def test_history_goes_before_the_question_does() -> None:
    history = [Message(role=role, content="old " * 300) for _ in range(20) for role in ("user", "assistant")]
    messages = [Message(role="system", content="s"), *history, Message(role="user", content="And now?")]
    view = Window(2048, 256).fit(messages, plain, len(messages) - 1)
    assert view.messages[-1].content.startswith("And now?")
    assert len(view.messages) < len(messages)


def test_a_question_that_cannot_fit_is_told_with_its_size() -> None:
    messages = [Message(role="user", content="word " * 20_000)]
    with pytest.raises(ContextOverflow, match="BOXWRIGHT_CONTEXT_TOKENS"):
        Window(2048, 256).fit(messages, plain, 0)


def test_a_refusal_makes_the_window_smaller_however_little_it_says() -> None:
    for known in (None, 8192):
        window = Window(known, 256)
        before = window.room
        window.refused(plain([Message(role="user", content="word " * 5000)]), ContextOverflow("m", 9000, None))
        assert window.room is not None
        assert before is None or window.room < before


@given(st.text(max_size=500), st.integers(3, 400))
def test_shortening_keeps_both_ends_and_says_what_is_missing(text: str, most: int) -> None:
    short = shorten(text, most)
    if len(text) <= most:
        assert short == text
        return
    head, tail = most * 2 // 3, most // 3
    assert short.startswith(text[:head])
    assert short.endswith(text[len(text) - tail :])
    assert f"[… {len(text) - head - tail} characters left out here …]" in short


def test_folding_a_short_result_changes_nothing() -> None:
    assert fold("24") == "24"
    assert "9840 characters folded" in fold("x" * 10_000)


class Small(Scripted):
    """A scripted model with a window that it keeps to, as a server does that counts tokens its own way."""

    def __init__(self, completions: list[Completion | str], tokens: int, told: int | None, dearer: float = 1.0) -> None:
        super().__init__(completions)
        self._window, self._told, self._dearer = tokens, told, dearer
        self.largest = 0

    async def look_up(self) -> ModelFacts:
        return ModelFacts(context_tokens=self._told)

    async def answer_one(self, request: Request, seed: int | None) -> Completion:
        count = int(estimate_tokens(request.messages, request.tools) * self._dearer)
        if count > self._window:
            raise ContextOverflow("small", count, None)
        self.largest = max(self.largest, count)
        completion = await super().answer_one(request, seed)
        return completion.model_copy(update={"usage": Usage(prompt_tokens=count)})


class Big:
    """A tool whose results are 100 kB."""

    definitions = (ToolDefinition(name="look", description="Look.", parameters={"type": "object"}),)
    digest = "big"

    def news(self) -> list[str]:
        return []

    def read_only(self, name: str) -> bool:
        return True

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        return ToolOutcome(f"{arguments['at']}: " + "lorem ipsum " * 8_500)


@pytest.mark.parametrize(("told", "dearer"), [(8192, 1.0), (None, 1.0), (8192, 1.6)])
async def test_two_hundred_steps_of_100_kb_end_with_the_answer(told: int | None, dearer: float) -> None:
    """Whether the window is told or only found out by refusals, and where tokens are more than was estimated."""
    model = Small([*(calling("look", at=step) for step in range(199)), "done"], 8192, told, dearer)
    notes: list[Event] = []
    agent = Agent(model, Big(), bounds=Bounds(steps=200, tokens=10**9, max_tokens=512))
    trajectory = await agent.run("Look everywhere.", on_event=notes.append)
    assert (trajectory.ended, trajectory.answer) == ("answered", "done"), trajectory.note
    assert trajectory.calls == 199
    assert model.largest <= 8192
    assert any(isinstance(one, Note) and "folded" in one.text for one in notes)
    results = [one.content for one in trajectory.messages if one.role == "tool"]
    assert all("characters left out here" in one for one in results)


def test_what_is_left_of_a_history_begins_with_its_user() -> None:
    history = [Message(role=role, content="old " * 200) for _ in range(20) for role in ("user", "assistant")]
    messages = [Message(role="system", content="s"), *history, Message(role="user", content="And now?")]
    for tokens in range(700, 4000, 150):
        view = Window(tokens, 256).fit(messages, plain, len(messages) - 1)
        roles = [one.role for one in view.messages[1:]]
        assert roles == (["user", "assistant"] * 20)[: len(roles)]


class Terse(Small):
    """A server that says only that a prompt is too long."""

    async def answer_one(self, request: Request, seed: int | None) -> Completion:
        try:
            return await super().answer_one(request, seed)
        except ContextOverflow:
            raise ContextOverflow("terse", None, None) from None


@pytest.mark.parametrize("kind", [Small, Terse])
@pytest.mark.parametrize(("told", "dearer", "real"), [(32768, 1.0, 4096), (8192, 1.8, 8192), (None, 1.0, 2000)])
async def test_a_window_much_smaller_than_told_is_found_within_a_few_refusals(
    kind: type[Small], told: int | None, dearer: float, real: int
) -> None:
    history = [Message(role=role, content="some old words " * 60) for _ in range(60) for role in ("user", "assistant")]
    model = kind(["done"], real, told, dearer)
    trajectory = await Agent(model, bounds=Bounds(tokens=10**9)).run("?", history=history)
    assert (trajectory.ended, trajectory.answer) == ("answered", "done"), trajectory.note


@pytest.mark.parametrize("acts", ["tool-calls", "code"])
async def test_without_native_tools_the_window_is_kept_too(acts: Any) -> None:
    texts = [
        f"```python\nlook(at={step})\n```"
        if acts == "code"
        else f'<tool_call>{{"name": "look", "arguments": {{"at": {step}}}}}</tool_call>'
        for step in range(39)
    ]

    class Plain(Small):
        async def look_up(self) -> ModelFacts:
            return ModelFacts(context_tokens=4096, tools=False)

    model = Plain([*texts, "done"], 4096, 4096)
    agent = Agent(model, Big(), acts=acts, bounds=Bounds(steps=50, tokens=10**9, max_tokens=512))
    trajectory = await agent.run("Look everywhere.")
    assert (trajectory.ended, trajectory.answer) == ("answered", "done"), trajectory.note
    assert model.largest <= 4096
    assert len(model.requests) == 40  # not one was refused
