"""What smolagents' agents remember: the steps of `agent.memory.get_full_steps()` as JSON, or their messages.

Code is kept as our own agent keeps it: the text as it was written, and a call of `python` with the code beside it. What
came of a step is its observations, and its error behind the head `Error:`. A tool-calling agent's `final_answer` stays
the call it is.

Source: smolagents 1.26 (memory.py); Kang et al. (arXiv 2505.17612) train on such runs.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from boxwright.models import Message, ToolCall
from boxwright.traces import Ended, KeptLanguage, Trajectory
from boxwright_student.code import FINAL, read_code
from boxwright_student.code_acts import PYTHON
from boxwright_training.importers.openai_chat import messages_of
from boxwright_training.importers.row import Row, Unreadable, as_text, made, objects, text_of
from boxwright_training.importers.talk import Talk

_CALLING, _OBSERVED = "Calling tools:\n", "Observation:\n"
_PROCEED = "Now proceed and carry out this plan."
_NEW_TASK = "New task:\n"


def fits(value: Any) -> bool:
    """Say whether these are an agent's steps, its result with them, or its messages."""
    return _are_steps(_steps(value)) or _are_messages(messages_of(value))


def read(row: Row) -> Trajectory:
    """Return the trajectory of a run.

    Raises:
        Unreadable: There is no task among the steps, or a result without its call.
    """
    steps = _steps(row.value)
    return _Run(row, steps).trajectory() if _are_steps(steps) else _of_messages(row)


class _Run:
    def __init__(self, row: Row, steps: list[dict[str, Any]]) -> None:
        self._row, self._talk = row, Talk()
        self._task = ""
        self._codes = any(step.get("code_action") for step in steps)
        self._answer: str | None = None
        self._ended: Ended = "steps"
        self._note = ""
        self._system(steps)
        for step in steps:
            self._take(step)

    def trajectory(self) -> Trajectory:
        if not self._task:
            raise Unreadable("there is no task among its steps")
        language: KeptLanguage = "code" if self._codes else "tool-calls"
        rest: dict[str, Any] = {"prompt": self._task, "answer": self._answer, "ended": self._ended, "note": self._note}
        return made(self._row, self._talk.messages, act_language=language, **rest)

    def _system(self, steps: list[dict[str, Any]]) -> None:
        """Say the system's message: it is no step, but stands in what each step asked the model."""
        asked = (step.get("model_input_messages") or [{}] for step in steps if "step_number" in step)
        first: dict[str, Any] = next(asked, [{}])[0]
        if first.get("role") == "system":
            self._talk.say("system", text_of(first.get("content")))

    def _take(self, step: dict[str, Any]) -> None:
        if "task" in step:
            self._task = self._task or step["task"]
            self._talk.say("user", step["task"])
        elif "plan" in step:
            written = (step.get("model_output_message") or {}).get("content")
            self._talk.answer(text_of(written or step["plan"]))
            self._talk.say("user", _PROCEED)
        elif "step_number" in step:
            self._act(step)
        elif "output" in step:  # a final answer, which newer versions keep as a step
            self._answer = as_text(step["output"])

    def _act(self, step: dict[str, Any]) -> None:
        error = step.get("error") or {}
        calls = self._calls(step)
        text = text_of(step.get("model_output"))
        if text or calls:
            self._talk.answer(text, calls=calls)
            self._observe(step, error, len(calls))
        output = step.get("action_output")
        if error.get("type") == "AgentMaxStepsError":  # its answer was asked for apart, and is no step
            self._ended, self._note = "steps", error["message"]
        elif step.get("is_final_answer", output is not None and _calls_final(step)):
            self._ended = "answered"
        else:
            return
        self._answer = as_text(step.get("observations") if output is None else output)  # a tool's answer is observed

    def _calls(self, step: dict[str, Any]) -> list[tuple[str, str, Any]]:
        if code := step.get("code_action"):
            return [("", PYTHON, {"code": code})]
        if self._codes:
            return []
        # Calls that failed are only in the message.
        listed = step.get("tool_calls") or (step.get("model_output_message") or {}).get("tool_calls") or ()
        return [(call.get("id") or "", call["function"]["name"], call["function"]["arguments"]) for call in listed]

    def _observe(self, step: dict[str, Any], error: dict[str, Any], calls: int) -> None:
        seen = [text_of(step.get("observations"))] if step.get("observations") else []
        if error:
            seen.append(f"Error:\n{error['message']}")
        text = "\n".join(seen)
        if not calls:
            if text:
                self._talk.say("user", text)
            return
        lines = text.split("\n")  # several calls' results are joined by line breaks
        for place in range(calls):
            self._talk.result(lines[place] if len(lines) == calls else text if place == 0 else "")


def _of_messages(row: Row) -> Trajectory:
    """Read the messages that a memory is written as: calls and results have roles of their own."""
    talk, task = Talk(), ""
    listed = messages_of(row.value)
    codes = False
    for message, after in zip(listed, [*listed[1:], {}], strict=True):
        role, content = message["role"], text_of(message.get("content"))
        if role == "assistant":
            calls = _called(after) if after.get("role") == "tool-call" else _coded(content, after)
            codes = codes or any(name == PYTHON for _, name, _ in calls)
            talk.answer(content, calls=calls)
        elif role == "tool-response" or (role == "user" and content.startswith(_OBSERVED)):
            _respond(talk, content.removeprefix(_OBSERVED))
        elif role != "tool-call":
            said = content.removeprefix(_NEW_TASK)
            task = task or (said if role == "user" else "")
            talk.say(role, said)
    answer = _final(talk.messages)
    ended: Ended = "steps" if answer is None else "answered"
    language: KeptLanguage = "code" if codes else "tool-calls"
    return made(row, talk.messages, prompt=task, answer=answer, ended=ended, act_language=language)


def _respond(talk: Talk, content: str) -> None:
    if talk.messages and talk.messages[-1].role == "assistant" and talk.messages[-1].tool_calls:
        talk.result(content)
    else:
        talk.say("user", content)


def _called(message: dict[str, Any]) -> list[tuple[str, str, Any]]:
    """Read the calls as `Calling tools:` prints them: a Python list."""
    listed = ast.literal_eval(text_of(message["content"]).removeprefix(_CALLING))
    made_calls = [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in listed]
    return [
        ("", PYTHON, {"code": arguments}) if isinstance(arguments, str) else (call_id, name, arguments)
        for call_id, name, arguments in made_calls
    ]


def _coded(content: str, after: dict[str, Any]) -> list[tuple[str, str, Any]]:
    """Read code where the conversation holds no calls: what was observed then is what it gave."""
    observed = after.get("role") == "tool-response" or text_of(after.get("content")).startswith(_OBSERVED)
    code = read_code(content) if observed or not after else ""
    return [("", PYTHON, {"code": code})] if code else []


def _final(messages: Sequence[Message]) -> str | None:
    """Return what the last call gave, where it gave the final answer."""
    calls = [call for message in messages for call in message.tool_calls]
    if not calls or not _gives_answer(calls[-1]):
        return None
    results = [message.content for message in messages if message.tool_call_id == calls[-1].id]
    return results[0].rsplit("Last output from code snippet:\n", 1)[-1].strip() if results else ""


def _gives_answer(call: ToolCall) -> bool:
    return call.name == FINAL or (call.name == PYTHON and f"{FINAL}(" in call.arguments.get("code", ""))


def _calls_final(step: dict[str, Any]) -> bool:
    names = [call["function"]["name"] for call in step.get("tool_calls") or ()]
    return FINAL in names or f"{FINAL}(" in (step.get("code_action") or "")


def _steps(value: Any) -> Any:
    if isinstance(value, dict):
        return value.get("steps") or value.get("memory") or value.get("full_steps")
    return value


def _are_steps(value: Any) -> bool:
    return objects(value) and any("step_number" in step and "model_output" in step for step in value)


def _are_messages(value: Any) -> bool:
    if not objects(value) or not all("role" in message for message in value):
        return False
    roles = {message["role"] for message in value}
    return "tool-response" in roles or ("tool" not in roles and any(map(_runs, value, value[1:])))


def _runs(message: dict[str, Any], after: dict[str, Any]) -> bool:
    """Say whether this is code and what it gave, though no role says so."""
    said, seen = message.get("content"), after.get("content")
    spoken = message["role"] == "assistant" and after["role"] == "user" and isinstance(said, str)
    return spoken and isinstance(seen, str) and seen.startswith(_OBSERVED) and bool(read_code(str(said)))
