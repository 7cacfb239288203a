"""`openai/<model>@<base url>`: any server of OpenAI's chat completions: vLLM, llama.cpp, LM Studio, OpenAI's.

Its errors serve LiteLLM too, whose own derive from them.
"""

from __future__ import annotations

import json
import os
import re
import time
from typing import Any, cast

import httpx
import openai

from boxwright.errors import ModelError, ModelUnreachable
from boxwright.models.base import Completion, ModelFacts, Request, RequestModel
from boxwright.models.overflow import read_overflow
from boxwright.models.stream import Chunks, Heard, read_thinking
from boxwright.models.wire import NOT_A_COMPLETION, not_a_completion, read_response, request_body

TIMEOUT_SECONDS = 300.0
FACTS_SECONDS = 10.0
NOTHING_KEPT = httpx.Limits(max_keepalive_connections=0)
"""No connection is kept: it would outlive the event loop that it belongs to."""
_NO_KEY = re.compile("missing credentials|api_key client option must be set", re.IGNORECASE)
"""What OpenAI's client says without a key, which LiteLLM passes on as an internal error of the server."""


class OpenAiApi(RequestModel):
    """A model behind a server that speaks OpenAI's chat completions."""

    streams = True

    def __init__(self, model: str, base_url: str, *, thinking: bool = False, key: str = "", uri: str = "") -> None:
        self.uri = uri or f"openai/{model}@{base_url}"
        self._model, self._base_url, self._thinking = model, base_url.rstrip("/"), thinking
        # Local servers want no key, but the client insists on one.
        key = key or os.environ.get("OPENAI_API_KEY") or "none"
        http = openai.DefaultAsyncHttpxClient(limits=NOTHING_KEPT)
        self._client = openai.AsyncOpenAI(base_url=base_url, api_key=key, timeout=TIMEOUT_SECONDS, http_client=http)

    async def look_up(self) -> ModelFacts:
        """Ask what llama.cpp (`/props`) and vLLM (`max_model_len` in `/models`) tell; of others nothing is known."""
        props = await self._get(f"{self._base_url.removesuffix('/v1')}/props")
        generation = props.get("default_generation_settings")
        if isinstance(generation, dict) and isinstance(generation.get("n_ctx"), int):
            template = str(props.get("chat_template", ""))
            can = props.get("chat_template_caps")
            tools = not isinstance(can, dict) or can.get("supports_tools", True) is True
            thinking = "enable_thinking" in template or "<think>" in template
            return ModelFacts(_size(generation["n_ctx"]), tools=tools, thinking=thinking, schema=True)
        listed = (await self._get(f"{self._base_url}/models")).get("data")
        for one in listed if isinstance(listed, list) else ():
            if isinstance(one, dict) and one.get("id") == self._model and isinstance(one.get("max_model_len"), int):
                return ModelFacts(_size(one["max_model_len"]), schema=True)
        return ModelFacts()

    async def answer(self, request: Request) -> list[Completion]:
        """See `RequestModel.answer`; the facts are looked up first, once for all completions."""
        await self.facts()
        return await super().answer(request)

    async def answer_one(self, request: Request, seed: int | None) -> Completion:
        """See `RequestModel.answer_one`."""
        started = time.monotonic()
        facts = await self.facts()
        extra = self._extra(request, facts)
        # The client goes through messages and tools type by type, which takes longer than all else of a step.
        asked = request_body(request, seed)
        large = {key: asked.pop(key) for key in ("messages", "tools") if key in asked}
        body: dict[str, Any] = {"model": self._model, **asked, "messages": [], "extra_body": large | extra}
        try:
            response = await (self._streamed(request, body) if request.on_text else self._whole(body))
            return read_response(response, time.monotonic() - started, request.prefix)
        except openai.OpenAIError as error:
            raise as_model_error(error, self.uri, self._base_url, facts.context_tokens) from error
        except (httpx.HTTPError, ConnectionError) as error:
            raise ModelError(f"{self.uri}: the answer broke off ({str(error) or type(error).__name__})") from error
        except (*NOT_A_COMPLETION, httpx.InvalidURL) as error:
            raise not_a_completion(self.uri, error) from error

    def _extra(self, request: Request, facts: ModelFacts) -> dict[str, Any]:
        """Return what only local servers take: OpenAI's own refuses arguments that it does not know."""
        extra: dict[str, Any] = {}
        if facts.context_tokens is not None:
            extra["chat_template_kwargs"] = {"enable_thinking": self._thinking}
        if request.prefix:  # vLLM's names; llama.cpp takes them too
            extra |= {"continue_final_message": True, "add_generation_prompt": False}
        return extra

    async def _whole(self, body: dict[str, Any]) -> dict[str, Any]:
        response = await self._client.chat.completions.create(**body)
        dumped: dict[str, Any] = response.model_dump(warnings=False)
        return dumped

    async def _streamed(self, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        heard = Heard(self.uri, request)
        chunks = Chunks(heard)
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        stream = cast("openai.AsyncStream[Any]", await self._client.chat.completions.create(**body))
        async with stream:  # leaving the block closes the connection, which is what makes a server stop
            if re.search("json|html", stream.response.headers.get("content-type", "")):
                return await _unstreamed(stream.response, heard)
            async for chunk in stream:
                chunks.take(chunk.model_dump(warnings=False))
        return chunks.whole()

    async def _get(self, url: str) -> dict[str, Any]:
        """Return what a server tells of itself, or nothing where it has no such page."""
        client = self._client.with_options(max_retries=0, timeout=FACTS_SECONDS)
        try:
            told = (await client.get(url, cast_to=httpx.Response)).json()
        except openai.APITimeoutError:
            return {}
        except openai.APIConnectionError as error:
            raise as_model_error(error, self.uri, self._base_url) from error
        except (openai.OpenAIError, ValueError, httpx.InvalidURL):
            return {}
        return told if isinstance(told, dict) else {}


async def _unstreamed(response: httpx.Response, heard: Heard) -> dict[str, Any]:
    """Return the whole answer of a server that was asked for a stream and gives none.

    Raises:
        APIError: It is an error under HTTP 200, as some servers and proxies give it.
        ValueError: It is a page, or no JSON; KeyError, TypeError and others, if it is no chat completion.
    """
    content = await response.aread()
    try:
        told = json.loads(content)
    except ValueError:
        raise ValueError(f"no JSON: {content[:120]!r}") from None
    if error := told.get("error"):
        said = error.get("message") if isinstance(error, dict) else error
        raise openai.APIError(str(said or error), request=response.request, body=error)
    message = told["choices"][0]["message"]
    heard.thinking(read_thinking(message))
    heard.text(message.get("content") or "")
    heard.end()
    return cast("dict[str, Any]", told)


def _size(told: int) -> int | None:
    return told if told > 0 else None


def as_model_error(error: openai.OpenAIError, uri: str, where: str, context_tokens: int | None = None) -> ModelError:
    """Return an error of OpenAI's client, or of LiteLLM whose errors derive from them, as ours."""
    body = getattr(error, "body", None)
    told = str(body.get("message") or body) if isinstance(body, dict) else str(body or error)
    said = told.strip().partition("\n")[0][:300] or type(error).__name__
    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return ModelUnreachable(f"{uri}: the key was refused ({said}); set the provider's key, such as OPENAI_API_KEY")
    if _NO_KEY.search(said):
        return ModelUnreachable(f"{uri}: there is no key ({said}); set the provider's key, such as OPENAI_API_KEY")
    if isinstance(error, openai.NotFoundError):
        return ModelUnreachable(f"{uri}: {where} has no such model or path ({said})")
    if isinstance(error, openai.APITimeoutError):
        return ModelUnreachable(f"{uri}: no answer from {where} within {TIMEOUT_SECONDS:g} seconds")
    if isinstance(error, openai.APIConnectionError):
        return ModelUnreachable(f"{uri}: no connection to {where}; is the server running? ({said})")
    return read_overflow(uri, said, context_tokens, f"{error} {body}") or ModelError(f"{uri}: {said}")
