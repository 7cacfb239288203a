"""A real HTTP server on loopback that speaks OpenAI's chat completions and Ollama's chat, and counts what it is asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = dict[str, Any]
"""`{"content": str, "calls": [(name, arguments)]}`, or `{"status": int, "body": dict}` for a refusal."""


class ModelServer:
    """What a test sees of the server."""

    def __init__(self, url: str, requests: list[dict[str, Any]]) -> None:
        self.url = url
        self.requests = requests
        """The body of every request, with its path under `path`."""


@contextmanager
def model_server(answer: Callable[[dict[str, Any]], Reply], models: tuple[str, ...] = ()) -> Iterator[ModelServer]:
    """Serve while the context lasts; `answer` turns a request's body into a reply."""
    requests: list[dict[str, Any]] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Stay quiet."""

        def do_GET(self) -> None:
            self._send(200, {"models": [{"model": name, "name": name} for name in models]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with lock:
                requests.append({**body, "path": self.path, "key": self.headers.get("authorization")})
            reply = answer(body)
            if "status" in reply:
                self._send(reply["status"], reply["body"])
            elif self.path == "/api/chat":
                self._send(200, _ollama(body, reply))
            else:
                self._send(200, _openai(body, reply))

        def _send(self, status: int, body: dict[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            with suppress(BrokenPipeError, ConnectionResetError):  # a client that was killed while it waited
                self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield ModelServer(f"http://127.0.0.1:{server.server_address[1]}", requests)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _openai(body: dict[str, Any], reply: Reply) -> dict[str, Any]:
    calls = [
        {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for index, (name, arguments) in enumerate(reply.get("calls", ()))
    ]
    message = {"role": "assistant", "content": reply.get("content", ""), **({"tool_calls": calls} if calls else {})}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    about = {"id": "x", "object": "chat.completion", "created": 1, "model": body["model"]}
    return {**about, "choices": [choice], "usage": usage}


def _ollama(body: dict[str, Any], reply: Reply) -> dict[str, Any]:
    calls = [
        {"function": {"name": name, "arguments": json.loads(arguments)}} for name, arguments in reply.get("calls", ())
    ]
    message = {"role": "assistant", "content": reply.get("content", ""), **({"tool_calls": calls} if calls else {})}
    counts = {"prompt_eval_count": reply.get("prompt_tokens", 10), "eval_count": 5}
    return {"model": body["model"], "message": message, "done": True, "done_reason": "stop", **counts}
