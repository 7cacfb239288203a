"""What a model is told of code that failed: the line, the error, and what to write instead."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic_monty import Frame, MontyCrashedError, MontyError, MontyRuntimeError, MontySyntaxError

MODULES = (
    *("asyncio", "base64", "binascii", "bisect", "collections", "copy", "csv", "dataclasses", "datetime", "decimal"),
    *("functools", "hashlib", "itertools", "json", "math", "os", "pathlib", "random", "re", "sys", "time", "tomllib"),
    *("typing", "unicodedata"),
)
"""What code can import."""
_NOT_USEFUL = {"asyncio", "binascii", "os", "pathlib", "sys", "time", "tomllib", "typing"}
USEFUL = tuple(name for name in MODULES if name not in _NOT_USEFUL)
"""What a model is told it can import."""
_INSTEAD = (
    (r"class inheritance", "write plain functions and dicts, or a class without a base; raise ValueError(...)"),
    (r"yield expressions", "build a list and return it"),
    (r"'del' statement", "leave the name, or set it to None"),
    (r"cannot suspend in this synchronous context", "call the tool in a for loop or in a list comprehension"),
    (r"can't be awaited|coroutine or an awaitable is required", "call tools without await"),
    (r"does not yet support", "write it in simpler Python"),
    (r"is not callable", "a variable may hide the function of that name; give the variable another name"),
    (r"Permission denied|os\.environ", "there are no files and no environment; use the tools"),
    (r"name 'input' is not defined", "nobody can type; take the values from the question"),
    (r"Simple statements must be separated", "one statement a line, and print is a function: print(x)"),
    (r"Got unexpected token [“”‘’]", "use straight quotes"),
    (r"Expected a statement", "write Python only, no shell commands and no prose"),
)


def told(error: MontyError, seconds: float) -> str:
    """Return what the model is told of an error that ended its code.

    Args:
        error: The error.
        seconds: The limit on the code's own time.
    """
    if isinstance(error, MontyCrashedError):
        return "the code took its interpreter down; write it in a simpler way"
    if not isinstance(error, MontyRuntimeError | MontySyntaxError):
        return str(error)
    kind, _, message = error.display("type-msg").partition(": ")
    if kind == "TimeoutError" and "time limit exceeded" in message:
        return f"the code ran longer than {seconds:g} seconds; do less, or use a tool"
    if kind == "MemoryError":
        return "the code took too much memory; do less at a time, or use a tool"
    if kind == "RuntimeError" and message.startswith("suspension limit"):
        return "the code asked for tools and names too often"
    fault = f"{kind}: {message}" if message else kind
    return "\n".join(filter(None, [_place(error.traceback()), fault, _hint(message)]))


def missing_module(name: str, tools: Sequence[str]) -> str:
    """Return what the model is told of a module that is not there.

    Args:
        name: The module.
        tools: The tools' names in code.
    """
    python = next((one for one in tools if re.match(r"python(_|$)", one)), None)
    other = f"; for {name} call the tool {python}" if python else "; do without it, or use a tool"
    return f"No module named {name!r} here. There are: {', '.join(USEFUL)}{other}"


def _place(frames: Sequence[Frame]) -> str:
    """Return the line that failed, with a caret; the innermost one, since that is where to look first."""
    if not frames or not frames[-1].source_line:
        return ""
    frame = frames[-1]
    where = f" in {frame.function_name}" if frame.function_name not in (None, "<module>") else ""
    head = f"line {frame.line}{where}: "
    source = str(frame.source_line)
    stripped = source.lstrip()
    shift = max(0, frame.column - 1 - (len(source) - len(stripped)))
    return f"{head}{stripped[:200]}\n{' ' * (len(head) + shift)}^" if shift < 200 else f"{head}{stripped[:200]}"


def _hint(message: str) -> str:
    return next((f"Hint: {hint}." for pattern, hint in _INSTEAD if re.search(pattern, message)), "")
