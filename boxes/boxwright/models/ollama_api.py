"""`ollama/<model>`: a local model through Ollama, the student's default. The context window is always asked for."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast

import httpx
import ollama

from boxwright.errors import ContextOverflow, ModelError, ModelUnreachable
from boxwright.models.base import Completion, Message, ModelFacts, Request, RequestModel, ToolCall, Usage
from boxwright.models.overflow import read_overflow
from boxwright.models.stream import Heard, with_prefix
from boxwright.models.tokens import TokenGauge
from boxwright.models.wire import NOT_A_COMPLETION, not_a_completion, wire_tool
from boxwright.models.written import read_written

TIMEOUT_SECONDS = 300.0
FAR_BELOW = 0.4
"""Of a prompt estimated to be larger than the window, a count below this share of the estimate tells of a cut."""
_UNREAD_CALL = re.compile(r"error parsing tool call: raw='(.*)', err=", re.DOTALL)
_USER_CUT = re.compile(r"no user query found", re.IGNORECASE)
"""What Qwen's template says when the user's message is gone (ollama#18107)."""


class _Client(ollama.AsyncClient):
    """The client, and what it cannot say: a prompt or an answer that does not fit shall not be cut from the front.

    Ollama's `truncate` and `shift` (`server/routes.go`, both on by default); servers before them ignore both.
    """

    async def _request(self, cls: Any, *args: Any, **kwargs: Any) -> Any:
        if args[1:] == ("/api/chat",):
            kwargs["json"] = {**kwargs["json"], "truncate": False, "shift": False}
        return await super()._request(cls, *args, **kwargs)


class Ollama(RequestModel):
    """A model served by Ollama."""

    streams = True

    def __init__(
        self, model: str, url: str, context_tokens: int, *, thinking: bool = False, keep_alive: str = "10m"
    ) -> None:
        self.uri = f"ollama/{model}"
        self._model, self._url, self._wanted = model, url, context_tokens
        self._thinking = thinking
        # A number without a unit is seconds only as a number.
        self._keep_alive = keep_alive if keep_alive[-1].isalpha() else float(keep_alive)
        self._gauge = TokenGauge()
        # No connection is kept: it would outlive the event loop that it belongs to.
        limits = httpx.Limits(max_keepalive_connections=0)
        # Without TLS there is nothing to verify, and loading the certificates takes a while.
        verify = not url.startswith("http://")
        self._client = _Client(host=url, timeout=TIMEOUT_SECONDS, limits=limits, verify=verify)

    async def look_up(self) -> ModelFacts:
        """Ask `/api/show` for the capabilities and the model's own window, of which no more is asked than it has."""
        try:
            shown = await self._client.show(self._model)
        except (ollama.ResponseError, httpx.HTTPError, ConnectionError) as error:
            raise self._as_model_error(error) from error
        except NOT_A_COMPLETION as error:
            raise not_a_completion(self.uri, error) from error
        own = [value for key, value in (shown.modelinfo or {}).items() if key.endswith(".context_length")]
        window = min([self._wanted, *(length for length in own if isinstance(length, int) and length > 0)])
        can = shown.capabilities  # absent before Ollama 0.6.4
        tools = can is None or "tools" in can
        return ModelFacts(window, tools=tools, thinking="thinking" in (can or ()), schema=True)

    async def answer(self, request: Request) -> list[Completion]:
        """See `RequestModel.answer`; the facts are looked up first, once for all completions."""
        await self.facts()
        return await super().answer(request)

    async def answer_one(self, request: Request, seed: int | None) -> Completion:
        """See `RequestModel.answer_one`."""
        started = time.monotonic()
        facts = await self.facts()
        heard = Heard(self.uri, request)
        answer = _Answer(heard)
        try:
            await self._chat(request, seed, facts, answer)
            completion = answer.completion(request.prefix, time.monotonic() - started)
        except ollama.ResponseError as error:
            if unread := _UNREAD_CALL.search(error.error):
                # What the model wrote is all there is of this answer; whoever asked may be able to repair it.
                usage = Usage(seconds=time.monotonic() - started)
                return Completion(text=unread[1], thinking=answer.thinking, usage=usage, finish="unread-call")
            raise self._as_model_error(error, facts.context_tokens) from error
        except httpx.TimeoutException as error:
            raise ModelUnreachable(f"{self.uri}: no answer from {self._url} in {TIMEOUT_SECONDS:g} seconds") from error
        except (httpx.HTTPError, ConnectionError) as error:
            raise self._as_model_error(error) from error
        except NOT_A_COMPLETION as error:
            raise not_a_completion(self.uri, error) from error
        self._refuse_a_cut(request, completion.usage.prompt_tokens, facts.context_tokens)
        return completion

    async def _chat(self, request: Request, seed: int | None, facts: ModelFacts, answer: _Answer) -> None:
        asked = self._asked(request, seed, facts)
        if not request.on_text:
            answer.take(await self._client.chat(**asked))
            return
        stream = cast(AsyncGenerator[ollama.ChatResponse], await self._client.chat(**asked, stream=True))
        async with aclosing(stream):  # which closes the connection
            async for part in stream:
                answer.take(part)

    def _asked(self, request: Request, seed: int | None, facts: ModelFacts) -> dict[str, Any]:
        messages = [_wire_message(message) for message in request.messages]
        if request.prefix:
            messages.append({"role": "assistant", "content": request.prefix})
        # Left alone, Ollama takes a small window and cuts what does not fit from the front, tools first.
        options: dict[str, Any] = {"num_ctx": facts.context_tokens, "temperature": request.temperature}
        options["num_predict"] = request.max_tokens
        if seed is not None:
            options["seed"] = seed
        return {
            "model": self._model,
            "messages": messages,
            "tools": [wire_tool(tool) for tool in request.tools] or None,
            "options": options,
            "logprobs": bool(request.logprobs or request.top_logprobs) or None,
            "top_logprobs": request.top_logprobs or None,
            "format": None if request.tools else request.schema,
            "think": self._thinking if facts.thinking else None,  # refused by a model that cannot
            "keep_alive": self._keep_alive,
        }

    def _refuse_a_cut(self, request: Request, prompt_tokens: int, window: int | None) -> None:
        """Notice what a server that knows no `truncate` does silently, HTTP 200 and all (ollama#3839, #17889).

        The count holds cached tokens too (ollama#16428); versions before 0.5 gave none for a prompt that was cached.

        Raises:
            ContextOverflow: The prompt was cut.
        """
        if window is None or not prompt_tokens:
            return
        estimate = self._gauge.estimate(request.messages, request.tools)
        if prompt_tokens >= window or (estimate > window and prompt_tokens < FAR_BELOW * estimate):
            said = f"Ollama read {prompt_tokens} tokens of about {estimate} and cut the rest"
            raise ContextOverflow(self.uri, max(prompt_tokens, estimate), window, said)
        self._gauge.learn(request.messages, request.tools, prompt_tokens)

    def _as_model_error(self, error: Exception, window: int | None = None) -> ModelError:
        if isinstance(error, httpx.HTTPError) and not isinstance(error, httpx.ConnectError):
            return ModelError(f"{self.uri}: the answer broke off ({str(error) or type(error).__name__})")
        if not isinstance(error, ollama.ResponseError):
            return ModelUnreachable(
                f"no Ollama at {self._url}; start it with `ollama serve`, or set BOXWRIGHT_OLLAMA_URL ({error})"
            )
        if error.status_code == 404:
            return ModelUnreachable(f"Ollama has no model {self._model!r}; run: ollama pull {self._model}")
        said = str(error.error)
        if _USER_CUT.search(said):
            return ContextOverflow(self.uri, None, window, f"Ollama cut the user's message off: {said[:200]}")
        return read_overflow(self.uri, said, window) or ModelError(f"{self.uri}: Ollama answered {error}")


class _Answer:
    """What came of one answer so far."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._text = ""
        self.thinking = ""
        self._calls: list[ToolCall] = []
        self._logprobs: list[dict[str, Any]] = []
        self._last: ollama.ChatResponse | None = None

    def take(self, part: ollama.ChatResponse) -> None:
        """Take a piece of the answer, or all of it in one."""
        text, thinking = part.message.content or "", part.message.thinking or ""
        self._heard.count(len(text) + len(thinking))
        self._text += text
        self.thinking += thinking
        self._heard.thinking(thinking)
        self._heard.text(text)
        for call in part.message.tool_calls or ():
            arguments = dict(call.function.arguments)
            self._calls.append(ToolCall(id=f"call_{len(self._calls)}", name=call.function.name, arguments=arguments))
        self._logprobs += [one.model_dump() for one in part.logprobs or ()]
        self._last = part

    def completion(self, prefix: str, seconds: float) -> Completion:
        """Return the whole answer.

        Raises:
            RemoteProtocolError: It broke off.
        """
        if self._last is None or not self._last.done:
            raise httpx.RemoteProtocolError("the stream ended before the answer did")
        self._heard.end()
        prompt_tokens, completion_tokens = self._last.prompt_eval_count or 0, self._last.eval_count or 0
        return Completion(
            text=with_prefix(prefix, self._text),
            thinking=self.thinking,
            tool_calls=tuple(self._calls),
            usage=Usage(prompt_tokens=prompt_tokens, completion_tokens=completion_tokens, seconds=seconds),
            finish=self._last.done_reason or "stop",
            logprobs=tuple((one["token"], one["logprob"]) for one in self._logprobs),
            written=read_written(self._logprobs),
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
