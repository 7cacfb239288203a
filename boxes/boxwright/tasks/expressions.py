"""Reads arithmetic expressions as people and models write them, exactly and without `eval`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

DEEPEST = 40
LONGEST = 400
"""Characters of one expression."""

_SIGNS = str.maketrans(
    dict.fromkeys("×✕✖⨯·⋅•∗＊", "*")
    | dict.fromkeys("÷∕⁄／", "/")
    | dict.fromkeys("−–—－", "-")
    | dict.fromkeys("[{（", "(")
    | dict.fromkeys("]}）", ")")
    | dict.fromkeys("\u00a0\u2007\u2009\u200a\u202f\u3000", " ")
    | {"＋": "+", "＝": "="}
    | {chr(0xFF10 + digit): str(digit) for digit in range(10)}
)
_TOKEN = re.compile(r"\s*(?:(\d+)|(\*\*|[-+*/()^])|(FRAC))")


class NotAnExpression(Exception):
    """The text is no expression in the allowed operations; the message says why."""


@dataclass(frozen=True)
class Evaluated:
    """An expression's exact value and the numbers it uses, in the order they stand."""

    value: Fraction
    numbers: tuple[int, ...]


def plain_signs(text: str) -> str:
    """Return the text with typographic and LaTeX signs written plainly: `×` and `\\times` as `*`, `[` as `(`."""
    text = re.sub(r"\\(?:left|right|big|Big|,|;|!|quad|displaystyle)(?![a-z])", " ", text)
    text = re.sub(r"\\(?:times|cdot|ast)(?![a-z])", "*", text)
    text = re.sub(r"\\div(?![a-z])", "/", text)
    text = re.sub(r"\\[cdt]?frac\s*(\d)\s*(\d)", r"((\1)/(\2))", text)
    text = re.sub(r"\\[cdt]?frac(?![a-z])", "FRAC", text)
    text = text.replace("\\{", "(").replace("\\}", ")").replace("\\*", "*").translate(_SIGNS)
    return re.sub(r"(?<=[\d)])\s*[xX]\s*(?=[\d(])", "*", text)


def evaluate(text: str) -> Evaluated:
    """Compute an expression of whole numbers, + - * / and brackets in fractions.

    Raises:
        NotAnExpression: It is something else, divides by zero, or is too long or too deep.
    """
    if len(text) > LONGEST:
        raise NotAnExpression(f"the expression has {len(text)} characters, more than {LONGEST}")
    reader = _Reader(_tokens(text))
    value = reader.sum(0)
    if reader.at < len(reader.tokens):
        raise NotAnExpression(f"{reader.tokens[reader.at]!r} stands where an operation should")
    return Evaluated(value, tuple(reader.numbers))


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise NotAnExpression(f"{text[at:].strip()[:20]!r} is neither a whole number, an operation nor a bracket")
        tokens.append(match[0].strip())
        at = match.end()
    return tokens


class _Reader:
    """Recursive descent: sum → product → atom."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.at = 0
        self.numbers: list[int] = []

    def sum(self, depth: int) -> Fraction:
        if depth > DEEPEST:
            raise NotAnExpression(f"brackets are nested more than {DEEPEST} deep")
        value = self.product(depth)
        while self.next() in ("+", "-"):
            sign = self.take()
            right = self.product(depth)
            value = value + right if sign == "+" else value - right
        return value

    def product(self, depth: int) -> Fraction:
        value = self.atom(depth)
        while self.next() in ("*", "/"):
            sign = self.take()
            right = self.atom(depth)
            value = value * right if sign == "*" else _divide(value, right)
        return value

    def atom(self, depth: int) -> Fraction:
        token = self.take()
        if token.isdigit():
            self.numbers.append(int(token))
            return Fraction(int(token))
        if token == "FRAC":  # noqa: S105  # of arithmetic
            above = self.group(depth)
            return _divide(above, self.group(depth))
        if token == "(":  # noqa: S105
            self.at -= 1
            return self.group(depth)
        if token in ("**", "^"):
            raise NotAnExpression(f"{token!r} is not one of + - * /")
        raise NotAnExpression(f"{token or 'the end'!r} stands where a number should")

    def group(self, depth: int) -> Fraction:
        if self.take() != "(":
            raise NotAnExpression("a fraction lacks its brackets")
        value = self.sum(depth + 1)
        if self.take() != ")":
            raise NotAnExpression("a bracket is not closed")
        return value

    def next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.next()
        if token in ("**", "^") and self.at:
            raise NotAnExpression(f"{token!r} is not one of + - * /")
        self.at += 1
        return token


def _divide(above: Fraction, below: Fraction) -> Fraction:
    if below == 0:
        raise NotAnExpression("it divides by zero")
    return above / below
