"""Exact arithmetic: Python's own grammar for expressions, restricted to numbers and operators, computed in fractions."""

import ast
import operator
import re
from fractions import Fraction
from typing import TypedDict

_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_TYPOGRAPHY = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "^": "**", "[": "(", "]": ")", ",": None})
_LONGEST = 500
_LARGEST_POWER = 1000


class Value(TypedDict):
    """A number, exactly and as a decimal."""

    exact: str
    decimal: float


def evaluate(expression: str) -> Value:
    """Compute an arithmetic expression exactly. Returns the exact value (as a fraction if need be) and a decimal.

    Use it for every calculation, for example "(17.5 * 4 - 3) / 2", "2**10 % 7" or "15% * 80".

    Args:
        expression: Numbers with + - * / // % ** and brackets; "15%" followed by * or the end means 15/100.
    """
    if len(expression) > _LONGEST:
        raise ValueError(f"expression must have at most {_LONGEST} characters, got {len(expression)}")
    text = _percentages(expression.translate(_TYPOGRAPHY).strip())
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, MemoryError, RecursionError):
        raise ValueError(f"expression {expression!r} is not arithmetic; use numbers, + - * / // % ** and brackets") from None
    value = _value(tree.body)
    try:
        return {"exact": str(value), "decimal": float(value)}
    except OverflowError:
        raise ValueError("the value is too large for a decimal number") from None


def _percentages(text):
    """Write "15% of x", "15% * x" and a final "15%" as a division by 100; elsewhere % stays the remainder."""
    text = re.sub(r"([\d.]+)\s*%\s+of\s+", r"(\1/100)*", text)
    return re.sub(r"([\d.]+)\s*%\s*(?=$|[*+)/-])", r"(\1/100)", text)


def _value(node):
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return Fraction(str(node.value))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.UAdd, ast.USub)):
        value = _value(node.operand)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return _power(_value(node.left), _value(node.right))
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _value(node.left), _value(node.right)
        if right == 0 and isinstance(node.op, (ast.Div, ast.FloorDiv, ast.Mod)):
            raise ValueError("the expression divides by zero")
        return Fraction(_OPERATORS[type(node.op)](left, right))
    raise ValueError(f"{ast.unparse(node)!r} is not arithmetic; use numbers, + - * / // % ** and brackets")


def _power(base, exponent):
    if exponent.denominator != 1:
        raise ValueError(f"the exponent {exponent} is not a whole number")
    if abs(exponent) > _LARGEST_POWER:
        raise ValueError(f"the exponent {exponent} is beyond {_LARGEST_POWER}")
    if base == 0 and exponent < 0:
        raise ValueError("the expression divides by zero")
    return Fraction(base) ** int(exponent)
