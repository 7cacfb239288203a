"""find_tools and call_tool: what stands in for a listing that no small model could hold."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client

from boxwright.registry import open_registry, publish
from boxwright.registry.catalogue import Catalogue
from boxwright.sandbox import ToolRunner
from boxwright.sandbox.bubblewrap import Bubblewrap
from boxwright.settings import Settings
from boxwright_server.app import create_server
from support.boxes import write_box

pytestmark = pytest.mark.usefixtures("sandbox")


def searching(settings: Settings, **more: Any) -> Settings:
    return settings.model_copy(update={"listing": "search", **more})


@pytest.mark.parametrize(
    ("listing", "tokens", "names"),
    [("auto", 6000, 6), ("auto", 200, 2), ("tools", 200, 6), ("search", 6000, 2)],
)
async def test_a_long_listing_gives_way_to_a_search(settings: Settings, listing: str, tokens: int, names: int) -> None:
    settings = settings.model_copy(update={"listing": listing, "listing_tokens": tokens})
    async with Client(create_server(settings)) as client:
        found = [tool.name for tool in await client.list_tools()]
    assert len(found) >= names
    assert (found == ["find_tools", "call_tool"]) == (names == 2)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_what_is_found_can_be_called(settings: Settings, mode: str) -> None:
    async with Client(create_server(searching(settings)), mode=mode) as client:
        found = (await client.call_tool("find_tools", {"query": "reach 24 with four numbers"})).structured_content
        assert found is not None
        tool = found["tools"][0]
        assert tool["name"] == "game_of_24__solve"
        assert tool["version"] == "1.0.0"
        assert tool["input_schema"]["required"] == ["numbers"]
        assert tool["annotations"]["readOnlyHint"] is True
        call = {"name": tool["name"], "arguments": {"numbers": [3, 3, 8, 8]}}
        assert (await client.call_tool("call_tool", call)).content[0].text == "8 / (3 - 8 / 3)"
        as_text = {**call, "arguments": '{"numbers": [3, 3, 8, 8]}', "version": tool["version"]}
        assert (await client.call_tool("call_tool", as_text)).content[0].text == "8 / (3 - 8 / 3)"
        assert (await client.call_tool("find_tools", {"query": "zzz qqq"})).content[0].text.startswith("No tool fits")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "game_of_24__sovle", "arguments": {}}, "did you mean 'game_of_24__solve'"),
        ({"name": "nothing__there", "arguments": {}}, "find_tools finds tools by words"),
        ({"name": "game_of_24__solve", "arguments": "not json"}, "no JSON"),
        ({"name": "game_of_24__solve", "arguments": "[1]"}, "pass an object"),
        ({"name": "game_of_24__solve", "arguments": {}}, "'numbers' is missing"),
        ({"name": "game_of_24__solve", "arguments": {"numbers": [1]}, "version": "7.0.0"}, "no such version"),
        ({}, "name"),
        ({"name": 5}, "name"),
    ],
)
async def test_a_bad_call_through_call_tool_is_told_what_to_change(
    settings: Settings, arguments: dict[str, Any], words: str
) -> None:
    async with Client(create_server(searching(settings))) as client:
        result = await client.call_tool("call_tool", arguments, raise_on_error=False)
    assert result.is_error
    assert words in result.content[0].text
    assert "Traceback" not in result.content[0].text


@pytest.mark.parametrize("query", ["", " ", '"', "NEAR(", "a" * 100_000, "\0", "二十四点 游戏", "🦊"])
async def test_any_query_is_answered(settings: Settings, query: str) -> None:
    async with Client(create_server(searching(settings))) as client:
        result = await client.call_tool("find_tools", {"query": query}, raise_on_error=False)
    assert not result.is_error


async def test_what_is_published_is_found_and_what_is_yanked_is_not(
    settings: Settings, runner: ToolRunner, tmp_path: Path
) -> None:
    async def names() -> list[str]:
        found = (await client.call_tool("find_tools", {"query": "double a number"})).structured_content
        assert found is not None
        return [tool["name"] for tool in found["tools"]]

    registry = open_registry(settings)
    async with Client(create_server(searching(settings))) as client:
        assert "doubler__double" not in await names()
        await publish(write_box(tmp_path / "box"), registry, runner)
        assert (await names())[0] == "doubler__double"
        registry.set_lifecycle("doubler", "1.0.0", "yanked", "test")
        assert "doubler__double" not in await names()


async def test_the_index_outlives_the_server_and_a_damaged_one_is_made_anew(
    settings: Settings, sandbox: Bubblewrap
) -> None:
    path = settings.home / "cache" / "index.sqlite"
    for content in (None, None, b"no database at all" * 100, b""):
        if content is not None:
            path.write_bytes(content)
        catalogue = Catalogue(lambda: open_registry(settings), path)
        catalogue.update()
        assert catalogue.search("weekday of a date", 1) == ["dates__weekday"]
        catalogue.close()


@pytest.mark.parametrize("how", ["removed", "damaged", "locked"])
async def test_a_search_goes_on_when_its_index_is_gone_under_it(
    settings: Settings, runner: ToolRunner, tmp_path: Path, how: str
) -> None:
    path, registry = settings.home / "cache" / "index.sqlite", open_registry(settings)
    catalogue = Catalogue(lambda: open_registry(settings), path)
    catalogue.update()
    other = sqlite3.connect(path, isolation_level=None)
    if how == "removed":
        path.unlink()
    elif how == "damaged":
        path.write_bytes(b"x" * path.stat().st_size)
    else:
        other.execute("BEGIN EXCLUSIVE")
        assert Catalogue(lambda: registry, path).search("anything", 1) == [], "a locked file is left alone"
        assert path.exists()
    await publish(write_box(tmp_path / "box"), registry, runner)
    if how == "locked":
        catalogue.update()
        other.execute("ROLLBACK")
    catalogue.update()
    assert catalogue.search("double a number", 1) == ["doubler__double"]
    catalogue.close()
    other.close()


async def test_updates_from_many_threads_agree(settings: Settings) -> None:
    catalogue = Catalogue(lambda: open_registry(settings))
    await asyncio.gather(*(asyncio.to_thread(catalogue.update) for _ in range(8)))
    assert catalogue.search("weekday of a date", 1) == ["dates__weekday"]
    catalogue.close()
