"""Recognises a chat template by what it writes, and translates it into Ollama's template language.

A template is rendered over a few small conversations; where it writes what ChatML or Llama 3 write, its own words (the
system prompt it has by default, how it tells tools) are cut out of what it wrote and put into the family's Go template.
Go writes JSON without spaces, in the order of Ollama's own structs and with `<`, `>`, `&` escaped; all else is alike.

Sources: Ollama's docs/template.md, template/template.go and tools/template.go (which takes the first text below
`.ToolCalls` as the mark of a call), thinking/template.go, and the templates of qwen3 and llama3.1 in its library.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boxwright_training.pocket.chat import TEMPLATE as POCKET

Messages = list[dict[str, Any]]
_TEMPLATES = Path(__file__).parent / "templates"
_S, _U, _A, _V = "Syst", "Use", "Answ", "Vse"
"""What is said in the conversations that are rendered: no word of any template."""
_SYSTEM: Messages = [{"role": "system", "content": _S}]
_ASK: Messages = [{"role": "user", "content": _U}]
_TALK: Messages = [*_SYSTEM, *_ASK, {"role": "assistant", "content": _A}, {"role": "user", "content": _V}]
_TOOLS: Messages = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": "Does it.",
            "parameters": {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]},
        },
    }
    for name in ("one", "two")
]
_RESULT = "Resu"
_UNTOLD = "tools: the template tells them or their calls in no form that is known here, so Ollama will refuse them"
_TOLD = "tools: told in Ollama's own JSON, which has no spaces and no more of a schema than Ollama keeps"
_POCKET_NOTE = (
    "tools: parameters come by name, and without limits, defaults and nested schemas, which Ollama does not keep"
)


@dataclass(frozen=True)
class Form:
    """A chat template as Ollama is told it."""

    family: str
    template: str
    """In Ollama's language."""
    stops: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """What the translation leaves out."""


@dataclass
class _Draft:
    render: Callable[..., str | None]
    """Renders a conversation; None where the template refuses it."""
    words: dict[str, str] = field(default_factory=dict)
    tool: str = ""
    result: str = ""
    holds: set[str] = field(default_factory=lambda: {"plain"})
    notes: list[str] = field(default_factory=list)

    def form(self, family: str, stops: tuple[str, ...]) -> Form:
        lines = (_TEMPLATES / f"{family}.gotmpl").read_text(encoding="utf-8").splitlines()
        kept = []
        for line in lines:
            condition, _, rest = line[1:].partition(" ") if line.startswith("@") else ("", "", line)
            kept += [rest] if not condition or condition in self.holds else []
        text = "\n".join(kept).replace("@TOOL@", self.tool).replace("@RESULT@", self.result)
        # A constant of Go is one of JSON, and keeps braces and spaces as they are.
        text = re.sub("@([A-Z_]+)@", lambda found: json.dumps(self.words[found[1]], ensure_ascii=False), text)
        return Form(family, text, stops, tuple(self.notes))


def recognise(template: str, tokens: dict[str, str], *, adds_bos: bool) -> Form | None:
    """Translate a chat template; None where it writes what no known family writes.

    Args:
        template: The template, in Jinja.
        tokens: The texts that it may name: `bos_token`, `eos_token` and the like.
        adds_bos: Whether the tokenizer puts what begins a text itself.
    """
    if template == POCKET:
        return _Draft(_no_rendering, notes=[_POCKET_NOTE]).form("pocket", ("<|im_end|>", "<|im_start|>"))
    render = _renderer(template, tokens)
    return _chatml(_Draft(render)) or _llama3(_Draft(render), tokens.get("bos_token", ""), adds_bos)


def _no_rendering(*_: Any, **__: Any) -> None:
    return None


def _renderer(template: str, tokens: dict[str, str]) -> Callable[..., str | None]:
    from jinja2 import TemplateError
    from transformers.utils.chat_template_utils import render_jinja_template

    def render(messages: Messages, tools: Any = None, *, speak: bool = True, **more: Any) -> str | None:
        try:
            rendered, _ = render_jinja_template(
                [messages], tools=tools, chat_template=template, add_generation_prompt=speak, **tokens, **more
            )
        except (TemplateError, TypeError, ValueError):
            return None
        return str(rendered[0])

    return render


def _chatml(draft: _Draft) -> Form | None:
    def turn(role: str, text: str) -> str:
        return f"<|im_start|>{role}\n{text}<|im_end|>\n"

    talked, speak = draft.render(_TALK), "<|im_start|>assistant\n"
    written = turn("system", _S) + turn("user", _U) + turn("assistant", _A) + turn("user", _V) + speak
    alone = draft.render(_ASK)
    if not (talked and alone and talked.startswith(written) and turn("user", _U) in alone):
        return None
    draft.words = {"SPEAK": talked.removeprefix(written), "NO_SYSTEM": alone.partition(turn("user", _U))[0]}
    _tools_of_chatml(draft, turn)
    _thinking(draft)
    return draft.form("chatml", ("<|im_end|>", "<|im_start|>"))


def _tools_of_chatml(draft: _Draft, turn: Callable[[str, str], str]) -> None:
    below, alone = draft.render([*_SYSTEM, *_ASK], _TOOLS), draft.render(_ASK, _TOOLS)
    listed = [_listing(text, end="<|im_end|>") for text in (below, alone)]
    calls = [f'<tool_call>\n{{"name": "{name}", "arguments": {{"x": "1"}}}}\n</tool_call>' for name in ("one", "two")]
    results = f"\n<tool_response>\n{_RESULT}\n</tool_response>" * 2
    wanted = turn("user", _U) + turn("assistant", "\n".join(calls)) + f"<|im_start|>user{results}<|im_end|>\n"
    start, called = f"<|im_start|>system\n{_S}", draft.render([*_called(2), *_TALK[2:]], _TOOLS) or ""
    if listed[0] and listed[1] and listed[0].before.startswith(start) and wanted in called:
        draft.words["BELOW"] = listed[0].before.removeprefix(start)
        draft.words["ALONE"] = listed[1].before.removeprefix("<|im_start|>system\n")
        _keep_tools(draft, listed[0])
    else:
        draft.notes.append(_UNTOLD)


def _thinking(draft: _Draft) -> None:
    thought = [*_ASK, {"role": "assistant", "content": _A, "reasoning_content": _RESULT}]
    if f"<think>\n{_RESULT}\n</think>\n\n{_A}" in (draft.render(thought, speak=False) or ""):
        draft.holds.add("thinks")
        quiet, usual = draft.render(_ASK, enable_thinking=False) or "", draft.render(_ASK) or ""
        draft.words["UNTHINKING"] = quiet.removeprefix(usual) if quiet.startswith(usual) else ""


def _llama3(draft: _Draft, bos: str, adds_bos: bool) -> Form | None:
    def turn(role: str, text: str) -> str:
        return f"<|start_header_id|>{role}<|end_header_id|>\n\n{text}<|eot_id|>"

    speak = "<|start_header_id|>assistant<|end_header_id|>\n\n"
    talked, alone = draft.render(_TALK) or "", draft.render(_ASK) or ""
    begin = bos if bos and talked.startswith(bos) else ""
    opening, said, rest = talked.removeprefix(begin).partition(_S)
    start = "<|start_header_id|>system<|end_header_id|>\n\n"
    wanted = "<|eot_id|>" + turn("user", _U) + turn("assistant", _A) + turn("user", _V) + speak
    if not (said and opening.startswith(start) and rest.startswith(wanted) and turn("user", _U) in alone):
        return None
    draft.words = {
        "BEGIN": "" if adds_bos else begin,
        "HEAD": opening.removeprefix(start),
        "NO_SYSTEM": alone.removeprefix(begin).partition(turn("user", _U))[0],
        "SPEAK": rest.removeprefix(wanted),
    }
    if datetime.date.today().strftime("%d %b %Y") in opening:
        draft.notes.append("date: the template tells the day; here it stays the day of the export")
    _tools_of_llama3(draft, turn, begin + start)
    return draft.form("llama3", ("<|eot_id|>", "<|start_header_id|>"))


def _tools_of_llama3(draft: _Draft, turn: Callable[[str, str], str], start: str) -> None:
    head, said, rest = (draft.render([*_SYSTEM, *_ASK], _TOOLS) or "").partition(_S)
    opening = "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n"
    listed = _listing(rest, end=f"{_U}<|eot_id|>")
    called = draft.render([*_called(1), *_TALK[2:]], _TOOLS) or ""
    call = turn("assistant", '{"name": "one", "parameters": {"x": "1"}}')
    results = {
        "{{ .Content }}": turn("ipython", _RESULT),
        "{{ json .Content }}": turn("ipython", json.dumps(_RESULT)),
    }
    draft.result = next((told for told, text in results.items() if call + text in called), "")
    if said and head.startswith(start) and listed and listed.before.startswith(opening) and draft.result:
        draft.words["HEAD_WITH_TOOLS"] = head.removeprefix(start)
        draft.words["BELOW"] = listed.before.removeprefix(opening)
        _keep_tools(draft, listed)
    else:
        draft.notes.append(_UNTOLD)


@dataclass(frozen=True)
class _Listing:
    before: str
    between: str
    after: str
    tool: str


def _listing(text: str | None, *, end: str) -> _Listing | None:
    """Find both tools in what was written, and what stands around them up to `end`."""
    told = '{"type": "function", "function": {{ json .Function }}}'
    for indent in (None, 4):
        for tool, picked in ((told, _TOOLS), ("{{ json .Function }}", [one["function"] for one in _TOOLS])):
            first, second = (json.dumps(one, ensure_ascii=False, indent=indent) for one in picked)
            before, found, rest = (text or "").partition(first)
            between, more, rest = rest.partition(second)
            if found and more and end in rest:
                return _Listing(before, between, rest.partition(end)[0], tool)
    return None


def _keep_tools(draft: _Draft, listed: _Listing) -> None:
    draft.words |= {"BETWEEN": listed.between, "AFTER": listed.after}
    draft.tool = listed.tool
    draft.notes.append(_TOLD)
    draft.holds = draft.holds - {"plain"} | {"tools"}


def _called(count: int) -> Messages:
    calls = [
        {"type": "function", "function": {"name": one["function"]["name"], "arguments": {"x": "1"}}} for one in _TOOLS
    ]
    results = [{"role": "tool", "name": "one", "content": _RESULT} for _ in range(count)]
    return [*_ASK, {"role": "assistant", "content": "", "tool_calls": calls[:count]}, *results]
