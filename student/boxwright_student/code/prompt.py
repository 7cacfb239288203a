"""What a model is told of acting by code."""

from __future__ import annotations

from collections.abc import Iterable

from boxwright_student.code.faults import USEFUL
from boxwright_student.code.names import FINAL
from boxwright_student.code.signatures import ToolSignature

_RULES = f"""\
You act by writing Python. Write one block, which starts with ```python and ends with ```, and stop there. Then you \
are told what it printed and the value of its last expression. Variables stay for your next block.

- Call the functions below directly: no import, no await. Give a list's items to one in a for loop or a comprehension.
- A function that fails raises ValueError with its reason.
- When you have the answer, call {FINAL}(answer) with it. Do not name your own variables or functions like these.
- Modules: {", ".join(USEFUL)}. There are no others, no files and no network.
- Not there: classes with a base, yield, del, input."""


def code_prompt(functions: Iterable[ToolSignature]) -> str:
    """Return the part of the system prompt that tells how to act by code, and with which tools."""
    final = f'def {FINAL}(answer):\n    """End with this answer: a number, a string or a list, on its own."""'
    signatures = "\n\n".join([*(function.text() for function in functions), final])
    return f"{_RULES}\n\n```python\n{signatures}\n```"
