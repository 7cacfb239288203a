"""Pins: a lock file, and what a call asks for. What cannot be met is refused; nothing else runs in its place."""

from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client

from boxwright.box import Release
from boxwright.errors import BadInput, NotFound, PinUnmet
from boxwright.registry import open_registry, pins_of, publish, read_lock, write_lock
from boxwright.sandbox import ToolRunner
from boxwright.settings import Settings
from boxwright_server.app import create_server
from support.boxes import EXAMPLES, TOOLS, write_box

TOOL = "doubler__double"
TRIPLES = TOOLS.replace("2 * number", "3 * number")
TRIPLE_EXAMPLES = [{**one, "result": one["arguments"]["number"] * 3} if "result" in one else one for one in EXAMPLES]


@pytest.fixture
async def releases(settings: Settings, runner: ToolRunner, tmp_path: Path) -> list[Release]:
    """Two releases that answer differently."""
    registry = open_registry(settings)
    first = await publish(write_box(tmp_path / "one"), registry, runner)
    second = await publish(write_box(tmp_path / "two", TRIPLES, TRIPLE_EXAMPLES, version="2.0.0"), registry, runner)
    return [first, second]


def locked(settings: Settings, path: Path, releases: list[Release]) -> Settings:
    write_lock(path, pins_of(releases))
    return settings.model_copy(update={"lock": path})


async def test_a_lock_serves_exactly_what_it_pins(settings: Settings, releases: list[Release], tmp_path: Path) -> None:
    settings = locked(settings, tmp_path / "boxwright.lock", releases[:1])
    async with Client(create_server(settings)) as client:
        assert [tool.name for tool in await client.list_tools()] == [TOOL]
        assert (await client.call_tool(TOOL, {"number": 5})).data == 10
        newer = await client.call_tool(TOOL, {"number": 5}, version="2.0.0", raise_on_error=False)
        assert "no such version; the versions of its box are 1.0.0" in newer.content[0].text
        other = await client.call_tool("dates__weekday", {"date": "2001-09-11"}, raise_on_error=False)
        assert "no tool 'dates__weekday' is served" in other.content[0].text


async def test_a_lock_that_cannot_be_met_serves_nothing(
    settings: Settings, releases: list[Release], tmp_path: Path
) -> None:
    path = tmp_path / "boxwright.lock"
    for faulty, words in [
        (path.read_text() if path.exists() else "", "no lock file"),
        ('format = 1\n[boxes.doubler]\nversion = "1.0.0"\n', "has no digest"),
        ('format = 1\n[boxes.doubler]\nversion = "^1"\n', "no lock file"),
        ("format = 1\nboxes = 5\n", "no lock file"),
    ]:
        path.write_text(faulty)
        with pytest.raises(BadInput, match=words):
            create_server(settings.model_copy(update={"lock": path}))
    locked(settings, path, releases[:1])
    good = path.read_text()
    path.write_text(good.replace("1.0.0", "1.0.9"))
    with pytest.raises(PinUnmet, match=r"pinned to 1\.0\.9, which is not there"):
        create_server(settings.model_copy(update={"lock": path}))
    path.write_text(good.replace(releases[0].digest, releases[1].digest))
    with pytest.raises(PinUnmet, match=r"pinned to sha256:.*found sha256:"):
        create_server(settings.model_copy(update={"lock": path}))
    path.write_text(good)
    with pytest.raises(NotFound, match="the lock does not pin it"):
        create_server(settings.model_copy(update={"lock": path, "boxes": ("dates",)}))


async def test_a_pinned_release_that_is_yanked_is_served_no_more(
    settings: Settings, releases: list[Release], tmp_path: Path
) -> None:
    settings = locked(settings, tmp_path / "boxwright.lock", releases[:1])
    async with Client(create_server(settings)) as client:
        assert (await client.call_tool(TOOL, {"number": 5})).data == 10
        open_registry(settings).set_lifecycle("doubler", "1.0.0", "yanked", "it is wrong", "doubler 2.0.0")
        result = await client.call_tool(TOOL, {"number": 5}, raise_on_error=False)
        assert "was yanked (it is wrong); use doubler 2.0.0 instead" in result.content[0].text
    with pytest.raises(PinUnmet, match="was yanked"):
        create_server(settings)


async def test_a_lock_written_twice_is_the_same(settings: Settings, releases: list[Release], tmp_path: Path) -> None:
    for name in ("first.lock", "second.lock"):
        write_lock(tmp_path / name, pins_of(open_registry(settings).current()))
    assert (tmp_path / "first.lock").read_bytes() == (tmp_path / "second.lock").read_bytes()
    assert read_lock(tmp_path / "first.lock")["doubler"].digest == releases[1].digest


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_call_may_pin_version_and_digest(settings: Settings, releases: list[Release], mode: str) -> None:
    first, second = releases

    async def call(**pin: Any) -> str:
        result = await client.call_tool(TOOL, {"number": 5}, meta={"boxwright": pin}, raise_on_error=False)
        return str(result.content[0].text)

    async with Client(create_server(settings), mode=mode) as client:
        assert await call() == "15"
        assert await call(version="1.0.0") == "10"
        assert await call(digest=first.digest) == "10"
        assert await call(version="2.0.0", digest=second.digest, box="doubler") == "15"
        assert "pinned to sha256" in await call(version="1.0.0", digest=second.digest)
        assert "no release of it has that digest" in await call(digest="sha256:" + "0" * 64)
        assert "which is not there" in await call(version="9.0.0")


@pytest.mark.parametrize(
    "meta",
    [
        {"boxwright": {"version": {"gte": "1.0.0"}}},
        {"boxwright": {"version": 1}},
        {"boxwright": "1.0.0"},
        {"boxwright": {"versoin": "1.0.0"}},
        {"boxwright": {"digest": "sha256:short"}},
        {"fastmcp": {"version": {"gte": "1.0.0", "lt": "2.0.0"}}},
        {"fastmcp": {"version": 1}},
        {"fastmcp": {"version": "1.0.0"}, "boxwright": {"version": "2.0.0"}},
        {"fastmcp": "1.0.0"},
        {"fastmcp": {"version": ""}},
        {"boxwright": ""},
        {"boxwright": []},
        {"boxwright": {"box": "dates", "version": "1.0.0"}},
    ],
)
async def test_a_pin_that_cannot_be_read_is_never_taken_for_none(
    settings: Settings, releases: list[Release], meta: dict[str, Any]
) -> None:
    async with Client(create_server(settings)) as client:
        result = await client.call_tool(TOOL, {"number": 5}, meta=meta, raise_on_error=False)
    assert result.is_error, result
    assert "version" in result.content[0].text or "pin" in result.content[0].text


@pytest.mark.parametrize("version", [None, "1.0.0", "9.0.0", ""])
async def test_a_call_through_call_tool_runs_what_was_asked_for_or_nothing(
    settings: Settings, releases: list[Release], version: str | None
) -> None:
    first, second = releases
    call = {"name": TOOL, "arguments": {"number": 5}, **({} if version is None else {"version": version})}
    async with Client(create_server(settings)) as client:

        async def answer(meta: dict[str, Any]) -> str:
            return str((await client.call_tool("call_tool", call, meta=meta, raise_on_error=False)).content[0].text)

        wanted = {None: "15", "1.0.0": "10"}.get(version, "no such version")
        assert wanted in await answer({})
        assert await answer({"boxwright": {"digest": first.digest}}) == "10" or version not in (None, "1.0.0")
        assert await answer({"boxwright": {"digest": second.digest}}) == "15" or version is not None
        assert await answer({"fastmcp": {"version": "1.0.0"}}) == "10" or version not in (None, "1.0.0")
        for meta in ({"boxwright": {"version": "2.0.0"}}, {"boxwright": {"digest": second.digest}}):
            if version is not None:
                assert "asks for another version" in await answer(meta)


async def test_what_a_listed_tool_says_of_itself_is_a_pin(settings: Settings, releases: list[Release]) -> None:
    open_registry(settings).set_lifecycle("doubler", "2.0.0", "deprecated", "slow")
    async with Client(create_server(settings)) as client:
        (tool,) = [one for one in await client.list_tools() if one.name == TOOL]
        assert tool.meta is not None
        meta = {"boxwright": tool.meta["boxwright"]}
        assert (await client.call_tool(TOOL, {"number": 5}, meta=meta)).data == 15


async def test_a_deprecated_release_is_served_and_says_so(settings: Settings, releases: list[Release]) -> None:
    open_registry(settings).set_lifecycle("doubler", "2.0.0", "deprecated", "slow", "tripler")
    async with Client(create_server(settings)) as client:
        (tool,) = [one for one in await client.list_tools() if one.name == TOOL]
        assert (tool.description or "").startswith("Deprecated (slow); use tripler instead. ")
        assert (await client.call_tool(TOOL, {"number": 5})).data == 15
