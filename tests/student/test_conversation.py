"""What servers are sent: conversations that each of them takes, whatever the model wrote and whatever ended a turn."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from boxwright.errors import ContextOverflow
from boxwright.models import Completion, Message, ModelFacts, Scripted, ToolCall, Usage
from boxwright.models.base import Request
from boxwright.models.scripted import calling
from boxwright.models.tokens import estimate_tokens
from boxwright.traces import ActLanguage, Trajectory
from boxwright_student import Agent, Bounds, ToolOutcome
from boxwright_student.conversation import NOT_FINISHED, CallIds, continued, sayable, sendable
from boxwright_student.events import Event, TextPiece
from support.adder import Adder, Facts, coding


def faults(messages: Sequence[Message]) -> list[str]:
    """Return what a server would refuse: calls and results that do not match, ids twice, empty or doubled turns."""
    found: list[str] = []
    seen: set[str] = set()
    waiting: list[str] = []
    before = ""
    for message in messages:
        if message.role == "tool":
            if message.tool_call_id not in waiting:
                found.append(f"a result without its call: {message.tool_call_id}")
            else:
                waiting.remove(message.tool_call_id)
        else:
            found += [f"a call without its result: {one}" for one in waiting]
            waiting = [call.id for call in message.tool_calls]
            found += [f"an id twice: {one}" for one in waiting if one in seen or waiting.count(one) > 1]
            seen |= set(waiting)
            if message.role == "assistant" and not (message.content or message.tool_calls):
                found.append("an empty answer")
            if message.role == before == "user":
                found.append("the user twice in a row")
        before = message.role
    return found + [f"a call without its result: {one}" for one in waiting]


def written(**arguments: object) -> str:
    return f"<tool_call>{json.dumps({'name': 'look', 'arguments': arguments})}</tool_call>"


async def last_request(model: Scripted, **options: Any) -> Sequence[Message]:
    await Agent(model, Adder(), **options).run("?")
    return model.requests[-1].messages


async def test_a_call_in_the_text_beside_a_native_one_gets_an_id_of_its_own() -> None:
    native = ToolCall(id="call_0", name="look", arguments={"n": 2})
    model = Scripted([calling("look", n=1), Completion(text=written(n=5), tool_calls=(native,)), "5"])
    messages = await last_request(model)
    assert faults(messages) == []
    assert [len(one.tool_calls) for one in messages if one.role == "assistant"] == [1, 2]


async def test_ids_do_not_come_again_after_a_history() -> None:
    for acts, act in (("tool-calls", calling("look", n=1)), ("code", Completion(text=coding("look(1)")))):
        first = await Agent(Scripted([act, "1"]), Adder(), acts=acts).run("?")  # type: ignore[arg-type]
        second = await Agent(Scripted([act, "1"]), Adder(), acts=acts).run("?", history=first.messages)  # type: ignore[arg-type]
        assert faults(second.messages) == []


async def test_a_conversation_goes_on_after_a_turn_that_was_stopped_in_the_middle() -> None:
    class Slow(Adder):
        async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
            await asyncio.sleep(60)
            raise AssertionError

    stopped = await Agent(Scripted([calling("look", n=1)]), Slow(), bounds=Bounds(seconds=0.05)).run("look")
    model = Scripted(["1"])
    await Agent(model, Adder()).run("and now?", history=stopped.messages)
    assert faults(model.requests[0].messages) == []
    assert [one.content for one in model.requests[0].messages[1:]] == ["look", "", NOT_FINISHED, "and now?"]


async def test_an_answer_by_code_and_the_next_question_are_turns_that_alternate() -> None:
    first = await Agent(Scripted([coding("final_answer(3)")]), Adder(), acts="code").run("?")
    model = Scripted(["4"])
    await Agent(model, Adder(), acts="code").run("more", history=first.messages)
    assert faults(model.requests[0].messages) == []
    assert model.requests[0].messages[-1].content == "Observation:\n3\n\nmore"


async def test_an_empty_answer_is_not_sent_back() -> None:
    messages = await last_request(Scripted(["", "24"]))
    assert faults(messages) == []
    assert [one.role for one in messages] == ["system", "user"]
    assert "Your answer was empty" in messages[-1].content


async def test_of_a_partly_broken_answer_a_prompted_model_sees_each_call_once() -> None:
    model = Facts([written(n=2) + written(m="two"), "2"], ModelFacts(tools=False))
    messages = await last_request(model)
    assert faults(messages) == []
    assert [messages[2].content.count(one) for one in ('"n": 2', '"m": "two"')] == [1, 1]


async def test_code_that_stands_in_the_thinking_is_sent_back_as_said() -> None:
    messages = await last_request(Scripted([f"<think>{coding('look(1)')}</think>", "1"]), acts="code")
    assert messages[2].content == coding("look(1)")
    apart = Completion(thinking=coding("look(1)"))
    assert (await last_request(Scripted([apart, "1"]), acts="code"))[2].content == coding("look(1)")


def test_a_history_is_made_whole_and_a_whole_one_is_left_as_it_is() -> None:
    call = ToolCall(id="c", name="look", arguments={})
    result = Message(role="tool", content="1", tool_call_id="c", name="look")
    whole = [Message(role="user", content="?"), Message(role="assistant", tool_calls=(call,)), result]
    assert continued([Message(role="system", content="s"), *whole]) == whole
    assert faults(continued([result, *whole[:2], Message(role="user", content="?")])) == []


def test_ids_that_are_wanted_are_given_once() -> None:
    ids = CallIds([Message(role="assistant", tool_calls=(ToolCall(id="call_1", name="a", arguments={}),))])
    given = [ids.take(wanted, "call") for wanted in ("x", "x", "call_1", "", "")]
    assert given[0] == "x"
    assert len({*given, "call_1"}) == 6


def test_what_is_no_unicode_is_replaced_and_pairs_are_joined() -> None:
    assert sayable("a\ud800b\0é") == "a\N{REPLACEMENT CHARACTER}b\0é"
    assert sayable("\ud83d\ude00") == "\N{GRINNING FACE}"


async def test_half_a_surrogate_pair_reaches_neither_a_server_nor_the_screen() -> None:
    class Broken(Adder):
        async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
            return ToolOutcome("\ud800")

    events: list[Event] = []
    bad = ToolCall(id="c", name="look", arguments={"n": "\ud800"})
    model = Scripted([calling("look", n=1), Completion(tool_calls=(bad,)), "all \ud800"])
    trajectory = await Agent(model, Broken()).run("\udcff?", on_event=events.append)
    assert trajectory.answer == "all \N{REPLACEMENT CHARACTER}"
    json.dumps([one.model_dump() for one in trajectory.messages], ensure_ascii=False).encode()
    "".join(one.text for one in events if isinstance(one, TextPiece)).encode()


async def test_a_number_beyond_any_float_is_not_sent_back_as_json() -> None:
    bad = ToolCall(id="c", name="look", arguments={"n": float("inf")})
    messages = await last_request(Scripted([Completion(tool_calls=(bad,)), "1"]))
    assert messages[2].tool_calls[0].arguments == {}
    assert "Infinity" in messages[3].content


_TEXTS = st.lists(
    st.sampled_from(
        [
            *("", "24", '{"a": 1}', "<think>hm</think>", "<think>open", "look(n=5)", "x" * 900, "\ud800"),
            *(written(n=3), written(m="x"), '{"name": "no_tool", "arguments": {"answer": "a"}}'),
            *(coding("look(1)"), "```python\nadd(1)\nlook(", coding("plan(['a'])"), coding("final_answer('')")),
        ]
    ),
    max_size=3,
).map("".join)
_CALLS = st.builds(
    ToolCall,
    id=st.sampled_from(["", "call_0", "call_1", "x"]),
    name=st.sampled_from(["look", "add", "nope", "tool_3", "plan", "search_tools"]),
    arguments=st.sampled_from([{"n": 1}, {"n": 2}, {"m": 1}, {}, {"steps": ["q"]}, {"query": "thing"}]),
    fault=st.sampled_from(["", "", "not JSON"]),
)
_COMPLETIONS = st.builds(
    Completion,
    text=_TEXTS,
    tool_calls=st.lists(_CALLS, max_size=3).map(tuple),
    finish=st.sampled_from(["stop", "tool_calls", "length"]),
    thinking=st.sampled_from(["", "thought", written(n=1)]),
)


class Narrow(Facts):
    """A scripted model that refuses what does not fit its window."""

    async def answer_one(self, request: Request, seed: int | None) -> Completion:
        count = estimate_tokens(request.messages, request.tools)
        window = (await self.facts()).context_tokens
        if window is not None and count > window:
            raise ContextOverflow("narrow", count, window)
        completion = await super().answer_one(request, seed)
        return completion.model_copy(update={"usage": Usage(prompt_tokens=count)})


@pytest.mark.extended
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
async def test_whatever_a_model_writes_every_request_is_one_that_servers_take(data: st.DataObject) -> None:
    acts: ActLanguage = data.draw(st.sampled_from(["tool-calls", "code"]))
    facts = ModelFacts(
        data.draw(st.sampled_from([None, 2000, 6000])), tools=data.draw(st.booleans()), schema=data.draw(st.booleans())
    )
    samples, planning = data.draw(st.sampled_from([1, 1, 3])), data.draw(st.booleans())
    tools = Adder(more=data.draw(st.sampled_from([0, 60])))
    history: tuple[Message, ...] = ()
    for _ in range(2):
        model = Narrow(data.draw(st.lists(_COMPLETIONS, min_size=6, max_size=6)), facts)
        bounds = Bounds(steps=5, max_tokens=300)
        agent = Agent(model, tools, acts=acts, samples=samples, planning=planning, bounds=bounds)
        trajectory = await agent.run("?", history=history, on_event=lambda event: None)
        assert len(trajectory.times) == len(trajectory.messages)
        assert continued(trajectory.messages) == list(trajectory.messages[1:])
        assert Trajectory.model_validate_json(trajectory.model_dump_json()) == trajectory
        for request in model.requests:
            assert faults(request.messages) == []
            assert len({tool.name for tool in request.tools}) == len(request.tools)
            assert not (request.schema and request.tools)
            if acts == "code" or not facts.tools:
                assert not any(one.role == "tool" or one.tool_calls for one in request.messages)
        history = trajectory.messages


def test_only_what_servers_refuse_is_joined_or_left_out() -> None:
    user, answer = Message(role="user", content="?"), Message(role="assistant", content="!")
    assert sendable([user, answer, user]) == [user, answer, user]
    assert [one.content for one in sendable([user, Message(role="assistant"), user])] == ["?\n\n?"]
