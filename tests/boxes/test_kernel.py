"""Files, traces, JSON, search, errors, settings: the small parts everything else stands on."""

import inspect
import json
import math
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import boxwright.errors as errors
from boxwright.errors import BadInput, RecordInvalid
from boxwright.files import append_line, read_lines, write_atomically
from boxwright.jsontypes import canonical, digest, same
from boxwright.models import Message, Usage
from boxwright.search import rank
from boxwright.settings import Settings
from boxwright.traces import TraceStore, Trajectory

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_canonical_text_reads_back_equal_and_does_not_depend_on_order(value: object) -> None:
    assert json.loads(canonical(value)) == value
    if isinstance(value, dict):
        assert digest(dict(reversed(list(value.items())))) == digest(value)


def test_canonical_text_refuses_what_is_not_finite() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical(math.inf)


@pytest.mark.parametrize(
    ("left", "right", "tolerance", "expected"),
    [
        (1, 1.0, 0, True),
        (1, True, 0, False),
        (0.3, 0.1 + 0.2, 0, False),
        (0.3, 0.1 + 0.2, 1e-9, True),
        ({"a": [1, 2]}, {"a": [1, 2.1]}, 0.1, True),
        ([1], [1, 1], 1, False),
        ("1", 1, 1, False),
        (None, None, 0, True),
    ],
)
def test_values_are_the_same_within_their_tolerance(left, right, tolerance: float, expected: bool) -> None:  # type: ignore[no-untyped-def]
    assert same(left, right, tolerance) is expected


def test_a_torn_line_is_skipped_with_a_warning_and_the_next_line_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append_line(path, {"n": 1})
    with path.open("a") as stream:
        stream.write('{"n": 2, "te')
    append_line(path, {"n": 3})
    with pytest.warns(UserWarning, match=r"rows.jsonl:2: skipped a torn line"):
        rows = [row for _, row in read_lines(path)]
    assert rows == [{"n": 1}, {"n": 3}]


def test_a_line_that_is_no_object_is_an_error_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"n": 1}\n[2]\n')
    with pytest.raises(RecordInvalid, match=":2: expected a JSON object, got list"):
        list(read_lines(tmp_path / "rows.jsonl"))


def test_lines_appended_at_once_are_all_there_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    threads = [threading.Thread(target=append_line, args=(path, {"n": n, "pad": "x" * 9000})) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(int(str(row["n"])) for _, row in read_lines(path)) == list(range(20))


def test_a_write_that_fails_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "new \ud800")
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]
    with pytest.raises(BadInput, match="cannot write"):
        write_atomically(path / "below-a-file" / "x", "x")


def trajectory(**changes: object) -> Trajectory:
    base = Trajectory(
        prompt="p",
        messages=(Message(role="user", content="p"),),
        answer="a",
        ended="answered",
        model="rules",
        usage=Usage(),
    )
    return base.model_copy(update=changes)


def test_trajectories_come_back_as_they_were_stored(tmp_path: Path) -> None:
    store = TraceStore(tmp_path / "deep" / "t.jsonl")
    assert store.read() == []
    kept = [trajectory(task="a", right=True), trajectory(task="b", answer=None, ended="steps")]
    for one in kept:
        store.append(one)
    assert store.read() == kept
    assert json.loads(store.path.read_text().splitlines()[0])["schema_version"] == 1


def test_a_trajectory_of_an_unknown_schema_is_refused_with_its_place(tmp_path: Path) -> None:
    store = TraceStore(tmp_path / "t.jsonl")
    store.append(trajectory())
    store.path.write_text(store.path.read_text().replace('"schema_version": 1', '"schema_version": 99'))
    with pytest.raises(RecordInvalid, match=r"t.jsonl:1: no trajectory .schema_version"):
        store.read()


def test_search_ranks_by_shared_words_and_stems() -> None:
    texts = {"dates__weekday": "Return the weekday of a date", "game_of_24__solve": "Solve puzzles", "x": "unrelated"}
    assert rank("which weekdays?", texts) == ["dates__weekday"]
    assert rank("solve this puzzle", texts)[0] == "game_of_24__solve"
    assert rank('"); DROP TABLE texts; --', texts) == []
    assert rank("", texts) == []


def test_every_error_is_exported_and_drawn_in_the_tree() -> None:
    classes = [name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)]
    public = sorted(name for name in classes if not name.startswith("_"))
    assert sorted(errors.__all__) == public
    assert errors.__doc__ is not None
    assert [name for name in public if name not in errors.__doc__] == []


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BOXWRIGHT_STUDENT", "ollama/llama3.1:8b")
    monkeypatch.setenv("BOXWRIGHT_REGISTRY", str(tmp_path / "r"))
    settings = Settings()
    assert settings.student == "ollama/llama3.1:8b"
    assert settings.registry_folder == tmp_path / "r"
    assert settings.teacher == "litellm/gpt-4o"
