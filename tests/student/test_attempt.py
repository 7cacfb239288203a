"""The loop around a model that misbehaves: what is told, what ends it, and what is left on the record."""

import asyncio
from typing import Any

import pytest

from boxwright.errors import BadInput, CallerMustHandle, ModelUnreachable
from boxwright.models import Completion, ModelFacts, Scripted, ToolCall, Usage
from boxwright.models.base import Request
from boxwright.models.scripted import calling
from boxwright.models.written import WrittenToken
from boxwright.tasks import Task
from boxwright_student import Agent, Bounds, NoTools, ToolOutcome
from boxwright_student.events import Calling, Coded, Event, Note, Planned, Result, Step, TextPiece
from support.adder import Adder, Facts, coding


async def test_an_empty_answer_is_asked_for_once_more() -> None:
    model = Scripted(["", "<think>hm</think>", "24"])
    assert (await Agent(model).run("?")).ended == "empty"
    trajectory = await Agent(Scripted(["", "24"])).run("?")
    assert (trajectory.ended, trajectory.answer) == ("answered", "24")


async def test_a_model_that_never_stops_is_told_once_and_then_left() -> None:
    endless = Completion(text="and so on " * 50, finish="length")
    assert (await Agent(Scripted([endless, endless])).run("?")).ended == "length"
    assert (await Agent(Scripted([endless, "24"])).run("?")).answer == "24"


async def test_a_call_written_as_text_is_made() -> None:
    tools = Adder()
    model = Scripted(['<tool_call>{"name": "look", "arguments": {"n": "3"}}</tool_call>', "3"])
    events: list[Event] = []
    trajectory = await Agent(model, tools).run("?", on_event=events.append)
    assert tools.done == [("look", 3)]
    assert trajectory.messages[2].tool_calls[0].arguments == {"n": 3}
    assert [type(one) for one in events if not isinstance(one, TextPiece)] == [Note, Calling, Result, Step, Step]


async def test_what_cannot_be_repaired_goes_back_once_and_says_what_to_write() -> None:
    broken = '<tool_call>{"name": "look", "arguments": {"m": "three"}}</tool_call>'
    model = Scripted([broken, broken, "never asked"])
    trajectory = await Agent(model, Adder()).run("?")
    assert trajectory.ended == "repetition"
    told = trajectory.messages[3]
    assert "look" in told.content
    assert "n" in told.content


async def test_after_a_fault_the_answer_is_constrained_where_the_server_can() -> None:
    broken = Completion(tool_calls=(ToolCall(id="c", name="look", arguments={}, fault="not JSON", raw="{n: "),))
    model = Facts([broken, '{"name": "look", "arguments": {"n": 1}}', "1"], ModelFacts(schema=True))
    tools = Adder()
    assert (await Agent(model, tools).run("?")).answer == "1"
    assert [bool(request.schema) for request in model.requests] == [False, True, False]
    assert tools.done == [("look", 1)]


async def test_a_model_without_native_tools_reads_them_in_its_prompt() -> None:
    model = Facts(['<tool_call>{"name": "look", "arguments": {"n": 1}}</tool_call>', "1"], ModelFacts(tools=False))
    trajectory = await Agent(model, Adder()).run("?")
    assert trajectory.answer == "1"
    first, second = model.requests
    assert not first.tools
    assert "Look at a number." in first.messages[0].content
    assert [message.role for message in second.messages] == ["system", "user", "assistant", "user"]
    assert "<tool_call>" in second.messages[2].content
    assert "look 1" in second.messages[3].content
    assert [message.role for message in trajectory.messages[2:]] == ["assistant", "tool", "assistant"]


async def test_going_round_in_circles_ends_and_polling_does_not() -> None:
    model = Scripted([calling("look", n=1), calling("look", n=2)] * 9)
    trajectory = await Agent(model, Adder(), bounds=Bounds(steps=18)).run("?")
    assert trajectory.ended == "repetition"
    assert "You have done this before" in trajectory.messages[-3].content

    class Clock(Adder):
        async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
            self.done.append((name, 0))
            return ToolOutcome(f"{len(self.done)} o'clock")

    polling = Scripted([*[calling("look", n=1)] * 6, "6 o'clock"])
    assert (await Agent(polling, Clock()).run("?")).answer == "6 o'clock"


async def test_a_person_is_asked_before_what_may_change_something() -> None:
    asked: list[str] = []

    async def allow(call: ToolCall) -> bool:
        asked.append(call.name)
        return False

    tools = Adder()
    model = Scripted([calling("look", n=1), calling("add", n=2), "not done"])
    trajectory = await Agent(model, tools, allow=allow).run("?")
    assert (asked, tools.done) == (["add"], [("look", 1)])
    assert "the user declined" in trajectory.messages[-2].content


async def test_a_plan_is_kept_shown_and_revised() -> None:
    events: list[Event] = []
    model = Scripted([calling("plan", steps=["look"]), calling("plan", steps=["done: look"]), "1"])
    trajectory = await Agent(model, Adder(), planning=True).run("?", on_event=events.append)
    assert [one.steps for one in events if isinstance(one, Planned)] == [("look",), ("done: look",)]
    assert "call plan" in trajectory.messages[0].content
    assert [tool.name for tool in model.requests[0].tools] == ["plan", "look", "add"]


async def test_tools_that_do_not_fit_are_found_by_a_search() -> None:
    model = Facts(
        [
            calling("search_tools", query="does thing number 77"),
            calling("tool_77", n=7),
            calling("search_tools", query="qqq"),
            "7",
        ],
        ModelFacts(context_tokens=4096),
    )
    tools = Adder(more=300)
    trajectory = await Agent(model, tools).run("Look at 7.")
    assert tools.done == [("tool_77", 7)], trajectory.messages
    shown = [[tool.name for tool in request.tools] for request in model.requests]
    assert shown[0][0] == "search_tools"
    assert "look" in shown[0]
    assert "tool_77" not in shown[0]
    assert "tool_77" in shown[1]
    assert "no tool is for 'qqq'" in trajectory.messages[-2].content
    assert all(len(names) < 100 for names in shown)


async def test_a_cancelled_attempt_still_has_its_trajectory() -> None:
    class Slow(Adder):
        async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
            await asyncio.sleep(60)
            raise AssertionError

    attempt = Agent(Scripted([calling("look", n=1)]), Slow()).start("?")
    running = asyncio.create_task(attempt.finish())
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    trajectory = attempt.trajectory()
    assert (trajectory.ended, trajectory.answer, trajectory.calls) == ("cancelled", None, 1)


async def test_a_tool_that_outlives_the_attempt_is_stopped() -> None:
    class Slow(Adder):
        async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
            await asyncio.sleep(60)
            raise AssertionError

    trajectory = await Agent(Scripted([calling("look", n=1)]), Slow(), bounds=Bounds(seconds=0.05)).run("?")
    assert trajectory.ended == "seconds"


async def test_errors_that_end_everything_leave_the_trajectory_too() -> None:
    class Gone(Adder):
        async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
            raise CallerMustHandle("the server is gone")

    attempt = Agent(Scripted([calling("look", n=1)]), Gone()).start("?")
    with pytest.raises(CallerMustHandle, match="is gone"):
        await attempt.finish()
    assert (attempt.trajectory().ended, attempt.trajectory().note) == ("tools-error", "the server is gone")

    class Unreachable(Scripted):
        async def answer_one(self, request: Request, seed: int | None) -> Completion:
            raise ModelUnreachable("no model there")

    attempt = Agent(Unreachable([])).start("?")
    with pytest.raises(ModelUnreachable):
        await attempt.finish()
    assert attempt.trajectory().ended == "model-error"


async def test_a_conversation_goes_on_from_its_history() -> None:
    first = await Agent(Scripted(["one"]), NoTools()).run("say one")
    model = Scripted(["two"])
    second = await Agent(model).run("and more", history=first.messages)
    assert [message.content for message in model.requests[0].messages][1:] == ["say one", "one", "and more"]
    assert second.prompt == "and more"


async def test_streaming_shows_the_answer_and_hides_the_markup() -> None:
    events: list[Event] = []
    call = 'Let me see. <tool_call>{"name": "look", "arguments": {"n": 1}}</tool_call>'
    await Agent(Scripted([call, "It is 1."]), Adder()).run("?", on_event=events.append)
    assert "".join(one.text for one in events if isinstance(one, TextPiece)) == "Let me see. It is 1."


def test_less_than_one_sample_is_refused() -> None:
    with pytest.raises(BadInput, match="at least one sample, got 0"):
        Agent(Scripted([]), samples=0)


async def test_code_composes_tools_and_its_calls_are_on_the_record() -> None:
    tools = Adder()
    model = Scripted([coding("a = look(n=1)", "b = look(2)", "print(a, b)"), coding("final_answer(a + '!')")])
    events: list[Event] = []
    trajectory = await Agent(model, tools, acts="code").run("?", on_event=events.append)
    assert (trajectory.ended, trajectory.answer) == ("answered", "look 1!")
    assert tools.done == [("look", 1), ("look", 2)]
    assert trajectory.messages[3].content == "look 1 look 2"
    assert [one.call.arguments for one in trajectory.messages[3].inner] == [{"n": 1}, {"n": 2}]
    assert (trajectory.calls, trajectory.act_language) == (2, "code")
    first, second = model.requests
    assert "def look(" in first.messages[0].content
    assert [(one.role, bool(one.tool_calls)) for one in second.messages[2:]] == [("assistant", False), ("user", False)]
    assert len([one for one in events if isinstance(one, Coded)]) == 2


async def test_code_that_fails_is_told_and_an_answer_without_code_is_an_answer() -> None:
    model = Scripted([coding("1/0"), "It cannot be done."])
    trajectory = await Agent(model, Adder(), acts="code").run("?")
    assert "ZeroDivisionError" in trajectory.messages[3].content
    assert trajectory.answer == "It cannot be done."


async def test_samples_vote_and_only_what_changes_nothing_is_tried() -> None:
    tools = Adder()
    looks = [calling("look", n=n) for n in (1, 2, 2)]
    model = Scripted([*looks, calling("add", n=9), "nothing", *["2"] * 5])
    events: list[Event] = []
    trajectory = await Agent(model, tools, samples=5, seed=0).run("?", on_event=events.append)
    assert sorted(tools.done) == [("look", 1), ("look", 2)]
    assert trajectory.messages[2].tool_calls[0].arguments == {"n": 2}
    assert trajectory.answer == "2"
    assert [one.text for one in events if isinstance(one, Note)] == ["2 of 5 samples agree", "5 of 5 samples agree"]
    assert model.requests[0].temperature > 0


async def test_samples_of_code_vote_by_what_they_answer() -> None:
    draw = [coding("final_answer(look(1))"), coding("x = look(2)", "final_answer(x)"), coding("final_answer(look(2))")]
    trajectory = await Agent(Scripted(draw), Adder(), samples=3, acts="code").run("?")
    assert trajectory.answer == "look 2"


async def test_samples_that_are_all_cut_off_or_unreadable_do_not_end_in_an_error_of_ours() -> None:
    cut = Completion(text=coding("final_answer(1)"), finish="length")
    assert (await Agent(Scripted([cut, cut]), Adder(), samples=2, acts="code").run("?")).answer == "1"
    unread = Completion(
        tool_calls=(
            ToolCall(id="a", name="look", arguments={"n": 1}),
            ToolCall(id="b", name="look", arguments={}, fault="not JSON", raw="{n: }{"),
        )
    )
    trajectory = await Agent(Scripted([unread, unread, "1", "1"]), Adder(), samples=2).run("?")
    assert trajectory.answer == "1"
    called = [call.id for one in trajectory.messages for call in one.tool_calls]
    assert sorted(called) == sorted(one.tool_call_id for one in trajectory.messages if one.role == "tool")


async def test_samples_of_code_may_agree_on_an_answer_without_code() -> None:
    trajectory = await Agent(Scripted([coding("look(1)"), "3", "3"]), Adder(), samples=3, acts="code").run("?")
    assert (trajectory.ended, trajectory.answer) == ("answered", "3")


async def test_code_that_breaks_off_is_not_run() -> None:
    cut = Completion(text="```python\nadd(1)\nif look(2):\n    ad", finish="length")
    tools = Adder()
    for samples in (1, 2):
        model = Scripted([*[cut] * samples, *["1"] * samples])
        trajectory = await Agent(model, tools, acts="code", samples=samples).run("?")
        assert (trajectory.answer, tools.done) == ("1", [])
        assert "breaks off" in trajectory.messages[3].content
        assert not model.requests[-1].schema


async def test_an_empty_final_answer_is_none() -> None:
    trajectory = await Agent(Scripted([coding("final_answer('')"), "24"]), Adder(), acts="code").run("?")
    assert trajectory.answer == "24"


async def test_what_code_gets_from_its_tools_is_bounded_on_the_record() -> None:
    class Large(Adder):
        async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
            return ToolOutcome("y" * 5_000_000)

    model = Scripted([coding("print(sum(len(look(n)) for n in range(3)))"), "1"])
    trajectory = await Agent(model, Large(), acts="code").run("?")
    assert trajectory.messages[3].content == "15000000"
    assert all(len(one.text) < 101_000 for one in trajectory.messages[3].inner)


async def test_doing_the_same_again_is_no_circle_while_something_new_comes_of_it() -> None:
    class Walk(Adder):
        async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
            self.done.append((name, 0))
            return ToolOutcome("done" if name == "add" else f"at {self.done.count(('add', 0))}")

    model = Scripted([*[calling("add", n=1), calling("look", n=0)] * 5, "at 5"])
    trajectory = await Agent(model, Walk(), bounds=Bounds(steps=20)).run("?")
    assert trajectory.answer == "at 5"
    assert not any("done this before" in one.content for one in trajectory.messages)


@pytest.mark.parametrize(
    "answer",
    ["[1, 2]", '{"a": 1}', coding("x = 1"), "Here:\n```\nx\n```\nThat is it.", "<b>x</b>", "a < b", "Action: none"],
)
async def test_an_answer_that_looks_like_a_call_is_streamed_whole_in_the_end(answer: str) -> None:
    events: list[Event] = []
    trajectory = await Agent(Scripted([answer]), Adder()).run("?", on_event=events.append)
    assert trajectory.answer == answer
    assert "".join(one.text for one in events if isinstance(one, TextPiece)) == answer


async def test_the_likeliest_tokens_are_kept_with_what_the_model_said_and_nothing_is_streamed() -> None:
    written = (WrittenToken(token="1", logprob=-0.5, likeliest=(("1", -0.5),)),)
    task = Task(id="t", prompt="?", answer="1", scorer="exact", split="dev")
    call = calling("look", n=1).model_copy(update={"written": written * 2})
    model = Scripted([call, Completion(text="1", written=written)])
    events: list[Event] = []
    agent = Agent(model, Adder(), top_logprobs=5)
    trajectory = await agent.run("?", on_event=events.append)
    assert [request.top_logprobs for request in model.requests] == [5, 5]
    assert all(request.on_text is None for request in model.requests)
    assert [len(one.written) for one in trajectory.messages if one.role == "assistant"] == [2, 1]
    scored = trajectory.model_copy(update={"suite": "s", "task": "t"})
    assert agent.did(scored, task, "s")
    bare = await Agent(Scripted(["1"]), Adder()).attempt(task, "s")
    assert Agent(Scripted([]), Adder()).did(scored, task, "s")
    assert not agent.did(bare, task, "s")


async def test_an_attempt_under_another_system_message_or_bound_is_another_one() -> None:
    task = Task(id="t", prompt="?", answer="1", scorer="exact", split="dev")
    agent = Agent(Scripted([calling("look", n=n) for n in range(2)]), Adder(), bounds=Bounds(steps=2))
    stopped = await agent.attempt(task, "s")
    assert stopped.ended == "steps"
    assert agent.did(stopped, task, "s")
    assert not Agent(Scripted([]), Adder(), bounds=Bounds(steps=3)).did(stopped, task, "s")
    assert not Agent(Scripted([]), Adder(), bounds=Bounds(steps=2), system="Hm.").did(stopped, task, "s")
    answered = await Agent(Scripted(["1"]), Adder()).attempt(task, "s")
    assert Agent(Scripted([]), Adder(), bounds=Bounds(steps=3)).did(answered, task, "s")
    assert not Agent(Scripted([]), Adder(), samples=3).did(answered, task, "s")
    assert not Agent(Scripted([]), Adder(), acts="code").did(answered, task, "s")


async def test_a_first_thought_is_asked_for_without_tools_and_begins_the_attempt() -> None:
    thought = Completion(text="<think>hm</think>First I look.\n\nThen I add.", usage=Usage(completion_tokens=7))
    model = Scripted([thought, Completion(text="First I look.\n\n3", usage=Usage(completion_tokens=5))])
    trajectory = await Agent(model, Adder(), first_thought=True).run("How many?")
    asked, attempt = model.requests
    assert (asked.tools, asked.prefix, asked.messages[-1].content) == ((), "", "How many?")
    assert attempt.prefix == "First I look.\n\n"
    assert trajectory.usage.completion_tokens == 12
    assert trajectory.toolset != (await Agent(Scripted(["3"]), Adder()).run("How many?")).toolset
