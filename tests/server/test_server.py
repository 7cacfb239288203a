"""The server as clients meet it: in memory in both eras, over stdio and over HTTP, with real sandboxed boxes."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastmcp import Client, FastMCP
from fastmcp.client.transports import StdioTransport
from mcp.client.subscriptions import listen

from boxwright.errors import BadInput, NotFound
from boxwright.registry import Registry, open_registry, publish
from boxwright.sandbox import ToolRunner
from boxwright.sandbox.bubblewrap import Bubblewrap
from boxwright.settings import Settings
from boxwright_server.app import create_server
from boxwright_server.http import bound_socket
from support.boxes import TOOLS, write_box
from support.serving import serving

ERAS = ("auto", "legacy")
SOLVE = "game_of_24__solve"


@pytest.fixture
def server(settings: Settings, sandbox: Bubblewrap) -> FastMCP:
    return create_server(settings)


@pytest.fixture(params=ERAS)
async def client(server: FastMCP, request: pytest.FixtureRequest) -> AsyncIterator[Client[Any]]:
    async with Client(server, mode=request.param) as client:
        yield client


async def test_tools_are_listed_with_schemas_annotations_version_and_digest(client: Client[Any]) -> None:
    tools = {tool.name: tool for tool in await client.list_tools()}
    assert set(tools) >= {SOLVE, "game_of_24__check", "calculator__evaluate", "dates__weekday"}
    solve = tools[SOLVE]
    assert solve.input_schema["required"] == ["numbers"]
    assert solve.annotations is not None
    assert (solve.annotations.read_only_hint, solve.annotations.open_world_hint) == (True, False)
    assert solve.meta is not None
    assert solve.meta["boxwright"]["version"] == "1.0.0"
    assert solve.meta["boxwright"]["digest"].startswith("sha256:")


async def test_results_are_structured_and_readable(client: Client[Any]) -> None:
    plain = await client.call_tool(SOLVE, {"numbers": [3, 3, 8, 8]})
    assert (plain.data, plain.content[0].text) == ("8 / (3 - 8 / 3)", "8 / (3 - 8 / 3)")  # type: ignore[union-attr]
    structured = await client.call_tool("calculator__evaluate", {"expression": "1/3+1/3"})
    assert structured.structured_content == {"exact": "2/3", "decimal": 2 / 3}


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        (SOLVE, {"numbers": "4, 9"}, 'numbers must be a list, got "4, 9"'),
        (SOLVE, {}, "'numbers' is missing"),
        (SOLVE, {"nums": [1, 2]}, "did you mean 'numbers'"),
        (SOLVE, {"numbers": [1, 1, 1, 1]}, "24 cannot be made from"),
        (SOLVE, {"numbers": [1, "2"]}, "numbers[1] must be a whole number"),
        ("game_of_24__sovle", {}, "did you mean 'game_of_24__solve'"),
        ("game_of_42__solve", {}, "did you mean 'game_of_24__solve'"),
        ("", {}, "no tool ''"),
    ],
)
async def test_a_bad_call_is_told_what_to_change(client: Client[Any], name: str, arguments: object, words: str) -> None:
    result = await client.call_tool(name, arguments, raise_on_error=False)  # type: ignore[arg-type]
    assert result.is_error
    text = result.content[0].text  # type: ignore[union-attr]
    assert words in text
    assert "Traceback" not in text


async def test_a_client_may_ask_for_an_exact_version(
    settings: Settings, sandbox: Bubblewrap, runner: ToolRunner, tmp_path: Path
) -> None:
    registry = open_registry(settings)
    await publish(write_box(tmp_path / "one"), registry, runner)
    await publish(write_box(tmp_path / "two", TOOLS, version="2.0.0"), registry, runner)
    async with Client(create_server(settings)) as client:
        (tool,) = [one for one in await client.list_tools() if one.name == "doubler__double"]
        assert tool.meta is not None
        assert tool.meta["boxwright"]["version"] == "2.0.0"
        assert (await client.call_tool("doubler__double", {"number": 2}, version="1.0.0")).data == 4
        with pytest.raises(Exception, match=r"no such version; the versions of its box are 1\.0\.0, 2\.0\.0"):
            await client.call_tool("doubler__double", {"number": 2}, version="3.0.0")


async def test_what_is_published_or_yanked_while_it_runs_is_announced_and_served(
    settings: Settings, sandbox: Bubblewrap, runner: ToolRunner, tmp_path: Path
) -> None:
    registry = open_registry(settings)
    async with Client(create_server(settings)) as client, listen(client.session, tools_list_changed=True) as changes:
        await publish(write_box(tmp_path / "box"), registry, runner)
        await asyncio.wait_for(anext(changes), 10)
        assert (await client.call_tool("doubler__double", {"number": 2})).data == 4
        registry.set_lifecycle("doubler", "1.0.0", "yanked", "test")
        await asyncio.wait_for(anext(changes), 10)
        assert "doubler__double" not in [tool.name for tool in await client.list_tools()]


async def test_only_the_boxes_asked_for_are_served(settings: Settings, sandbox: Bubblewrap) -> None:
    async with Client(create_server(settings.model_copy(update={"boxes": ("dates",)}))) as client:
        assert {tool.name.partition("__")[0] for tool in await client.list_tools()} == {"dates"}
        assert (await client.call_tool(SOLVE, {"numbers": [1, 2]}, raise_on_error=False)).is_error
    with pytest.raises(NotFound, match="did you mean 'dates'"):
        create_server(settings.model_copy(update={"boxes": ("date",)}))


async def test_a_release_that_was_tampered_with_is_not_run(
    settings: Settings, sandbox: Bubblewrap, runner: ToolRunner, tmp_path: Path
) -> None:
    release = await publish(write_box(tmp_path / "box"), open_registry(settings), runner)
    (release.folder / "tools.py").write_text(TOOLS.replace("2 *", "5 *"))
    async with Client(create_server(settings)) as client:
        result = await client.call_tool("doubler__double", {"number": 2}, raise_on_error=False)
    assert result.is_error
    assert "changed after it was published" in result.content[0].text


async def test_a_name_leads_nowhere_out_of_the_registry(settings: Settings, runner: ToolRunner, tmp_path: Path) -> None:
    elsewhere = Registry(tmp_path / "elsewhere")
    await publish(write_box(tmp_path / "box"), elsewhere, runner)
    open_registry(settings).folder.mkdir(parents=True)
    inside = f"{tmp_path}/elsewhere/doubler"
    async with Client(create_server(settings)) as client:
        for box in (inside, "../../elsewhere/doubler", "./dates", "dates/../dates", "x" * 300, "a\0b", "", "."):
            for name, arguments in [
                (f"{box}__double", {"number": 2}),
                ("call_tool", {"name": f"{box}__double", "arguments": {"number": 2}}),
            ]:
                result = await client.call_tool(name, arguments, raise_on_error=False)
                assert "is served" in result.content[0].text, box


async def test_a_box_that_cannot_be_read_takes_no_other_with_it(
    settings: Settings, runner: ToolRunner, tmp_path: Path
) -> None:
    release = await publish(write_box(tmp_path / "box"), open_registry(settings), runner)
    (release.folder / "box.toml").unlink()
    (release.folder / "box.toml").mkdir()
    async with Client(create_server(settings)) as client:
        names = [tool.name for tool in await client.list_tools()]
        assert SOLVE in names
        assert "doubler__double" not in names
        assert (await client.call_tool("find_tools", {"query": "double"})).structured_content is not None
        result = await client.call_tool("doubler__double", {"number": 2}, raise_on_error=False)
        assert "cannot be read" in result.content[0].text or "missing" in result.content[0].text


async def test_stdio_serves_a_client_of_another_process(sandbox: Bubblewrap) -> None:
    transport = StdioTransport(sys.executable, ["-m", "boxwright_server", "--stdio"], env=dict(os.environ))
    async with Client(transport) as client:
        assert (await client.call_tool(SOLVE, {"numbers": [4, 9, 10, 13]})).data


async def test_http_serves_both_eras_and_refuses_other_origins(sandbox: Bubblewrap) -> None:
    with serving() as server:
        url = server.url
        for era in ERAS:
            async with Client(url, mode=era) as client:
                assert len(await client.list_tools()) >= 6
                assert (await client.call_tool(SOLVE, {"numbers": [4, 9, 10, 13]})).data
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        async with httpx.AsyncClient() as plain:
            headers = {"accept": "application/json, text/event-stream", "origin": "https://elsewhere.example"}
            assert (await plain.post(url, json=body, headers=headers)).status_code == 403
            broken = await plain.post(url, content=b"{not json", headers={"content-type": "application/json"})
        assert 400 <= broken.status_code < 500
        assert "Traceback" not in broken.text


def test_a_port_in_use_is_told_with_the_way_out() -> None:
    with bound_socket("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(BadInput, match="choose another port with --port"):
            bound_socket("127.0.0.1", taken.getsockname()[1])
