"""OpenAI's chat-completions form of requests and answers, which many providers share. No client is imported here."""

from __future__ import annotations

import json
from typing import Any

from boxwright.errors import ModelError
from boxwright.models.base import Completion, Message, Request, ToolCall, ToolDefinition, Usage, read_arguments

NOT_A_COMPLETION = (AttributeError, KeyError, IndexError, TypeError, ValueError, RecursionError)
"""What reading an answer that is no chat completion ends in."""


def not_a_completion(uri: str, error: Exception) -> ModelError:
    """Return the error for an answer in another form than a chat completion's."""
    return ModelError(f"{uri}: the server's answer is no chat completion ({type(error).__name__}: {str(error)[:200]})")


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
    if request.logprobs:
        body["logprobs"] = True
    return body


def wire_tool(tool: ToolDefinition) -> dict[str, Any]:
    """Return a tool in OpenAI's form."""
    return {"type": "function", "function": tool.model_dump()}


def read_response(response: Any, seconds: float, prefix: str = "") -> Completion:
    """Return the first choice of a chat completion, from OpenAI's client or LiteLLM's.

    Raises:
        ModelError: The response holds no choice.
    """
    if not response.choices:
        raise ModelError(f"the model's server answered without a choice: {str(response)[:300]}")
    choice = response.choices[0]
    calls: list[ToolCall] = []
    for call in choice.message.tool_calls or ():
        arguments, fault = read_arguments(call.function.arguments)
        calls.append(
            ToolCall(id=call.id or f"call_{len(calls)}", name=call.function.name, arguments=arguments, fault=fault)
        )
    usage = response.usage
    tokens = (usage.prompt_tokens, usage.completion_tokens) if usage else (0, 0)
    probabilities = getattr(choice, "logprobs", None)
    return Completion(
        text=prefix + (choice.message.content or ""),
        tool_calls=tuple(calls),
        usage=Usage(prompt_tokens=tokens[0], completion_tokens=tokens[1], seconds=seconds),
        finish=choice.finish_reason or "stop",
        logprobs=tuple((one.token, one.logprob) for one in (probabilities.content or ())) if probabilities else (),
    )


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
