"""Hidden tools: to the student they are not there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from boxwright.models import Scripted, ToolDefinition
from boxwright.models.scripted import calling
from boxwright_student import Agent, ToolOutcome
from boxwright_student.hiding import Without


def tool(name: str) -> ToolDefinition:
    return ToolDefinition(name=name, description=f"{name}.", parameters={"type": "object", "properties": {}})


class Three:
    """A toolset of three, the first of which changes something."""

    def __init__(self) -> None:
        self.definitions: Sequence[ToolDefinition] = [tool("one"), tool("two"), tool("three")]
        self.digest = "three"

    def news(self) -> list[str]:
        return ["news"]

    def read_only(self, name: str) -> bool:
        return name != "one"

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        return ToolOutcome(f"{name} was called")


def names(tools: Without) -> list[str]:
    return [one.name for one in tools.definitions]


async def test_a_hidden_tool_is_answered_like_an_unknown_one_and_the_others_as_they_are() -> None:
    tools = Without(Three(), ["two"])
    assert names(tools) == ["one", "three"]
    assert tools.news() == ["news"]
    assert [tools.read_only(name) for name in ("one", "two", "three")] == [False, False, True]
    assert await tools.call("three", {}) == ToolOutcome("three was called")
    refused = await tools.call("two", {})
    assert refused.failed
    assert "there is no tool 'two'; the tools are: one, three" in refused.text


def test_what_is_hidden_tells_toolsets_apart_and_nothing_hidden_is_the_whole() -> None:
    digests = {Without(Three(), hidden).digest for hidden in ([], ["one"], ["two"], ["one", "two"], ["two", "one"])}
    assert len(digests) == 4
    assert Without(Three(), []).digest == "three"


def test_definitions_are_the_same_list_until_the_tools_change() -> None:
    whole = Three()
    tools = Without(whole, ["two"])
    assert tools.definitions is tools.definitions
    whole.definitions = [tool("two"), tool("four")]
    assert names(tools) == ["four"]


async def test_a_student_is_neither_shown_nor_let_call_what_is_hidden() -> None:
    model = Scripted([calling("two"), calling("one"), "done"])
    trajectory = await Agent(model, Without(Three(), ["two"])).run("?")
    assert [one.name for one in model.requests[0].tools] == ["one", "three"]
    told = [message.content for message in trajectory.messages if message.role == "tool"]
    assert "there is no tool 'two'" in told[0]
    assert told[1] == "one was called"
    assert trajectory.tools == ("one", "three")
