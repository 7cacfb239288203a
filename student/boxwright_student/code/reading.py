"""Finding the code in what a model wrote, in the forms that small models and their training sets use."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection

from boxwright_student.code.names import FINAL

_LABELS = {"python", "py", "python3", "tool_code"}
_FENCE = re.compile(
    r"^[ \t]*```[ \t]*(?P<label>[\w+-]*)[ \t]*(?:\n(?P<code>.*?)(?:```|\Z)|(?P<inline>[^\n`]+)```)",
    re.DOTALL | re.MULTILINE,
)
_TAG = re.compile(r"<(?P<tag>code|tool_code)>(.*?)(?:</(?P=tag)>|\Z)", re.DOTALL)
_HEAD = re.compile(r"^[ \t*#]*Code:[ \t*]*\n?(.*?)(?=^[ \t*#]*(?:Thought|Observation):|\Z)", re.DOTALL | re.MULTILINE)
_END = re.compile(r"</?end_code>|<end_action>")
_IMAGINED = re.compile(r"^[ \t*#]*(?:Observation|Observations|Execution logs|Output)[ \t*]*:", re.MULTILINE)
_CALL = re.compile(r"\s*(?:print\(|\w+\s*=\s*)?(?P<name>\w+)\(.*\)\s*\Z", re.DOTALL)
_ANSWER_HEAD = re.compile(r"\A\s*(?:(?:Thought|Answer|Final answer)\s*:\s*)+", re.IGNORECASE)


def read_code(text: str, names: Collection[str] = ()) -> str:
    """Return the code that a model wrote, empty where it wrote none: then the text is an answer.

    Read are blocks fenced as python, py or tool_code, `<code>` tags, and `Code:` heads, closed or broken off; several
    are joined in order. What follows an observation that the model made up is dropped. A text that is nothing but a
    call of a known function is code too.

    Args:
        text: What the model wrote.
        names: The functions that code can call, beside `final_answer`.
    """
    text = _before_imagined(text)
    blocks = [_code_in(match) for match in _blocks(text)] or _bare(text, names)
    code = "\n".join(textwrap.dedent(_END.split(block)[0]).strip("\n") for block in blocks)
    return code.strip("\n") if code.strip() else ""


def code_places(text: str) -> tuple[tuple[int, int], ...]:
    """Return where the code stands that `read_code` reads, with its fences, tags or heads; a bare call is the text."""
    return tuple(match.span() for match in _blocks(_before_imagined(text))) or ((0, len(text)),)


def answer_of(text: str) -> str:
    """Return what a text without code answers, without the heads that models put before it."""
    return _ANSWER_HEAD.sub("", _END.sub("", text)).strip()


def breaks_off(text: str) -> bool:
    """Say whether the last code in a text has no end: its fence, tag or head is not closed."""
    text = _before_imagined(text)
    if "```" in text:
        return text.count("```") % 2 == 1
    if tags := list(_TAG.finditer(text)):
        return not tags[-1][0].endswith(f"</{tags[-1]['tag']}>")
    return bool(_headed(text)) and not _END.search(text)


def _before_imagined(text: str) -> str:
    """Cut the text at the first observation that comes after code: only the model can have written it."""
    for match in _IMAGINED.finditer(text):
        before = text[: match.start()]
        fences = len(re.findall(r"^[ \t]*```", before, re.MULTILINE))
        if (fences and fences % 2 == 0) or "</code>" in before or _END.search(before):
            return before
    return text


def _blocks(text: str) -> list[re.Match[str]]:
    return _fenced(text) or list(_TAG.finditer(text)) or _headed(text)


def _code_in(match: re.Match[str]) -> str:
    if match.re is _FENCE:
        return match["code"] or match["inline"] or ""
    return match[2] if match.re is _TAG else match[1]


def _fenced(text: str) -> list[re.Match[str]]:
    found = list(_FENCE.finditer(text))
    labelled = [match for match in found if match["label"].lower() in _LABELS]
    return labelled or [match for match in found if not match["label"] and _looks_like_code(_code_in(match))]


def _headed(text: str) -> list[re.Match[str]]:
    return [match for match in _HEAD.finditer(text) if _looks_like_code(match[1])]


def _bare(text: str, names: Collection[str]) -> list[str]:
    found = _CALL.match(text)
    return [text.strip()] if found and (found["name"] == FINAL or found["name"] in names) else []


def _looks_like_code(text: str) -> bool:
    return re.search(r"^\s*(?:import |from |for |def |if |[\w.]+\s*=[^=]|[\w.]+\()", text, re.MULTILINE) is not None
