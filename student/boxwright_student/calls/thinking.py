"""Takes a model's thinking out of its text."""

from __future__ import annotations

import json
import re

_NAMES = r"think|thinking|thought|thoughts|reasoning|reflection|analysis|scratchpad|seed:think"
_TAG = re.compile(
    rf"(?P<open><(?:{_NAMES})>|\[THINK\]|◁think▷|<\|begin_of_thought\|>|<\|channel\|>analysis<\|message\|>|<\|channel>thought\b)"
    rf"|(?P<close></(?:{_NAMES})>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>|<\|end\|>|<channel\|>)"
    r"|(?P<call><tool_call>\s*(?=[\[{]))|(?P<parameter><parameter[= ][^>]*>)",
    re.IGNORECASE,
)
_LEFT = re.compile(r"<\|(?:start\|>assistant|channel\|>final<\|message\|>|return\|>|end\|>)|<channel\|>")


def split_thinking(text: str) -> tuple[str, str]:
    """Return what a model said and what it thought, which may stand between tags, before a closing tag or behind an
    opening one.

    Tags within the strings of a call are the call's own.
    """
    said: list[str] = []
    thought: list[str] = []
    kept, inside = 0, False
    closed_parameters = text.rfind("</parameter>")
    at = 0
    while found := _TAG.search(text, at):
        at = found.end()
        if found["call"]:
            at = at if inside else _end_of_json(text, at)
        elif found["parameter"]:
            if not inside and closed_parameters > at:
                at = text.find("</parameter>", at)
        elif found["open"]:
            if not inside:  # within thinking it is only spoken of
                said.append(text[kept : found.start()])
                kept, inside = at, True
        elif inside:
            thought.append(text[kept : found.start()])
            kept, inside = at, False
        elif found[0] in ("<|end|>", "<channel|>"):
            continue
        elif not thought:
            thought.append("".join(said) + text[kept : found.start()])
            said, kept = [], at
        else:  # a closing tag too many
            said.append(text[kept : found.start()])
            kept = at
    (thought if inside else said).append(text[kept:])
    return _LEFT.sub("", "".join(said)), "\n".join(part.strip() for part in thought if part.strip())


def _end_of_json(text: str, at: int) -> int:
    try:
        return json.JSONDecoder().raw_decode(text, at)[1]
    except (ValueError, RecursionError):
        return at
