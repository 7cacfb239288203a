"""Puts a streamed chat completion together, from the chunks of OpenAI's form; no client is imported here."""

from __future__ import annotations

from typing import Any

from boxwright.errors import ModelError
from boxwright.models.base import Request, without_halves

_CHARACTERS_PER_TOKEN = 64
_CHARACTERS_MORE = 10_000


class Heard:
    """Tells the pieces of an answer on, and counts them: nothing that a server sends may go on for ever."""

    def __init__(self, uri: str, request: Request) -> None:
        self._uri, self._request = uri, request
        self._most = request.max_tokens * _CHARACTERS_PER_TOKEN + _CHARACTERS_MORE
        self._size = 0
        self._awaited = request.prefix
        self._held = ""
        self._half = ""  # the first half of a surrogate pair whose second comes with the next piece

    def count(self, characters: int) -> None:
        """Count what came, an empty piece as one character too.

        Raises:
            ModelError: It is more than the tokens asked for can hold.
        """
        self._size += characters + 1
        if self._size > self._most:
            raise ModelError(
                f"{self._uri}: the server went on past {self._most} characters, more than the "
                f"{self._request.max_tokens} tokens that it was asked for can hold; the connection was closed"
            )

    def text(self, piece: str) -> None:
        """Tell a piece of text; what may be a server's echo of the prefix is held back until that is known."""
        if not self._awaited:
            self._tell(piece)
            return
        self._held += piece
        if len(self._held) >= len(self._awaited) or not self._awaited.startswith(self._held):
            self.finish()

    def finish(self) -> None:
        """Tell what was held back, with the prefix where the server did not echo it."""
        told, self._awaited, self._held = with_prefix(self._awaited, self._held), "", ""
        self._tell(told)

    def end(self) -> None:
        """Tell all that was held back: the answer is at its end."""
        self.finish()
        half, self._half = self._half, ""
        self._tell(half, last=True)

    def thinking(self, piece: str) -> None:
        """Tell a piece of the reasoning."""
        if piece and self._request.on_text:
            self._request.on_text("thinking", piece)

    def _tell(self, piece: str, *, last: bool = False) -> None:
        piece, self._half = self._half + piece, ""
        if not last and "\ud800" <= piece[-1:] <= "\udbff":
            piece, self._half = piece[:-1], piece[-1]
        if piece and self._request.on_text:
            self._request.on_text("text", without_halves(piece))


class Chunks:
    """The chunks of one chat completion."""

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}
        self._logprobs: list[Any] = []
        self._finish: str | None = None
        self._usage: dict[str, Any] | None = None

    def take(self, chunk: dict[str, Any]) -> None:
        """Take the next chunk.

        Raises:
            ModelError: More came than was asked for.
            TypeError: It is no chunk; so are KeyError, AttributeError and ValueError.
        """
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk.get("choices") or ():
            self._finish = choice.get("finish_reason") or self._finish
            self._logprobs += (choice.get("logprobs") or {}).get("content") or ()
            self._delta(choice.get("delta") or {})
        if not chunk.get("choices"):
            self._heard.count(0)

    def whole(self) -> dict[str, Any]:
        """Return the completion as if it had come in one.

        Raises:
            ConnectionError: The stream ended before the answer did.
        """
        if self._finish is None:
            raise ConnectionError("the stream ended before the answer did")
        self._heard.end()
        message = {
            "content": "".join(self._text),
            "reasoning_content": "".join(self._thinking),
            "tool_calls": [{"id": call["id"], "function": call} for call in self._calls.values()],
        }
        choice = {"message": message, "finish_reason": self._finish, "logprobs": {"content": self._logprobs}}
        return {"choices": [choice], "usage": self._usage}

    def _delta(self, delta: dict[str, Any]) -> None:
        text, thinking = delta.get("content") or "", read_thinking(delta)
        self._heard.count(len(text) + len(thinking))
        if thinking:
            self._thinking.append(thinking)
            self._heard.thinking(thinking)
        if text:
            self._text.append(text)
            self._heard.text(text)
        for part in delta.get("tool_calls") or ():
            self._call(part)

    def _call(self, part: dict[str, Any]) -> None:
        function = part.get("function") or {}
        call = self._call_of(part)
        call["id"] = call["id"] or part.get("id") or ""
        call["name"] = call["name"] or function.get("name") or ""  # some servers say it again with every piece
        written = function.get("arguments") or ""
        self._heard.count(len(written))
        call["arguments"] = call["arguments"] + written if isinstance(written, str) else written

    def _call_of(self, part: dict[str, Any]) -> dict[str, Any]:
        """Return the call that a piece belongs to: by index, or by a new id where a server gives no index."""
        index, last = part.get("index"), next(reversed(self._calls), -1)
        if index is None:
            goes_on = last >= 0 and part.get("id") in (None, self._calls[last]["id"])
            index = last if goes_on else last + 1
        return self._calls.setdefault(index, {"id": "", "name": "", "arguments": ""})


def read_thinking(message: dict[str, Any]) -> str:
    """Return the reasoning that a message or a delta holds apart from its content, under either of its names."""
    thinking = message.get("reasoning_content") or message.get("reasoning")
    return thinking if isinstance(thinking, str) else ""


def with_prefix(prefix: str, text: str) -> str:
    """Return an answer with the text it was begun with: some servers (llama.cpp) echo it, others (vLLM) do not."""
    return text if text.startswith(prefix) else prefix + text
