"""Finds calls that no markup announces. What does not name a tool is text, and so is a quotation."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from boxwright_student.calls.literals import read_literal
from boxwright_student.calls.markup import after_closers, check_whole, more_follows, name_near, shaped
from boxwright_student.calls.python_calls import PYTHON, is_caller, name_at, read_python
from boxwright_student.calls.shapes import CALL_KEYS, calls_in
from boxwright_student.calls.values import Found, Unreadable, Work, holds_word
from boxwright_student.calls.written import Written

_CANDIDATE = re.compile(
    r"(?:\[\s{0,20})?\{"
    r"|^[ \t]*(?:[-*>] )?`{0,3}(?P<line>\[?[ \t]*(?:[A-Za-z_]\w*\s*=\s*)?(?:print\(\s*)?[A-Za-z_][\w.-]*[({])",
    re.MULTILINE,
)
_FIRST_KEY = re.compile(r"(?:\[\s{0,20})?\{[{\s]{0,20}\\?[\"'“‘]?\s{0,20}([\w.-]{1,64})\s{0,20}\\?[\"'”’]?\s{0,20}:")
_LINE_END = re.compile(r"[ \t)\]`;]*(?:#[^\n]*)?(?=\n|$)")
_NAME_AND_BRACE = re.compile(r"([A-Za-z_][\w.-]*)(?=\{)")


def bare_calls(text: str, known: Callable[[str], bool], work: Work) -> list[Written]:
    """Return the calls that stand in a text without markup, in JSON or in Python's form."""
    calls: list[Written] = []
    at = 0
    while (candidate := _CANDIDATE.search(text, at)) and work.left > 0:
        line = candidate.start("line")
        start = candidate.start() if line < 0 else line
        found = (_read_json if line < 0 else _read_line)(text, start, known, work)
        calls += found
        at = max([start + 1, *(one.end for one in found)])
    return calls


def _read_json(text: str, at: int, known: Callable[[str], bool], work: Work) -> list[Written]:
    first = _FIRST_KEY.match(text, at)
    if not first or not (first.group(1) in CALL_KEYS or known(first.group(1))) or _is_quoted(text, at):
        return []
    try:
        value = read_literal(text, at, work)
        check_whole(text, value)
    except Unreadable as error:
        name = name_near(text, at)
        return [Written(at, len(text), name, fault=str(error))] if name and known(name) else []
    shapes = calls_in(value.value, known)
    if not shapes or not any(known(shape.name) and shape.explicit for shape in shapes):
        return []
    end, _ = after_closers(text, value.end)
    ended = more_follows(text, value.end)
    return [replace(shaped(at, end, shape, value), ended=ended) for shape in shapes]


def _read_line(text: str, at: int, known: Callable[[str], bool], work: Work) -> list[Written]:
    named = _NAME_AND_BRACE.match(text, at)
    if named:
        return _read_name_and_brace(text, named, known, work)
    opening = PYTHON.match(text, at)
    start = opening.end() if opening else at
    if not (known(name_at(text, start)) or is_caller(name_at(text, start))):
        return []
    calls = read_python(text, at, start, len(text), known, work)
    if any(call.fault or not known(call.name) or holds_word([call.arguments, *call.positional]) for call in calls):
        return []  # prose or a program: no markup says otherwise
    rest = _LINE_END.match(text, calls[-1].end)
    ended = more_follows(text, calls[-1].end)
    return [replace(call, end=max(call.end, rest.end()), ended=ended) for call in calls] if rest else []


def _read_name_and_brace(text: str, named: re.Match[str], known: Callable[[str], bool], work: Work) -> list[Written]:
    """Read `name{…}`, which is left of `<function=name>{…}` where a server took the tag off."""
    if not known(named.group(1)):
        return []
    try:
        value: Found = read_literal(text, named.end(), work)
        check_whole(text, value)
    except Unreadable:
        return []
    end, closed = after_closers(text, value.end)
    ended = closed or more_follows(text, end)
    notes, loose = value.notes, value.loose
    return [Written(named.start(), end, named.group(1), value.value, notes=notes, loose=loose, ended=ended)]


def _is_quoted(text: str, at: int) -> bool:
    """Say whether a place is within a line's own quotation marks, with words around them."""
    if text[at - 1 : at] != "`" or text[max(0, at - 3) : at] == "```":
        return False
    closes = text.find("`", at)
    newline = text.find("\n", closes) if closes >= 0 else -1
    before = text[text.rfind("\n", 0, at) + 1 : at]
    behind = text[closes + 1 : newline if newline >= 0 else len(text)] if closes >= 0 else ""
    return bool(re.search(r"\w", before + behind))
