"""Finds the calls that markup announces: tags, tokens, fences and labels, in the forms of all model families."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from boxwright_student.calls.literals import read_literal
from boxwright_student.calls.python_calls import PYTHON, read_python
from boxwright_student.calls.shapes import Shape, calls_in
from boxwright_student.calls.tagged import NAME_THEN_KEYS, XML, read_arg_keys, read_xml
from boxwright_student.calls.values import Found, Unreadable, Work
from boxwright_student.calls.written import Raw, Written

_BAR = r"[|｜]"
_TAGS = r"tool_calls?|function_calls?|functioncall|tool_use|toolcall|start_function_call|tools?_call"
_OPENER = re.compile(
    rf"<(?:[\w.-]+:)?(?:{_TAGS})>"
    rf"|<{_BAR}(?:tool_call|tool_call_start|python_tag|python_start|tool_calls_section_begin|function_call){_BAR}?>"
    rf"|<{_BAR}(?:tool_call_begin|tool[▁_]calls?[▁_]begin|tool[▁_]calls){_BAR}>"
    rf"|<{_BAR}channel{_BAR}>\s*(?:commentary|analysis)\s+to=(?=[\w.]+)"
    r"|\[TOOL_CALLS?\]|\[TOOL_REQUEST\]"
    r"|```[ \t]*(?:tool_calls?|tool_code|tool_use|function_call)\b[ \t]*\n?"
    r"|(?=<(?:function|invoke|tool)(?:\s*=|\s+name\s*=))",
    re.IGNORECASE,
)
_END_MARK = (
    rf"</(?:[\w.-]+:)?(?:{_TAGS}|function|invoke|tool)>|<tool_call{_BAR}>|<{_BAR}/tool_call{_BAR}?>"
    rf"|<{_BAR}/?(?:tool[▁_]calls?[▁_](?:end|section_end)|python_end|call|eom_id|eot_id|im_end)[|｜]?>"
    r"|\[/TOOL_CALLS?\]|\[END_TOOL_REQUEST\]|<end_function_call>|</s>"
)
_CLOSER = re.compile(rf"\s*(?:{_END_MARK}|```(?!\w)|;)")
_REGION_END = re.compile(rf"{_END_MARK}|\n```")
_STRAY = re.compile(r"[ \t]*[}\])`]+(?=\s*(?:<|$|\[/|```))")
_LABEL = re.compile(r"(?:\s|<\|tool_call_begin\|>|```(?:json|python|tool_code|xml)?(?=\s)|call:(?=\w))*")
_DEEPSEEK = re.compile(rf"(?:function)?<{_BAR}tool[▁_]sep{_BAR}>([\w.-]+)\s*|([\w.-]+)<{_BAR}tool[▁_]sep{_BAR}>\s*")
_KIMI = re.compile(rf"([\w.-]+?)(?::\d+)?\s*<{_BAR}tool_call_argument_begin{_BAR}>\s*")
_HARMONY = re.compile(rf"([\w.-]+)\s*(?:<{_BAR}(?:constrain|channel){_BAR}>\s*\w+\s*)*<{_BAR}message{_BAR}>\s*")
_MISTRAL = re.compile(r"([\w.-]+)(?::\d+)?\s*(?:\[CALL_ID\]\s*\w*\s*)?(?:\[ARGS\])?\s*(?=\{)")
_NAMED = (_DEEPSEEK, _KIMI, _HARMONY, _MISTRAL)
_REACT = re.compile(
    r"^[ \t>*#-]*(?:Thought[* ]*:[^\n]{0,200}?)?Action[* ]*:[* ]*(?P<name>[^\n{]{1,160})\n+"
    r"[ \t>*#-]*Action[ _]Input[* ]*:[* ]*",
    re.IGNORECASE | re.MULTILINE,
)
_OBSERVATION = re.compile(r"\n[ \t>*#-]*(?:Observation|Result)[* ]*:|<(?:tool_response|function_results?|tool_result)>")
_SOMETHING = re.compile(r"\S")
_BROKEN_JSON = re.compile(r"[\"'{}\[\]:,][^\n]*?[\"']\s*[:,]")
_MORE_MEMBERS = re.compile(r"\s*[\]}]*\s*(?:,\s*[\"'“]?\w[\w .-]{0,63}[\"'”]?\s*:|[\"'“]\w[\w .-]{0,63}[\"'”]\s*[:\]])")
_NAME_KEY = re.compile(r"[\"'](?:name|tool|function|action)[\"']\s*:\s*[\"']([\w.:/-]+)[\"']")


def marked_calls(text: str, known: Callable[[str], bool], work: Work) -> list[Written]:
    """Return the calls that markup says are calls, whether or not there is such a tool."""
    calls: list[Written] = []
    at = 0
    while (opener := _OPENER.search(text, at)) and work.left > 0:
        found = _read_all(text, label_end(text, opener.end()), known, work)
        at = max(opener.end(), opener.start() + 1, *(one.end for one in found))
        calls += [replace(one, start=opener.start()) for one in found[:1]] + found[1:]
    return calls or _react_calls(text, work)


def without(text: str, calls: list[Written]) -> str:
    """Return the text without the calls, the markup around them and results that the model made up."""
    if not calls:
        return text.strip()
    kept: list[str] = []
    at = 0
    for call in sorted(calls, key=lambda one: one.start):
        kept.append(re.sub(r"```[\w-]*\s*\Z", "", text[at : max(at, call.start)]))
        at, _ = after_closers(text, max(at, call.end))
    rest = text[at:]
    made_up = _OBSERVATION.search("\n" + rest)
    kept.append(rest[: max(0, made_up.start() - 1)] if made_up else rest)
    left = _OPENER.sub("", "".join(kept)).strip()
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"\s*```\Z", "", left) if left.count("```") % 2 else left)


def after_closers(text: str, at: int) -> tuple[int, bool]:
    """Return the place behind all markup that closes a call, and whether there was any."""
    start = at
    while found := _CLOSER.match(text, at) or _STRAY.match(text, at):
        at = found.end()
    return at, at > start


def more_follows(text: str, at: int) -> bool:
    """Say whether anything but white space stands behind a place."""
    return bool(_SOMETHING.search(text, at))


def label_end(text: str, at: int) -> int:
    """Return the place behind white space, fences and words that may stand between markup and a call."""
    found = _LABEL.match(text, at)
    return found.end() if found else at


def check_whole(text: str, value: Found) -> None:
    """Check that an object does not go on behind its end, as where it was closed too early.

    Raises:
        Unreadable: More members follow.
    """
    if _MORE_MEMBERS.match(text, value.end):
        raise Unreadable(f"it is closed too early, before {text[value.end : value.end + 40]!r}")


def name_near(text: str, at: int) -> str:
    """Return the name that the beginning of an unreadable call in JSON gives, if any."""
    found = _NAME_KEY.search(text, at, at + 400)
    return found.group(1) if found else ""


def shaped(start: int, end: int, shape: Shape, value: Found) -> Written:
    """Return a call found in JSON."""
    return Written(start, end, shape.name, shape.arguments, (), shape.explicit, value.notes, value.loose, shape.beside)


def _read_all(text: str, at: int, known: Callable[[str], bool], work: Work) -> list[Written]:
    """Read all calls that follow one another from a place on."""
    calls: list[Written] = []
    while found := _read_one(text, at, known, work):
        start = at
        at, closed = after_closers(text, found[-1].end)
        ended = closed or more_follows(text, at)
        calls += [replace(one, ended=ended, end=at if one is found[-1] else one.end) for one in found]
        at = label_end(text, at)
        if text.startswith(",", at):
            at = label_end(text, at + 1)
        more = text[at : at + 1] in ("{", "[", "<") and not _OPENER.match(text, at)
        if at <= start or any(one.fault for one in found) or not more:
            break
    return calls


def _read_one(text: str, at: int, known: Callable[[str], bool], work: Work) -> list[Written]:
    if xml := XML.match(text, at):
        inner = label_end(text, xml.end())
        if text.startswith("{", inner):
            return [_read_named(text, at, xml.group(1), inner, work)]
        return [read_xml(text, at, xml, _region_end(text, xml.end()), work)]
    for form in _NAMED:
        if found := form.match(text, at):
            name = next(group for group in found.groups() if group)
            return [_read_named(text, at, name, label_end(text, found.end()), work)]
    if found := PYTHON.match(text, at):
        return read_python(text, at, found.end(), _region_end(text, at), known, work)
    if text[at : at + 1] in ("{", "["):
        return _read_json(text, at, known, work)
    if keys := NAME_THEN_KEYS.match(text, at):
        return [read_arg_keys(text, at, keys, work)]
    return _read_broken_json(text, at, known, work)


def _read_named(text: str, at: int, name: str, start: int, work: Work) -> Written:
    """Read arguments in JSON behind a name that stood before them."""
    try:
        value = _literal_here(text, start, work)
    except Unreadable as error:
        return Written(at, _region_end(text, start), name, fault=str(error))
    end = re.compile(r"\s*(?:</function>|<function>|>)").match(text, value.end)
    notes, loose = value.notes, value.loose
    return Written(at, end.end() if end else value.end, name, value.value, notes=notes, loose=loose)


def _read_json(text: str, at: int, known: Callable[[str], bool], work: Work) -> list[Written]:
    try:
        value = _literal_here(text, at, work)
    except Unreadable as error:
        return [Written(at, _region_end(text, at), name_near(text, at), fault=str(error))]
    shapes = calls_in(value.value, known)
    if shapes is None:
        return [Written(at, max(value.end, _region_end(text, at)), fault="it has no name of a tool and arguments")]
    return [shaped(at, value.end, shape, value) for shape in shapes]


def _read_broken_json(text: str, at: int, known: Callable[[str], bool], work: Work) -> list[Written]:
    """Read JSON that lost its first bracket; what looks like broken JSON otherwise is a fault, and no text."""
    end = _region_end(text, at)
    if not _BROKEN_JSON.match(text, at, end):
        return []
    if _NAME_KEY.match(text, at):
        found = _read_json("{" + text[at:end], 0, known, work)
        return [
            replace(one, start=at, end=at + one.end - 1, notes=(*one.notes, "an opening bracket added"))
            for one in found
        ]
    return [Written(at, end, name_near(text, at), fault="it is no JSON")]


def _literal_here(text: str, at: int, work: Work) -> Found:
    """Read a value, which may only be mended within its own markup.

    Raises:
        Unreadable: It cannot be read.
    """
    end = _region_end(text, at)
    try:
        value = read_literal(text, at, work)
    except Unreadable:
        value = read_literal(text[:end], at, work)
    if value.notes and value.end > end:
        value = read_literal(text[:end], at, work)
    check_whole(text, value)
    return value


def _region_end(text: str, at: int) -> int:
    """Return where the markup around a place closes, or the next one opens, or the text ends."""
    opens = _OPENER.search(text, at + 1)
    end = opens.start() if opens else len(text)
    closes = _REGION_END.search(text, at, end)
    return closes.start() if closes else end


def _react_calls(text: str, work: Work) -> list[Written]:
    """Read the first `Action:` and its `Action Input:`; what follows an action was written without its result."""
    found = _REACT.search(text)
    if not found:
        return []
    name, start = found["name"].strip(" \t`\"'[]*").removesuffix("()"), found.end()
    stop = _OBSERVATION.search(text, start)
    end = stop.start() if stop else len(text)
    label = label_end(text, start)
    if text.startswith("{", label):
        try:
            value = read_literal(text[:end], label, work)
            check_whole(text, value)
        except Unreadable as error:
            return [Written(found.start(), end, name, fault=str(error))]
        ended = more_follows(text, value.end)
        notes, loose = value.notes, value.loose
        return [Written(found.start(), value.end, name, value.value, notes=notes, loose=loose, ended=ended)]
    newline = text.find("\n", start)
    end = min(end, newline if newline >= 0 else len(text))
    line = text[start:end].strip()
    line = line[1:-1] if len(line) > 1 and line[0] == line[-1] and line[0] in "\"'`" else line
    return [Written(found.start(), end, name, {}, (Raw(line),) if line not in ("", "None", "N/A") else ())]
