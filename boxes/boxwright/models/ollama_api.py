"""`ollama/<model>`: a local model through Ollama, the student's default. The context window is always asked for."""

from __future__ import annotations

import time
from typing import Any

import httpx
import ollama

from boxwright.errors import ModelError, ModelUnreachable
from boxwright.models.base import Completion, Message, Request, RequestModel, ToolCall, Usage
from boxwright.models.wire import NOT_A_COMPLETION, not_a_completion, wire_tool

TIMEOUT_SECONDS = 300.0


class Ollama(RequestModel):
    """A model served by Ollama."""

    def __init__(self, model: str, url: str, context_tokens: int) -> None:
        self.uri = f"ollama/{model}"
        self._model, self._url, self._context = model, url, context_tokens
        self._client = ollama.AsyncClient(host=url, timeout=TIMEOUT_SECONDS)

    async def answer_one(self, request: Request, seed: int | None) -> Completion:
        """See `RequestModel.answer_one`."""
        messages = [_wire_message(message) for message in request.messages]
        if request.prefix:
            messages.append({"role": "assistant", "content": request.prefix})
        # Left alone, Ollama takes a small window and cuts what does not fit from the front, tools first.
        options: dict[str, Any] = {"num_ctx": self._context, "temperature": request.temperature}
        options["num_predict"] = request.max_tokens
        if seed is not None:
            options["seed"] = seed
        started = time.monotonic()
        try:
            response = await self._client.chat(
                model=self._model,
                messages=messages,
                tools=[wire_tool(tool) for tool in request.tools] or None,
                options=options,
                logprobs=request.logprobs or None,
            )
        except ollama.ResponseError as error:
            if error.status_code == 404:
                raise ModelUnreachable(
                    f"Ollama has no model {self._model!r}; run: ollama pull {self._model}"
                ) from error
            raise ModelError(f"{self.uri}: Ollama answered {error}") from error
        except (httpx.HTTPError, ConnectionError) as error:
            raise ModelUnreachable(
                f"no Ollama at {self._url}; start it with `ollama serve`, or set BOXWRIGHT_OLLAMA_URL ({error})"
            ) from error
        except NOT_A_COMPLETION as error:
            raise not_a_completion(self.uri, error) from error
        return self._read(response, request.prefix, time.monotonic() - started)

    def _read(self, response: ollama.ChatResponse, prefix: str, seconds: float) -> Completion:
        calls = [
            ToolCall(id=f"call_{index}", name=call.function.name, arguments=dict(call.function.arguments))
            for index, call in enumerate(response.message.tool_calls or ())
        ]
        prompt_tokens = response.prompt_eval_count or 0
        if prompt_tokens >= self._context:
            raise ModelError(
                f"{self.uri}: the prompt filled the context of {self._context} tokens and was cut; "
                "set BOXWRIGHT_CONTEXT_TOKENS higher or mount fewer tools"
            )
        return Completion(
            text=prefix + (response.message.content or ""),
            tool_calls=tuple(calls),
            usage=Usage(prompt_tokens=prompt_tokens, completion_tokens=response.eval_count or 0, seconds=seconds),
            finish=response.done_reason or "stop",
            logprobs=tuple((one.token, one.logprob) for one in response.logprobs or ()),
        )


def _wire_message(message: Message) -> dict[str, Any]:
    wire: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        wire["tool_calls"] = [
            {"function": {"name": call.name, "arguments": call.arguments}} for call in message.tool_calls
        ]
    if message.role == "tool":
        wire["tool_name"] = message.name
    return wire
