"""Game of 24, exactly: every step is a fraction, so a solution that passes through 8/3 is found too."""

from fractions import Fraction
from typing import TypedDict

MOST_NUMBERS = 6


class Check(TypedDict):
    """What a check of an expression gives."""

    correct: bool
    reason: str


def solve(numbers: list[int], target: int = 24) -> str:
    """Make the target from the numbers with + - * /, using each number exactly once. Returns the expression.

    Use it for Game of 24: call it with the given numbers, and answer with the expression it returns.

    Args:
        numbers: The given numbers, two to six of them, without the target.
        target: The number to reach, 24 unless the question says otherwise.
    """
    _check_numbers(numbers)
    found = _search([(Fraction(number), str(number), 3) for number in numbers], Fraction(target), set())
    if found is None:
        raise ValueError(f"{target} cannot be made from {numbers} with + - * / and each number once")
    return found


def check(expression: str, numbers: list[int], target: int = 24) -> Check:
    """Check whether an expression makes the target and uses each of the numbers exactly once.

    Args:
        expression: For example "(13-9)*(10-4)".
        numbers: The given numbers, without the target.
        target: The number to reach, 24 unless the question says otherwise.
    """
    _check_numbers(numbers)
    parser = _Parser(expression)
    value = parser.value()
    if sorted(parser.used) != sorted(numbers):
        return {"correct": False, "reason": f"it uses {sorted(parser.used)}, not {sorted(numbers)}"}
    if value != target:
        return {"correct": False, "reason": f"it makes {value}, not {target}"}
    return {"correct": True, "reason": f"it makes {target} and uses each number once"}


def _check_numbers(numbers):
    if not 2 <= len(numbers) <= MOST_NUMBERS:
        raise ValueError(f"numbers must be 2 to {MOST_NUMBERS} integers, got {len(numbers)}: {numbers}")
    if any(abs(number) > 1000 for number in numbers):
        raise ValueError(f"numbers must lie between -1000 and 1000, got {numbers}")


def _search(terms, target, seen):
    """Combine two terms in every way until one is left. A term is (value, text, strength); 3 binds like a number."""
    if len(terms) == 1:
        return terms[0][1] if terms[0][0] == target else None
    state = tuple(sorted(value for value, _, _ in terms))
    if state in seen:
        return None
    seen.add(state)
    for i in range(len(terms)):
        for j in range(len(terms)):
            if i == j:
                continue
            rest = [terms[k] for k in range(len(terms)) if k not in (i, j)]
            for term in _combine(terms[i], terms[j], i < j):
                found = _search([*rest, term], target, seen)
                if found is not None:
                    return found
    return None


def _combine(left, right, first):
    (a, x, p), (b, y, q) = left, right
    if first:  # + and * do not mind the order: once is enough
        yield a + b, f"{x} + {y}", 1
        yield a * b, f"{_bracket(x, p < 2)} * {_bracket(y, q < 2)}", 2
    yield a - b, f"{x} - {_bracket(y, q < 2)}", 1
    if b:
        yield a / b, f"{_bracket(x, p < 2)} / {_bracket(y, q < 3)}", 2


def _bracket(text, needed):
    return f"({text})" if needed else text


class _Parser:
    """A recursive-descent reader of + - * / and brackets over whole numbers, in fractions."""

    def __init__(self, text):
        if len(text) > 200:
            raise ValueError(f"expression must have at most 200 characters, got {len(text)}")
        self.text = text.replace(" ", "")
        self.at = 0
        self.used = []

    def value(self):
        result = self._sum()
        if self.at != len(self.text):
            raise ValueError(f"expression is not understood from {self.text[self.at:]!r} on; use + - * / and brackets")
        return result

    def _sum(self):
        result = self._product()
        while self._next() in ("+", "-"):
            sign = self._take()
            right = self._product()
            result = result + right if sign == "+" else result - right
        return result

    def _product(self):
        result = self._atom()
        while self._next() in ("*", "/"):
            sign = self._take()
            right = self._atom()
            if sign == "/" and right == 0:
                raise ValueError("expression divides by zero")
            result = result * right if sign == "*" else result / right
        return result

    def _atom(self):
        if self._next() == "(":
            self._take()
            result = self._sum()
            if self._next() != ")":
                raise ValueError("expression has a bracket that is not closed")
            self._take()
            return result
        digits = ""
        while self._next().isdigit():
            digits += self._take()
        if not digits:
            raise ValueError(f"expression lacks a number before {self.text[self.at:]!r}")
        self.used.append(int(digits))
        return Fraction(int(digits))

    def _next(self):
        return self.text[self.at] if self.at < len(self.text) else "\0"

    def _take(self):
        self.at += 1
        return self.text[self.at - 1]
