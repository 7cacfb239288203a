"""A real HTTP server on loopback that speaks OpenAI's chat completions and Ollama's chat, and counts what it is asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat
from typing import Any, ClassVar

Reply = dict[str, Any]
"""`{"content": str, "calls": [(name, arguments)]}`, or `{"status": int, "body": dict}` for a refusal (text is a page).

Further keys: `thinking`, `finish`, `prompt_tokens`, `chunks` (OpenAI's chunks or Ollama's parts as they are, in place of
those made of the content), and `stream`, how a stream goes wrong: `dies` after its first half, `endless`, `whole` (the
server ignores `stream`), `garbage`.
"""
WORDS = 4
"""Characters to a piece of a stream."""


class ModelServer:
    """What a test sees of the server."""

    def __init__(self, url: str, requests: list[dict[str, Any]], hung_up: threading.Event) -> None:
        self.url = url
        self.requests = requests
        """The body of every request for a completion, with its path under `path`."""
        self.hung_up = hung_up
        """Set when a client closed its connection in the middle of a stream."""


class _Handler(BaseHTTPRequestHandler):
    """Serves one connection; `model_server` makes a class of it that knows the rest."""

    answer: ClassVar[Callable[[dict[str, Any]], Reply]]
    pages: ClassVar[dict[str, dict[str, Any]]]
    seen: ClassVar[ModelServer]

    def log_message(self, format: str, *args: Any) -> None:
        """Stay quiet."""

    def do_GET(self) -> None:
        page = self.pages.get(self.path, self.pages["/api/tags"])
        self._send(page.get("status", 200), page)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path in self.pages:
            return self.do_GET()
        self.seen.requests.append({**body, "path": self.path, "key": self.headers.get("authorization")})
        reply = type(self).answer(body)
        ollama = self.path == "/api/chat"
        if "status" in reply:
            return self._send(reply["status"], reply["body"])
        if not body.get("stream") or reply.get("stream") == "whole":
            return self._send(200, _ollama(body, reply) if ollama else _openai(body, reply))
        lines = _ollama_lines(body, reply) if ollama else _openai_lines(body, reply)
        return self._stream(lines, reply.get("stream", ""), "application/x-ndjson" if ollama else "text/event-stream")

    def _send(self, status: int, body: dict[str, Any] | str) -> None:
        content = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("content-type", "text/html" if isinstance(body, str) else "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):  # a client that was killed while it waited
            self.wfile.write(content)

    def _stream(self, lines: list[bytes], way: str, kind: str) -> None:
        self.protocol_version = "HTTP/1.1"
        self.send_response(200)
        for name, value in {"content-type": kind, "transfer-encoding": "chunked", "connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        half = lines[: len(lines) // 2]
        sent = {"dies": half, "endless": chain(half, repeat(lines[0])), "garbage": [*half, b"data: {not json\n\n"]}
        try:
            for line in sent.get(way, lines):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            if way != "dies":
                self.wfile.write(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            self.seen.hung_up.set()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128  # of five, some of many connections at once would wait a second


@contextmanager
def model_server(
    answer: Callable[[dict[str, Any]], Reply],
    models: tuple[str, ...] = (),
    pages: dict[str, dict[str, Any]] | None = None,
) -> Iterator[ModelServer]:
    """Serve while the context lasts; `answer` turns a request's body into a reply, `pages` are what is told of models."""
    server = _Server(("127.0.0.1", 0), _Handler)
    seen = ModelServer(f"http://127.0.0.1:{server.server_address[1]}", [], threading.Event())
    tags = {"models": [{"model": name, "name": name} for name in models]}
    told = {"/api/tags": tags, "/api/show": {"model_info": {}}, **(pages or {})}
    known = {"answer": staticmethod(answer), "pages": told, "seen": seen}
    server.RequestHandlerClass = type("Handler", (_Handler,), known)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def always(reply: Reply) -> Callable[[dict[str, Any]], Reply]:
    """Return an `answer` that is the same to every request."""
    return lambda _: reply


def _openai(body: dict[str, Any], reply: Reply) -> dict[str, Any]:
    calls = [
        {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for index, (name, arguments) in enumerate(reply.get("calls", ()))
    ]
    message = {"role": "assistant", "content": reply.get("content", ""), **({"tool_calls": calls} if calls else {})}
    if "thinking" in reply:
        message["reasoning_content"] = reply["thinking"]
    choice = {"index": 0, "message": message, "finish_reason": _finish(reply)}
    about = {"id": "x", "object": "chat.completion", "created": 1, "model": body["model"]}
    return {**about, "choices": reply.get("choices", [choice]), "usage": _usage(reply)}


def _openai_lines(body: dict[str, Any], reply: Reply) -> list[bytes]:
    about = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}

    def choice(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    chunks = [choice({"role": "assistant", "content": None})]
    chunks += [choice({"reasoning_content": piece}) for piece in _pieces(reply.get("thinking", ""))]
    chunks += [choice({"content": piece}) for piece in _pieces(reply.get("content", ""))]
    for index, (name, arguments) in enumerate(reply.get("calls", ())):
        head = {"index": index, "id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": ""}}
        chunks.append(choice({"tool_calls": [head]}))
        parts = [{"index": index, "function": {"arguments": piece}} for piece in _pieces(arguments)]
        chunks += [choice({"tool_calls": [part]}) for part in parts]
    chunks.append(choice({}, _finish(reply)))
    if body.get("stream_options", {}).get("include_usage"):
        chunks.append({"choices": [], "usage": _usage(reply)})
    lines = [f"data: {json.dumps({**about, **chunk})}\n\n".encode() for chunk in reply.get("chunks", chunks)]
    return [*lines, b"data: [DONE]\n\n"]


def _ollama(body: dict[str, Any], reply: Reply) -> dict[str, Any]:
    calls = [
        {"function": {"name": name, "arguments": json.loads(arguments)}} for name, arguments in reply.get("calls", ())
    ]
    message = {"role": "assistant", "content": reply.get("content", ""), **({"tool_calls": calls} if calls else {})}
    if "thinking" in reply:
        message["thinking"] = reply["thinking"]
    counts = {"prompt_eval_count": reply.get("prompt_tokens", 10), "eval_count": 5}
    return {
        "model": body["model"],
        "message": message,
        "done": True,
        "done_reason": reply.get("finish", "stop"),
        **counts,
    }


def _ollama_lines(body: dict[str, Any], reply: Reply) -> list[bytes]:
    whole = _ollama(body, reply)
    last = {**whole, "message": {**whole["message"], "content": "", "thinking": ""}}
    parts = [{"thinking": piece} for piece in _pieces(reply.get("thinking", ""))]
    parts += [{"content": piece} for piece in _pieces(reply.get("content", ""))]
    made = [{"model": body["model"], "message": {"role": "assistant", **part}, "done": False} for part in parts]
    return [f"{json.dumps(part)}\n".encode() for part in reply.get("chunks", [*made, last])]


def _pieces(text: str) -> list[str]:
    return [text[start : start + WORDS] for start in range(0, len(text), WORDS)]


def _finish(reply: Reply) -> str:
    return str(reply.get("finish", "tool_calls" if reply.get("calls") else "stop"))


def _usage(reply: Reply) -> dict[str, int]:
    prompt = reply.get("prompt_tokens", 10)
    return {"prompt_tokens": prompt, "completion_tokens": 5, "total_tokens": prompt + 5}
