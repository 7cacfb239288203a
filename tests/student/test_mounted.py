"""Which tools a model is shown and may call: what fits, under names of their own, and asked for once."""

import asyncio
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import pytest

from boxwright.models import Completion, ModelFacts, Scripted, ToolCall, ToolDefinition
from boxwright.models.scripted import calling
from boxwright.models.tokens import estimate_tokens
from boxwright_student import Agent, Bounds, ToolOutcome, mounted
from boxwright_student.code import session
from support.adder import NUMBER, Adder, Facts, coding


def adder_with(*names: str, description: str = "", output: dict[str, Any] | None = None) -> Adder:
    """Return the adder with other tools."""
    return Adder(
        others=[
            ToolDefinition(name=name, description=description, parameters=NUMBER, output_schema=output)
            for name in names
        ]
    )


MANY = tuple(f"thing_{number}" for number in range(400))


async def test_a_tool_without_a_description_can_be_found() -> None:
    model = Facts([calling("search_tools", query="thing 7"), "7"], ModelFacts(context_tokens=4096))
    trajectory = await Agent(model, adder_with(*MANY)).run("?")
    assert "- thing_7: " in trajectory.messages[3].content


async def test_a_mounted_tool_keeps_its_name_and_ours_gets_another() -> None:
    model = Scripted([calling("plan", n=1), calling("plan_2", steps=["look"]), "1"])
    tools = adder_with("plan")
    trajectory = await Agent(model, tools, planning=True).run("?")
    assert tools.done == [("plan", 1)]
    assert "The plan is kept" in trajectory.messages[-2].content
    assert "call plan_2 " in trajectory.messages[0].content
    model = Facts([calling("search_tools_2", query="thing_7"), "1"], ModelFacts(context_tokens=4096))
    trajectory = await Agent(model, adder_with("search_tools", *MANY)).run("search tools")
    assert "thing_7" in trajectory.messages[3].content
    names = [tool.name for tool in model.requests[0].tools]
    assert (names.count("search_tools"), names.count("search_tools_2")) == (1, 1)


async def test_as_many_tools_are_shown_as_fit() -> None:
    model = Facts(["1"], ModelFacts(context_tokens=8192))
    await Agent(model, adder_with(*MANY, description="Does a thing.")).run("?")
    room = (8192 - 2048) * 0.4
    assert room * 0.9 < estimate_tokens((), model.requests[0].tools) <= room


@pytest.mark.parametrize("acts", ["tool-calls", "code"])
@pytest.mark.parametrize("native", [True, False])
async def test_what_the_tools_take_in_the_prompt_is_counted_as_they_are_told(acts: Any, native: bool) -> None:
    output = {
        "type": "object",
        "properties": {f"key_{one}": {"enum": ["first", "second", "third"]} for one in range(8)},
    }
    model = Facts(["1"], ModelFacts(context_tokens=4096, tools=native))
    tools = adder_with(*MANY, description="Does a thing.", output=output)
    await Agent(model, tools, acts=acts).run("?", history=[])
    (request,) = model.requests
    assert 500 < estimate_tokens(request.messages, request.tools) < 4096 - 1024


async def test_a_declined_call_is_not_asked_about_again() -> None:
    asked: list[ToolCall] = []

    async def allow(call: ToolCall) -> bool:
        asked.append(call)
        return False

    twice = Completion(tool_calls=tuple(ToolCall(id=one, name="add", arguments={"n": 1}) for one in "ab"))
    tools = Adder()
    model = Scripted([twice, calling("add", n=1), calling("add", n=2), "not done"])
    await Agent(model, tools, allow=allow).run("?")
    assert ([call.arguments["n"] for call in asked], tools.done) == ([1, 2], [])


async def test_a_person_is_asked_about_one_call_at_a_time() -> None:
    asking = 0

    async def allow(call: ToolCall) -> bool:
        nonlocal asking
        asking += 1
        assert asking == 1
        await asyncio.sleep(0.001)
        asking -= 1
        return True

    both = Completion(tool_calls=tuple(ToolCall(id=str(n), name="add", arguments={"n": n}) for n in range(3)))
    for samples, model in ((1, Scripted([both, "1"])), (2, Scripted([both, both, "1", "1"]))):
        tools = Adder()
        await Agent(model, tools, allow=allow, samples=samples).run("?")
        assert tools.done == [("add", 0), ("add", 1), ("add", 2)]
    tools = Adder()
    await Agent(Scripted([coding("add(0)", "add(1)"), "1"]), tools, allow=allow, acts="code").run("?")
    assert tools.done == [("add", 0), ("add", 1)]


async def test_tools_with_odd_schemas_are_shown_and_called() -> None:
    class Odd(Adder):
        @property
        def definitions(self) -> Sequence[ToolDefinition]:
            schemas: list[dict[str, Any]] = [
                {},
                {"type": "string"},
                {"type": "object", "properties": []},
                {"$ref": "#/$defs/n", "$defs": {"n": NUMBER}},
                {"$ref": "#/$defs/gone"},
                {"$ref": "#"},
            ]
            return [ToolDefinition(name=f"odd_{n}", description="", parameters=one) for n, one in enumerate(schemas)]

        async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
            return ToolOutcome(f"{name} called")

    calls = tuple(ToolCall(id=str(n), name=f"odd_{n}", arguments={"n": 1} if n == 3 else {}) for n in range(6))
    for facts in (ModelFacts(), ModelFacts(tools=False), ModelFacts(context_tokens=2000)):
        trajectory = await Agent(Facts([Completion(tool_calls=calls), "1"], facts), Odd()).run("?")
        assert trajectory.answer == "1"
        assert "odd_3 called" in [one.content for one in trajectory.messages]
    trajectory = await Agent(Scripted([coding("odd_0()", "print(odd_3(n=1))"), "1"]), Odd(), acts="code").run("?")
    assert trajectory.messages[3].content == "odd_3 called"


@pytest.mark.parametrize("acts", ["tool-calls", "code"])
async def test_ten_thousand_tools_are_read_and_ranked_once(acts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = adder_with(*(f"thing_{number}" for number in range(10_000)), description="Does a thing.")
    steps = [calling("thing_77", n=n) if acts == "tool-calls" else coding(f"thing_77({n})") for n in range(7)]
    model = Facts([*steps, "77"], ModelFacts(context_tokens=8192))
    ranked, read = count_calls(monkeypatch, mounted, "rank"), count_calls(monkeypatch, session, "ToolSignature")
    trajectory = await Agent(model, tools, acts=acts, bounds=Bounds(tokens=10**9)).run("Do thing 77.")
    assert (trajectory.answer, len(tools.done)) == ("77", 7)
    assert len(ranked) == 1
    assert len(read) <= (10_010 if acts == "code" else 0)


def count_calls(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str) -> list[str]:
    """Have each call of a module's function noted; it is made all the same."""
    made: list[str] = []
    real = getattr(module, name)

    def noted(*arguments: Any) -> Any:
        made.append(name)
        return real(*arguments)

    monkeypatch.setattr(module, name, noted)
    return made
