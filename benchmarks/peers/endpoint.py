"""A scripted chat-completions endpoint: calls `add` so many times with numbers that go up, then answers.

Run as `python endpoint.py STEPS`; it prints its port. It does as little as it can: its client is measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any


def reply(body: dict[str, Any], steps: int) -> dict[str, Any]:
    """Return the next message: a call of `add`, or the end in the form the client has for it."""
    done = sum(
        message["role"] == "assistant" for message in body["messages"]
    )  # results have another role in each agent
    names = [tool["function"]["name"] for tool in body.get("tools", ())]
    if done < steps:
        return _call("add", {"a": done, "b": 1})
    if "final_answer" in names:
        return _call("final_answer", {"answer": str(steps)})
    return {"role": "assistant", "content": str(steps)}


def _call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
    }


def completion(body: dict[str, Any], steps: int) -> bytes:
    """Return a chat completion."""
    message = reply(body, steps)
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if "tool_calls" in message else "stop"}
    usage = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
    whole = {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}
    return json.dumps(whole).encode()


async def serve(steps: int) -> None:
    """Serve until killed."""

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head(reader):
            length = next(
                (int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length:")), 0
            )
            body = await reader.readexactly(length)
            if head.startswith("POST"):
                content, status = completion(json.loads(body), steps), "200 OK"
            else:
                content, status = b'{"data": []}', "404 Not Found"
            lines = [f"HTTP/1.1 {status}", "content-type: application/json", f"content-length: {len(content)}", "", ""]
            writer.write("\r\n".join(lines).encode() + content)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0, limit=1 << 24)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


async def _head(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return ""


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
