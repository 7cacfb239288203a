"""`mcp.json` as clients write it, and the names that tools are shown under."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwright.errors import BadInput
from boxwright_student.mcp_tools import ServerEntry, box_server, read_mcp_json
from boxwright_student.servers.names import shown_names

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mcp.json"


def read(path: Path, servers: Any, key: str = "mcpServers") -> dict[str, ServerEntry]:
    path.write_text(json.dumps({key: servers}))
    return read_mcp_json(path)


@pytest.mark.parametrize(
    ("entry", "transport"),
    [
        ({"command": "x", "args": ["y"]}, "stdio"),
        ({"command": "x", "type": "stdio"}, "stdio"),
        ({"command": "x", "type": "local"}, "stdio"),
        ({"url": "http://z/mcp"}, "http"),
        ({"url": "http://z/mcp", "type": "http"}, "http"),
        ({"url": "http://z/mcp", "type": "streamable-http", "headers": {"a": "b"}}, "http"),
        ({"url": "http://z/mcp", "type": "streamableHttp"}, "http"),
        ({"url": "http://z/sse", "type": "sse"}, "sse"),
        ({"url": "http://z/mcp", "alwaysAllow": [], "timeout": 60}, "http"),
    ],
)
def test_an_entry_is_read_as_clients_write_it(entry: dict[str, Any], transport: str, path: Path) -> None:
    for key in ("mcpServers", "servers"):
        (found,) = read(path, {"a": entry}, key).values()
        assert found.transport == transport


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({}, "server 'a': needs either a command or a url"),
        ({"command": "x", "url": "http://z"}, "needs either a command or a url"),
        ({"command": 3}, "server 'a': command: Input should be a valid string"),
        ({"command": "x", "type": "carrier-pigeon"}, "type 'carrier-pigeon' is none of stdio"),
        ({"command": "x", "type": "http"}, "type 'http' needs a url"),
        ({"url": "http://z", "type": "stdio"}, "type 'stdio' needs a command"),
        ({"command": "x", "args": ["${NOWHERE_SET}"]}, "wants the variable 'NOWHERE_SET', which is not set"),
        ({"command": "x", "disabled": True}, "every server is disabled"),
        ("x", "server 'a': Input should be"),
        ({"command": " "}, "the command is empty"),
        ({"url": ""}, "the url begins with http:// or https://, got ''"),
        ({"url": "localhost:8000/mcp"}, "the url begins with http:// or https://, got 'localhost:8000/mcp'"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_name_and_the_rule(entry: Any, said: str, path: Path) -> None:
    with pytest.raises(BadInput, match=re.escape(said)):
        read(path, {"a": entry})


@pytest.mark.parametrize("text", ["{}", "[]", "{", '{"mcpServers": {}}', '{"mcpServers": []}', "\xff", "[" * 100_000])
def test_what_is_no_mcp_json_is_refused_with_its_path(text: str, path: Path) -> None:
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadInput, match=r"mcp\.json (is no mcp\.json|names no server)"):
        read_mcp_json(path)
    with pytest.raises(BadInput, match="no-such-file"):
        read_mcp_json(path.with_name("no-such-file"))


def test_variables_are_put_in_from_the_environment(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "secret")
    entry = {
        "url": "${BASE:-http://localhost:1}/mcp",
        "headers": {"Authorization": "Bearer ${TOKEN}", "X": "${env:TOKEN}"},
    }
    (found,) = read(path, {"a": entry, "b": {"command": "${NOWHERE_SET}", "disabled": True}}).values()
    assert found.url == "http://localhost:1/mcp"
    assert found.headers == {"Authorization": "Bearer secret", "X": "secret"}


def test_the_mcp_json_of_the_docs_is_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCH_TOKEN", "secret")
    (block,) = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "student.md").read_text(encoding="utf-8"), re.DOTALL)
    path.write_text(block)
    assert {name: one.trusted for name, one in read_mcp_json(path).items()} == {
        "files": False,
        "search": False,
        "boxes": True,
    }


def test_our_own_server_is_trusted_and_others_are_when_the_entry_says_so(path: Path) -> None:
    assert box_server().trusted
    found = read(path, {"a": {"command": "x"}, "b": {"command": "x", "trusted": True}})
    assert [one.trusted for one in found.values()] == [False, True]


def test_our_own_server_is_given_the_settings_of_what_it_runs_and_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"BOXWRIGHT_SANDBOX": "docker", "DOCKER_HOST": "tcp://far", "UV_DEFAULT_INDEX": "x", "https_proxy": "y"}
    for name, value in {**given, "OPENAI_API_KEY": "secret", "MY_PROXY_KEY": "secret"}.items():
        monkeypatch.setenv(name, value)
    environment = box_server().env or {}
    assert given.items() <= environment.items()
    assert "secret" not in environment.values()


def test_a_key_or_a_password_in_an_address_is_not_told() -> None:
    assert ServerEntry(url="http://z/mcp?key=secret").place == "http://z/mcp"
    assert ServerEntry(url="http://me:p@ss@z/a@b").place == "http://z/a@b"


def test_comments_last_commas_and_a_byte_order_mark_are_taken_as_vs_code_takes_them(path: Path) -> None:
    text = """\ufeff{ // mine
      "servers": {
        /* "old": {"url": "http://old/"}, */
        "a": {"url": "http://z//mcp,]", "headers": {"X": "/* kept */, }", "Y": "\\\\\\"//kept"},},
      },
    }"""
    path.write_text(text, encoding="utf-8")
    (found,) = read_mcp_json(path).values()
    assert found.url == "http://z//mcp,]"
    assert found.headers == {"X": "/* kept */, }", "Y": '\\"//kept'}


SERVERS = st.dictionaries(st.text(max_size=5), st.lists(st.text(max_size=80), max_size=5), max_size=4)


@given(SERVERS)
def test_every_tool_has_one_name_that_apis_take_whatever_servers_call_theirs(listed: dict[str, list[str]]) -> None:
    names = shown_names(listed)
    assert all(re.fullmatch("[A-Za-z0-9_-]{1,64}", name) for name in names)
    assert sorted(names.values()) == sorted((server, name) for server, all_ in listed.items() for name in set(all_))


@given(SERVERS, st.randoms())
def test_a_name_does_not_depend_on_the_servers_order(listed: dict[str, list[str]], random: Any) -> None:
    order = list(listed)
    random.shuffle(order)
    assert shown_names({server: listed[server][::-1] for server in order}) == shown_names(listed)


def test_names_are_left_as_they_are_where_they_can_be() -> None:
    listed = {"files": ["read", "list"], "web": ["read", "get.page"], "a b": ["web__read"]}
    names = {pair: name for name, pair in shown_names(listed).items()}
    assert names["files", "read"] == "files__read"
    assert names["files", "list"] == "list"
    assert names["web", "get.page"] == "get_page"
    assert re.fullmatch("web__read_[0-9a-f]{8}", names["web", "read"])
    assert re.fullmatch("web__read_[0-9a-f]{8}", names["a b", "web__read"])


def test_a_server_cannot_take_the_name_of_anothers_tool() -> None:
    listed = {"good": ["a.b"], "also": ["a_b"]}
    (taken,) = [name for name, pair in shown_names(listed).items() if pair == ("good", "a.b")]
    assert len(shown_names(listed | {"bad": [taken]})) == 3
