"""Spans are placed by what a template renders, and every token has one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers", reason="spans need a tokenizer (the extra 'train')")

from hypothesis import given, settings
from hypothesis import strategies as st

from boxwright.errors import BadInput
from boxwright.models import Message, ToolCall, ToolDefinition, Usage
from boxwright.traces import KeptLanguage, Trajectory
from boxwright_training.importers import Sourced, read_trajectories
from boxwright_training.kinds import Kind
from boxwright_training.spans import Segmenter, SpansInvalid, chat_of
from support.span_checks import faults, stretches
from support.tiny_models import CHATML, LLAMA3, MISTRAL, tiny_tokenizer

CALL = ToolCall(id="one", name="solve", arguments={"numbers": [4, 9]})
TOOL = ToolDefinition(name="solve", description="Make 24.", parameters={"type": "object", "properties": {}})
ASKED = (Message(role="system", content="You solve."), Message(role="user", content="Use 4 and 9."))
SEEN = Message(role="tool", content="(9 - 4)", tool_call_id="one", name="solve")
CHATML_TOKENIZER, LLAMA3_TOKENIZER, MISTRAL_TOKENIZER = map(tiny_tokenizer, (CHATML, LLAMA3, MISTRAL))


def trajectory(*messages: Message, language: KeptLanguage = "tool-calls", tools: Any = (TOOL,)) -> Trajectory:
    return Trajectory(
        prompt="Use 4 and 9.",
        messages=messages,
        answer=None,
        ended="answered",
        model="m",
        act_language=language,
        definitions=tools,
        usage=Usage(),
    )


def said(content: str = "", thinking: str = "", *calls: ToolCall) -> Message:
    return Message(role="assistant", content=content, thinking=thinking, tool_calls=calls)


def test_thought_call_result_and_answer_each_have_their_kind() -> None:
    segmenter = Segmenter(CHATML_TOKENIZER)
    (placed,) = segmenter.place(
        trajectory(*ASKED, said("I need the tool.", "Two numbers.", CALL), SEEN, said("(9 - 4)", "Done."))
    )
    first, second = placed.turns
    assert stretches(placed, Kind.REASON, first) == "<think>\nTwo numbers.\n</think>\n\nI need the tool."
    assert stretches(placed, Kind.ACT, first) == (
        '<tool_call>\n{"name": "solve", "arguments": {"numbers": [4, 9]}}\n</tool_call><|im_end|>'
    )
    assert stretches(placed, Kind.REASON, second) == "<think>\nDone.\n</think>\n\n"
    assert stretches(placed, Kind.ACT, second) == "(9 - 4)<|im_end|>"
    between = placed.text[first[1] : second[0]]
    assert "(9 - 4)" in between
    assert set(placed.kinds[first[1] : second[0]]) == {Kind.OBSERVE}
    assert set(placed.kinds[: first[0]]) == {Kind.PROMPT}


def test_a_turn_that_a_template_writes_otherwise_later_is_learned_in_a_text_of_its_own() -> None:
    asked_again = Message(role="user", content="And with 13?")
    one = trajectory(*ASKED, said("", "Two numbers.", CALL), SEEN, said("5", "Done."), asked_again, said("8", "Again."))
    placed = Segmenter(CHATML_TOKENIZER).place(one)
    assert [len(text.turns) for text in placed] == [2, 1]
    assert "Two numbers." in placed[0].text
    assert "Two numbers." not in placed[1].text
    assert stretches(placed[1], Kind.REASON, placed[1].turns[0]) == "<think>\nAgain.\n</think>\n\n"
    assert faults(placed, chat_of(one), Segmenter(CHATML_TOKENIZER)) == []


def test_where_there_is_no_prompt_for_a_turn_its_first_mark_belongs_to_it() -> None:
    (placed,) = Segmenter(MISTRAL_TOKENIZER).place(trajectory(*ASKED[1:], said("", "", CALL), SEEN, said("5")))
    assert stretches(placed, Kind.ACT, placed.turns[0]).startswith('[TOOL_CALLS] [{"name": "solve"')
    assert stretches(placed, Kind.ACT, placed.turns[0]).endswith('"id": "call00000"}]</s>')


@pytest.mark.parametrize(
    ("tokenizer", "message"),
    [(LLAMA3_TOKENIZER, said("I need the tool.", "", CALL)), (MISTRAL_TOKENIZER, said("5", "Two numbers."))],
)
def test_what_a_template_leaves_out_is_refused_with_the_way_out(tokenizer: Any, message: Message) -> None:
    with pytest.raises(SpansInvalid, match="leaves out some of what was said.*--thoughts"):
        Segmenter(tokenizer).place(trajectory(ASKED[1], message))


def test_thinking_can_go_into_the_content_or_nowhere() -> None:
    one = trajectory(ASKED[1], said("5", "Two numbers."))
    (placed,) = Segmenter(MISTRAL_TOKENIZER, thoughts="content").place(one)
    assert stretches(placed, Kind.REASON, placed.turns[0]).strip() == "<think>\nTwo numbers.\n</think>"
    assert stretches(placed, Kind.ACT, placed.turns[0]) == "5</s>"
    (placed,) = Segmenter(MISTRAL_TOKENIZER, thoughts="drop").place(one)
    assert "Two numbers." not in placed.text


def test_acts_that_are_text_are_marked_by_their_places() -> None:
    content = "Thought: I look.\nAction: search[it]"
    act = Message(role="assistant", content=content, acts=((17, len(content)),))
    seen = Message(role="user", content="Observation: here")
    one = trajectory(ASKED[1], act, seen, act, language="text", tools=())
    (placed,) = Segmenter(CHATML_TOKENIZER).place(one)
    assert stretches(placed, Kind.REASON, placed.turns[0]) == "Thought: I look.\n"
    assert stretches(placed, Kind.ACT, placed.turns[0]) == "Action: search[it]<|im_end|>"
    assert placed.kinds[placed.text.index("here")] == Kind.OBSERVE


def test_code_is_an_act_and_is_asked_for_as_our_agent_asks() -> None:
    code = ToolCall(id="c", name="python", arguments={"code": "solve([4, 9])"})
    first = said("I compute.\n```python\nsolve([4, 9])\n```", "", code)
    printed = Message(role="tool", content="5", tool_call_id="c", name="python")
    (placed,) = Segmenter(CHATML_TOKENIZER).place(trajectory(*ASKED, first, printed, said("5"), language="code"))
    assert "You act by writing Python" in placed.text
    assert stretches(placed, Kind.REASON, placed.turns[0]) == "I compute.\n"
    assert stretches(placed, Kind.ACT, placed.turns[0]) == "```python\nsolve([4, 9])\n```<|im_end|>"
    assert placed.kinds[placed.text.index("Observation:")] == Kind.OBSERVE


def test_a_turn_whose_call_could_not_be_read_is_shown_and_not_learned() -> None:
    bad = ToolCall(id="b", name="solve", arguments={}, fault="no JSON", raw="{")
    (placed,) = Segmenter(CHATML_TOKENIZER).place(trajectory(*ASKED, said("", "", bad), SEEN, said("5")))
    assert len(placed.turns) == 1
    assert stretches(placed, Kind.ACT, placed.turns[0]) == "5<|im_end|>"


def test_text_that_looks_like_a_template_stays_what_it_is() -> None:
    tricky = said("<|im_end|> </think> <tool_call> 5", "")
    (placed,) = Segmenter(CHATML_TOKENIZER).place(trajectory(*ASKED, tricky))
    assert stretches(placed, Kind.ACT, placed.turns[0]) == "<|im_end|> </think> <tool_call> 5<|im_end|>"


def test_a_template_that_never_ends_a_turn_is_refused() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    with pytest.raises(SpansInvalid, match="would never stop"):
        Segmenter(tokenizer).place(trajectory(ASKED[1], said("5")))


def test_a_template_that_leaves_results_out_is_refused() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = CHATML.replace("{{ message.content }}\n</tool_response>", "</tool_response>")
    with pytest.raises(SpansInvalid, match="leaves out 1 of 1 results"):
        Segmenter(tokenizer).place(trajectory(*ASKED, said("", "", CALL), SEEN, said("5")))


def test_a_template_that_refuses_is_quoted() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{{ raise_exception('no system message here') }}"
    with pytest.raises(SpansInvalid, match="no system message here"):
        Segmenter(tokenizer).place(trajectory(*ASKED, said("5")))


def test_a_tokenizer_without_offsets_or_template_is_refused() -> None:
    class Slow:
        is_fast = False

    with pytest.raises(BadInput, match="Slow gives no character offsets"):
        Segmenter(Slow())
    bare = tiny_tokenizer()
    bare.chat_template = None
    with pytest.raises(BadInput, match="has no chat template; give one with --template"):
        Segmenter(bare)


def test_a_row_is_cut_behind_the_last_turn_that_fits() -> None:
    long = said("4 " * 300)
    one = Sourced(trajectory(*ASKED, said("", "", CALL), SEEN, long), "file:1")
    segmenter = Segmenter(CHATML_TOKENIZER)
    whole = segmenter.rows([one], 2000).rows[0]
    cut = segmenter.rows([one], len(whole) - 100)
    assert [row.turns for row in cut.rows] == [1]
    assert cut.rows[0].ids.tolist() == whole.ids[: len(cut.rows[0])].tolist()
    assert segmenter.tokenizer.decode(cut.rows[0].ids).endswith("</tool_call><|im_end|>")
    assert "1 turns of 1 rows did not fit the window" in cut.told()
    none = segmenter.rows([one], 20)
    assert none.rows == []
    assert none.faults == ["file:1: even its first turn does not fit a window of 20 tokens; set a larger --window"]


def test_a_row_that_cannot_be_placed_is_listed_with_its_place_and_loses_no_other() -> None:
    good = Sourced(trajectory(*ASKED, said("5")), "file:1")
    rows = Segmenter(LLAMA3_TOKENIZER).rows([Sourced(trajectory(*ASKED, said("", "Hm.")), "file:2"), good], 500)
    assert [row.source for row in rows.rows] == ["file:1"]
    assert rows.faults[0].startswith("file:2: the template leaves out")


def test_nothing_of_what_is_observed_or_asked_can_be_learned() -> None:
    (row,) = (
        Segmenter(CHATML_TOKENIZER)
        .rows([Sourced(trajectory(*ASKED, said("", "", CALL), SEEN, said("5")), "f:1")], 500)
        .rows
    )
    learned = CHATML_TOKENIZER.decode([token for token, kind in zip(row.ids, row.kinds, strict=True) if kind in (1, 2)])
    assert learned == (
        '<tool_call>\n{"name": "solve", "arguments": {"numbers": [4, 9]}}\n</tool_call><|im_end|>5<|im_end|>'
    )


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Co")), max_size=30)


@st.composite
def conversations(draw: st.DrawFn) -> Trajectory:
    messages = [Message(role="user", content="Use " + draw(WORDS))]
    for number in range(draw(st.integers(1, 4))):
        if draw(st.booleans()):
            call = ToolCall(id=f"c{number}", name="solve", arguments={"numbers": [1], "text": draw(WORDS)})
            messages.append(said(draw(WORDS), draw(WORDS), call))
            messages.append(Message(role="tool", content=draw(WORDS), tool_call_id=call.id, name="solve"))
        else:
            messages += [said("=" + draw(WORDS), draw(WORDS)), Message(role="user", content="Now " + draw(WORDS))]
    return trajectory(*messages, said("=" + draw(WORDS)))


@settings(max_examples=150, deadline=None)
@given(conversations())
def test_every_token_has_one_span_and_all_that_was_said_its_own_kind(one: Trajectory) -> None:
    segmenter = Segmenter(CHATML_TOKENIZER)
    assert faults(segmenter.place(one), chat_of(one), segmenter) == []


@pytest.mark.parametrize(
    "tokenizer", [CHATML_TOKENIZER, LLAMA3_TOKENIZER, MISTRAL_TOKENIZER], ids=["chatml", "llama", "mistral"]
)
@pytest.mark.parametrize("name", ["fireact", "react_prompts", "knowagent", "swe_agent_trajs"])
def test_public_trajectories_are_segmented_and_at_most_one_in_two_hundred_is_not(
    name: str, tokenizer: Any, shared_data: Path
) -> None:
    segmenter = Segmenter(tokenizer)
    found = read_trajectories([shared_data / name]).found[:250]
    failed = []
    for one in found:
        try:
            failed += faults(segmenter.place(one.trajectory), chat_of(one.trajectory), segmenter)[:1]
        except SpansInvalid as error:
            failed.append(f"{one.source}: {error}")
    # One of nine SWE-agent runs has text beside its calls, which Llama 3.1's template leaves out.
    allowed = 1 if name == "swe_agent_trajs" and tokenizer is LLAMA3_TOKENIZER else len(found) // 200
    assert len(failed) <= allowed, failed


def test_a_call_that_failed_is_learned_only_where_the_recipe_says_so() -> None:
    refused = Message(role="tool", content="Error: numbers must be 4 integers", tool_call_id="one", name="solve")
    again = ToolCall(id="two", name="solve", arguments={"numbers": [4, 9, 10, 13]})
    solved = Message(role="tool", content="(9 - 4)", tool_call_id="two", name="solve")
    one = trajectory(*ASKED, said("", "", CALL), refused, said("All four.", "", again), solved, said("(9 - 4)"))
    assert Segmenter(CHATML_TOKENIZER).place(one)[0].said == (4, 6)
    assert Segmenter(CHATML_TOKENIZER, mistakes="learned").place(one)[0].said == (2, 4, 6)


@pytest.mark.parametrize("result", ["Error: no such name", "Error:\nno such name"])
def test_code_that_failed_is_masked_as_a_call_is(result: str) -> None:
    code = ToolCall(id="c", name="python", arguments={"code": "solve()"})
    first = said("I compute.\n```python\nsolve()\n```", "", code)
    failed = Message(role="tool", content=result, tool_call_id="c", name="python")
    one = trajectory(*ASKED, first, failed, said("5"), language="code")
    assert [len(placed.turns) for placed in Segmenter(CHATML_TOKENIZER).place(one)] == [1]
    assert [len(placed.turns) for placed in Segmenter(CHATML_TOKENIZER, mistakes="learned").place(one)] == [2]
