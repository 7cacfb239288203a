"""Asks a pocket student's GGUF file as it is shipped: through llama.cpp's chat template, parser and tool grammar.

The grammar sets in at `<tool_call>` and lets through only names and arguments that the schemas allow; where a call
begins is the student's choice, and a bias on that one token shifts it.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxwright_training.exporting.llama import parameters_of
from boxwright_training.pocket.chat import render, text_of
from boxwright_training.pocket.turns import MOST, Ask, Said, Turn, read

if TYPE_CHECKING:
    import xllamacpp

CALLS = "<tool_call>"
CONTEXT = 4096
_SEEN = 20
"""First tokens whose probability is asked for; what is not among them is counted as beyond any bias."""


def serve(file: Path, threads: int, adapter: Path | None = None) -> xllamacpp.Server:
    """Load a GGUF file, and an adapter's on it, in llama.cpp, for one request at a time."""
    import xllamacpp

    return xllamacpp.Server(parameters_of(file, CONTEXT, threads, adapter))


def gguf_student(server: xllamacpp.Server, bias: float = 0.0) -> Ask:
    """Ask with calls held to the schemas, and `bias` added to the logit of `<tool_call>`."""

    def ask(wanted: list[Turn]) -> list[Said]:
        return [said(server.handle_chat_completions(request(turn, bias))) for turn in wanted]

    return ask


def free_student(server: xllamacpp.Server) -> Ask:
    """Ask with no grammar, reading the calls out of the text: what the constraint is worth is the difference."""

    def ask(wanted: list[Turn]) -> list[Said]:
        prompts = (text_of(render(turn.messages, turn.tools, speak=True)) for turn in wanted)
        replies = (
            server.handle_completions({"prompt": prompt, "n_predict": MOST, "temperature": 0}) for prompt in prompts
        )
        return [read(reply["content"]) if "content" in reply else Said((), json.dumps(reply)) for reply in replies]

    return ask


def request(turn: Turn, bias: float = 0.0) -> dict[str, Any]:
    """Return the chat completion to ask for a turn."""
    messages = json.loads(json.dumps(turn.messages))
    for call in (call for message in messages for call in message.get("tool_calls") or ()):
        call["function"]["arguments"] = json.dumps(call["function"]["arguments"], ensure_ascii=False)
    asked = {"messages": messages, "tools": turn.tools, "temperature": 0, "max_tokens": MOST}
    return asked | ({"logit_bias": [[CALLS, bias]]} if bias else {})


def said(reply: dict[str, Any]) -> Said:
    """Read a chat completion; an error stands as its text, which is no right answer."""
    if "choices" not in reply:
        return Said((), json.dumps(reply))
    message = reply["choices"][0]["message"]
    calls = []
    for call in message.get("tool_calls") or ():
        try:
            calls.append((call["function"]["name"], json.loads(call["function"]["arguments"])))
        except ValueError:
            calls.append((call["function"]["name"], call["function"]["arguments"]))
    return Said(tuple(calls), (message.get("content") or "").strip())


def weighed(server: xllamacpp.Server, turn: Turn) -> tuple[Said, float]:
    """Ask without a bias; give what was said, and by how much `<tool_call>` led every other first token, in logits."""
    reply = server.handle_chat_completions(request(turn) | {"logprobs": True, "top_logprobs": _SEEN})
    tokens = (reply["choices"][0].get("logprobs") or {}).get("content") if "choices" in reply else None
    found = {one["token"]: one["logprob"] for one in tokens[0]["top_logprobs"]} if tokens else {}
    lead = found.pop(CALLS) - max(found.values()) if CALLS in found else -math.inf
    return said(reply), lead
