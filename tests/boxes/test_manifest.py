"""box.toml: every fault at once, and a text that reads back equal."""

import pytest

from boxwright.box.manifest import Limits, Manifest, Permissions, Provenance, parse_manifest, render_manifest
from boxwright.errors import BoxInvalid

GOOD = """\
format = 1
name = "game_of_24"
version = "1.0.0"
summary = "Solves puzzles"
description = "Solves puzzles. Use it for puzzles."
license = "Apache-2.0"

[provenance]
method = "hand-written"
"""


def test_a_sound_manifest_is_read_with_its_defaults() -> None:
    manifest = parse_manifest(GOOD)
    assert (manifest.name, manifest.version) == ("game_of_24", "1.0.0")
    assert manifest.permissions == Permissions(files=(), network="none")
    assert manifest.limits == Limits()


def test_five_faults_are_reported_as_five_each_with_its_key_and_line() -> None:
    text = GOOD.replace('"game_of_24"', '"Game__24"').replace('"1.0.0"', '"1.0"')
    text = text.replace('"Solves puzzles"', f'"{"y" * 101}"').replace('license = "Apache-2.0"', "colour = 3")
    with pytest.raises(BoxInvalid) as caught:
        parse_manifest(text)
    faults = caught.value.faults
    assert len(faults) == 5
    assert [fault for fault in faults if "line 2, name" in fault and "'Game__24'" in fault]
    assert [fault for fault in faults if "line 3, version" in fault and "MAJOR.MINOR.PATCH" in fault]
    assert [fault for fault in faults if "line 4, summary" in fault and "100" in fault]
    assert [fault for fault in faults if "license: missing" in fault]
    assert [fault for fault in faults if "colour: unknown key" in fault]
    assert "5 faults" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('dependencies = ["sympy>=1"]', "not pinned"),
        ('dependencies = ["sympy @ https://example.org/x.whl"]', "not pinned"),
        ('requires-python = "3.11 or so"', "version range"),
        ('permissions = { files = ["/etc/passwd"] }', "outside the box"),
        ('permissions = { files = ["data/../../x"] }', "outside the box"),
        ('permissions = { network = "some" }', "network"),
        ("limits = { seconds = 0 }", "seconds"),
        ('limits = { memory_mb = "512" }', "memory_mb"),
    ],
)
def test_each_rule_names_what_broke_it(line: str, words: str) -> None:
    with pytest.raises(BoxInvalid, match=words):
        parse_manifest(line + "\n" + GOOD)


def test_text_that_is_not_toml_says_so() -> None:
    with pytest.raises(BoxInvalid, match="not TOML"):
        parse_manifest("format = ")


def test_a_rendered_manifest_reads_back_equal_whatever_its_strings_hold() -> None:
    manifest = Manifest(
        format=1,
        name="a",
        version="1.2.3",
        summary='quotes " and \\ and \u00e9',
        description="two\nlines\tand a bell \x07",
        license="MIT",
        keywords=("x", 'y"'),
        requires_python=">=3.12",
        permissions=Permissions(files=("data/a.csv",), network="all"),
        limits=Limits(seconds=1.5, memory_mb=128),
        provenance=Provenance(method="mined", teacher="litellm/gpt-4o", label="hand-written"),
    )
    assert parse_manifest(render_manifest(manifest)) == manifest
