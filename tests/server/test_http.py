"""The server over HTTP, as a process: health, draining, replicas, tokens, rates, limits, and what breaks the protocol."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastmcp import Client
from fastmcp.client.auth import BearerAuth
from fastmcp.server.auth.providers.jwt import RSAKeyPair
from httpx2 import ConnectError
from mcp.client.subscriptions import listen

from boxwright.errors import BadInput
from boxwright.registry import open_registry, publish
from boxwright.sandbox import ToolRunner
from boxwright.sandbox.bubblewrap import Bubblewrap
from boxwright.settings import Settings
from boxwright_server.app import create_server
from support.boxes import SLOW, SLOW_EXAMPLES, write_box
from support.serving import HEADERS, Serving, serving

SOLVE = "game_of_24__solve"
NUMBERS = {"numbers": [4, 9, 10, 13]}
ISSUER, AUDIENCE = "https://issuer.example", "boxwright"
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


@pytest.fixture(scope="module")
def keys() -> RSAKeyPair:
    return RSAKeyPair.generate()


@pytest.fixture
def server(sandbox: Bubblewrap) -> Iterator[Serving]:
    with serving() as server:
        yield server


@pytest.fixture
def guarded(sandbox: Bubblewrap, keys: RSAKeyPair) -> Iterator[Serving]:
    """A server that wants tokens."""
    with serving(auth_public_key=keys.public_key, auth_issuer=ISSUER, auth_audience=AUDIENCE) as server:
        yield server


def token(keys: RSAKeyPair, scopes: list[str], **more: Any) -> str:
    return keys.create_token(**{"subject": "ann", "issuer": ISSUER, "audience": AUDIENCE, "scopes": scopes, **more})


async def test_health_needs_no_token(guarded: Serving) -> None:
    async with httpx.AsyncClient() as http:
        answer = await http.get(guarded.health)
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert answer.json()["sandbox"] == "bubblewrap"


async def test_a_call_without_a_good_token_is_refused(guarded: Serving, keys: RSAKeyPair) -> None:
    bad = {
        "none": None,
        "no token": "nonsense",
        "expired": token(keys, ["boxes"], expires_in_seconds=-10),
        "of another issuer": token(keys, ["boxes"], issuer="https://other.example"),
        "for another": token(keys, ["boxes"], audience="other"),
        "signed by another": token(RSAKeyPair.generate(), ["boxes"]),
    }
    async with httpx.AsyncClient() as http:
        for what, text in bad.items():
            headers = {**HEADERS, **({"authorization": f"Bearer {text}"} if text else {})}
            answer = await http.post(guarded.url, json=LIST, headers=headers)
            assert answer.status_code == 401, what
            assert answer.headers["www-authenticate"].startswith("Bearer"), what
            assert "Traceback" not in answer.text, what


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_scopes_say_which_boxes_a_caller_sees(guarded: Serving, keys: RSAKeyPair, mode: str) -> None:
    async def seen(scopes: list[str]) -> set[str]:
        async with Client(guarded.url, auth=BearerAuth(token(keys, scopes)), mode=mode) as client:
            result = await client.call_tool(SOLVE, NUMBERS, raise_on_error=False)
            boxes = {tool.name.partition("__")[0] for tool in await client.list_tools()}
            assert result.is_error == ("game_of_24" not in boxes)
            if result.is_error:
                assert f"no tool '{SOLVE}' is served" in result.content[0].text
                assert "did you mean 'game" not in result.content[0].text
            return boxes

    assert await seen(["box:dates"]) == {"dates"}
    assert await seen(["box:dates", "box:game_of_24"]) == {"dates", "game_of_24"}
    assert await seen(["boxes"]) == {"calculator", "dates", "game_of_24", "python"}
    assert await seen([]) == set()


async def test_a_search_shows_only_what_the_caller_may_use(
    sandbox: Bubblewrap, keys: RSAKeyPair, tmp_path: Path
) -> None:
    key = tmp_path / "key.pem"
    key.write_text(keys.public_key)
    with serving("--listing", "search", auth_public_key=str(key), auth_issuer=ISSUER, auth_audience=AUDIENCE) as server:
        async with Client(server.url, auth=BearerAuth(token(keys, ["box:dates"]))) as client:
            found = await client.call_tool("find_tools", {"query": "date of game of 24 numbers", "limit": 20})
            assert found.structured_content is not None
            names = [tool["name"] for tool in found.structured_content["tools"]]
            assert names
            assert all(name.startswith("dates__") for name in names)
            result = await client.call_tool("call_tool", {"name": SOLVE, "arguments": NUMBERS}, raise_on_error=False)
            assert f"no tool '{SOLVE}' is served" in result.content[0].text


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"auth_public_key": "/no/such/key.pem"}, "neither PEM text nor a file"),
        ({"auth_public_key": "-----BEGIN x", "auth_jwks_url": "https://keys.example"}, "not both"),
        ({"auth_issuer": "https://issuer.example"}, "but no key"),
    ],
)
def test_settings_of_authentication_that_contradict_are_refused(
    settings: Settings, sandbox: Bubblewrap, more: dict[str, str], words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        create_server(settings.model_copy(update=more))


async def test_each_client_has_a_rate_of_its_own(sandbox: Bubblewrap, keys: RSAKeyPair) -> None:
    with serving(rate="2", auth_public_key=keys.public_key, auth_issuer=ISSUER, auth_audience=AUDIENCE) as server:
        async with Client(server.url, auth=BearerAuth(token(keys, ["boxes"], subject="bob"))) as bob:
            async with Client(server.url, auth=BearerAuth(token(keys, ["boxes"], subject="eve"))) as eve:
                refused = 0
                for _ in range(12):
                    try:
                        await eve.call_tool(SOLVE, NUMBERS)
                    except Exception as error:
                        assert "Rate limit exceeded" in str(error)
                        refused += 1
                assert refused >= 4
            assert (await bob.call_tool(SOLVE, NUMBERS)).data


async def test_an_address_cannot_be_made_up_to_have_another_rate(sandbox: Bubblewrap) -> None:
    with serving(rate="1") as server:
        async with httpx.AsyncClient() as http:
            answers = []
            for number in range(8):
                headers = {**HEADERS, "mcp-protocol-version": "2025-11-25", "x-forwarded-for": f"10.0.0.{number}"}
                answers.append((await http.post(server.url, json=LIST, headers=headers)).text)
    assert sum("Rate limit exceeded" in answer for answer in answers) >= 4


async def test_what_breaks_the_protocol_is_answered_and_harms_nothing(server: Serving) -> None:
    bodies: list[tuple[bytes, int]] = [
        (b"{not json", 400),
        (b"", 400),
        (b"[]", 400),
        (b"5", 400),
        (b'{"jsonrpc": "2.0", "id": 1}', 400),
        (b'{"jsonrpc": "1.0", "id": 1, "method": "tools/list"}', 400),
        (b"[" * 100_000, 400),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": "' + b"x" * 10_000_000 + b'"}', 413),
    ]
    async with httpx.AsyncClient(timeout=30) as http:
        for version in ("2026-07-28", "2025-11-25"):
            for body, status in bodies:
                headers = {**HEADERS, "mcp-protocol-version": version}
                answer = await http.post(server.url, content=body, headers=headers)
                assert answer.status_code == status, (version, body[:60], answer.text[:300])
                assert "Traceback" not in answer.text
        unknown = {"jsonrpc": "2.0", "id": 1, "method": "no/such"}
        answer = await http.post(server.url, json=unknown, headers={**HEADERS, "mcp-protocol-version": "2025-11-25"})
        assert "-32601" in answer.text
        for params in ({"name": 5}, {"name": SOLVE, "arguments": [1]}, {}, {"name": SOLVE, "arguments": "x"}):
            call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
            answer = await http.post(server.url, json=call, headers={**HEADERS, "mcp-protocol-version": "2025-11-25"})
            assert "-32602" in answer.text, (params, answer.text)
            assert "Traceback" not in answer.text
    async with Client(server.url) as client:
        assert (await client.call_tool(SOLVE, NUMBERS)).data


async def test_other_hosts_and_origins_are_refused_unless_named(server: Serving) -> None:
    async def status(url: str, **headers: str) -> int:
        async with httpx.AsyncClient() as http:
            return (await http.post(url, json=LIST, headers={**HEADERS, **headers})).status_code

    assert await status(server.url) < 300
    assert await status(server.url, origin="https://elsewhere.example") == 403
    assert await status(server.url, host="elsewhere.example") == 421
    with serving(allowed_hosts="boxes.example", allowed_origins="https://pages.example") as open_to:
        assert await status(open_to.url, host="boxes.example") < 300
        assert await status(open_to.url, host="boxes.example", origin="https://pages.example") < 300
        assert await status(open_to.url, origin="https://elsewhere.example") == 403


async def slow_box(settings: Settings, runner: ToolRunner, folder: Path) -> None:
    box = write_box(folder, SLOW, SLOW_EXAMPLES, name="slow", extra="limits = { seconds = 20 }")
    await publish(box, open_registry(settings), runner)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_server_told_to_stop_finishes_what_is_under_way(
    settings: Settings, runner: ToolRunner, tmp_path: Path, mode: str
) -> None:
    await slow_box(settings, runner, tmp_path / "slow")
    answers, seconds = [], 0.0
    with serving() as server, suppress(ConnectError):  # what the clients say when they leave a server that has gone
        async with Client(server.url, mode=mode) as client, Client(server.url) as listener:
            await client.list_tools()  # else the client would list after the call, of a server that has gone
            async with listen(listener.session, tools_list_changed=True):
                call = asyncio.create_task(client.call_tool("slow__spin", {"seconds": 2}))
                await asyncio.sleep(0.7)
                started = time.monotonic()
                server.process.terminate()
                answers.append((await call).data)
                await asyncio.to_thread(server.process.wait, 15)
                seconds = time.monotonic() - started
    assert answers == ["done"]
    assert 0 < seconds < 8, "a stream that only listens must not keep the server"


async def test_a_call_that_outlasts_the_draining_is_ended(
    settings: Settings, runner: ToolRunner, tmp_path: Path
) -> None:
    await slow_box(settings, runner, tmp_path / "slow")
    with serving(drain_seconds="1") as server:
        async with httpx.AsyncClient(timeout=30) as http:
            params = {"name": "slow__spin", "arguments": {"seconds": 15}}
            call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
            headers = {**HEADERS, "mcp-protocol-version": "2025-11-25"}
            task = asyncio.create_task(http.post(server.url, json=call, headers=headers))
            await asyncio.sleep(1)
            server.process.terminate()
            await asyncio.to_thread(server.process.wait, 10)
            await asyncio.gather(task, return_exceptions=True)
        assert "Traceback" not in (server.process.stderr.read() if server.process.stderr else "")


@pytest.mark.parametrize("how", ["timeout", "cancel"])
async def test_a_call_that_is_given_up_really_stops(
    settings: Settings, runner: ToolRunner, tmp_path: Path, how: str
) -> None:
    await slow_box(settings, runner, tmp_path / "slow")
    audit = tmp_path / "audit.jsonl"
    with serving(audit_log=str(audit)) as server:
        async with Client(server.url) as client:
            call = client.call_tool("slow__spin", {"seconds": 15}, timeout=1 if how == "timeout" else None)
            task = asyncio.create_task(call)
            await asyncio.sleep(1.0)
            if how == "cancel":
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            for _ in range(50):
                await asyncio.sleep(0.1)
                if audit.exists() and audit.read_text():
                    break
        (row,) = [json.loads(line) for line in audit.read_text().splitlines()]
        assert (row["outcome"], row["tool"]) == ("cancelled", "slow__spin")
        assert row["ms"] < 5000


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_progress_is_told_while_a_tool_runs(
    settings: Settings, runner: ToolRunner, tmp_path: Path, mode: str
) -> None:
    told: list[tuple[float, float | None]] = []

    async def hear(progress: float, total: float | None, _: str | None) -> None:
        told.append((progress, total))

    await slow_box(settings, runner, tmp_path / "slow")
    with serving() as server:
        async with Client(server.url, mode=mode) as client:
            result = await client.call_tool("slow__spin", {"seconds": 2.4}, progress_handler=hear)
    assert result.data == "done"
    assert [round(progress) for progress, _ in told] == [1, 2]
    assert {total for _, total in told} == {20}


async def test_several_processes_serve_one_port(sandbox: Bubblewrap, tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    with serving("--replicas", "2", audit_log=str(audit)) as server:
        for mode in ("auto", "legacy"):
            async with Client(server.url, mode=mode) as client:
                assert (await client.call_tool(SOLVE, NUMBERS)).data
                answers = await asyncio.gather(*(client.call_tool(SOLVE, NUMBERS) for _ in range(20)))
                assert {answer.data for answer in answers} == {answers[0].data}
        rows = [json.loads(line) for line in audit.read_text().splitlines()]
        assert len(rows) == 42
        assert {row["outcome"] for row in rows} == {"ok"}
