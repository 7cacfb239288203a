"""Code is found in every form that small models write it in, and prose is an answer."""

import pytest

from boxwright_student.code import answer_of, read_code


@pytest.mark.parametrize(
    "text",
    [
        "```python\nx = 1\nprint(x)\n```",
        "Thought: I compute.\n\n```py\nx = 1\nprint(x)\n```<end_code>",
        "Thought: I compute.\nCode:\n```py\nx = 1\nprint(x)\n```<end_code>\nObservation: 1\nThought: done",
        "```tool_code\nx = 1\nprint(x)\n```",
        "```Python3 \nx = 1\nprint(x)```",
        "I compute.\n<code>\nx = 1\nprint(x)\n</code>",
        "<code>\nx = 1\nprint(x)",
        "<tool_code>x = 1\nprint(x)</tool_code>",
        "```python\nx = 1\nprint(x)",
        "```python\nx = 1\nprint(x)\n<end_code>",
        "Thought: so\nCode:\nx = 1\nprint(x)\n<end_code>",
        "**Code:**\nx = 1\nprint(x)\nObservation: 1",
        "```\nx = 1\nprint(x)\n```",
        "   ```python\n   x = 1\n   print(x)\n   ```",
        "```python\nx = 1\n```\nthen\n```python\nprint(x)\n```",
        "```python\nx = 1\nprint(x)\n```\nObservation: 7\n\n```python\nfinal_answer(7)\n```",
        "```json\n{}\n```\n```python\nx = 1\nprint(x)\n```\n```\n1\n```",
    ],
)
def test_code_is_read(text: str) -> None:
    assert read_code(text) == "x = 1\nprint(x)"


@pytest.mark.parametrize(
    "text",
    [
        "The answer is 24.",
        "",
        "  \n",
        "Thought: it is clear.\nAnswer: 24",
        '```json\n{"a": 1}\n```',
        "```\n(4 - 10) * (9 - 13)\n```",
        "```python\n\n```",
        "I would call double(3), which gives 6.",
        "Code: see above",
        "`x = 1`",
    ],
)
def test_prose_is_no_code(text: str) -> None:
    assert read_code(text, ["double"]) == ""


@pytest.mark.parametrize(
    "text", ["final_answer(24)", "x = double(3)\nprint(x)", "print(double(3))", " double(\n  3\n)"]
)
def test_a_bare_call_of_a_known_function_is_code(text: str) -> None:
    assert read_code(text, ["double"]) == text.strip()


def test_code_in_one_line_of_fences_is_read() -> None:
    assert read_code("```python print(double(3))```") == "print(double(3))"


def test_observations_before_any_code_are_the_users() -> None:
    text = "Observation: it was 7.\nCode:\n```py\nfinal_answer(7)\n```"
    assert read_code(text) == "final_answer(7)"


@pytest.mark.parametrize("text", ["Thought: so\nAnswer: 24", "Final answer: so\nAnswer: 24"])
def test_an_answer_keeps_its_text(text: str) -> None:
    assert answer_of(text) == "so\nAnswer: 24"


def test_an_answer_loses_its_heads() -> None:
    assert answer_of("Final Answer: 24 <end_code>") == "24"
