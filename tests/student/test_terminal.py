"""The student's commands as people and scripts use them: real processes, real servers, and a pseudo-terminal."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from boxwright.cli.main import main
from boxwright.models import ToolCall
from boxwright.settings import Settings
from boxwright.traces import TraceStore, Trajectory
from boxwright_student import events
from boxwright_student.cli.screen import Screen
from boxwright_student.events import Calling, Note, Planned, TextPiece
from boxwright_student.toolset import ToolOutcome
from support.model_server import model_server
from support.odd import HERE
from support.pseudo_terminal import terminal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX's")
Answer = Callable[[dict[str, Any]], dict[str, Any]]


def kept(name: str = "ask") -> list[Trajectory]:
    return TraceStore(Settings().home / "trajectories" / f"{name}.jsonl").read()


def boxwright(*arguments: str) -> Result:
    """Run a command in this process, with no terminal."""
    return CliRunner().invoke(main, arguments)


@contextmanager
def model(answer: Answer) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Serve a scripted model; give its URI and the requests it gets."""
    with model_server(answer) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOXWRIGHT_OLLAMA_URL", server.url)  # its client starts three times as fast as OpenAI's
        yield "ollama/scripted", server.requests


@pytest.fixture
def old_json(tmp_path: Path) -> Path:
    """An mcp.json with the old server, which nobody trusts."""
    entry = {
        "command": sys.executable,
        "args": [str(HERE / "old_server.py")],
        "env": {"ODD_LOG": str(tmp_path / "log")},
    }
    path = tmp_path / "mcp.json"
    path.write_text(json.dumps({"mcpServers": {"old": entry}}))
    return path


def calls(tmp_path: Path) -> list[str]:
    log = tmp_path / "log"
    return log.read_text().split() if log.exists() else []


def writes_then_answers(times: int = 1) -> Answer:
    """Call `write` so often, each time with another argument, and then answer with what the last call gave."""

    def answer(body: dict[str, Any]) -> dict[str, Any]:
        results = [message for message in body["messages"] if message["role"] == "tool"]
        if len(results) < times:
            return {"calls": [("write", json.dumps({"n": len(results)}))]}
        return {"content": f"It said: {results[-1]['content']}"}

    return answer


def test_a_tool_that_may_change_something_is_called_when_the_person_says_yes(old_json: Path, tmp_path: Path) -> None:
    with model(writes_then_answers()) as (uri, _), terminal("ask", "Go", "--model", uri, "--mcp", str(old_json)) as at:
        assert "write(n=0) may change something" in at.until("[y]es, [n]o, [a]lways this tool: ")
        assert calls(tmp_path) == []
        at.type("what?\n")
        at.until("[a]lways this tool: ")
        at.type("y\n")
        at.until("← written")
        at.until("It said: written")
        assert at.end() == 0
    assert at.screen.count("It said: written") == 1  # streamed, and not printed again
    assert calls(tmp_path) == ["write"]


def test_a_call_that_the_person_declines_is_not_made_and_the_model_is_told(old_json: Path, tmp_path: Path) -> None:
    with model(writes_then_answers()) as (uri, _), terminal("ask", "Go", "--model", uri, "--mcp", str(old_json)) as at:
        at.until("[a]lways this tool: ")
        at.type("n\n")
        assert at.end() == 0
    assert "the user declined this call" in str(kept()[0].answer)
    assert calls(tmp_path) == []


def test_always_is_asked_once(old_json: Path, tmp_path: Path) -> None:
    with model(writes_then_answers(3)) as (uri, _), terminal("ask", "Go", "--model", uri, "--mcp", str(old_json)) as at:
        at.until("[a]lways this tool: ")
        at.type("a\n")
        assert at.end() == 0
    assert at.screen.count("may change something") == 1
    assert calls(tmp_path) == ["write"] * 3


def test_without_a_terminal_only_yes_lets_such_a_tool_be_called(old_json: Path, tmp_path: Path) -> None:
    with model(writes_then_answers()) as (uri, _):
        refused = boxwright("ask", "Go", "--model", uri, "--mcp", str(old_json))
        assert "write was not called: it may change something; --yes allows it" in refused.stderr
        assert calls(tmp_path) == []
        allowed = boxwright("ask", "Go", "--model", uri, "--mcp", str(old_json), "--yes")
    assert allowed.stdout == "It said: written\n"
    assert "→ write(n=0)\n← written\n" in allowed.stderr
    assert calls(tmp_path) == ["write"]


@contextmanager
def hanging_model() -> Iterator[tuple[str, threading.Event]]:
    """Serve a model that calls `echo` and then never answers; the event says that it is waited for."""
    asked, over = threading.Event(), threading.Event()

    def answer(body: dict[str, Any]) -> dict[str, Any]:
        if body["messages"][-1]["role"] != "tool":
            return {"calls": [("echo", "{}")]}
        asked.set()
        over.wait()
        return {"content": "late"}

    with model(answer) as (uri, _):
        try:
            yield uri, asked
        finally:
            over.set()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_ask_in_order_with_what_it_had_on_disk(
    number: signal.Signals, status: int, old_json: Path
) -> None:
    with hanging_model() as (uri, asked):
        command = [sys.executable, "-m", "boxwright", "ask", "Go", "--model", uri, "--mcp", str(old_json), "--yes"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert asked.wait(60)
            process.send_signal(number)
            printed, told = process.communicate(timeout=60)
    assert (process.returncode, printed) == (status, "")
    assert told.splitlines()[-1].startswith("stopped; ")
    assert "Traceback" not in told
    (trajectory,) = kept()
    assert (trajectory.ended, trajectory.calls) == ("cancelled", 1)
    assert trajectory.messages[-1].content == "echo {}"


def test_ctrl_c_at_the_question_stops_ask(old_json: Path, tmp_path: Path) -> None:
    with model(writes_then_answers()) as (uri, _), terminal("ask", "Go", "--model", uri, "--mcp", str(old_json)) as at:
        at.until("[a]lways this tool: ")
        at.type("\x03")
        assert at.end() == 130
    assert [one.ended for one in kept()] == ["cancelled"]
    assert calls(tmp_path) == []


def always(content: str) -> Answer:
    return lambda body: {"content": content}


def test_the_exit_status_says_how_ask_ended(old_json: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"mcpServers": {"x": {"command": "no-such-program"}}}')
    with model(always("Yes.")) as (uri, _):
        done = boxwright("ask", "Go", "--model", uri, "--bare")
        assert (done.exit_code, done.stdout, done.stderr) == (0, "Yes.\n", "")
        no_tools = boxwright("ask", "Go", "--model", uri, "--mcp", str(broken))
        no_file = boxwright("ask", "Go", "--model", uri, "--mcp", str(tmp_path / "none.json"))
    with model(writes_then_answers(99)) as (uri, _):
        no_answer = boxwright("ask", "Go", "--model", uri, "--mcp", str(old_json), "--steps", "2", "--yes")
    no_model = boxwright("ask", "Go", "--model", "openai/x@http://127.0.0.1:9/v1", "--bare")
    wrong = boxwright("ask", "Go", "--steps", "none")
    ends = (no_file, wrong, no_answer, no_model, no_tools)
    assert [one.exit_code for one in ends] == [1, 2, 3, 4, 5]
    assert [one.stdout for one in ends] == [""] * 5
    assert no_answer.stderr.splitlines()[-1] == "Error: no answer: steps, 2 steps"
    assert "cannot reach the MCP server 'x'" in no_tools.stderr
    assert "Traceback" not in "".join(one.stderr for one in ends)


def test_json_is_one_trajectory_and_nothing_else(old_json: Path) -> None:
    with model(writes_then_answers()) as (uri, _):
        done = boxwright("ask", "Go", "--model", uri, "--mcp", str(old_json), "--yes", "--json")
        cut = boxwright("ask", "Go", "--model", uri, "--mcp", str(old_json), "--yes", "--json", "--steps", "1")
    trajectory = Trajectory.model_validate_json(done.stdout)
    assert trajectory.answer == "It said: written"
    assert "write" in {tool.name for tool in trajectory.definitions}
    assert (cut.exit_code, json.loads(cut.stdout)["ended"]) == (3, "steps")


def test_json_is_one_value_whatever_fails(old_json: Path, suite: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"mcpServers": {"x": {"command": "no-such-program"}}}')
    failures = [
        boxwright("ask", "Go", "--model", "none/x", "--json"),
        boxwright("ask", "Go", "--model", "rules", "--mcp", str(broken), "--json"),
        boxwright("run", "no-such-suite", "--model", "rules", "--json"),
        boxwright("run", str(suite), "--model", "openai/x@http://127.0.0.1:9/v1", "--bare", "--json"),
    ]
    said = [json.loads(one.stdout)["error"] for one in failures]
    assert [one.exit_code for one in failures] == [1, 5, 1, 4]
    for words, one in zip(("'none'", "'x'", "'no-such-suite'", "no connection"), said, strict=True):
        assert words in one


@pytest.mark.parametrize("question", ["", " \n", "half \udcff"])
def test_a_question_of_nothing_or_of_no_text_is_wrong_usage(question: str) -> None:
    done = boxwright("ask", question, "--model", "rules", "--bare")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Invalid value for 'QUESTION'" in done.stderr


def test_a_long_question_comes_from_stdin() -> None:
    long = "Why? " * 250_000
    done = CliRunner().invoke(main, ["ask", "-", "--model", "rules", "--bare"], input=long)
    assert done.stdout == "No tool applies, and I cannot compute.\n"
    assert kept()[0].prompt == long
    assert CliRunner().invoke(main, ["ask", "-", "--model", "rules", "--bare"], input=b"\xff").exit_code == 2


def test_an_answer_is_printed_though_its_trajectory_cannot_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for home in ("/dev/null", "/proc/none"):
        monkeypatch.setenv("BOXWRIGHT_HOME", home)
        done = boxwright("ask", "Go", "--model", "rules", "--bare")
        assert (done.exit_code, done.stdout) == (1, "No tool applies, and I cannot compute.\n")
        assert "the trajectory is not kept: " in done.stderr
    with terminal("chat", "--model", "rules", "--bare") as at:
        at.until("> ")
        at.type("one\n")
        at.until("the trajectory is not kept: ")
        at.until("> ")
        at.type("/quit\n")
        assert at.end() == 0


def test_a_run_whose_file_cannot_be_written_asks_nothing(suite: Path) -> None:
    with model(always("3")) as (uri, requests):
        done = boxwright("run", str(suite), "--model", uri, "--bare", "--out", "/proc/none/t.jsonl")
    assert (done.exit_code, requests) == (1, [])
    assert "/proc/none" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("arguments", [["ask", "Go"], ["run", "SUITE"]])
def test_a_full_disk_behind_stdout_is_an_error_in_a_line(arguments: list[str], suite: Path) -> None:
    command = [sys.executable, "-m", "boxwright", *arguments, "--model", "rules", "--bare", "--json"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [str(suite) if one == "SUITE" else one for one in command], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("Error: [Errno 28]")
    assert "Traceback" not in done.stderr


def test_a_second_run_on_the_same_file_is_refused_while_the_first_goes_on(suite: Path, tmp_path: Path) -> None:
    seconds: list[Result] = []
    turn = threading.Lock()

    def answer(body: dict[str, Any]) -> dict[str, Any]:
        with turn:
            if not seconds:
                seconds.append(CliRunner().invoke(main, [*command, "--json"]))
        return {"content": "3"}

    with model(answer) as (uri, requests):
        command = ["run", str(suite), "--model", uri, "--bare", "--out", str(tmp_path / "t.jsonl")]
        process = subprocess.run([sys.executable, "-m", "boxwright", *command], capture_output=True, timeout=100)
        assert process.returncode == 0
        assert len(requests) == 6
    assert seconds[0].exit_code == 1
    assert "another run is writing" in json.loads(seconds[0].stdout)["error"]


def test_words_of_a_server_in_an_error_cannot_move_the_cursor(tmp_path: Path) -> None:
    entry = {"command": sys.executable, "args": ["-c", "import sys; sys.exit('bad \x1b[31m\x1b]0;title\x07')"]}
    path = tmp_path / "mcp.json"
    path.write_text(json.dumps({"mcpServers": {"x": entry}}))
    with terminal("ask", "Go", "--model", "rules", "--mcp", str(path)) as at:  # it is dumb: no colour of ours either
        assert at.end() == 5
    assert "bad \N{REPLACEMENT CHARACTER}[31m" in at.screen
    assert "\x1b" not in at.screen
    assert "\x07" not in at.screen


def test_closed_streams_are_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    Screen().answer("nobody reads this")
    monkeypatch.undo()
    command = [sys.executable, "-m", "boxwright", "chat", "--model", "rules", "--bare"]
    done = subprocess.run(["sh", "-c", '"$@" <&-', "sh", *command], capture_output=True, text=True, timeout=60)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)


def test_chat_goes_on_from_turn_to_turn_over_one_connection(old_json: Path, tmp_path: Path) -> None:
    def answer(body: dict[str, Any]) -> dict[str, Any]:
        said = [message["content"] for message in body["messages"] if message["role"] == "user"]
        return {"content": f"You said {' and '.join(said)}."}

    with model(answer) as (uri, _), terminal("chat", "--model", uri, "--mcp", str(old_json)) as at:
        at.until("> ")
        at.type("one\n")
        at.until("You said one.\n")
        at.until("> ")
        at.type("two\n")
        at.until("You said one and two.\n")
        at.type("/reset\n")
        at.until("forgotten")
        at.type("three\n")
        at.until("You said three.\n")
        at.type("/tools\n")
        at.until("write (asks first): Does write.")
        at.type("/what\n")
        at.until("/reset forgets")
        at.until("> ")
        at.type("\x04")
        assert at.end() == 0
    assert [one.answer for one in kept("chat")] == ["You said one.", "You said one and two.", "You said three."]


def test_ctrl_c_stops_a_turn_and_not_the_chat(old_json: Path) -> None:
    hang, asked, over = threading.Event(), threading.Event(), threading.Event()

    def answer(body: dict[str, Any]) -> dict[str, Any]:
        if not hang.is_set():
            hang.set()
            asked.set()
            over.wait()
        return {"content": str([message["content"] for message in body["messages"][1:]])}

    with model(answer) as (uri, _), terminal("chat", "--model", uri, "--mcp", str(old_json)) as at:
        at.until("> ")
        at.until("\n> ", insisting=lambda: at.type("\x03"))
        at.type("one\n")
        assert asked.wait(60)
        at.type("\x03")
        at.until("no answer: cancelled; this turn is forgotten")
        over.set()
        at.until("> ")
        at.type("two\n")
        at.until("['two']")
        at.until("> ")
        assert at.terminate() == 143
    assert [one.ended for one in kept("chat")] == ["cancelled", "answered"]


def test_chat_outlives_a_model_that_is_gone(tmp_path: Path) -> None:
    with terminal("chat", "--model", "openai/x@http://127.0.0.1:9/v1", "--bare") as at:
        at.until("> ")
        at.type("one\n")
        at.until("no connection to http://127.0.0.1:9/v1")
        at.until("> ")
        at.type("/quit\n")
        assert at.end() == 0


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    rows = [
        {"id": f"t{n}", "prompt": f"{n}+1?", "scorer": "number", "split": "dev", "answer": str(n + 1)} for n in range(6)
    ]
    path = tmp_path / "sums.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_run_prints_its_figures_as_json(suite: Path, tmp_path: Path) -> None:
    with model(always("3")) as (uri, _):
        done = boxwright("run", str(suite), "--model", uri, "--bare", "--json", "--out", str(tmp_path / "t.jsonl"))
    figures = json.loads(done.stdout)
    assert (figures["right"], figures["tasks"], figures["ended"]) == (1, 6, {"answered": 6})
    assert figures["tokens"] == 6 * 15


def test_a_run_that_was_stopped_goes_on_where_it_was(suite: Path, tmp_path: Path) -> None:
    over = threading.Event()
    hangs = threading.Event()

    def answer(body: dict[str, Any]) -> dict[str, Any]:
        if body["messages"][-1]["content"] == "3+1?" and not over.is_set():
            hangs.set()
            over.wait()
        return {"content": "3"}

    out = tmp_path / "t.jsonl"
    with model(answer) as (uri, requests):
        command = [sys.executable, "-m", "boxwright", "run", str(suite), "--model", uri, "--bare", "--out", str(out)]
        command += ["--concurrency", "1"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            assert hangs.wait(60)
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=60)
        assert process.returncode == 130
        assert f"stopped; 3 of 6 tasks are in {out}: the same command goes on" in told
        over.set()
        before = len(requests)
        done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert "right      1 of 6" in done.stdout
    assert len(requests) - before == 3


def test_a_person_sees_what_goes_on_and_no_text_moves_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(thinking=True, stream=True)
    call = ToolCall(id="", name="f", arguments={"x": "\x1b[2J"})
    for event in (
        TextPiece("thinking", "hm"),
        TextPiece("text", "I ask\x1b]0;title\x07 "),
        TextPiece("text", "f."),
        Planned(("one", "two")),
        Calling(call),
        events.Result(call, ToolOutcome("a" * 3000)),
        Note("repaired"),
        TextPiece("text", "The answer"),
    ):
        screen(event)
    screen.answer("The answer")
    screen.answer("Another")
    printed = capsys.readouterr()
    assert "\x1b]" not in printed.out + printed.err
    assert printed.out == "I ask\N{REPLACEMENT CHARACTER}]0;title\N{REPLACEMENT CHARACTER} f.\nThe answer\nAnother\n"
    assert "plan:\n  one\n  two\n→ f(x='\\x1b[2J')\n" in printed.err
    assert "[… 1000 characters more]" in printed.err


def test_thinking_and_pieces_are_hidden_unless_they_are_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(stream=False)
    screen(TextPiece("thinking", "hm"))
    screen(TextPiece("text", "It is"))
    screen.answer("It is 1.")
    assert tuple(capsys.readouterr()) == ("It is 1.\n", "")
