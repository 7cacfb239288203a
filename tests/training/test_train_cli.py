"""`boxwright train` and the commands under it, as somebody types them: what they write, what they print, what they refuse."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the training tests need torch (the extra 'train')")
pytest.importorskip("peft", reason="the training tests need peft (the extra 'train')")

from click.testing import CliRunner, Result  # noqa: E402

from boxwright.cli.main import main  # noqa: E402
from boxwright.sandbox import Sandbox  # noqa: E402
from boxwright.tasks import load_suite, split_tasks  # noqa: E402
from boxwright.traces import TraceStore  # noqa: E402
from boxwright_training.importers import read_trajectories  # noqa: E402
from support.tiny_models import tiny_student, tiny_tokenizer, tool_trajectories  # noqa: E402

pytestmark = [
    pytest.mark.extended,
    # transformers and TensorBoard speak of their own next versions.
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
]
WINDOW = 1024


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student with a small window, so that its endless answers end soon, and trajectories."""
    folder = tmp_path_factory.mktemp("made")
    config = tiny_student(folder / "student", tiny_tokenizer()) / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"max_position_embeddings": WINDOW}))
    tool_trajectories(24, folder / "data.jsonl")
    return folder


def typed(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(one) for one in arguments])


def does(*arguments: object) -> str:
    """What a command prints that does what it is told."""
    result = typed(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def refusal(*arguments: object) -> str:
    """The one message of a command that was refused."""
    result = typed(*arguments)
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    assert isinstance(result.exception, SystemExit)
    return result.stderr.rpartition("Error: ")[2].strip()


# -- what goes in -----------------------------------------------------------------------------------------------------


def test_an_oracle_writes_trajectories_and_the_tasks_that_they_solve(sandbox: Sandbox, tmp_path: Path) -> None:
    out, tasks = tmp_path / "new" / "a.jsonl", tmp_path / "suite" / "tasks.jsonl"
    said = does("train", "oracle", "arithmetic", "--count", 8, "--split", "dev", "--out", out, "--tasks", tasks)
    assert said == f"8 trajectories of arithmetic (dev) in {out}\n"
    suite = load_suite(str(tasks))
    kept = TraceStore(out).read()
    assert [one.prompt for one in kept] == [task.prompt for task in split_tasks(suite, "dev")]
    assert all(one.right for one in kept)
    held = out.read_bytes()
    assert "is there already; name another file, or remove it" in refusal("train", "oracle", "dates", "--out", out)
    assert out.read_bytes() == held
    assert does("train", "oracle", "arithmetic", "--count", 8, "--split", "dev", "--out", tmp_path / "again.jsonl")
    again = TraceStore(tmp_path / "again.jsonl").read()
    assert [one.messages for one in again] == [one.messages for one in kept]


def test_an_oracle_that_cannot_write_or_is_not_known_writes_nothing(tmp_path: Path) -> None:
    said = refusal("train", "oracle", "arithmatic", "--out", tmp_path / "a.jsonl")
    assert said.startswith("no oracle 'arithmatic'; did you mean 'arithmetic'?")
    (tmp_path / "file").touch()
    tasks = ("--tasks", tmp_path / "file" / "tasks.jsonl")
    assert refusal("train", "oracle", "dates", "--out", tmp_path / "a.jsonl", *tasks).startswith("cannot write to")
    assert not (tmp_path / "a.jsonl").exists()


def test_a_folder_of_several_formats_is_imported_and_what_is_none_is_told(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes((made / "data.jsonl").read_bytes())
    chat = [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4 \x1b[31m"}]
    (folder / "b.jsonl").write_text(f"{json.dumps({'messages': chat})}\n" + '{"nothing": 1}\n')
    (folder / "c.bin").write_bytes(bytes(range(256)))
    out = tmp_path / "out.jsonl"
    result = typed("train", "import", folder, "--out", out)
    assert result.stdout == f"25 trajectories (24 boxwright, 1 openai) in {out}; 2 rows were none\n"
    assert "b.jsonl:2: of no format known here" in result.stderr
    assert "c.bin: no UTF-8 text" in result.stderr
    assert [one.trajectory for one in read_trajectories([out]).found] == TraceStore(out).read()
    assert "is there already" in refusal("train", "import", folder, "--out", out)
    assert "no format 'opnai'; did you mean 'openai'?" in refusal(
        "train", "import", folder, "--out", tmp_path / "x.jsonl", "--format", "opnai"
    )


@pytest.mark.parametrize("command", [("import", "DATA", "--out", "o.jsonl"), ("inspect", "DATA", "--model", "STUDENT")])
def test_paths_that_hold_no_trajectories_are_told(command: tuple[str, ...], made: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bin.dat").write_bytes(bytes(range(256)))
    for name, said in (
        ("empty", "there is no file to read in"),
        ("bin.dat", "there is no trajectory to read: .*no UTF-8 text"),
        ("game24", "no file or folder .*give files of trajectories, or folders of such files"),
    ):
        given = [{"DATA": tmp_path / name, "STUDENT": made / "student"}.get(one, one) for one in command]
        assert re.match(said, refusal("train", *given))


# -- what is shown ----------------------------------------------------------------------------------------------------


def test_a_trajectory_is_shown_with_names_where_there_are_no_colours(made: Path, tmp_path: Path) -> None:
    given = ("train", "inspect", made / "data.jsonl", "--model", made / "student")
    result = typed(*given, "--number", 2)
    assert "⟦reason⟧The numbers are [2, 3, 4].⟦act⟧<tool_call>" in result.stdout
    assert f"{made / 'data.jsonl'}:" in result.stdout
    assert "24 trajectories gave 24 rows with 48 turns" in result.stderr
    assert "⟦act⟧<tool_call>|\n|{" in does(*given, "--tokens")
    assert "no trajectory '25' (there are 24)" in refusal(*given, "--number", 25)
    assert "even its first turn does not fit a window of 20 tokens" in typed(*given, "--window", 20).stderr
    assert "holds no tokenizer (tokenizer.json)" in refusal(*given[:-1], tmp_path)


def test_a_page_of_trajectories_is_written(made: Path, tmp_path: Path) -> None:
    page = tmp_path / "deep" / "page.html"
    given = ("train", "inspect", made / "data.jsonl", "--model", made / "student", "--html")
    assert does(*given, page, "--most", 3) == f"3 of 24 trajectories in {page}\n"
    text = page.read_text()
    assert text.count("<pre>") == 3
    assert "<title>3 of 24 trajectories</title>" in text
    assert "is a folder; name the file to write" in refusal(*given, tmp_path)
    assert "cannot write to" in refusal(*given, page / "below.html")


def test_memory_is_told_for_known_shapes_and_for_a_folder(made: Path, tmp_path: Path) -> None:
    table = dict(line.split()[:2] for line in does("train", "memory", "--model", "Qwen3-8B").splitlines())
    assert float(table["weights"]) == pytest.approx(15.26, abs=0.01)
    parts = sum(float(table[name]) for name in ("weights", "trained", "activations", "head", "teacher"))
    assert float(table["total"]) == pytest.approx(1.1 * parts, abs=0.05)
    assert float(table["teacher"]) == 0
    with_teacher = does("train", "memory", "--model", made / "student", "--teacher", "qwen3-8b")
    assert re.search(r"teacher +1\d\.\d\d GiB", with_teacher)
    full = does("train", "memory", "--rank", 0)
    assert re.search(r"trained +12\d\.\d\d GiB", full)
    assert "no model shape" in refusal("train", "memory", "--model", tmp_path)
    assert "no model shape" in refusal("train", "memory", "--model", "qwen3-8b", "--teacher", tmp_path / "qwen3-8")


def test_recipes_are_listed_with_their_papers() -> None:
    said = does("train", "recipes")
    for name, number in (
        ("cot", "2212.08410"),
        ("fireact", "2310.05915"),
        ("kang", "2505.17612"),
        ("sad", "2505.13820"),
    ):
        assert re.search(rf"^{name} .*\n.*arXiv {number}|^{name} .*\n.*{number}", said, re.MULTILINE)
    assert said.count("           - ") > 8


# -- a run ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--set", "nonsense"), "--set takes KEY=VALUE, got 'nonsense'"),
        (("--set", "nonsense=1"), "nonsense: Extra inputs are not permitted"),
        (("--set", "loss.weights=learned", "--set", "loss.normalise=span", "--set", "loss.beta=0"), "between 0.1 and"),
        (("--recipe", "kong"), "no recipe 'kong'; did you mean 'kang'"),
        (("--template-option", "x"), "--template-option takes KEY=VALUE"),
        (("--device-batch", "3"), "a step of 8 rows is no whole number of 1 processes with 3 rows each"),
    ],
)
def test_a_run_with_settings_that_fit_nothing_is_refused(
    given: tuple[str, ...], said: str, made: Path, tmp_path: Path
) -> None:
    plain = ("train", "--data", made / "data.jsonl", "--model", made / "student", "--out", tmp_path / "run")
    assert said in refusal(*plain, "--recipe", "kang", "--steps", 1, *given)
    assert not (tmp_path / "run").exists()


def test_a_run_is_refused_where_nothing_can_be_written_or_another_is(made: Path, tmp_path: Path) -> None:
    plain = ("train", "--data", made / "data.jsonl", "--model", made / "student", "--recipe", "kang", "--steps", 1)
    (tmp_path / "file").touch()
    assert "cannot write to" in refusal(*plain, "--out", tmp_path / "file" / "run")
    huge = does(*plain, "--out", tmp_path / "run", "--window", 10**9, "--device-batch", 8, "--json")
    assert json.loads(huge)["steps"] == 1
    assert "holds a run; add --resume to go on with it, or name another --out" in refusal(
        *plain, "--out", tmp_path / "run"
    )
    assert typed(*plain, "--out", tmp_path / "x", "--seed", -1).exit_code == 2
    assert typed(*plain, "--out", tmp_path / "x", "--held-out", 0.95).exit_code == 2


def test_a_chat_template_without_a_prompt_for_the_answer_can_be_learned(made: Path, tmp_path: Path) -> None:
    template = tmp_path / "template.jinja"
    whole = (made / "student" / "chat_template.jinja").read_text()
    template.write_text(whole.partition("{%- if add_generation_prompt %}")[0])
    given = ("--data", made / "data.jsonl", "--model", made / "student", "--recipe", "kang", "--device-batch", 8)
    done = does("train", *given, "--template", template, "--steps", 1, "--out", tmp_path / "run", "--json")
    assert json.loads(done)["steps"] == 1
    assert (tmp_path / "run" / "model" / "chat_template.jinja").read_text() == template.read_text()


def test_ctrl_c_ends_the_step_and_resume_goes_on(made: Path, tmp_path: Path) -> None:
    given = ["--data", made / "data.jsonl", "--model", made / "student", "--recipe", "kang", "--device-batch", 8]
    given += ["--held-out", 0.2, "--log-every", 1, "--steps", 60, "--out", tmp_path / "run"]
    arguments = [sys.executable, "-m", "boxwright", "train", *map(str, given)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    assert any(line.startswith("step 2 of 60") for line in process.stderr)
    process.send_signal(signal.SIGINT)
    printed, told = process.communicate(timeout=60)
    assert process.returncode == 3, told
    assert "--resume will go on" in told
    assert "Traceback" not in told
    stopped = re.search(
        r"stopped after (\d+) steps; the same command with --resume goes on from .*-\1$", printed.strip()
    )
    assert stopped
    assert 2 <= int(stopped[1]) < 60
    result = typed("train", *given, "--resume")
    assert "60 steps; the model is in" in result.stdout
    assert f"step {int(stopped[1]) + 1} of 60" in result.stderr
    assert f"step {stopped[1]} of 60" not in result.stderr


def test_a_student_is_trained_tried_exported_and_asked(sandbox: Sandbox, made: Path, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="llama.cpp is not installed (the extra 'gguf')")
    data, tasks, run, out = (tmp_path / name for name in ("data", "tasks.jsonl", "run", "exported"))
    does("train", "oracle", "dates", "--count", 16, "--out", data / "dates.jsonl", "--tasks", tasks)
    given = (
        "--data",
        data,
        "--model",
        made / "student",
        "--recipe",
        "kang",
        "--set",
        "optimisation.learning_rate=0.01",
    )
    said = does("train", *given, "--held-out", 0.2, "--steps", 10, "--device-batch", 8, "--out", run)
    assert f"next: boxwright train export {run / 'model'} --out {run / 'exported'}" in said
    before, after = map(float, re.search(r"acts, nats a token +(\S+) -> (\S+)", said).groups())  # type: ignore[union-attr]
    assert after < before

    (tmp_path / "torn.bin").write_bytes(b"\xff")
    fit = typed("train", "evaluate", run / "model", "--data", data, "--data", tmp_path / "torn.bin", "--json")
    figures = json.loads(fit.stdout)
    assert figures.keys() == {"model", "reason", "act", "exact_act", "acts"}
    assert figures["act"] == pytest.approx(after, rel=0.05)
    assert "torn.bin: no UTF-8 text" in fit.stderr
    kept = tmp_path / "kept.jsonl"
    loop = ("train", "evaluate", run / "model", "--suite", tasks, "--split", "build", "--limit", 1, "--bare")
    solved = json.loads(does(*loop, "--out", kept, "--json"))
    assert (solved["tasks"], solved["solved"], solved["used tools"]) == (1, 0.0, 0)
    does(*loop, "--out", kept)  # it was kept, and is not asked again
    other = ("train", "evaluate", made / "student", *loop[3:])
    assert "tasks          1\n" in does(*other, "--out", kept)
    models = [one.model.partition("@")[0] for one in TraceStore(kept).read()]
    assert models == [f"transformers/{folder}" for folder in (run / "model", made / "student")]

    result = typed("train", "export", run / "model", "--out", out, "--check", "--system", "Be brief.")
    assert result.exit_code == 0, result.output
    assert re.search(r"5 prompts, \d+ tokens alike, 0 answers part", result.stdout)
    assert result.stderr == ""
    modelfile = (out / "Modelfile").read_text()
    assert "FROM ./model.gguf" in modelfile
    assert "Be brief." in modelfile
    assert str(tmp_path) not in modelfile
    asked = ("ask", "How many days are there in a week?", "--model", f"gguf/{out / 'model.gguf'}", "--bare", "--json")
    trajectory = json.loads(typed(*asked, "--steps", 2).stdout)
    assert trajectory["usage"]["completion_tokens"] > 10
    assert trajectory["model"] == f"gguf/{out / 'model.gguf'}"
    assert trajectory["ended"] in ("answered", "length", "steps", "context")


def test_what_cannot_be_tried_or_exported_is_told(made: Path, tmp_path: Path) -> None:
    student = made / "student"
    assert typed("train", "evaluate", student).exit_code == 2
    assert "no suite 'nosuch'" in refusal("train", "evaluate", student, "--suite", "nosuch")
    assert "holds no tokenizer" in refusal("train", "evaluate", tmp_path, "--data", made / "data.jsonl")
    assert "no trajectory is left to try it on" in refusal(
        "train", "evaluate", student, "--data", made / "data.jsonl", "--window", 16
    )
    assert "is neither an adapter" in refusal("train", "export", tmp_path, "--out", tmp_path / "x")
    assert "holds the checkpoint itself" in refusal("train", "export", student, "--out", made)
    (tmp_path / "mine.txt").touch()
    assert "holds mine.txt already" in refusal("train", "export", student, "--out", tmp_path)
