"""Runs Python programs. The sandbox is what holds them; here is only what makes their results and errors readable."""

import ast
import collections.abc
import contextlib
import importlib
import io
import itertools
import numbers
import re
import sys
import traceback
from typing import TypedDict

_LONGEST = 4_000
_MOST_ITEMS = 10_000
_DEEPEST = 20
_EXACT = 2**53
_SHOWN_LINES = 3
_PACKAGES = ("numpy", "sympy")
_ALLOW = "BOXWRIGHT_PACKAGES=mpmath,numpy,sympy"
_FAMILIAR = {
    "np": "numpy", "sp": "sympy",
    **{name: name for name in ("collections", "datetime", "fractions", "functools", "itertools", "json", "math",
                               "numpy", "random", "re", "statistics", "sympy")},
}  # fmt: skip
"""Modules that programs use without importing them, by the names they use."""

sys.set_int_max_str_digits(0)
for _name in _PACKAGES:  # once, before the calls: a call of its own would take half a second for them
    with contextlib.suppress(ModuleNotFoundError):
        importlib.import_module(_name)


class Outcome(TypedDict):
    """What came of a program: the value of its last line, and all it printed."""

    value: None | bool | int | float | str | list | dict
    printed: str


def run(code: str) -> Outcome:
    """Run a whole Python program. Returns the value of its last line, and what it printed.

    Every call starts anew: no variable, function or import of an earlier call is there, so write the program whole.
    End it with the result, as an expression or with print. The standard library is there, and numpy and sympy where they
    are installed; no network, no other programs, 20 seconds.

    Args:
        code: The program, for example "import math\\nmath.comb(10, 3)".
    """
    text = _program(code)
    tree = _parsed(text)
    result = _split_result(tree)
    names = {"__name__": "__main__"}
    printed = io.StringIO()
    value = None
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            names.update(_unimported(tree, result))
            exec(compile(tree, "<program>", "exec"), names)
            if result is not None:
                value = _as_json(eval(compile(result, "<program>", "eval"), names), 0)
        except SystemExit as error:
            if error.code not in (None, 0):
                raise ValueError(f"the program ended itself with {error.code!r}") from None
        except MemoryError:
            raise
        except Exception as error:
            raise ValueError(_told(error, text)) from None
    if result is None and not printed.getvalue():
        raise ValueError(
            "the program ran, and gave nothing back: end it with an expression, such as the name of the result, or print it"
        )
    return {"value": _cut_value(value), "printed": _cut(printed.getvalue())}


def _program(code):
    """Return the program without the fence that models write around it, and with real line ends."""
    fenced = re.search(r"```[a-zA-Z0-9]*[ \t]*\n(.*?)\n?```", code, re.DOTALL)
    text = (fenced[1] if fenced and not code[: fenced.start()].strip() else code).strip("\n").rstrip()
    if not text.strip():
        raise ValueError("code must be a program, got nothing")
    if "\n" not in text and "\\n" in text and _syntax_error(text):
        unescaped = text.replace("\\n", "\n").replace('\\"', '"')
        return text if _syntax_error(unescaped) else unescaped
    return text


def _syntax_error(text):
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return error
    return None


def _parsed(text):
    error = _syntax_error(text)
    if isinstance(error, SyntaxError):
        line = (error.text or "").strip()
        raise ValueError(f"the program is no Python: line {error.lineno}: {line[:200]}\n{type(error).__name__}: {error.msg}")
    if error is not None:
        raise ValueError(f"the program cannot be read: {str(error) or type(error).__name__}")
    tree = ast.parse(text)
    if not tree.body:
        raise ValueError("the program has no statement, only comments")
    return tree


def _split_result(tree):
    """Take the last line's expression off the tree; where that line assigns, what it assigned is the result."""
    last = tree.body[-1]
    if isinstance(last, ast.Expr):
        tree.body.pop()
        return ast.Expression(last.value)
    if isinstance(last, (ast.Assign, ast.AugAssign, ast.AnnAssign)) and last.value is not None:
        target = last.targets[-1] if isinstance(last, ast.Assign) else last.target
        return ast.parse(ast.unparse(target), mode="eval")
    return None


def _unimported(*trees):
    """Import familiar modules that the program names and nowhere binds."""
    used, bound = set(), set()
    for node in itertools.chain.from_iterable(ast.walk(tree) for tree in trees if tree is not None):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.alias):
            bound.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
    return {name: importlib.import_module(_FAMILIAR[name]) for name in sorted(used - bound) if name in _FAMILIAR}


def _told(error, text):
    """Return the lines of the program that failed, the last ones last, and the error."""
    if isinstance(error, ModuleNotFoundError):
        return _missing((error.name or "").split(".")[0], error)
    source = text.splitlines()
    lines = []
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == "<program>" and frame.lineno and frame.lineno <= len(source):
            lines.append(f"line {frame.lineno}: {source[frame.lineno - 1].strip()[:200]}")
    shown = list(dict.fromkeys(lines))[-_SHOWN_LINES:]
    return "\n".join(["the program failed:", *shown, f"{type(error).__name__}: {_text(error)[:600]}".rstrip(": ")])


def _missing(name, error):
    if name in _PACKAGES:
        return (
            f"{name} is not installed here; write the program with the standard library alone (whoever runs the server "
            f"can allow it with {_ALLOW})"
        )
    return f"{error}: the standard library is there, and of packages {' and '.join(_PACKAGES)} at most"


def _as_json(value, depth):
    """Return the value as JSON; as text, where JSON has no form for it or not every client's JSON holds it."""
    if value is None or isinstance(value, (bool, str)):
        return _unicode(value) if isinstance(value, str) else value
    if isinstance(value, numbers.Integral):
        return int(value) if abs(int(value)) <= _EXACT else str(int(value))
    if type(value).__module__.partition(".")[0] == "numpy" and hasattr(value, "tolist"):
        plain = value.tolist()
        return _as_json(plain, depth) if type(plain).__module__ != type(value).__module__ else _text(value)
    if isinstance(value, float):
        return float(value) if value - value == 0 else str(float(value))
    if depth < _DEEPEST:
        if isinstance(value, collections.abc.Mapping):
            return {_key(key): _as_json(one, depth + 1) for key, one in itertools.islice(value.items(), _MOST_ITEMS)}
        if isinstance(value, collections.abc.Set):
            return [_as_json(one, depth + 1) for one in _ordered(value)]
        if isinstance(value, (list, tuple, range, collections.abc.Iterator, collections.abc.ValuesView, collections.deque)):
            return [_as_json(one, depth + 1) for one in itertools.islice(value, _MOST_ITEMS)]
    return _text(value)


def _ordered(values):
    try:
        return sorted(values)
    except TypeError:
        return list(values)


def _key(key):
    return _unicode(key) if isinstance(key, str) else _text(key)


def _text(value):
    return _unicode(re.sub(r" at 0x[0-9a-f]+", "", str(value)))


def _unicode(text):
    return text.encode("utf-8", "replace").decode()


def _cut_value(value):
    if isinstance(value, str):
        return _cut(value)
    shown = str(value)
    return _cut(shown) if isinstance(value, (list, dict)) and len(shown) > _LONGEST else value


def _cut(text):
    text = _unicode(text)
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2
    return f"{text[:half]}\n… ({len(text) - 2 * half:,} characters left out) …\n{text[-half:]}"
