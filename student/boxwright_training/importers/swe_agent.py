"""SWE-agent's `.traj` files: what the model was shown and wrote stands in `history`, with thought and action as fields.

Old runs write a command in a fenced block, so their acts are text: the block with its fence. New ones call tools.
Demonstrations (`is_demo`) are what the model was shown, so they stand in the question's message and are not supervised.
The submission is the answer.

Where `trajectory` and `history` differ, as in a demonstration that was edited by hand, `history` counts.

Source: SWE-agent (arXiv 2405.15793; its documentation's page on trajectories).
"""

from __future__ import annotations

import json
import re
from typing import Any

from boxwright.models import Message
from boxwright.traces import Ended, Trajectory
from boxwright_training.importers.openai_chat import add, thinking_of
from boxwright_training.importers.row import IMPORTED, Row, Unreadable, made, objects, text_of
from boxwright_training.importers.talk import Talk

_OPENING = r"(?:```[^\n]*\n|<(\w+)>\s*)"
_ENDS: dict[str, Ended] = {
    "submitted": "answered",
    "exit_context": "context",
    "exit_cost": "tokens",
    "early_exit": "cancelled",
    "exit_forfeit": "empty",
    "skipped": "empty",
    "exit_format": "model-error",
    "exit_api": "model-error",
    "exit_error": "model-error",
    "exit_command_timeout": "seconds",
    "exit_total_execution_time": "seconds",
    "exit_environment_error": "tools-error",
}
_CUT = re.compile(r"submitted \((\w+)\)")


def fits(value: Any) -> bool:
    """Say whether this is the record of a run."""
    return isinstance(value, dict) and isinstance(value.get("trajectory"), list) and objects(value.get("history"))


def read(row: Row) -> Trajectory:
    """Return the trajectory of a run.

    Raises:
        Unreadable: An action does not stand in the text that it was taken from.
    """
    history = row.value["history"]
    shown = [message for message in history if message.get("is_demo")]
    rest = [message for message in history if not message.get("is_demo")]
    acts = "tool-calls" if any(message.get("tool_calls") for message in rest) else "text"
    talk = Talk()
    for message in rest:
        add(talk, message)
        if acts == "text" and message["role"] == "assistant":
            talk.messages[-1] = _marked(talk.messages[-1], message)
    asked = next((place for place, message in enumerate(talk.messages) if message.role == "user"), None)
    if asked is None:
        raise Unreadable("its history holds no question")
    prompt = talk.messages[asked].content
    examples = "".join(f"{_example(message)}\n\n" for message in shown)
    talk.messages[asked] = Message(role="user", content=examples + prompt)
    return _of_run(row, talk.messages, prompt=prompt, act_language=acts)


def _of_run(row: Row, messages: list[Message], **rest: Any) -> Trajectory:
    info = row.value.get("info") or {}
    status = str(info.get("exit_status") or "")
    cut = _CUT.fullmatch(status)  # what there was when the run broke off was submitted for it
    ended = _ENDS.get(cut[1] if cut else status, "model-error" if status else "cancelled")
    answer = info.get("submission") or None
    if ended == "answered" and answer is None:
        ended = "empty"
    note = "" if status == "submitted" else status
    return made(row, messages, answer=answer, ended=ended, note=note, model=_model(row.value), **rest)


def _marked(said: Message, message: dict[str, Any]) -> Message:
    """Mark the act in what the model said: the action with the fence or the tags around it."""
    action = (message.get("action") or "").strip()
    if not action:
        return said
    written = re.escape(action)
    fenced = list(re.finditer(rf"{_OPENING}\s*{written}\s*(?:```|</\w+>)", said.content))
    found = fenced or list(re.finditer(written, said.content))
    if not found:
        raise Unreadable(f"the action {action[:60]!r} does not stand in what the model wrote")
    return said.model_copy(update={"acts": (found[-1].span(),)})


def _example(message: dict[str, Any]) -> str:
    content = text_of(message.get("content"))
    called = message.get("action") if message.get("tool_calls") else ""
    return "\n".join(filter(None, (thinking_of(message), content, called)))


def _model(run: dict[str, Any]) -> str:
    config = run.get("replay_config") or {}
    if isinstance(config, str):
        config = json.loads(config)
    model = ((config.get("agent") or {}).get("model") or {}) if isinstance(config, dict) else {}
    return str(model.get("name") or model.get("model_name") or IMPORTED)
