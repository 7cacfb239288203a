"""OpenAI's chat-completions form of requests and answers, which many providers share. No client is imported here."""

from __future__ import annotations

import json
from typing import Any

from boxwright.errors import ModelError
from boxwright.models.base import Completion, Message, Request, ToolCall, ToolDefinition, Usage, read_arguments
from boxwright.models.stream import read_thinking, with_prefix
from boxwright.models.written import read_written

NOT_A_COMPLETION = (AttributeError, KeyError, IndexError, TypeError, ValueError, RecursionError)
"""What reading an answer that is no chat completion ends in."""


def not_a_completion(uri: str, error: Exception) -> ModelError:
    """Return the error for an answer in another form than a chat completion's."""
    said = " ".join(str(error).split())[:200]
    return ModelError(f"{uri}: the server's answer is no chat completion ({type(error).__name__}: {said})")


def request_body(request: Request, seed: int | None) -> dict[str, Any]:
    """Return a request as the arguments of OpenAI's `chat.completions.create`, but for the model."""
    messages = [wire_message(message) for message in request.messages]
    if request.prefix:
        messages.append({"role": "assistant", "content": request.prefix})
    body: dict[str, Any] = {
        "messages": messages,
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
    }
    if request.tools:
        body["tools"] = [wire_tool(tool) for tool in request.tools]
    if seed is not None:
        body["seed"] = seed
    if request.logprobs or request.top_logprobs:
        body["logprobs"] = True
    if request.top_logprobs:
        body["top_logprobs"] = request.top_logprobs
    if request.schema is not None and not request.tools:  # llama.cpp refuses both together
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": request.schema, "strict": True},
        }
    return body


def wire_tool(tool: ToolDefinition) -> dict[str, Any]:
    """Return a tool in OpenAI's form."""
    return {"type": "function", "function": tool.model_dump()}


def read_response(response: dict[str, Any], seconds: float, prefix: str = "") -> Completion:
    """Return the first choice of a chat completion, as JSON or dumped from OpenAI's or LiteLLM's classes.

    Raises:
        ModelError: The response holds no choice.
        KeyError: It is no chat completion; so are AttributeError, IndexError, TypeError and ValueError.
    """
    if not response["choices"]:
        raise ModelError(f"the model's server answered without a choice: {str(response)[:300]}")
    choice = response["choices"][0]
    message = choice["message"]
    calls = tuple(
        read_call(call.get("id") or f"call_{index}", call["function"]["name"], call["function"].get("arguments"))
        for index, call in enumerate(message.get("tool_calls") or ())
    )
    usage = response.get("usage") or {}
    logprobs = (choice.get("logprobs") or {}).get("content") or ()
    return Completion(
        text=with_prefix(prefix, message.get("content") or ""),
        thinking=read_thinking(message),
        tool_calls=calls,
        usage=Usage(
            prompt_tokens=usage.get("prompt_tokens") or 0,
            completion_tokens=usage.get("completion_tokens") or 0,
            seconds=seconds,
        ),
        finish=choice.get("finish_reason") or "stop",
        logprobs=tuple((one["token"], one["logprob"]) for one in logprobs),
        written=read_written(logprobs),
    )


def read_call(call_id: str, name: str, written: Any) -> ToolCall:
    """Return a call from the arguments as the model wrote them; those that cannot be read are kept beside the fault.

    Some servers give the arguments as an object, or none at all, where OpenAI's form has JSON text.
    """
    if not isinstance(written, str):
        written = json.dumps({} if written is None else written)
    arguments, fault = read_arguments(written)
    return ToolCall(id=call_id, name=name, arguments=arguments, fault=fault, raw=written if fault else "")


def wire_message(message: Message) -> dict[str, Any]:
    """Return a message in OpenAI's form."""
    wire: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        wire["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
            }
            for call in message.tool_calls
        ]
    if message.role == "tool":
        wire["tool_call_id"] = message.tool_call_id
    return wire
