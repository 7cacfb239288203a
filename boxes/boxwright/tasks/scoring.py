"""Scorers: each compares an answer with its task exactly and says why it is wrong. None asks a model."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from boxwright.tasks.expressions import Evaluated, NotAnExpression, evaluate, plain_signs
from boxwright.tasks.game24 import TARGET
from boxwright.tasks.task import ScorerName, Task

LONGEST_ANSWER = 20_000
"""Characters; a longer answer is a runaway generation and wrong."""

_BOXED = re.compile(r"\\boxed\s*\{")
_MARKED = re.compile(r"(?:final answer|answer)\s*(?:is|:|=)\s*(.+)", re.IGNORECASE)
_SPAN = re.compile(r"(?:FRAC|\d+\.\d+|[-\d+*/^()= \t])+")
_BEFORE = re.compile(r"[\w√.%²³!]*\Z")
_AFTER = re.compile(r"[\w√%²³⁴!]+|\.\d+")
_LIST_MARK = re.compile(r"^\s*(?:\d{1,2}[.)]|[-*•])\s+(?=\S)", re.MULTILINE)
_EMPHASIS = re.compile(r"(?<![\w)*_])(\*\*|__|\*|_)(?=\S)(.{1,400}?)(?<=\S)\1(?![\w(*_])")
_MAKES_24 = re.compile(r"(=\s*24)(?:\.0+(?!\d))?(?!\s*[-+*/^=\d]|\.\d)")
"""The end of an expression's line: what follows is another matter."""
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class Score:
    """Whether an answer is right, and the reason in words."""

    right: bool
    reason: str


def score(task: Task, answer: str | None) -> Score:
    """Score an answer to the task; an absent or endless answer is wrong."""
    if answer is None or not answer.strip():
        return Score(False, "there is no answer")
    if len(answer) > LONGEST_ANSWER:
        return Score(False, f"the answer has {len(answer)} characters, more than {LONGEST_ANSWER}")
    return _SCORERS[task.scorer](task, answer)


def _game24(task: Task, answer: str) -> Score:
    candidates = _candidates(answer)
    if not candidates:
        return Score(False, "it holds no expression")
    failures = []
    # Working is often shown on the way: the last expression of as many numbers as were given is the answer.
    for candidate in reversed(candidates):
        numbers = len(re.findall(r"\d+", candidate.split("=")[0]))
        outcome = _judge(task, candidate)
        if numbers == len(task.numbers) or outcome.right:
            return outcome
        failures.append(outcome)
    return failures[0]


def _judge(task: Task, candidate: str) -> Score:
    shown = " ".join(candidate.split())[:80]
    try:
        sides = [evaluate(side) for side in candidate.split("=") if side.strip()]
    except NotAnExpression as error:
        return Score(False, f"{shown!r}: {error}")
    # "24 = …", "… = 24" and "… = 4*6 = 24" are all common; one side has to be the answer, the others only its value.
    for side in sorted(sides, key=lambda one: len(one.numbers) != len(task.numbers)):
        fault = _fault(task, side)
        if fault is None and any(other.value != side.value for other in sides):
            fault = f"it claims to be equal to {next(o.value for o in sides if o.value != side.value)}"
        return Score(fault is None, f"{shown!r}: {fault or 'makes 24 with each number once'}")
    return Score(False, f"{shown!r}: nothing stands beside the equals sign")


def _fault(task: Task, side: Evaluated) -> str | None:
    if sorted(side.numbers) != sorted(task.numbers):
        return f"uses {_listed(side.numbers)}, not {_listed(task.numbers)}"
    return None if side.value == TARGET else f"makes {side.value}, not 24"


def _candidates(answer: str) -> list[str]:
    """Return the expressions in the answer: those marked as final where there is a mark, else all, in order."""
    answer = _EMPHASIS.sub(r" \2 ", _EMPHASIS.sub(r" \2 ", answer))
    for text in (_last_boxed(answer), _last_marked(answer), answer):
        if text and (found := _expressions(plain_signs(_LIST_MARK.sub("", text)))):
            return found
    return []


def _expressions(text: str) -> list[str]:
    text = _MAKES_24.sub(r"\1 ;", text)
    found = []
    for match in _SPAN.finditer(text):
        span = _trimmed(match[0])
        if not span:
            continue
        # What clings to an expression belongs to it: "log(…)", "…!" and "…²" are not what stands between.
        clinging = _BEFORE.search(text[max(0, match.start() - 20) : match.start()]), _AFTER.match(text, match.end())
        before = clinging[0][0] if clinging[0] and not match[0].startswith((" ", "\t")) else ""
        after = clinging[1][0] if clinging[1] and not match[0].endswith((" ", "\t")) else ""
        found.append(f"{before}{span}{after}")
    return found


def _trimmed(span: str) -> str:
    """Return a span without the prose's punctuation, or nothing where it is no expression."""
    text = span.strip()
    while text.endswith(("(", "-", "=")) or text.startswith((")", "=", "- ", "* ")):
        text = (text[:-1] if text.endswith(("(", "-", "=")) else text[1:]).strip()
    surplus = text.count("(") - text.count(")")
    while surplus > 0 and text.startswith("("):
        text, surplus = text[1:].strip(), surplus - 1
    while surplus < 0 and text.endswith(")"):
        text, surplus = text[:-1].strip(), surplus + 1
    has_two_numbers = len(re.findall(r"\d+", text)) >= 2
    has_operation = "FRAC" in text or any(sign in text for sign in "-+*/^")
    return text if has_two_numbers and has_operation else ""


def _last_boxed(answer: str) -> str | None:
    starts = [match.end() for match in _BOXED.finditer(answer)]
    if not starts:
        return None
    start, depth = starts[-1], 1
    for place in range(start, len(answer)):
        depth += {"{": 1, "}": -1}.get(answer[place], 0)
        if depth == 0:
            return answer[start:place]
    return answer[start:]


def _last_marked(answer: str) -> str | None:
    found: list[str] = _MARKED.findall(answer)
    return found[-1] if found else None


def _exact(task: Task, answer: str) -> Score:
    given, wanted = _normal(_final(answer)), _normal(task.answer or "")
    return Score(given == wanted, f"{given[:80]!r} against {wanted[:80]!r}")


def _number(task: Task, answer: str) -> Score:
    marked = _last_boxed(answer) or _last_marked(answer)
    found = _NUMBER.findall((marked or answer).replace("−", "-").replace("{,}", ","))
    if not found:
        return Score(False, "it holds no number")
    given, wanted = float(found[0 if marked else -1].replace(",", "")), float((task.answer or "nan").replace(",", ""))
    near = abs(given - wanted) <= task.tolerance * max(1.0, abs(wanted))
    return Score(near, f"{given:g} against {wanted:g}")


def _final(answer: str) -> str:
    return _last_boxed(answer) or _last_marked(answer) or answer


def _normal(text: str) -> str:
    text = re.sub(r"\\(?:text|mathrm|textbf)\s*\{([^{}]*)\}", r"\1", text).strip(" *_`\"'“”.")
    return re.sub(r"\s+", " ", text).strip().strip(".").casefold()


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, sorted(numbers)))


_SCORERS: dict[ScorerName, Callable[[Task, str], Score]] = {
    "game24": _game24,
    "exact": _exact,
    "number": _number,
}
