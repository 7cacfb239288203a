"""`openai/<model>@<base url>`: any server that speaks OpenAI's chat completions (vLLM, llama.cpp, LM Studio, OpenAI itself).

Its wire form serves LiteLLM too, whose answers and errors have the same shapes.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

import openai

from boxwright.errors import ModelError, ModelUnreachable
from boxwright.models.base import Completion, Message, Request, RequestModel, ToolCall, ToolDefinition, Usage, read_arguments

TIMEOUT_SECONDS = 300.0


class OpenAiApi(RequestModel):
    """A model behind a server that speaks OpenAI's chat completions."""

    def __init__(self, model: str, base_url: str) -> None:
        self.uri = f"openai/{model}@{base_url}"
        self._model, self._base_url = model, base_url
        # Local servers want no key, but the client insists on one.
        key = os.environ.get("OPENAI_API_KEY") or "none"
        self._client = openai.AsyncOpenAI(base_url=base_url, api_key=key, timeout=TIMEOUT_SECONDS)

    async def answer_one(self, request: Request, seed: int | None) -> Completion:
        """See `RequestModel.answer_one`."""
        started = time.monotonic()
        body = request_body(request, seed)
        if request.prefix:  # vLLM's names; llama.cpp continues a last assistant message unasked
            body["extra_body"] = {"continue_final_message": True, "add_generation_prompt": False}
        try:
            response = await self._client.chat.completions.create(model=self._model, **body)
        except openai.OpenAIError as error:
            raise as_model_error(error, self.uri, self._base_url) from error
        return read_response(response, time.monotonic() - started, request.prefix)


def request_body(request: Request, seed: int | None) -> dict[str, Any]:
    """Return a request as the arguments of OpenAI's `chat.completions.create`, but for the model."""
    messages = [_wire_message(message) for message in request.messages]
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
    calls = []
    for call in choice.message.tool_calls or ():
        arguments, fault = read_arguments(call.function.arguments)
        calls.append(ToolCall(id=call.id or f"call_{len(calls)}", name=call.function.name, arguments=arguments, fault=fault))
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


def as_model_error(error: openai.OpenAIError, uri: str, where: str) -> ModelError:
    """Return an error of OpenAI's client, or of LiteLLM whose errors derive from them, as ours."""
    said = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return ModelUnreachable(f"{uri}: the key was refused ({said}); set the provider's key, such as OPENAI_API_KEY")
    if isinstance(error, openai.NotFoundError):
        return ModelUnreachable(f"{uri}: {where} has no such model or path ({said})")
    if isinstance(error, openai.APITimeoutError):
        return ModelUnreachable(f"{uri}: no answer from {where} within {TIMEOUT_SECONDS:g} seconds")
    if isinstance(error, openai.APIConnectionError):
        return ModelUnreachable(f"{uri}: no connection to {where}; is the server running? ({said})")
    return ModelError(f"{uri}: {said}")


def _wire_message(message: Message) -> dict[str, Any]:
    wire: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        wire["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": json.dumps(call.arguments)}}
            for call in message.tool_calls
        ]
    if message.role == "tool":
        wire["tool_call_id"] = message.tool_call_id
    return wire
