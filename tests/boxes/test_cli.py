"""The command as a user runs it: as a process, with its exit status and what it says."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from boxwright.sandbox.bubblewrap import Bubblewrap
from support.boxes import write_box

HEAVY = ("torch", "litellm", "fastmcp", "openai", "mcp", "pydantic", "rich", "ollama", "jsonschema")


def boxwright(*arguments: str, status: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "boxwright", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env={**os.environ, **environment})
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_help_lists_every_command_with_a_sentence() -> None:
    text = boxwright("--help").stdout
    names = ("ask", "boxes", "compare", "connect", "demo", "doctor", "lock", "mine", "run", "serve", "suites")
    for name in (*names, "worth"):
        assert f"\n  {name}" in text
    assert "Serve boxes to MCP clients over stdio or HTTP." in text


def test_help_imports_nothing_heavy_and_takes_little_time() -> None:
    code = (
        "import sys; from boxwright.cli.main import main\n"
        "try: main(['--help'])\n"
        f"finally: print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stderr.strip() == "[]"
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < 0.4, f"{spent:.2f} s of processor time"


def test_a_box_goes_from_new_to_published_listed_shown_and_verified(tmp_path: Path, sandbox: Bubblewrap) -> None:
    boxwright("boxes", "new", "sums", "--into", str(tmp_path))
    assert "3 examples hold" in boxwright("boxes", "test", str(tmp_path / "sums")).stdout
    boxwright("boxes", "publish", str(tmp_path / "sums"))
    listed = json.loads(boxwright("boxes", "list", "--json").stdout)
    assert [row["name"] for row in listed] == ["calculator", "dates", "game_of_24", "python", "sums"]
    shown = json.loads(boxwright("boxes", "show", "sums", "--json").stdout)
    assert shown["digest"].startswith("sha256:")
    assert "sums__add" in boxwright("boxes", "show", "sums").stdout
    assert "5 releases hold" in boxwright("boxes", "verify").stdout
    with (Path(shown["folder"]) / "tools.py").open("a") as stream:
        stream.write("# changed\n")
    assert "was changed after it was published" in boxwright("boxes", "verify", status=1).stderr
    boxwright("boxes", "mark", "sums", "0.1.0", "yanked", "--reason", "tampered with")
    assert "sums" not in boxwright("boxes", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("boxes", "show", "game_of_42"), "did you mean 'game_of_24'"),
        (("boxes", "show", "game_of_24>=9"), "1.0.0"),
        (("boxes", "test", "nowhere"), "boxes new"),
        (("boxes", "trust", "abc"), "is no digest"),
        (("boxes", "mark", "dates", "1.0.0", "yanked"), "ships with the product"),
        (("run", "gam24", "--model", "rules"), "did you mean 'game24'"),
        (("run", "game24", "--model", "rulez"), "did you mean 'rules'"),
        (("ask", "x", "--model", "ollama/"), "names no model"),
        (("mine", "game24", "--teacher", "recorded/nowhere.jsonl"), "there is no recording"),
        (("serve", "--box", "game_of_42"), "did you mean 'game_of_24'"),
        (("ask", "x", "--model", "rules", "--mcp", "nowhere.json"), "no mcp.json"),
    ],
)
def test_bad_input_gets_one_message_that_names_the_way_out(arguments: tuple[str, ...], words: str) -> None:
    assert words in boxwright(*arguments, status=1).stderr


def test_an_unknown_command_is_a_usage_error() -> None:
    assert "No such command" in boxwright("frobnicate", status=2).stderr


def test_all_faults_of_a_manifest_are_printed(tmp_path: Path) -> None:
    folder = write_box(tmp_path / "box")
    (folder / "box.toml").write_text(
        'format = 2\nname = "A"\nversion = "1"\nsummary = ""\n[provenance]\nmethod = "x"\n'
    )
    said = boxwright("boxes", "test", str(folder), status=1).stderr
    assert "7 faults" in said


def test_a_registry_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = write_box(tmp_path / "box")
    said = boxwright("boxes", "publish", str(folder), "--registry", str(tmp_path / "file" / "r"), status=1).stderr
    assert "cannot write" in said


def test_suites_prints_tasks_that_load_again(tmp_path: Path) -> None:
    lines = boxwright("suites", "game24", "--split", "dev", "--limit", "3").stdout
    (tmp_path / "mine.jsonl").write_text(lines)
    assert boxwright("suites", str(tmp_path / "mine.jsonl"), "--split", "dev").stdout == lines
    assert "1362 tasks" in boxwright("suites").stdout


def test_doctor_names_what_is_missing_and_what_mends_it() -> None:
    findings = json.loads(boxwright("doctor", "--json", BOXWRIGHT_OLLAMA_URL="http://127.0.0.1:9").stdout)
    by_name = {finding["what"]: finding for finding in findings}
    assert by_name["registry"]["state"] == "ok"
    assert by_name["Ollama"]["state"] == "gap"
    assert "ollama serve" in by_name["Ollama"]["mend"]
    assert "export" in by_name["teacher's key"]["mend"]


def test_doctor_tells_a_fault_by_its_exit_status(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = boxwright("doctor", status=1, BOXWRIGHT_HOME=str(tmp_path / "file" / "home")).stdout
    assert "BOXWRIGHT_HOME" in said


def test_a_tool_is_found_by_words_and_a_lock_pins_what_is_there(tmp_path: Path) -> None:
    assert json.loads(boxwright("boxes", "search", "--json", "--limit", "1", "reach", "24").stdout) == [
        "game_of_24__solve"
    ]
    assert "try other words" in boxwright("boxes", "search", "zzz").stdout
    path = tmp_path / "boxwright.lock"
    assert "wrote" in boxwright("lock", "dates", "--file", str(path)).stdout
    assert 'version = "1.0.0"' in path.read_text()
    assert "dates 1.0.0  sha256:" in boxwright("lock", "dates>=1,<2", "--file", str(path)).stdout
    for specs, words in [(["dates>=9"], "it has"), (["dates", "dates"], "two of"), (["date"], "did you mean 'dates'")]:
        said = boxwright("lock", *specs, "--file", str(path), status=1).stderr
        assert words in said or "has 1.0.0" in said
    assert "choose a folder" in boxwright("lock", "--file", str(tmp_path), status=1).stderr
