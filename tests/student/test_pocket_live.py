"""The model that ships, live in llama.cpp: it calls what it is shown, and bad input ends in an answer or in one line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from boxwright.errors import BadInput, ModelUnreachable, NotFound
from boxwright.models import ChatModel, ToolDefinition, load_model
from boxwright.models import pocket as shipped
from boxwright.settings import Settings
from boxwright.traces import Trajectory
from boxwright_student import Agent, ToolOutcome
from support.adder import NUMBER, Adder

pytest.importorskip("xllamacpp", reason="the extra gguf is not installed")


@pytest.fixture(scope="module")
def model() -> Iterator[ChatModel]:
    from boxwright.models.gguf import close_all

    yield load_model("pocket", Settings())
    close_all()


class Failing(Adder):
    """Every call fails."""

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        self.done.append((name, arguments["n"]))
        return ToolOutcome("the disk is on fire", failed=True)


class Solver(Adder):
    """One tool: the solver of Game of 24, which knows one puzzle."""

    def __init__(self) -> None:
        super().__init__()
        numbers = {"type": "array", "items": {"type": "integer"}}
        schema = {"type": "object", "properties": {"numbers": numbers}, "required": ["numbers"]}
        about = "Make 24 from the numbers with + - * /, using each exactly once. Returns the expression."
        self._all = [ToolDefinition(name="game_of_24__solve", description=about, parameters=schema)]

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
        solved = name == "game_of_24__solve" and arguments["numbers"] == [4, 9, 10, 13]
        return ToolOutcome("(4 - 10) * (9 - 13)") if solved else ToolOutcome("no such puzzle", failed=True)


def calls_fit(tools: Adder, trajectory: Trajectory) -> bool:
    """Say whether every call names a tool that is there, with arguments that its schema takes."""
    schemas = {tool.name: tool.parameters for tool in tools.definitions}
    for message in trajectory.messages:
        for call in message.tool_calls or ():
            jsonschema.validate(call.arguments, schemas[call.name])
    return True


async def test_it_calls_the_tool_that_is_asked_for_and_reads_the_result_out(model: ChatModel) -> None:
    tools = Adder()
    trajectory = await Agent(model, tools).run("Add 7 to the total.")
    assert tools.done == [("add", 7)]
    assert trajectory.answer is not None and "7" in trajectory.answer


WIDE = ToolDefinition(
    name="fill",
    description="Fills a form in.",
    parameters={"type": "object", "properties": {f"field_{i}": {"type": "string"} for i in range(2000)}},
)
LONG = ToolDefinition(name="long", description="word " * 9000, parameters=NUMBER)


@pytest.mark.parametrize(
    ("tools", "question"),
    [
        (Adder(more=38), "Add 7 to the total."),
        (Adder(others=[WIDE]), "Add 7 to the total."),
        (Adder(others=[LONG]), "Add 7 to the total."),
        (Adder(), "Wie spät ist es in Berlin?"),
        (Adder(), "4, 9, 10, 13 から 24 を作ってください。"),
        (Adder(), "What would my grandmother say?"),
        (Adder(), "7"),
        (Failing(), "Add 7 to the total."),
    ],
    ids=["forty", "wide", "long", "german", "japanese", "chat", "bare", "failing"],
)
async def test_it_answers_abstains_or_calls_what_is_there(model: ChatModel, tools: Adder, question: str) -> None:
    trajectory = await Agent(model, tools).run(question)
    assert trajectory.ended == "answered", trajectory.note
    assert trajectory.answer and calls_fit(tools, trajectory)


async def test_a_question_of_4000_words_is_refused_in_a_line_with_both_sizes(model: ChatModel) -> None:
    trajectory = await Agent(model, Adder()).run("Add 7 to the total. " + "lorem ipsum dolor sit " * 1000)
    assert trajectory.ended == "context"
    assert "window of 4096 tokens" in trajectory.note and "\n" not in trajectory.note


async def test_a_missing_or_cut_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut = tmp_path / "pocket-Q8_0.gguf"
    monkeypatch.setattr(shipped, "pocket_folder", lambda: tmp_path)
    with pytest.raises(BadInput, match="is missing"):
        load_model("pocket", Settings())
    cut.write_bytes((Path(shipped.__file__).parents[3] / "student" / "pocket" / cut.name).read_bytes()[:1_000_000])
    with pytest.raises(ModelUnreachable, match="corrupted or incomplete"):
        await load_model("pocket", Settings()).facts()


async def test_fine_tuned_it_says_a_thought_before_it_calls_which_it_does_not_as_it_is() -> None:
    said = {}
    for uri in ("pocket", "pocket/game24"):
        trajectory = await Agent(load_model(uri, Settings()), Solver()).run("Use 4, 9, 10 and 13 to make 24.")
        assert trajectory.answer == "(4 - 10) * (9 - 13)"
        assert trajectory.model.startswith(f"{uri}@")
        said[uri] = next(message.content for message in trajectory.messages if message.tool_calls)
    assert not said["pocket"] and "24" in said["pocket/game24"]


def test_a_suite_that_it_was_not_tuned_for_is_refused_with_those_that_it_was() -> None:
    with pytest.raises(NotFound, match="game24"):
        load_model("pocket/chess", Settings())
