"""What holds of every vote, whatever the samples are."""

import asyncio
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from boxwright.models import ToolCall
from boxwright_student import ToolOutcome
from boxwright_student.ballots import answer_key, rounded
from boxwright_student.vote import Election, Sample, elect
from support.code_tools import CountingTools


def _call(name: str, **arguments: Any) -> ToolCall:
    return ToolCall(id="c", name=name, arguments=arguments)


CALLS = st.sampled_from(
    [
        _call("double", number=1),
        _call("double", number=2),
        _call("add", left=1),
        _call("double", number=2000),
        _call("write-down", **{"the-text": "a"}),
        _call("write-down", **{"the-text": "b"}),
    ]
)
SAMPLES = st.lists(
    st.one_of(
        st.lists(CALLS, min_size=1, max_size=2).map(lambda calls: Sample(calls=tuple(calls))),
        st.sampled_from(["", "2", "2.0", "two", "The answer is 2"]).map(lambda text: Sample(answer=text)),
        st.just(Sample(fault="no JSON")),
    ),
    min_size=1,
    max_size=8,
)


def vote(samples: list[Sample]) -> tuple[Election, CountingTools]:
    """Elect, and return what was called as well."""
    tools = CountingTools()

    async def make(call: ToolCall) -> ToolOutcome:
        return await tools.call(call.name, call.arguments)

    return asyncio.run(elect(samples, make, tools.read_only)), tools


def kind(sample: Sample) -> str:
    """Return what a sample is worth by itself."""
    tried = all(call.name != "write-down" for call in sample.calls)
    if sample.fault or (tried and any(call.arguments.get("number") == 2000 for call in sample.calls)):
        return "error"
    return "something" if sample.calls or (sample.answer or "").strip() else "nothing"


@settings(deadline=None)
@given(SAMPLES, st.randoms())
def test_the_order_of_samples_changes_only_ties(samples: list[Sample], random: Any) -> None:
    shuffled = random.sample(samples, len(samples))
    (one, _), (other, _) = vote(samples), vote(shuffled)
    sizes = [sorted(map(len, election.groups)) for election in (one, other)]
    assert sizes[0] == sizes[1]
    if one.groups and sizes[0].count(one.votes) == 1:
        ours, theirs = (
            [pool[place] for place in election.groups[0]] for pool, election in ((samples, one), (shuffled, other))
        )
        assert Counter(map(repr, ours)) == Counter(map(repr, theirs))


@settings(deadline=None)
@given(SAMPLES)
def test_errors_and_silence_never_win_over_anything(samples: list[Sample]) -> None:
    election, _ = vote(samples)
    worth = {"nothing": 0, "error": 1, "something": 2}
    assert worth[kind(samples[election.winner])] == max(worth[kind(one)] for one in samples)
    assert election.winner == min(election.groups[0]) if election.groups else True


@settings(deadline=None)
@given(SAMPLES)
def test_what_changes_something_is_done_by_the_winner_alone_and_the_rest_at_most_once(samples: list[Sample]) -> None:
    election, tools = vote(samples)
    made = Counter(tools.calls)
    winner = samples[election.winner]
    writes = Counter(call for call in tools.calls if "write-down" in call)
    assert writes.total() == sum(call.name == "write-down" for call in winner.calls)
    again = sum(count - 1 for call, count in made.items() if "write-down" not in call)
    assert again <= len(winner.calls) if writes else again == 0
    assert len(election.outcomes) == len(winner.calls)


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(st.recursive(NUMBERS | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)))
def test_rounding_twice_changes_nothing(value: Any) -> None:
    assert rounded(rounded(value)) == rounded(value)


@given(st.floats(min_value=1e-6, max_value=1e6), st.integers(min_value=-2, max_value=2))
def test_the_last_digits_of_a_float_do_not_part_answers(number: float, ulps: int) -> None:
    """A neighbour may round to the other side; nearly all do not, and those that do differ in the last digit."""
    near = number * (1 + ulps * 2.0**-52)
    left, right = float(answer_key(number)), float(answer_key(near))
    assert abs(left - right) <= 1.01e-11 * number
