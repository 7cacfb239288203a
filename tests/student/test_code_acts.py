"""Code acts: code that composes tools, with variables that last for one attempt and no longer."""

import asyncio

import pytest

from boxwright.errors import CallerMustHandle
from boxwright.sandbox import Sandbox
from boxwright_student import ToolOutcome, connect
from boxwright_student.code import CodeLimits, CodeResult, CodeSession
from boxwright_student.code.faults import MODULES
from boxwright_student.mcp_tools import box_server
from support.code_tools import CountingTools


async def observe(code: str, tools: CountingTools | None = None) -> str:
    """Run one act in a session of its own and return what the model is told."""
    async with CodeSession(tools or CountingTools()) as session:
        return (await session.act(code)).observation


async def test_one_act_composes_several_tools() -> None:
    tools = CountingTools()
    async with CodeSession(tools) as session:
        result = await session.act("twice = [double(n) for n in (1, 2)]\nprint(twice)\nadd(twice[0], right=twice[1])")
    assert (result.printed, result.value, result.fault) == ("[2, 4]\n", 6, "")
    assert result.observation == "[2, 4]\n6"
    made = [(one.call.name, one.call.arguments, one.outcome.value) for one in result.calls]
    assert made == [
        ("double", {"number": 1}, 2),
        ("double", {"number": 2}, 4),
        ("add", {"left": 2, "right": 4}, 6),
    ]
    assert len({one.call.id for one in result.calls}) == 3


async def test_code_composes_the_tools_of_a_box_over_mcp(sandbox: Sandbox) -> None:
    async with connect({"boxwright": box_server("--box", "game_of_24")}) as tools, CodeSession(tools) as session:
        result = await session.act(
            "for numbers in ([1, 1, 1, 1], [4, 9, 10, 13]):\n"
            "    try:\n        found = game_of_24__solve(numbers)\n"
            "    except ValueError as error:\n        print(error)\n"
            "if game_of_24__check(found, numbers)['correct']:\n    final_answer(found)"
        )
    assert (result.answer, len(result.calls)) == ("(4 - 10) * (9 - 13)", 3)
    assert "cannot be made" in result.printed


async def test_variables_functions_and_classes_last_from_act_to_act() -> None:
    async with CodeSession(CountingTools()) as session:
        await session.act(
            "class P:\n    def __init__(self, x):\n        self.x = x\np = P(3)\nshared = [p, p]\nd = double"
        )
        await session.act("def more(n):\n    return d(n) + p.x")
        assert (await session.act("(more(5), shared[0] is shared[1])")).value == (13, True)


async def test_variables_never_reach_another_attempt() -> None:
    async with CodeSession(CountingTools()) as first, CodeSession(CountingTools()) as second:
        await first.act("secret = 1")
        assert "name 'secret' is not defined" in (await second.act("secret")).fault


async def test_an_act_that_fails_leaves_the_variables_as_they_were() -> None:
    async with CodeSession(CountingTools()) as session:
        await session.act("x = [1]")
        failed = await session.act("x.append(2)\ny = 1\n1 / 0")
        assert failed.observation.startswith("line 3: 1 / 0\n        ^\nZeroDivisionError: division by zero")
        assert "variables are as they were" in failed.observation
        assert (await session.act("x")).value == [1]
        assert "name 'y' is not defined" in (await session.act("y")).fault


async def test_a_tool_that_fails_raises_what_it_said_and_code_may_catch_it() -> None:
    tools = CountingTools()
    assert "ValueError: number must be at most 1000, got 2000" in await observe("double(2000)", tools)
    caught = "try:\n    double(2000)\nexcept ValueError as error:\n    print('caught', error)"
    assert await observe(caught, tools) == "caught number must be at most 1000, got 2000"


async def test_a_tool_set_that_cannot_be_reached_is_no_fault_of_the_code() -> None:
    class Gone(CountingTools):
        async def call(self, name: str, arguments: dict[str, object]) -> ToolOutcome:
            raise CallerMustHandle("the server is gone")

    async with CodeSession(Gone()) as session:
        with pytest.raises(CallerMustHandle, match="is gone"):
            await session.act("try:\n    double(1)\nexcept BaseException:\n    pass")
        assert (await session.act("1")).value == 1


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("double()", "missing a required argument: 'number'; the signature is double(number: int) -> int"),
        ("double(1, 2)", "too many positional arguments"),
        ("double(1, numbr=2)", "unexpected keyword argument 'numbr'"),
        ("double(1, number=2)", "multiple values for argument 'number'"),
        ("double(float('nan'))", "is no finite number"),
        ("say(b'x')", "a value of type bytes has no form in JSON"),
        ("point({(1, 2): 3})", "the keys of a dict must be strings"),
    ],
)
async def test_wrong_arguments_are_told_and_call_nothing(code: str, told: str) -> None:
    tools = CountingTools()
    assert told in await observe(code, tools)
    assert tools.calls == []


async def test_arguments_go_by_position_by_name_and_by_the_names_of_the_schema() -> None:
    tools = CountingTools()
    async with CodeSession(tools) as session:
        await session.act("write_down('a')\nwrite_down(the_text='a')\nwrite_down(**{'the-text': 'a'})\nadd(1, None)")
    assert tools.calls == ['["write-down",{"the-text":"a"}]'] * 3 + ['["add",{"left":1}]']


async def test_values_of_python_reach_tools_as_json() -> None:
    tools = CountingTools()
    await observe(
        "from decimal import Decimal\nimport datetime\nclass P:\n    def __init__(self):\n        self.a = (1, None)\n"
        "say([Decimal('1.5'), datetime.date(2020, 1, 2), {3, 1, 2}, P(), {1: True}])",
        tools,
    )
    assert tools.calls == ['["say",{"text":[1.5,"2020-01-02",[1,2,3],{"a":[1,null]},{"1":true}]}]']


async def test_structured_results_are_values_and_text_is_text() -> None:
    async with CodeSession(CountingTools()) as session:
        assert (await session.act("point(4)['x'] + len(point(4)['tags'])")).value == 7
        assert (await session.act("say('1')")).value == "said 1"


@pytest.mark.parametrize("call", ["final_answer({})", "final_answer(answer={})"])
async def test_the_final_answer_ends_the_act_with_its_value(call: str) -> None:
    async with CodeSession(CountingTools()) as session:
        result = await session.act(f"x = double(21)\n{call.format('x')}\nprint('never')")
    assert (result.answered, result.value, result.answer, result.printed) == (True, 42, "42", "")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("[1, 'é']", '[1, "é"]'),
        ("'  a '", "  a "),
        ("1/4", "0.25"),
        ("(1, 2)", "[1, 2]"),
        ("1, 2", "[1, 2]"),
        ("None", "None"),
    ],
)
async def test_an_answer_has_a_text(answer: str, text: str) -> None:
    async with CodeSession(CountingTools()) as session:
        assert (await session.act(f"final_answer({answer})")).answer == text


async def test_a_final_answer_without_an_answer_is_told() -> None:
    assert "final_answer() takes the answer" in await observe("final_answer()")


@pytest.mark.parametrize(
    "code",
    [
        "double = 3",
        "def final_answer(x):\n    print(x)\nfinal_answer(1)",
        "import math as add",
        "for say in [1]:\n    pass",
    ],
)
async def test_a_given_function_that_is_hidden_is_told_and_comes_back(code: str) -> None:
    async with CodeSession(CountingTools()) as session:
        assert "is a function you were given" in (await session.act(code)).fault
        assert (await session.act("final_answer(add(double(1)))")).answer == "3"


async def test_given_functions_are_values_too() -> None:
    async with CodeSession(CountingTools()) as session:
        await session.act("todo = [double, add]")
        assert (await session.act("[one(4) for one in todo]")).value == [8, 5]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("x = (1,\ny = 2 3", "line 2: y = 2 3\n          ^\nSyntaxError: Expected `,`, found `=`"),
        ("print 'x'", "print is a function"),
        ("class A(Exception):\n    pass", "Hint: write plain functions and dicts"),
        ("def f():\n    yield 1", "Hint: build a list"),
        ("sorted([1], key=double)", "Hint: call the tool in a for loop"),
        ("await double(1)", "Hint: call tools without await"),
        ("doubel(1)", "name 'doubel' is not defined; did you mean 'double'?"),
        ("input('?')", "Hint: nobody can type"),
        ("x = “a”", "Hint: use straight quotes"),
        ("x = 3\nx()", "a variable may hide the function"),
        ("def f():\n    return 1 / 0\nf()", "line 2 in f: return 1 / 0\n                    ^\nZeroDivisionError"),
        ("from fractions import Fraction", "No module named 'fractions' here. There are: base64, "),
        ("x = 1", "nothing was printed"),
    ],
)
async def test_what_goes_wrong_is_told_with_a_way_out(code: str, told: str) -> None:
    assert told in await observe(code)


async def test_a_missing_module_points_to_the_tool_for_full_python() -> None:
    class Python(CountingTools):
        definitions = (
            *CountingTools.definitions,
            CountingTools.definitions[2].model_copy(update={"name": "python__run"}),
        )

    assert "for numpy call the tool python__run" in await observe("import numpy as np", Python())


async def test_the_modules_that_are_named_are_there() -> None:
    assert await observe("".join(f"import {name}\n" for name in MODULES) + "print('all')") == "all"


async def test_a_candidate_changes_nothing_until_it_is_kept() -> None:
    async with CodeSession(CountingTools(), candidates=4) as session:
        await session.act("items = [0]")
        results = await asyncio.gather(*(session.run(f"items.append({n})\nitems") for n in range(6)))
        assert [one.value for one in results] == [[0, n] for n in range(6)]
        assert (await session.act("items")).value == [0]
        session.keep(results[3])
        assert (await session.act("items")).value == [0, 3]


async def test_code_stops_before_a_call_that_may_not_be_made() -> None:
    tools = CountingTools()
    async with CodeSession(tools) as session:
        code = "n = double(2)\ntry:\n    write_down('x' * n)\nexcept BaseException:\n    print('no')"
        result = await session.run(code, may_call=tools.read_only)
    assert result.blocked is not None
    assert (result.blocked.name, result.blocked.arguments) == ("write-down", {"the-text": "xxxx"})
    assert tools.calls == ['["double",{"number":2}]']


async def test_chance_and_time_do_not_make_runs_differ() -> None:
    code = "import random, time\ntime.sleep(3600)\n[random.random() for _ in range(3)]"
    async with CodeSession(CountingTools()) as one, CodeSession(CountingTools()) as other:
        assert (await one.act(code)).value == (await other.act(code)).value


async def test_long_output_is_cut_and_told() -> None:
    async with CodeSession(CountingTools(), CodeLimits(characters=100)) as session:
        result = await session.act("print('a' * 1000)\n'b' * 500")
    assert result.observation.count("a") < 110
    assert "1001 characters, of which 100 are shown" in result.observation
    assert "500 characters, of which 100 are shown" in result.observation


async def test_an_act_is_an_outcome() -> None:
    assert CodeResult(value=3, observation="3").outcome == ToolOutcome("3", value=3)
    assert CodeResult(fault="no", observation="no").outcome.failed
