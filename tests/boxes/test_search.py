"""Tool search: order, updates, files, and text that nobody can foresee."""

from __future__ import annotations

import asyncio
import importlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwright.errors import BadInput
from boxwright.search import Found, ReleaseTexts, ToolIndex, ToolTexts, rank
from boxwright.words import index_text, query_phrases

WEATHER = ReleaseTexts(
    "weather",
    "1.0.0",
    (
        ToolTexts("getCurrentWeather", "Return temperature and wind for a city."),
        ToolTexts("forecast", "Return what is expected for the next days.", {"properties": {"city": {}}}),
    ),
    "Meteorology for travellers",
)
FILES = ReleaseTexts(
    "files",
    "2.1.0",
    (
        ToolTexts("write_file", "Write text to a file.", {"properties": {"path": {"description": "where it goes"}}}),
        ToolTexts("list_directory", "List what a directory holds."),
        ToolTexts("read-image", "Return the pixels of a picture."),
    ),
)
CHINESE = ReleaseTexts(
    "almanac", "1.0.0", (ToolTexts("getBaziDetail", "根据时间获取八字信息"), ToolTexts("天気予報", "東京の天気を返す"))
)
ALL = (WEATHER, FILES, CHINESE)


@pytest.fixture
def index() -> Iterator[ToolIndex]:
    with ToolIndex() as index:
        index.add(ALL)
        yield index


def names(found: list[Found]) -> list[str]:
    return [one.tool for one in found]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("What is the current weather?", "getCurrentWeather"),
        ("getCurrentWeather", "getCurrentWeather"),
        ("get-current-weather", "getCurrentWeather"),
        ("windy cities", "getCurrentWeather"),
        ("save this to a file, please", "write_file"),
        ("show me the folder", "list_directory"),
        ("which photos are there", "read-image"),
        ("WRITE_FILE", "write_file"),
        ("where it goes", "write_file"),
        ("八字", "getBaziDetail"),
        ("請告訴我八字是什麼", "getBaziDetail"),
        ("東京の天気は？", "天気予報"),
    ],
)
def test_the_tool_meant_comes_first(index: ToolIndex, query: str, first: str) -> None:
    assert names(index.search(query))[0] == first


def test_keys_come_back_whole_and_limited(index: ToolIndex) -> None:
    assert index.search("directory") == [Found("files", "2.1.0", "list_directory")]
    assert len(index.search("write list image weather forecast", 3)) == 3
    assert index.search("weather", 0) == []
    assert len(index) == 7


def test_a_box_that_fits_lifts_its_tools() -> None:
    texts = ("trains", "ships"), ("ferries", "ships and ferries")
    releases = [ReleaseTexts(box, "1", (ToolTexts("timetable", "Departures of a day"),), about) for about, box in texts]
    others = [ReleaseTexts(f"box{number}", "1", (ToolTexts("other", "Nothing"),), "Else") for number in range(5)]
    with ToolIndex() as index:
        index.add(releases + others)
        assert [one.box for one in index.search("departures of ferries")] == ["ships and ferries", "ships"]
        assert [one.box for one in index.search("ferries")] == ["ships and ferries"]


def test_a_name_says_more_than_a_description_and_that_more_than_a_parameter() -> None:
    schema = {"properties": {"prime": {"type": "integer"}}}
    tools = (ToolTexts("a", "number", schema), ToolTexts("b", "prime number"), ToolTexts("prime", "number"))
    padding = tuple(ToolTexts(f"other{letter}", "something else") for letter in "ghijklmn")
    with ToolIndex() as index:
        index.add([ReleaseTexts("box", "1", tools + padding)])
        assert names(index.search("prime")) == ["prime", "b", "a"]


def test_equal_tools_stand_in_the_order_of_their_keys_however_they_were_added() -> None:
    releases = [ReleaseTexts(f"box{number}", "1", (ToolTexts("solve", "Solve it"),)) for number in range(6)]
    for order in (releases, releases[::-1]):
        with ToolIndex() as index:
            index.add(order)
            assert [found.box for found in index.search("solve", 6)] == [f"box{number}" for number in range(6)]


def test_news_is_not_new(index: ToolIndex) -> None:
    tools = (ToolTexts("get_headlines", "Latest news"), ToolTexts("make", "A new thing"))
    index.add([ReleaseTexts("press", "1", tools)])
    assert names(index.search("any news?")) == ["get_headlines"]


def test_adding_again_replaces_and_removing_takes_out_releases_or_boxes(index: ToolIndex) -> None:
    index.add([ReleaseTexts("weather", "1.0.0", (ToolTexts("rain", "Will it rain"),), "Rain"), FILES])
    assert len(index) == 6
    assert index.search("weather forecast wind meteorology") == [Found("weather", "1.0.0", "rain")]
    index.add([ReleaseTexts("weather", "2.0.0", (ToolTexts("snow", "Will it snow"),))])
    index.remove("weather", "1.0.0")
    assert index.search("rain snow") == [Found("weather", "2.0.0", "snow")]
    index.remove("weather")
    index.remove("weather")
    assert index.search("rain snow") == []
    assert index.releases() == {("files", "2.1.0"), ("almanac", "1.0.0")}


def test_an_index_with_much_taken_out_equals_one_that_never_had_it(index: ToolIndex) -> None:
    index.add([ReleaseTexts(f"gone{number}", "1", WEATHER.tools, "weather") for number in range(20)])
    for number in range(20):
        index.remove(f"gone{number}")
    with ToolIndex() as fresh:
        fresh.add(ALL)
        query = "write the current weather of a city to a directory"
        assert index.search(query) == fresh.search(query)


def test_a_failed_add_changes_nothing(index: ToolIndex) -> None:
    twice = ReleaseTexts("twice", "1", (ToolTexts("same"), ToolTexts("same")))
    with pytest.raises(sqlite3.IntegrityError):
        index.add([ReleaseTexts("weather", "1.0.0", ()), twice])
    assert index.releases() == {(one.box, one.release) for one in ALL}
    assert names(index.search("forecast")) == ["forecast"]


def test_a_file_keeps_its_tools_and_one_of_another_format_is_emptied(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    with ToolIndex(path) as index:
        index.add(ALL)
    with ToolIndex(path) as index:
        assert names(index.search("directory")) == ["list_directory"]
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 0")
    database.close()
    with ToolIndex(path) as index:
        assert len(index) == 0
        assert index.releases() == set()
        index.add(ALL)
        assert len(index) == 7


def test_other_files_are_refused_and_left_alone(tmp_path: Path) -> None:
    text, other = tmp_path / "notes.txt", tmp_path / "other.sqlite"
    text.write_text("not a database, but notes that somebody keeps" * 20)
    database = sqlite3.connect(other)
    database.execute("CREATE TABLE releases (mine TEXT)")
    database.close()
    for path, said in (
        (text, "cannot be used"),
        (other, "another program's"),
        (tmp_path / "no" / "dir", "in a folder"),
    ):
        before = path.read_bytes() if path.exists() else None
        with pytest.raises(BadInput, match=said) as raised:
            ToolIndex(path)
        assert str(path) in str(raised.value)
        assert (path.read_bytes() if path.exists() else None) == before


def test_threads_may_search_while_one_adds(index: ToolIndex) -> None:
    wrong: list[list[str]] = []

    def search() -> None:
        for _ in range(50):
            found = names(index.search("list the directory"))
            if found != ["list_directory"]:
                wrong.append(found)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(50):
        index.add([ReleaseTexts("weather", f"1.{number}", WEATHER.tools)])
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(index) == 7 + 50 * 2


UNFORESEEN = [
    "",
    " \n\t",
    "\0",
    "weather\0file",
    '"',
    "weather OR",
    "NEAR(weather file, 2)",
    "name:weather -file ^city *",
    '") UNION SELECT 1 --',
    "AND NOT OR",
    "🌦️ 👩‍👩‍👧",
    "\ud800",
    "\u0345 \u200d \ufeff",
    "ß ﬁ Ǆ İ",
    "weather " * 20_000,
    "八字信息" * 20_000,
    "a_b_c_" * 20_000,
    "aB1" * 40_000,
    " ".join(f"word{number}" for number in range(15_000)),
    "-" * 100_000,
]


@pytest.mark.parametrize("query", UNFORESEEN, ids=range(len(UNFORESEEN)))
def test_no_query_is_an_error(index: ToolIndex, query: str) -> None:
    assert len(index.search(query)) <= 5


@given(st.text())
def test_any_text_can_be_asked_for_and_indexed(text: str) -> None:
    schema = {"properties": {text: {"description": text}}}
    with ToolIndex() as index:
        index.add([ReleaseTexts("box", "1", (ToolTexts("tool", text, schema),), text)])
        assert len(index.search(text)) <= 1
        assert index.search(f"{text} tool") == [Found("box", "1", "tool")]


@given(
    st.lists(
        st.sampled_from(["alpha", "HTTPServer", "x86", "naïve", "天気", "snake_case", "Straße", "2nd"]), min_size=1
    )
)
def test_every_word_finds_the_text_it_stands_in(words: list[str]) -> None:
    with ToolIndex() as index:
        index.add([ReleaseTexts("box", "1", (ToolTexts("t", " ".join(words)),))])
        assert all(index.search(word) for word in words)


@pytest.mark.parametrize("schema", [{}, {"properties": None}, {"properties": {"a": True}}, {"properties": ["a"]}])
def test_odd_schemas_are_taken(schema: dict[str, object]) -> None:
    with ToolIndex() as index:
        index.add([ReleaseTexts("box", "1", (ToolTexts("tool", "", schema),))])
        assert names(index.search("tool")) == ["tool"]


def test_names_come_apart_and_stay_whole() -> None:
    assert index_text("getHTMLPage2 find_all_GitHub-repos") == (
        "get html page 2 gethtmlpage2 find all git hub github repository"
    )
    assert query_phrases("Please GitHub, the repos!") == ["git hub", "repository"]
    assert query_phrases("the of and I") == []
    assert query_phrases("decode " + "QUJDREVG" * 1000 + " now") == ["decode"]


def test_long_questions_are_read_at_both_ends() -> None:
    phrases = query_phrases("first " + "middle" * 3 + " filler" * 5_000 + " last")
    assert (phrases[0], phrases[-1]) == ("first", "last")
    assert len(query_phrases(" ".join(f"w{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(400)))) == 48


def test_twenty_thousand_tools_are_held_and_the_one_meant_is_found() -> None:
    kinds = ("list", "create", "remove", "update", "describe")
    releases = [
        ReleaseTexts(
            f"service{number}",
            "1",
            tuple(ToolTexts(f"{kind}_thing", f"{kind} the things called {number:x}name") for kind in kinds),
        )
        for number in range(4_000)
    ]
    with ToolIndex() as index:
        index.add(releases)
        assert len(index) == 20_000
        assert index.search("Please update the thing that is called bcdname", 1) == [
            Found(f"service{0xBCD}", "1", "update_thing")
        ]
        assert len(index.search("update the thing", 10)) == 10


def test_rank_finds_keys_by_words() -> None:
    texts = {"dates__weekday": "Return the weekday of a date", "sum": "Add numbers", "other": "unrelated"}
    assert rank("which weekdays?", texts) == ["dates__weekday"]
    assert rank("add", texts) == ["sum"]
    assert rank("", texts) == rank("anything", {}) == []


LIVE = Path(__file__).parents[2].parent / "shared" / "data" / "livemcpbench"


@pytest.mark.skipif(not LIVE.is_dir(), reason="LiveMCPBench's files are not beside the checkout")
def test_on_real_servers_the_benchmark_beats_bm25(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    tool_search = importlib.import_module("tool_search")
    catalogue = tool_search.load_catalogue(LIVE)
    tasks, missing = tool_search.load_tasks(LIVE, {tool.name for one in catalogue for tool in one.tools})
    assert (sum(len(one.tools) for one in catalogue), len(tasks), len(missing)) == (527, 48, 4)
    mine = asyncio.run(tool_search.recall(tool_search.ours(catalogue), tasks))
    theirs = asyncio.run(tool_search.recall(tool_search.Peer(catalogue).search, tasks))
    assert all(mine[what] > figure for what, figure in theirs.items()), json.dumps([mine, theirs])
