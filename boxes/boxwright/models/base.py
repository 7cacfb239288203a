"""The seam: messages, tools and completions as values, and the protocol every model follows."""

from __future__ import annotations

import asyncio
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from boxwright.models.written import WrittenToken

_HALVES = re.compile("[\ud800-\udfff]")
Role = Literal["system", "user", "assistant", "tool"]
OnText: TypeAlias = Callable[[Literal["text", "thinking"], str], None]
"""Takes the pieces of an answer as they come: what kind of text, and the piece."""


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ToolCall(_Value):
    """A tool call that a model asks for."""

    id: str
    name: str
    arguments: dict[str, Any]
    fault: str = ""
    """Why the arguments the model wrote could not be read; empty where they could."""
    raw: str = ""
    """The arguments as the model wrote them, kept only where they could not be read; never sent back to a server."""


class InnerCall(_Value):
    """A tool call that code made, and what came of it."""

    call: ToolCall
    text: str
    failed: bool = False


class Message(_Value):
    """One message of a conversation."""

    role: Role
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    """Assistant only."""
    tool_call_id: str = ""
    """Tool only: the call it answers."""
    name: str = ""
    """Tool only: the tool it comes from."""
    thinking: str = ""
    """Assistant only: the reasoning that the server gave apart from the content; never sent back to a server."""
    inner: tuple[InnerCall, ...] = ()
    """Tool only: the calls made by the code whose outcome it is; never sent to a server."""
    acts: tuple[tuple[int, int], ...] = ()
    """Assistant only, where acts are text: the stretches [start, end) of the content that are acts, in order; the rest
    is reasoning. Never sent to a server."""
    written: tuple[WrittenToken, ...] = Field(default=(), exclude_if=lambda tokens: not tokens)
    """Assistant only: the tokens the model wrote with the likeliest in their places, where these were asked for; never
    sent to a server. Left out of every dump while there are none, as in those from before it, whose digests stay."""


class ToolDefinition(_Value):
    """A tool as a model is shown it."""

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON Schema of the arguments."""
    output_schema: dict[str, Any] | None = Field(default=None, exclude=True)
    """JSON Schema of the structured result, where the tool declares one; a model is not shown it."""


class Usage(_Value):
    """What a completion took."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    dollars: float = 0.0

    @property
    def tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            seconds=self.seconds + other.seconds,
            dollars=self.dollars + other.dollars,
        )


class Completion(_Value):
    """One answer of a model."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()
    finish: str = "stop"
    """Why the model stopped, in its server's word: `stop`, `length`, `tool_calls`, …"""
    logprobs: tuple[tuple[str, float], ...] = Field(default=(), strict=False)
    """Each token of the text with its log-probability, where they were asked for and the server gives them."""
    thinking: str = ""
    """The reasoning that the server gave apart from the text."""
    written: tuple[WrittenToken, ...] = ()
    """Each token the model wrote with the likeliest in its place, where they were asked for and the server gives them;
    as the server tells them: of all it wrote (llama.cpp, vLLM) or of the text alone (OpenAI)."""

    def message(self) -> Message:
        """Return the completion as the assistant message that continues the conversation."""
        return Message(
            role="assistant",
            content=self.text,
            tool_calls=self.tool_calls,
            thinking=self.thinking,
            written=self.written,
        )


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model and its server before it is asked anything."""

    context_tokens: int | None = None
    """The window that prompt and completion share; None where nobody tells."""
    tools: bool = True
    """Whether it takes tool definitions and gives tool calls apart from text."""
    thinking: bool = False
    """Whether it can give its reasoning apart."""
    schema: bool = False
    """Whether its text can be constrained to a JSON Schema as it is decoded."""


@dataclass(frozen=True)
class Request:
    """What a model is asked; one value, so that it can be recorded and found again."""

    messages: tuple[Message, ...]
    tools: tuple[ToolDefinition, ...] = ()
    n: int = 1
    temperature: float = 0.0
    seed: int | None = None
    max_tokens: int = 4096
    prefix: str = ""
    logprobs: bool = False
    schema: dict[str, Any] | None = None
    top_logprobs: int = 0
    on_text: OnText | None = field(default=None, compare=False, repr=False)
    """Who takes the pieces as they come; no part of what is asked."""

    def as_json(self) -> dict[str, Any]:
        """Return the normalised form, over which requests are recorded and found: no defaults, no call ids.

        Only what a server is sent counts, so neither thinking, inner calls, written tokens nor raw arguments do.
        """
        messages = [
            message.model_dump(exclude_defaults=True, exclude={"thinking", "inner", "acts", "written"})
            for message in self.messages
        ]
        numbers: dict[str, str] = {}
        for message in messages:
            for call in message.get("tool_calls", ()):
                call.pop("raw", None)
                call["id"] = numbers.setdefault(call["id"], str(len(numbers)))
            if "tool_call_id" in message:
                message["tool_call_id"] = numbers.get(message["tool_call_id"], message["tool_call_id"])
        tools = [tool.model_dump() for tool in self.tools]
        rest = {key: getattr(self, key) for key in ("n", "temperature", "seed", "max_tokens", "prefix", "logprobs")}
        # Left out at their defaults, so that recordings from before them are found.
        if self.schema is not None:
            rest["schema"] = self.schema
        if self.top_logprobs:
            rest["top_logprobs"] = self.top_logprobs
        return {"messages": messages, "tools": tools, **rest}


class ChatModel(Protocol):
    """A chat model."""

    @property
    def uri(self) -> str:
        """The name under which `load_model` finds it."""

    @property
    def label(self) -> str:
        """What must be said wherever its completions show, such as `hand-written`; often empty."""

    async def facts(self) -> ModelFacts:
        """Return what is known of the model; its server is asked once.

        Raises:
            ModelUnreachable: No answer, or no such model, key or right there.
        """

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolDefinition] = (),
        n: int = 1,
        temperature: float = 0.0,
        seed: int | None = None,
        max_tokens: int = 4096,
        prefix: str = "",
        logprobs: bool = False,
        schema: dict[str, Any] | None = None,
        top_logprobs: int = 0,
        on_text: OnText | None = None,
    ) -> list[Completion]:
        """Return `n` completions of the conversation.

        Args:
            messages: The conversation so far.
            tools: The tools it may call.
            n: How many completions; asked for separately where a server gives one at a time.
            temperature: 0 is greedy.
            seed: For servers that take one; the i-th completion gets `seed + i`.
            max_tokens: The longest completion.
            prefix: Text the answer starts with; it is part of the completion's text.
            logprobs: Ask for each token's log-probability.
            top_logprobs: Ask for so many of the likeliest tokens in each token's place too (`Completion.written`).
                Hosted servers and vLLM give 20 at most by default. llama.cpp refuses them for an answer that is
                streamed while tools are shown.
            schema: A JSON Schema that the server shall constrain the text to, where it can (`ModelFacts.schema`) and no
                tools are shown; it is no promise: an answer cut at `max_tokens` breaks off.
            on_text: Called with each piece of the answer as it comes, prefix included, and only for `n == 1`. The
                pieces of an answer that fails half-way were told all the same. It must not raise.

        Raises:
            ContextOverflow: The prompt does not fit the model's window, whether its server said so or cut it.
            ModelUnreachable: No answer, or no such model, key or right there.
            ModelError: The model could not answer for another reason; the subclass says which.
        """


class RequestModel(ABC):
    """Base of the models here: gathers the arguments of `complete` into a `Request` and answers it `n` times."""

    uri: str
    label: str = ""
    streams: bool = False
    """Whether `answer` tells `Request.on_text` the pieces itself; else the whole answer is told at once."""
    _facts: ModelFacts | None = None

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[ToolDefinition] = (),
        n: int = 1,
        temperature: float = 0.0,
        seed: int | None = None,
        max_tokens: int = 4096,
        prefix: str = "",
        logprobs: bool = False,
        schema: dict[str, Any] | None = None,
        top_logprobs: int = 0,
        on_text: OnText | None = None,
    ) -> list[Completion]:
        """See `ChatModel.complete`."""
        heard = on_text if n == 1 else None
        request = Request(
            tuple(messages),
            tuple(tools),
            n,
            temperature,
            seed,
            max_tokens,
            prefix,
            logprobs,
            schema,
            top_logprobs,
            heard,
        )
        completions = [_unicode(one) for one in await self.answer(request)]
        if heard and not self.streams:
            tell(heard, completions[0])
        return completions

    async def facts(self) -> ModelFacts:
        """See `ChatModel.facts`."""
        if self._facts is None:
            self._facts = await self.look_up()
        return self._facts

    async def look_up(self) -> ModelFacts:
        """Find out what is known of the model; called once, and again only if it raised."""
        return ModelFacts()

    async def answer(self, request: Request) -> list[Completion]:
        """Return the request's completions; by default each is asked for on its own, all at once."""
        seeds = [None if request.seed is None else request.seed + index for index in range(request.n)]
        return list(await asyncio.gather(*(self.answer_one(request, seed) for seed in seeds)))

    @abstractmethod
    async def answer_one(self, request: Request, seed: int | None) -> Completion:
        """Return one completion."""


async def ask(model: ChatModel, request: Request) -> list[Completion]:
    """Pass a request on to another model, whole."""
    return await model.complete(
        request.messages,
        tools=request.tools,
        n=request.n,
        temperature=request.temperature,
        seed=request.seed,
        max_tokens=request.max_tokens,
        prefix=request.prefix,
        logprobs=request.logprobs,
        schema=request.schema,
        top_logprobs=request.top_logprobs,
        on_text=request.on_text,
    )


def tell(on_text: OnText, completion: Completion) -> None:
    """Tell a whole completion as one piece of each kind."""
    if completion.thinking:
        on_text("thinking", completion.thinking)
    if completion.text:
        on_text("text", completion.text)


def without_halves(text: str) -> str:
    """Return the text as Unicode: JSON can hold half a surrogate pair, which no file and no terminal takes.

    Halves that servers put into two pieces, a token each, are whole again once the pieces stand together.
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _unicode(completion: Completion) -> Completion:
    written = json.dumps(completion.model_dump(), ensure_ascii=False)
    if not _HALVES.search(written):
        return completion
    return Completion.model_validate(json.loads(without_halves(written)))


def read_arguments(text: str) -> tuple[dict[str, Any], str]:
    """Return a call's arguments from the JSON a model wrote, and why they could not be read if so."""
    try:
        arguments = json.loads(text or "{}", parse_constant=_no_constant)
    except (ValueError, TypeError, RecursionError) as error:
        return {}, f"the arguments are not JSON ({error}): {text!r:.200}"
    if not isinstance(arguments, dict):
        return {}, f"the arguments must be a JSON object, got {text!r:.200}"
    return arguments, ""


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
