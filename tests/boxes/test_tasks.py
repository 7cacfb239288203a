"""Game of 24 and its exact scorer; the user's own tasks."""

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwright.errors import NotFound, TasksInvalid
from boxwright.tasks import Task, load_suite, score
from boxwright.tasks.expressions import NotAnExpression, evaluate
from boxwright.tasks.task import SPLITS

GAME = load_suite("game24")
TASK = GAME.task("game24-4-9-10-13")


def test_the_suite_holds_1362_puzzles_each_in_one_split() -> None:
    assert len(GAME.tasks) == 1362
    assert sum(len(GAME.split(one)) for one in SPLITS) == 1362
    assert len({task.numbers for task in GAME.tasks}) == 1362


def test_the_suite_is_the_published_one(shared_data: Path) -> None:
    with (shared_data / "game24" / "24.csv").open() as stream:
        published = {tuple(sorted(map(int, row["Puzzles"].split()))) for row in csv.DictReader(stream)}
    assert {task.numbers for task in GAME.tasks} == published


@pytest.mark.parametrize(
    "answer",
    [
        "(13-9)*(10-4)",
        "(13 − 9) × (10 − 4) = 24",
        "(13 - 9) · (10 – 4)",
        "[13-9]*{10-4}",
        "24 = (13-9)*(10-4)",
        "(13-9)*(10-4) = 4*6 = 24",
        r"The answer is \boxed{(13-9) \times (10-4)}.",
        r"\[ \boxed{\left(13-9\right)\cdot\left(10-4\right) = 24} \]",
        "First 13-9=4, then 10-4=6, and 4*6=24. So (13-9)*(10-4) = 24.",
        "Use (13-9)*(10-4). Check: 13-9=4, 10-4=6 and 4*6=24.",
        "**Answer:** `(13-9)*(10-4)`",
        "Answer: (13-9)*(10-4)\n\nThat uses 4, 9, 10 and 13 once each.",
        "1. (13-9)*(10-4)",
        "- (13-9)*(10-4)\n- done",
        "((((((13-9)*(10-4)))))) makes 24!",
        "I get 24 with (13-9)*(10-4), since 13-9 is 4.",
        "**(10-4)*(13-9) = 24**",
        "**Answer:** **(10-4) * (13-9)**",
        "*(10-4)*(13-9)*",
        "(10-4) x (13-9)",
        "(10-4) X (13-9) = 24!",
        "(10 - 4) • (13 - 9)",
        r"(10-4) \* (13-9)",
        "（10－4）＊（13－9）＝24",
        "(10\u2009-\u20094)\u202f×\u202f(13-9)",
        "(10-4)*(13-9) = 24.0",
        "1) (10-4)*(13-9)",
        "(10-4)*(13-9) = 24 (6*4 = 24)",
        "(10-4)*(13-9) = 24.",
        "Answer: $(10-4)*(13-9)$",
    ],
)
def test_the_usual_notations_are_read(answer: str) -> None:
    outcome = score(TASK, answer)
    assert outcome.right, outcome.reason


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "no answer"),
        ("   ", "no answer"),
        ("no idea", "no expression"),
        ("24", "no expression"),
        ("4*(10-4)", "uses 4, 4, 10, not"),
        ("(13-9)*(10-4)*1", "uses 1, 4, 9"),
        ("(13-9)*(10-4)/4*4", "uses 4, 4, 4"),
        ("13**9-10-4", "'**'"),
        ("13^9-10-4", "'^'"),
        ("(13-9)(10-4)", "should"),
        ("49-13-10-4", "uses 4, 10, 13, 49"),
        ("(13-9)*(10-4)=24-1", "claims to be equal to 23"),
        ("(13-9)*(10-4)=25", "claims to be equal to 25"),
        ("(13-9)*(10-4.00001)", "whole number"),
        ("-4+9+10+13", "should"),
        ("13/0*4*9", "divides by zero"),
        ("13+10+4-9", "makes 18"),
        ("x" * 30_000, "more than"),
        ("(" * 500 + "13", "no expression"),
        ("(13-9)*(10-4)!", "'!'"),
        ("(13-9)*(10-4)²", "²"),
        ("(13-9)*(10-4)%100", "%100"),
        ("(13-9)*(10-4).5", "5"),
        ("(13-9)*(10-4)e0", "e0"),
        ("log(10-4)*(13-9)", "log"),
        ("√(10-4)*(13-9)", "√"),
        ("1" * 1000 + "+" * 1000, "no expression"),
        ("__import__('os').system('id') + 4 - 9", "should"),
    ],
)
def test_everything_else_is_refused_with_the_reason(answer: str, reason: str) -> None:
    outcome = score(TASK, answer)
    assert not outcome.right
    assert reason in outcome.reason


def test_what_is_nearly_24_is_not_24() -> None:
    nearly = Task(id="n", prompt="p", scorer="game24", split="dev", numbers=(24, 1, 99999, 100000))
    outcome = score(nearly, "24*99999/100000*1")
    assert not outcome.right
    assert outcome.reason.endswith("makes 299997/12500, not 24")  # 23.99976


def test_a_solution_through_fractions_is_exact() -> None:
    task = GAME.task("game24-3-3-8-8")
    assert score(task, "8/(3-8/3)").right
    assert score(task, r"\boxed{\frac{8}{3-\frac{8}{3}}}").right
    assert score(task, r"\cfrac{8}{3-\frac83}").right


@given(st.text(alphabet="0123456789+-*/() =.×÷", max_size=60))
def test_no_text_makes_the_scorer_fail(text: str) -> None:
    score(TASK, text)


@given(
    st.recursive(
        st.integers(1, 13).map(str),
        lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda p: f"({p[0]}{p[1]}{p[2]})"),
        max_leaves=6,
    )
)
def test_the_reader_computes_as_python_does(text: str) -> None:
    assert evaluate(text).value == eval(text)


def test_deep_and_long_expressions_are_refused() -> None:
    with pytest.raises(NotAnExpression, match="deep"):
        evaluate("(" * 60 + "1" + ")" * 60)
    with pytest.raises(NotAnExpression, match="characters"):
        evaluate("1+" * 300 + "1")


@pytest.mark.parametrize(
    ("scorer", "wanted", "answer", "right"),
    [
        ("number", "18", "She makes $18 every day.", True),
        ("number", "1,200", r"\boxed{1200}", True),
        ("number", "18", "about 17", False),
        ("number", "18", "none", False),
        ("exact", "Paris", "The answer is Paris.", True),
        ("exact", "Paris", "paris", True),
        ("number", "1234.5", r"\boxed{1{,}234.5}", True),
        ("number", "1234.5", "Answer: 1234.5 (3 steps)", True),
        ("exact", "Tuesday", "**Tuesday**", True),
        ("exact", "Tuesday", '"Tuesday".', True),
        ("exact", "Tuesday", r"\boxed{\text{Tuesday}}", True),
        ("exact", "Paris", "Lyon", False),
    ],
)
def test_the_other_scorers(scorer: str, wanted: str, answer: str, right: bool) -> None:
    task = Task.model_validate({"id": "t", "prompt": "p", "scorer": scorer, "split": "dev", "answer": wanted})
    assert score(task, answer).right is right


def write_tasks(path: Path, *rows: object) -> str:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return str(path)


def test_a_file_of_tasks_is_a_suite(tmp_path: Path) -> None:
    row = {"id": "a", "prompt": "2+2?", "scorer": "number", "split": "dev", "answer": "4"}
    suite = load_suite(write_tasks(tmp_path / "mine.jsonl", row))
    assert (suite.name, suite.tasks[0].answer) == ("mine", "4")


def test_all_faults_of_a_tasks_file_are_reported(tmp_path: Path) -> None:
    path = write_tasks(
        tmp_path / "t.jsonl", {"id": "a"}, "not json", {"id": "", "prompt": "p", "scorer": "magic", "split": "dev"}
    )
    with pytest.raises(TasksInvalid) as caught:
        load_suite(path)
    assert any(fault.startswith("line 1: prompt") for fault in caught.value.faults)
    assert any(fault.startswith("line 2") for fault in caught.value.faults)
    assert any(fault.startswith("line 3: scorer") for fault in caught.value.faults)
    for row in ({"scorer": "number", "answer": "seven"}, {"scorer": "exact"}, {"scorer": "game24"}):
        with pytest.raises(TasksInvalid, match="line 1"):
            load_suite(write_tasks(tmp_path / "t.jsonl", {"id": "a", "prompt": "p", "split": "dev", **row}))


def test_a_task_in_two_splits_is_refused_even_with_other_numbers(tmp_path: Path) -> None:
    base = {"prompt": "Tom has 3 apples.", "scorer": "number", "answer": "1"}
    path = write_tasks(
        tmp_path / "t.jsonl",
        {**base, "id": "a", "split": "build"},
        {**base, "id": "b", "split": "test", "prompt": "Tom has 1,200.5  apples."},
        {**base, "id": "a", "split": "build"},
    )
    with pytest.raises(TasksInvalid, match="but for numbers") as caught:
        load_suite(path)
    assert any("stands twice" in fault for fault in caught.value.faults)


def test_unknown_suites_and_tasks_name_what_comes_near() -> None:
    with pytest.raises(NotFound, match="did you mean 'game24'"):
        load_suite("game-24")
    with pytest.raises(NotFound, match="did you mean 'game24-4-9-10"):
        GAME.task("game24-4-9-10-99")
