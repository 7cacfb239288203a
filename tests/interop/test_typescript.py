"""The official TypeScript SDKs, v2 in both eras and v1, against boxes over HTTP and stdio: calls, and changes of the list."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from boxwright.sandbox.bubblewrap import Bubblewrap
from interop.clients import STDIO, Node, boxwright, running, serving
from support.boxes import write_box

pytestmark = pytest.mark.extended  # needs what tools/interop.sh installs
V2, V2_HANDSHAKE, V1 = ("typescript_v2.mjs", "auto"), ("typescript_v2.mjs", "legacy"), ("typescript_v1.mjs",)
ERAS = {V2: "2026-07-28", V2_HANDSHAKE: "2025-11-25", V1: "boxwright"}
"""What each says when it is connected: the version it agreed on, or with v1, which does not say, the server's name."""
DOUBLE = "doubler__double"


@pytest.fixture(params=ERAS, ids=["v2", "v2 handshake", "v1"])
def sdk(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The script of a client, and its options."""
    found: tuple[str, ...] = request.param
    return found


@pytest.mark.parametrize("transport", ["http", "stdio"])
async def test_a_client_lists_calls_and_is_told_what_to_change(
    transport: str, sdk: tuple[str, ...], node: Node, sandbox: Bubblewrap
) -> None:
    if transport == "stdio":
        await check_calls(node, sdk, STDIO)
    else:
        with serving("boxwright", "serve", "--http", "--port", "0") as url:
            await check_calls(node, sdk, [url])


async def check_calls(node: Node, sdk: tuple[str, ...], target: list[str]) -> None:
    async with running(node, node.own(*sdk, *target)) as steps:
        assert await steps.next("connected") == ERAS[sdk]
        assert {"dates__weekday", "game_of_24__solve", "calculator__evaluate"} <= set(await steps.next("listed"))
        called = await steps.next("called")
        assert (called["structuredContent"], called["isError"]) == ({"result": "Tuesday"}, False)
        refused, unknown = await steps.next("refused"), await steps.next("unknown")
        assert (refused["isError"], unknown["isError"]) == (True, True)
        assert "day must be a real date as YYYY-MM-DD, got '2001-13-11'" in refused["content"][0]["text"]
        assert "did you mean 'dates__weekday'" in unknown["content"][0]["text"]


async def test_over_stdio_a_client_hears_of_a_box_published_and_yanked(
    sdk: tuple[str, ...], node: Node, sandbox: Bubblewrap, tmp_path: Path
) -> None:
    await check_changes(node, [*sdk, *STDIO], tmp_path)


async def test_over_http_a_client_that_listens_hears_of_a_box_published_and_yanked(
    node: Node, boxes_url: str, tmp_path: Path
) -> None:
    await check_changes(node, [*V2, boxes_url], tmp_path)


async def check_changes(node: Node, script: list[str], tmp_path: Path) -> None:
    async with running(node, node.own(*script)) as steps:
        for step in ("connected", "listed", "called", "refused", "unknown"):
            assert DOUBLE not in str(await steps.next(step))
        await asyncio.to_thread(boxwright, "boxes", "publish", str(write_box(tmp_path / "doubler")))
        while DOUBLE not in await steps.next("changed"):
            pass  # publishing takes steps, and word of one may come before the last of them
        await asyncio.to_thread(boxwright, "boxes", "mark", "doubler", "1.0.0", "yanked")
        while DOUBLE in await steps.next("changed"):
            pass
