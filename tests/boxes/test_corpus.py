"""`boxes corpus`: a folder of documents becomes a box that searches and reads them."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from boxwright.box import Release
from boxwright.box.folder import files_digest
from boxwright.cli.boxes import boxes
from boxwright.corpus import read_folder, write_corpus_box
from boxwright.corpus.index import LONGEST_PASSAGE, passages_of, write_index
from boxwright.corpus.template import _SNIPPET, _open, _read, _search
from boxwright.corpus.texts import html_text
from boxwright.errors import ArgumentsInvalid, BadInput, ToolRefused
from boxwright.registry import Registry, publish
from boxwright.sandbox import Sandbox, ToolRunner

PLANETS = {
    "mars.md": "# Mars\n\nMars is the fourth planet. Its two moons are Phobos and Deimos.\n",
    "venus.txt": "Venus is the hottest planet, hotter than Mercury.\n",
    "deep/saturn.html": (
        "<html><head><title>Saturn</title><style>p {color: red}</style></head><body><h1>The ringed one</h1>"
        "<p>Saturn has rings &amp; 146 moons.<script>track('moons')</script><p>Titan is the largest.</body></html>"
    ),
    "earth.rst": "=====\nEarth\n=====\n\nThe Moon goes round the Earth.\n",
    "rows.jsonl": (
        '{"title": "Jupiter", "text": "The largest planet; Io is a moon of it."}\n\n'
        '{"text": "木星は太陽系で最大の惑星です。"}\n'
    ),
}


@pytest.fixture
def planets(tmp_path: Path) -> Path:
    """A folder of a few documents, one of each kind."""
    return written(tmp_path / "planets", PLANETS)


def written(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def found(box: Path, query: str, limit: int = 5) -> list[str]:
    with closing(_open(box / "data" / "corpus.sqlite")) as database:
        return [one["document"] for one in _search(database, query, limit)]


@pytest.fixture
async def release(planets: Path, registry: Registry, sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Release]:
    tmp_path.chmod(0o755)
    box = write_corpus_box(planets, "planets", tmp_path / "boxes").folder
    async with ToolRunner(sandbox) as runner:
        yield await publish(box, registry, runner)


async def test_documents_of_every_kind_are_found_and_read_in_the_sandbox(release: Release, runner: ToolRunner) -> None:
    async def ask(query: str) -> Any:
        return await runner.call(release, "search", {"query": query, "limit": 1})

    assert (await ask("Which moons does Mars have?"))[0]["document"] == "Mars"
    assert (await ask("the hottest planet"))[0]["document"] == "venus"
    assert (await ask("Earth"))[0]["document"] == "Earth"
    assert (await ask("largest moons of Saturn"))[0]["document"] == "Saturn"
    assert (await ask("惑星")) == [
        {"document": "rows.jsonl, line 3", "passage": 1, "text": "木星は太陽系で最大の惑星です。"}
    ]
    page = await runner.call(release, "read", {"document": "saturn"})
    assert page == {
        "document": "Saturn",
        "passage": 1,
        "passages": 1,
        "next": None,
        "text": "The ringed one\n\nSaturn has rings & 146 moons.\n\nTitan is the largest.",
    }
    assert release.origin.startswith("corpus, 6 documents of the source sha256:")


async def test_what_a_model_gets_wrong_is_refused_with_what_to_do(release: Release, runner: ToolRunner) -> None:
    for tool, arguments, words in (
        ("search", {"query": " ?! "}, "at least one word"),
        ("search", {"query": "moon", "limit": 11}, "from 1 to 10"),
        ("read", {"document": "Mars planet"}, "did you mean 'Mars'"),
        ("read", {"document": "Pluto"}, "search for it first"),
        ("read", {"document": "?"}, "search for it first"),
        ("read", {"document": "Mars", "passage": 2}, "from 1 to 1, the last of 'Mars'"),
    ):
        with pytest.raises(ToolRefused, match=words):
            await runner.call(release, tool, arguments)
    with pytest.raises(ArgumentsInvalid):
        await runner.call(release, "search", {})


def test_the_same_documents_give_the_same_digest_wherever_they_lie(planets: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(planets, tmp_path / "elsewhere" / "planets")
    (copy / "mars.md").touch()
    (copy / "notes.tmp").write_text("no document")
    first = write_corpus_box(planets, "planets", tmp_path / "one").folder
    second = write_corpus_box(copy, "planets", tmp_path / "two").folder
    assert files_digest(first) == files_digest(second)
    (copy / "mars.md").write_text("# Mars\n\nMars has two moons.\n")
    assert files_digest(write_corpus_box(copy, "planets", tmp_path / "three").folder) != files_digest(first)


def test_every_file_that_is_no_document_is_named_with_the_reason(tmp_path: Path) -> None:
    folder = written(
        tmp_path / "mixed",
        {
            "good.txt": "A text.",
            "again.txt": "A text.",
            "report.PDF": b"%PDF-1.7",
            "picture.png": b"\x89PNG",
            "empty.md": " \n",
            "signs.txt": "... ---",
            "binary.txt": b"a\0b",
            "latin.txt": "Müller".encode("latin-1"),
            "wide.txt": "Weite Welt".encode("utf-16"),
            "page.html": '<meta charset="latin-1"><p>Müller'.encode("latin-1"),
            ".git/config.txt": "hidden",
            "rows.jsonl": '{"text": 1}\nno json\n{"title": [], "text": "a"}\n{"text": "\\ud800"}\n{"text": "kept"}\n',
        },
    )
    (tmp_path / "outside.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "outside.txt")
    (folder / "linked").symlink_to(tmp_path)
    corpus = read_folder(folder)
    assert {one.text for one in corpus.documents} == {"A text.", "Weite Welt", "Müller", "kept"}
    reasons = {one.source: one.reason for one in corpus.skipped}
    for source, words in {
        "report.PDF": "pdftotext",
        "picture.png": "of no kind",
        "empty.md": "empty",
        "signs.txt": "empty",
        "binary.txt": "binary",
        "latin.txt": "not UTF-8 at byte 1; convert it with: iconv",
        ".git": "hidden",
        "link.txt": "a link",
        "linked": "a link",
        "rows.jsonl, line 1": "a string 'text'",
        "rows.jsonl, line 2": "no JSON object",
        "rows.jsonl, line 3": "'title' is no string",
        "rows.jsonl, line 4": "half a surrogate pair",
    }.items():
        assert words in reasons.pop(source)
    assert reasons == {}, "again.txt is a document of its own: its title differs"
    told = "\n".join(corpus.told())
    assert "took 5 documents from 5 files" in told
    assert "skipped 2, empty: empty.md, signs.txt" in told


@given(
    st.lists(st.sampled_from(["<", "!", "[", "what", "<p>", "</pre>", "<title>", "<!--", "&#x0;", "x", "<?", "]]>"]))
)
def test_broken_html_is_read_or_refused_in_words(pieces: list[str]) -> None:
    try:
        html_text("".join(pieces))
    except ValueError as error:
        assert "not HTML that can be read" in str(error)


def test_titles_that_recur_are_told_apart_by_their_files_and_repetitions_go(tmp_path: Path) -> None:
    rows = "".join(json.dumps({"title": "Start", "text": text}) + "\n" for text in ("one", "two", "one"))
    folder = written(tmp_path / "twice", {"a/x.md": "# Start\n\nhere", "rows.jsonl": rows, "z.md": "# End\n\nthere"})
    corpus = read_folder(folder)
    assert [one.title for one in corpus.documents] == [
        "Start (a/x.md)", "Start (rows.jsonl, line 1)", "Start (rows.jsonl, line 2)", "End",
    ]  # fmt: skip
    assert corpus.renamed == 3
    assert [one.source for one in corpus.skipped] == ["rows.jsonl, line 3"]


def test_a_folder_without_documents_is_refused_and_so_is_a_box_among_its_documents(
    tmp_path: Path, planets: Path
) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "a.pdf").write_bytes(b"%PDF")
    with pytest.raises(BadInput, match=r"no document in .*\n?.*pdftotext"):
        write_corpus_box(tmp_path / "none", "box", tmp_path)
    with pytest.raises(BadInput, match="is no folder"):
        write_corpus_box(tmp_path / "missing", "box", tmp_path)
    with pytest.raises(BadInput, match="use --into"):
        write_corpus_box(planets, "box", planets)
    with pytest.raises(BadInput, match="is no name.*summary must be one line"):
        write_corpus_box(planets, "../Box", tmp_path, summary="x" * 101)
    assert not (tmp_path / "box").exists()


def test_an_index_that_no_box_may_hold_leaves_no_half_box(
    planets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boxwright.corpus.index.LARGEST_FILE", 10_000)
    with pytest.raises(BadInput, match="make several boxes"):
        write_corpus_box(planets, "planets", tmp_path / "boxes")
    assert not (tmp_path / "boxes" / "planets").exists()


def test_a_summary_with_quotes_and_backslashes_is_what_the_tools_say(planets: Path, tmp_path: Path) -> None:
    summary = 'the "planets" of C:\\new\\'
    box = write_corpus_box(planets, "planets", tmp_path / "boxes", summary=summary).folder
    names: dict[str, Any] = {}
    exec(compile((box / "tools.py").read_text(), "tools.py", "exec"), names)
    assert f"Search {summary} for a question" in names["search"].__doc__
    assert f"out of {summary}, about a page" in names["read"].__doc__


def test_a_long_document_is_read_on_to_its_end_and_nothing_is_lost(tmp_path: Path) -> None:
    text = "\n\n".join(f"Paragraph {n} tells of {'sand ' * (n % 40)}and of stone {n}." for n in range(200))
    folder = written(tmp_path / "long", {"long.txt": text, "line.txt": "x" * 2_500 + " end"})
    box = write_corpus_box(folder, "long", tmp_path / "boxes").folder
    with closing(_open(box / "data" / "corpus.sqlite")) as database:
        parts, passage = [], 1
        while passage:
            part = _read(database, "long", passage)
            assert len(part["text"]) <= 4_100
            parts.append(part["text"])
            passage = part["next"] or 0
        assert "\n\n".join(parts) == text
        (hit,) = _search(database, "stone 177", 1)
        assert len(hit["text"]) <= _SNIPPET + 2
        assert "177" in hit["text"]
        assert "stone 177" in _read(database, "long", hit["passage"])["text"]


@given(st.text(alphabet=st.sampled_from("ab. \n\tÄ木。-"), max_size=4_000))
def test_passages_hold_every_character_but_blanks_and_keep_to_their_bound(text: str) -> None:
    passages = passages_of(text)
    assert "".join("".join(passages).split()) == "".join(text.split())
    assert all(0 < len(passage) <= LONGEST_PASSAGE for passage in passages)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(query=st.one_of(st.text(max_size=80), st.lists(st.sampled_from(
    ['"', "'", "NEAR(", "AND", "OR", "NOT", "*", "title :", "^", "(", ")", "moons", "-", "+", "\0", ";", "火", "é"]
)).map(" ".join)))  # fmt: skip
def test_no_query_is_a_syntax_error(index: Path, query: str) -> None:
    with closing(_open(index)) as database:
        try:
            results = _search(database, query, 3)
        except ValueError as error:
            assert "at least one word" in str(error)
        else:
            assert len(results) <= 3
        try:
            _read(database, query, 1)
        except ValueError as error:
            assert "no document" in str(error)


@pytest.fixture
def index(planets: Path, tmp_path: Path) -> Path:
    return write_corpus_box(planets, "planets", tmp_path / "boxes").folder / "data" / "corpus.sqlite"


def test_a_document_named_in_the_question_comes_before_those_that_share_its_words(tmp_path: Path) -> None:
    rows = {
        "Deer": "A deer is an animal of the woods. " * 3,
        "Wood of Deer Creek": "Deer Creek deer, deer and woods.",
        "Creek": "A creek is a small river; deer drink there.",
    }
    lines = "".join(json.dumps({"title": title, "text": text}) + "\n" for title, text in rows.items())
    box = write_corpus_box(written(tmp_path / "rows", {"r.jsonl": lines}), "rows", tmp_path / "boxes").folder
    assert found(box, "Where does a creek flow?")[0] == "Creek"
    assert found(box, "What is the Wood of Deer Creek?")[0] == "Wood of Deer Creek"
    assert found(box, "zebra") == []
    assert found(box, "what is it") != [], "where a query has stop words alone, they count"


def test_hotpotqas_supporting_paragraphs_are_found_as_often_as_the_docs_say(shared_data: Path, tmp_path: Path) -> None:
    rows = json.loads((shared_data / "hotpotqa_contexts" / "hotpot.json").read_text())
    texts = {title: "".join(lines) for row in rows for title, lines in ast.literal_eval(str(row["context"]))}
    lines = "".join(json.dumps({"title": title, "text": text}) + "\n" for title, text in texts.items())
    box = write_corpus_box(written(tmp_path / "hotpot", {"h.jsonl": lines}), "hotpot", tmp_path / "boxes").folder
    wanted = [(row["question"], {title for title, _ in row["supporting_facts"]}) for row in rows]
    shares = [len(titles & set(found(box, question))) / len(titles) for question, titles in wanted]
    assert sum(shares) / len(shares) > 0.78


def test_the_command_tells_what_it_took_and_what_it_left(planets: Path, tmp_path: Path) -> None:
    (planets / "old.pdf").write_bytes(b"%PDF")
    into = str(tmp_path / "boxes")
    done = CliRunner().invoke(boxes, ["corpus", str(planets), "--name", "planets", "--into", into])
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert "took 6 documents from 5 files" in said
    assert "pdftotext FILE.pdf FILE.txt: old.pdf" in said
    assert "boxwright boxes publish" in said


def test_the_commands_that_the_docs_show_run_as_written(sandbox: Sandbox, tmp_path: Path, planets: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "retrieval.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    planets.rename(tmp_path / "handbook")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", "-ec", block]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=100, cwd=tmp_path, env={**os.environ, "PATH": path}
    )
    assert done.returncode == 0, done.stderr
    assert "Search the ACME staff handbook for a question" in done.stdout


def test_a_name_with_a_line_end_or_an_escape_is_written_out(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"new\nline.txt": "Ceres is small.", "red\x1b[31m.txt": b"\xff\xfb", "\x07.xyz": ""}
    corpus = read_folder(written(tmp_path / "odd", files))
    assert [document.title for document in corpus.documents] == ["new\\x0aline"]
    assert {one.source for one in corpus.skipped} == {"red\\x1b[31m.txt", "\\x07.xyz"}
    assert all(line.isprintable() for line in corpus.told())


def test_utf_32_is_not_taken_for_utf_16(tmp_path: Path) -> None:
    corpus = read_folder(written(tmp_path / "wide", {"wide.txt": "Weite Welt".encode("utf-32")}))
    assert [document.text for document in corpus.documents] == ["Weite Welt"]


def test_an_index_that_cannot_be_written_is_an_error_with_its_place(planets: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"cannot write the index .*no-such-folder"):
        write_index(read_folder(planets).documents, tmp_path / "no-such-folder" / "corpus.sqlite")
