"""Reads calls whose arguments stand each between tags of its own: Qwen3-Coder's, MiniMax's and GLM's forms."""

from __future__ import annotations

import re
from typing import Any

from boxwright_student.calls.values import Open, Unreadable, Work
from boxwright_student.calls.written import Raw, Written

_PARAMETERS = r"(?:parameter|param|arg)"
XML = re.compile(r"<(?:function|invoke|tool)(?:\s*=\s*|\s+name\s*=\s*)[\"']?([A-Za-z_][^\s>{\"'(<]*)[\"']?\s*/?>?")
NAME_THEN_KEYS = re.compile(r"([\w.-]+)\s*(?=<arg_key>|</tool_call>)")
_PARAMETER = re.compile(
    rf"\s*<{_PARAMETERS}(?:\s*=\s*|\s+name\s*=\s*)[\"']?(?P<key>[^\s>\"'=<]+)[\"']?(?:\s+\w+=[\"'][^\"'<>]*[\"'])*"
    r"(?:=(?P<short>[^<>\n]*)</\w+>|>)"
)
_PARAMETER_END = re.compile(rf"</{_PARAMETERS}>(?=\s*(?:<(?:{_PARAMETERS}|/)|$))")
_PARAMETER_CUT = re.compile(rf"\s*(?=<{_PARAMETERS}[=\s]|</(?:function|invoke|tool|tool_call)>)")
_ARG_KEY = re.compile(r"\s*<arg_key>([^<]*)</arg_key>\s*<arg_value>")
_END = re.compile(r"\s*</(?:function|invoke|tool)>")


def read_xml(text: str, at: int, opening: re.Match[str], region: int, work: Work) -> Written:
    """Read `<parameter=key>value</parameter>` behind the tag with the function's name.

    One line break at either end of a value belongs to the form, as Qwen's own parser has it; the rest is the value.
    """
    name = opening.group(1).rstrip("/")
    try:
        arguments, body, notes = _parameters(text, opening.end(), work)
    except Unreadable as error:
        return Written(at, max(region, opening.end()), name, fault=str(error))
    end = _END.match(text, body)
    rest = text[body:region].strip() if not end else ""
    if rest:
        return Written(at, region, name, fault=f"its parameters cannot be read near {rest[:60]!r}")
    ended = bool(end) or text[body:].lstrip()[:2] == "</"
    held = arguments
    if not ended:
        held = Open(arguments)
        held.complete = True
    return Written(at, end.end() if end else body, name, held, notes=notes)


def read_arg_keys(text: str, at: int, name: re.Match[str], work: Work) -> Written:
    """Read GLM's form: the name, then keys and values each between tags."""
    arguments: dict[str, Any] = {}
    body = name.end()
    while found := _ARG_KEY.match(text, body):
        ends = text.find("</arg_value>", found.end())
        if ends < 0:
            work.left -= (len(text) - body) // 4
            return Written(at, len(text), name.group(1), fault=f"the value of {found.group(1)!r} is not closed")
        arguments[found.group(1).strip()] = Raw(text[found.end() : ends])
        body = ends + len("</arg_value>")
    return Written(at, body, name.group(1), arguments)


def _end_of_value(text: str, at: int, work: Work) -> re.Match[str] | None:
    ends = _PARAMETER_END.search(text, at)
    work.charge(((ends.end() if ends else len(text)) - at) // 4)
    return ends or _PARAMETER_CUT.search(text, at)


def _parameters(text: str, body: int, work: Work) -> tuple[dict[str, Any], int, tuple[str, ...]]:
    arguments: dict[str, Any] = {}
    notes: dict[str, None] = {}
    while found := _PARAMETER.match(text, body):
        key, value, body = found["key"], found["short"], found.end()
        if value is not None:
            notes["a parameter's tag mended"] = None
        elif ends := _end_of_value(text, body, work):
            value, body = text[body : ends.start()], ends.end()
            if not ends.group().strip():
                notes["a parameter's closing tag added"] = None
        else:
            raise Unreadable(f"the value of {key!r} is not closed")
        if arguments.get(key, value) != value:
            raise Unreadable(f"{key!r} is given twice, with different values")
        arguments[key] = Raw(value.removeprefix("\n").removesuffix("\n"))
    return arguments, body, tuple(notes)
