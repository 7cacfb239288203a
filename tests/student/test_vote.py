"""Self-consistent actions: who wins, what is tried, and that nothing is done twice."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from boxwright.errors import CallerMustHandle
from boxwright.models import ToolCall, Usage
from boxwright_student import ToolOutcome
from boxwright_student.ballots import answer_key, result_key
from boxwright_student.code import CodeSession
from boxwright_student.vote import Election, Sample, elect
from support.code_tools import CountingTools

WRITE = '["write-down",{"the-text":"a"}]'


def calls(*wanted: tuple[str, dict[str, Any]]) -> Sample:
    """Return a sample that makes calls."""
    return Sample(
        calls=tuple(ToolCall(id=str(n), name=name, arguments=given) for n, (name, given) in enumerate(wanted))
    )


def double(number: int) -> Sample:
    return calls(("double", {"number": number}))


def write(text: str = "a") -> Sample:
    return calls(("write-down", {"the-text": text}))


async def vote(tools: CountingTools, *samples: Sample, code: CodeSession | None = None) -> Election:
    """Elect over the tools."""

    async def make(call: ToolCall) -> ToolOutcome:
        return await tools.call(call.name, call.arguments)

    schemas = {tool.name: tool.output_schema for tool in tools.definitions}
    return await elect(samples, make, tools.read_only, run_code=code.run if code else None, schemas=schemas)


async def vote_code(tools: CountingTools, *codes: str, state: str = "x = 1") -> Election:
    """Elect among acts of code."""
    async with CodeSession(tools, candidates=4) as session:
        await session.act(state)
        election = await vote(tools, *(Sample(code=code) for code in codes), code=session)
        assert (await session.act("x")).value == 1, "the vote changed the attempt's variables"
        return election


async def test_the_largest_group_wins_and_its_result_is_used() -> None:
    tools = CountingTools()
    election = await vote(tools, double(1), double(2), calls(("add", {"left": 3})), double(2))
    assert (election.winner, election.votes) == (1, 3)
    assert election.groups == ((1, 2, 3), (0,))
    assert [one.value for one in election.outcomes] == [4]
    assert sorted(tools.calls) == ['["add",{"left":3}]', '["double",{"number":1}]', '["double",{"number":2}]']


async def test_equal_calls_run_once_however_their_arguments_are_ordered() -> None:
    tools = CountingTools()
    one, other = calls(("add", {"left": 1, "right": 2})), calls(("add", {"right": 2, "left": 1}))
    assert (await vote(tools, one, other, one, other)).votes == 4
    assert len(tools.calls) == 1


async def test_ties_go_to_the_earliest() -> None:
    assert (await vote(CountingTools(), double(1), double(2), double(2), double(1))).winner == 0


async def test_errors_win_over_nothing_and_the_earliest_is_used_where_all_failed() -> None:
    tools = CountingTools()
    assert (await vote(tools, double(2000), double(2000), double(2000), double(1))).winner == 3
    election = await vote(tools, Sample(), double(3000), double(2000), double(2000))
    assert (election.winner, election.votes) == (1, 0)
    assert election.outcomes[0].text == "number must be at most 1000, got 3000"


async def test_what_could_not_be_read_counts_as_an_error() -> None:
    unread = Sample(fault="no JSON")
    assert (await vote(CountingTools(), unread, unread, double(1))).winner == 2
    election = await vote(CountingTools(), Sample(), unread)
    assert (election.winner, election.outcomes) == (1, ())


@pytest.mark.parametrize("silence", [Sample(), Sample(answer=""), Sample(answer=" \n")])
async def test_silence_never_wins(silence: Sample) -> None:
    assert (await vote(CountingTools(), silence, silence, double(2000))).winner == 2
    assert (await vote(CountingTools(), silence, silence, Sample(answer="a"))).winner == 2
    assert (await vote(CountingTools(), silence, silence)).winner == 0


async def test_answers_and_calls_are_counted_beside_each_other() -> None:
    answers = [Sample(answer="The answer is **24**."), Sample(answer="24.0")]
    assert (await vote(CountingTools(), double(1), *answers)).winner == 1
    assert (await vote(CountingTools(), double(1), *answers, double(1), double(1))).winner == 0


async def test_a_tool_that_changes_something_is_not_tried_and_done_once_where_it_wins() -> None:
    tools = CountingTools()
    election = await vote(tools, write(), double(1), write(), write("b"))
    assert (election.winner, election.votes, election.outcomes[0].value) == (0, 2, 1)
    assert tools.calls == ['["double",{"number":1}]', WRITE]
    tools = CountingTools()
    assert (await vote(tools, double(1), write(), double(1))).winner == 0
    assert tools.calls == ['["double",{"number":1}]']


async def test_calls_of_one_completion_are_one_candidate() -> None:
    tools = CountingTools()
    pair = calls(("double", {"number": 1}), ("double", {"number": 2}))
    election = await vote(tools, double(1), pair, pair)
    assert (election.winner, [one.value for one in election.outcomes]) == (1, [2, 4])
    assert len(tools.calls) == 2
    half_failed = calls(("double", {"number": 1}), ("double", {"number": 2000}))
    assert (await vote(tools, half_failed, half_failed, double(1))).winner == 2


async def test_an_untried_winner_is_done_in_order_and_makes_no_call_again_that_still_holds() -> None:
    tools = CountingTools()
    number = ("double", {"number": 1})
    mixed = calls(number, ("write-down", {"the-text": "a"}), number)
    election = await vote(tools, mixed, mixed, double(1))
    assert [one.value for one in election.outcomes] == [2, 1, 2]
    assert tools.calls == ['["double",{"number":1}]', WRITE, '["double",{"number":1}]']


async def test_one_sample_is_the_plain_way() -> None:
    for sample, value in ((double(1), 2), (write(), 1)):
        tools = CountingTools()
        election = await vote(tools, sample)
        assert (election.votes, election.outcomes[0].value, len(tools.calls)) == (1, value, 1)
    assert (await vote(CountingTools(), double(2000))).outcomes[0].failed


async def test_the_cost_is_that_of_all_samples() -> None:
    used = [Sample(answer="a", usage=Usage(prompt_tokens=10, completion_tokens=n, dollars=0.5)) for n in (1, 2, 3)]
    usage = (await vote(CountingTools(), *used)).usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.dollars) == (30, 6, 1.5)


async def test_a_call_that_hangs_ends_with_the_attempt_and_leaves_nothing_running() -> None:
    tools = CountingTools()
    hang = calls(("hang", {}))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await vote(tools, double(1), hang, hang)
    assert (len(tools.calls), tools.hanging) == (2, 0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_code_that_hangs_ends_with_the_attempt_and_leaves_nothing_running() -> None:
    tools = CountingTools()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await vote_code(tools, "hang()", "print(hang())", "while True:\n    pass", "double(1)")
    assert (sorted(tools.calls), tools.hanging) == (['["double",{"number":1}]', '["hang",{}]'], 0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_tools_that_cannot_be_reached_end_the_vote() -> None:
    class Gone(CountingTools):
        async def call(self, name: str, arguments: dict[str, Any]) -> ToolOutcome:
            raise CallerMustHandle("the server is gone")

    with pytest.raises(CallerMustHandle, match="is gone"):
        await vote(Gone(), double(1), double(1), double(2))


async def test_code_is_elected_by_value_and_calls_are_made_once_across_candidates() -> None:
    tools = CountingTools()
    election = await vote_code(
        tools,
        "final_answer(double(7) + 1)",
        "x += double(7)\nfinal_answer(x)",
        "y = double(7)\nfinal_answer(y / 2)",
        "final_answer(f'The answer is {double(7) + 1}')",
    )
    assert (election.winner, election.groups) == (0, ((0, 1, 3), (2,)))
    assert election.result is not None
    assert election.result.answer == "15"
    assert tools.calls == ['["double",{"number":7}]']


async def test_candidates_of_code_do_not_see_each_other() -> None:
    election = await vote_code(CountingTools(), "x += 1\nprint(x)", "x += 1\nprint(x )", "x += 1\nprint( x)")
    assert election.votes == 3
    assert election.result is not None
    assert election.result.printed == "2\n"


async def test_code_that_changes_something_stops_before_it_and_goes_on_where_it_wins() -> None:
    tools = CountingTools()
    code = "n = double(2)\nwrite_down('a')\nprint(n, double(2))"
    election = await vote_code(tools, code, f"# again\n{code}", "write_down('b')", "1 / 0")
    assert (election.winner, election.groups) == (0, ((0, 1), (2,)))
    assert election.result is not None
    assert election.result.printed == "4 4\n"
    assert tools.calls == ['["double",{"number":2}]', WRITE, '["double",{"number":2}]']


async def test_the_winning_code_s_variables_can_be_kept() -> None:
    tools = CountingTools()
    async with CodeSession(tools, candidates=2) as session:
        election = await vote(tools, Sample(code="y = double(3)\ny"), Sample(code="y = 6\ny"), code=session)
        assert election.result is not None
        session.keep(election.result)
        assert (await session.act("y + 1")).value == 7


async def test_code_that_shows_nothing_agrees_only_with_the_same_code() -> None:
    assert (await vote_code(CountingTools(), "y = 1", "y = 2", "z = 3", "y = 2")).winner == 1


async def test_code_that_fails_never_wins_over_code_that_does_not() -> None:
    election = await vote_code(CountingTools(), "1 / 0", "1 / 0", "y =", "print(3)")
    assert election.winner == 3
    failed = await vote_code(CountingTools(), "1 / 0", "y =")
    assert failed.result is not None
    assert "ZeroDivisionError" in failed.result.fault


@pytest.mark.parametrize(
    "same",
    [
        (24, 24.0, "24", " 24. ", "**24**", "The answer is 24", "Final answer: $24$", r"so \boxed{24}", "24.000"),
        (0.1 + 0.2, 0.3, "0.3", "0.30000000000000004"),
        (1234567, "1,234,567", 1234567.0),
        ("Paris", "paris", "The answer is: Paris.", "Answer: PARIS"),
        ([1, 2], (1, 2), "[1, 2]", [1.0, 2]),
        ({"a": 1, "b": 2}, '{"b": 2.0, "a": 1}'),
        (True, "true", "True"),
        (-0.0, 0, "0"),
    ],
)
def test_the_same_answer_in_other_forms_is_the_same(same: Sequence[Any]) -> None:
    assert len({answer_key(one) for one in same}) == 1


def test_different_answers_are_different() -> None:
    different = [24, "25", 24.001, "2.4", [2, 1], [1, 2], "a", None, True, 1, 2**80, 2**80 + 1, float("inf"), "a b"]
    assert len({answer_key(one) for one in different}) == len(different)


def test_results_are_compared_by_value_and_order_counts_unless_the_schema_says_otherwise() -> None:
    unique = {"type": "array", "uniqueItems": True, "items": {"type": "number"}}
    one, other = ToolOutcome("", value=[1, 2.0000000000001]), ToolOutcome("", value=[2, 1])
    assert result_key(one, unique) == result_key(other, unique)
    assert result_key(one, {"type": "array"}) != result_key(other, {"type": "array"})
    nested = {"type": "object", "properties": {"found": {"$ref": "#/$defs/S"}}, "$defs": {"S": unique}}
    assert result_key(ToolOutcome("", value={"found": [3, 1]}), nested) == result_key(
        ToolOutcome("", value={"found": [1, 3]}), nested
    )


def test_results_that_are_only_text_are_compared_as_what_they_hold() -> None:
    assert result_key(ToolOutcome("x is 0.30000000000000004 m")) == result_key(ToolOutcome("x  is 0.3 m\n"))
    assert result_key(ToolOutcome('{"a": 1, "b": 2}')) == result_key(ToolOutcome('{"b":2.0,"a":1}'))
    assert result_key(ToolOutcome("v1.2.3")) != result_key(ToolOutcome("v1.2.30"))


def test_results_nested_too_deeply_are_compared_as_text() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    assert result_key(ToolOutcome("a", value=deep)) != result_key(ToolOutcome("b", value=deep))
    assert result_key(ToolOutcome("[" * 500 + "]" * 500)) != result_key(ToolOutcome("[]"))


async def test_candidates_of_code_may_be_the_first_acts_of_an_attempt() -> None:
    tools = CountingTools()
    async with CodeSession(tools, candidates=8) as session:
        samples = [Sample(code=f"double({n % 2})") for n in range(8)]
        election = await vote(tools, *samples, code=session)
    assert (election.votes, len(tools.calls)) == (4, 2)


@pytest.mark.parametrize("kind", ["calls", "code"])
async def test_a_candidate_that_hangs_is_left_behind_once_it_cannot_change_the_winner(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boxwright_student.vote.PATIENCE_SECONDS", 0.05)
    tools = CountingTools()
    if kind == "calls":
        election = await vote(tools, calls(("hang", {})), double(2), double(2))
    else:
        election = await vote_code(tools, "hang()", "double(2)", "double(2)")
    assert (election.winner, election.groups) == (1, ((1, 2),))
    assert tools.hanging == 0


async def test_a_candidate_that_may_still_change_the_winner_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boxwright_student.vote.PATIENCE_SECONDS", 0.05)
    tools = CountingTools()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await vote(tools, calls(("hang", {})), double(2))
    assert tools.hanging == 0
