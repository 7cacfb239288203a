"""A box's files and the digest over them."""

import json
from pathlib import Path

import pytest

from boxwright.box.examples import Example, coverage_faults, parse_examples
from boxwright.box.folder import MOST_FILES, box_files, files_digest, read_manifest
from boxwright.errors import BoxInvalid
from support.boxes import EXAMPLES, write_box


def test_equal_files_give_equal_digests_wherever_and_whenever_they_lie(tmp_path: Path) -> None:
    one, two = write_box(tmp_path / "one"), write_box(tmp_path / "elsewhere" / "two")
    (two / "__pycache__").mkdir()
    (two / "__pycache__" / "tools.pyc").write_bytes(b"left by an import")
    assert files_digest(one) == files_digest(two)
    assert files_digest(one).startswith("sha256:")


def test_any_changed_byte_changes_the_digest(tmp_path: Path) -> None:
    folder = write_box(tmp_path / "box")
    before = files_digest(folder)
    (folder / "README.md").write_text("# doubler!\n")
    assert files_digest(folder) != before


def test_all_faults_of_a_folder_are_reported_together(tmp_path: Path) -> None:
    folder = write_box(tmp_path / "box")
    (folder / "README.md").unlink()
    (folder / "helper.py").write_text("")
    (folder / "data").mkdir()
    (folder / "data" / "link").symlink_to("/etc/passwd")
    with pytest.raises(BoxInvalid) as caught:
        box_files(folder)
    assert len(caught.value.faults) == 3
    assert "data/link: not a regular file" in str(caught.value)


def test_a_folder_that_is_not_there_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(BoxInvalid, match="boxes new"):
        box_files(tmp_path / "nothing")


def test_examples_need_exactly_one_outcome() -> None:
    both = {**EXAMPLES[0], "raises": "x"}
    with pytest.raises(BoxInvalid) as caught:
        parse_examples(json.dumps(both) + "\n" + json.dumps({"tool": "t", "arguments": {}}) + "\nnot json\n")
    assert len(caught.value.faults) == 3
    assert "line 3" in caught.value.faults[2]


def test_null_is_a_result() -> None:
    assert parse_examples('{"tool": "t", "arguments": {}, "result": null}')[0].raises is None


def test_coverage_names_what_examples_leave_untested() -> None:
    examples = [Example(tool="double", arguments={}, result=1), Example(tool="gone", arguments={}, result=1)]
    faults = coverage_faults(examples, ["double"])
    assert any("'gone'" in fault for fault in faults)
    assert any("1 examples" in fault for fault in faults)
    assert any("no example of a refused input" in fault for fault in faults)


def test_a_box_has_no_more_files_than_a_sandbox_can_be_shown(tmp_path: Path) -> None:
    folder = write_box(tmp_path / "box")
    (folder / "data").mkdir()
    for number in range(MOST_FILES):
        (folder / "data" / str(number)).touch()
    with pytest.raises(BoxInvalid, match="pack those under data/ into one"):
        box_files(folder)


def test_output_that_the_memory_could_not_hold_is_refused(tmp_path: Path) -> None:
    folder = write_box(tmp_path / "box", extra="limits = { memory_mb = 64, output_bytes = 64000000 }")
    with pytest.raises(BoxInvalid, match="line 7, limits: output_bytes is 64000000, and may be a quarter"):
        read_manifest(folder)
