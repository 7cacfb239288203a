"""Building, publishing, resolving, verifying: in a real sandbox, on real folders."""

import json
from pathlib import Path
from typing import Any

import pytest

from boxwright.box.skeleton import write_skeleton
from boxwright.errors import (
    BadInput,
    BoxInvalid,
    DigestMismatch,
    NotFound,
    RegistryError,
    ReleaseExists,
    StepTooSmall,
)
from boxwright.registry import Registry, build, publish, staged
from boxwright.sandbox import ToolRunner
from support.boxes import EXAMPLES, TOOLS, write_box


async def test_a_skeleton_passes_its_own_tests_and_publishes(
    tmp_path: Path, registry: Registry, runner: ToolRunner
) -> None:
    folder = write_skeleton("my_box", tmp_path)
    release = await publish(folder, registry, runner)
    assert (release.name, release.version) == ("my_box", "0.1.0")
    assert [tool.name for tool in release.tools] == ["add"]
    assert await runner.call(release, "add", {"numbers": [1, 2.5]}) == 3.5
    with pytest.raises(BadInput, match="is there already"):
        write_skeleton("my_box", tmp_path)
    with pytest.raises(BadInput, match="no name"):
        write_skeleton("My-Box", tmp_path)


async def test_publishing_twice_gives_the_same_digest_and_refuses_to_rewrite(
    tmp_path: Path, registry: Registry, runner: ToolRunner
) -> None:
    folder = write_box(tmp_path / "box")
    first = await publish(folder, registry, runner)
    second = await publish(folder, Registry(tmp_path / "other"), runner)
    assert first.digest == second.digest
    with pytest.raises(ReleaseExists, match="raise the version"):
        await publish(folder, registry, runner)


@pytest.mark.parametrize(
    ("version", "tools", "words"),
    [
        (
            "1.0.1",
            TOOLS.replace("number: int", "count: int").replace("number:", "count:").replace("number", "count"),
            "removed",
        ),
        ("1.0.1", TOOLS + '\n\ndef half(number: int) -> float:\n    """Halve."""\n    return number / 2\n', "added"),
    ],
)
async def test_a_step_below_what_changed_is_refused_with_the_change(
    tmp_path: Path, registry: Registry, runner: ToolRunner, version: str, tools: str, words: str
) -> None:
    await publish(write_box(tmp_path / "old"), registry, runner)
    text = json.dumps(EXAMPLES)
    if "count" in tools:
        text = text.replace('"number"', '"count"')
    examples = json.loads(text)
    if "half" in tools:
        examples += [{"tool": "half", "arguments": {"number": n}, "result": n / 2} for n in (2, 4)]
        examples.append({"tool": "half", "arguments": {}, "raises": "is missing"})
    with pytest.raises(StepTooSmall, match=words):
        await publish(write_box(tmp_path / "new", tools, examples, version=version), registry, runner)
    assert registry.versions("doubler") == ["1.0.0"]


async def test_changed_results_under_the_same_interface_need_a_minor_step(
    tmp_path: Path, registry: Registry, runner: ToolRunner
) -> None:
    await publish(write_box(tmp_path / "old"), registry, runner)
    tools, examples = (
        TOOLS.replace("2 * number", "3 * number"),
        [
            {"tool": "double", "arguments": {"number": 1}, "result": 3},
            {"tool": "double", "arguments": {"number": 2}, "result": 6},
            EXAMPLES[2],
        ],
    )
    with pytest.raises(StepTooSmall, match="results changed"):
        await publish(write_box(tmp_path / "patch", tools, examples, version="1.0.1"), registry, runner)
    release = await publish(write_box(tmp_path / "minor", tools, examples, version="1.1.0"), registry, runner)
    assert release.version == "1.1.0"


async def test_a_box_whose_example_does_not_hold_is_not_published(
    tmp_path: Path, registry: Registry, runner: ToolRunner
) -> None:
    examples = [{**EXAMPLES[0], "result": 3}, *EXAMPLES[1:]]
    with pytest.raises(BoxInvalid, match="expected 3, got 2"):
        await publish(write_box(tmp_path / "box", examples=examples), registry, runner)
    assert registry.boxes() == []
    assert list((tmp_path / "registry" / ".staging").iterdir()) == []


async def test_a_tool_that_is_not_deterministic_is_found_out(tmp_path: Path, runner: ToolRunner) -> None:
    tools = (
        '"""x"""\nimport os\n\n\ndef dice(number: int) -> int:\n    """Roll."""\n    return os.urandom(8)[0] * number\n'
    )
    examples: list[dict[str, Any]] = [
        {"tool": "dice", "arguments": {"number": 1}, "result": 128, "tolerance": 1000},
        {"tool": "dice", "arguments": {"number": 0}, "result": 0},
        {"tool": "dice", "arguments": {"number": "x"}, "raises": "whole number"},
    ]
    faults = set()
    for _ in range(3):  # two equal rolls are possible, six are not
        async with staged(write_box(tmp_path / "box", tools, examples)) as stage:
            faults |= set((await build(stage, runner)).faults)
    assert any("not deterministic" in fault for fault in faults)


@pytest.mark.parametrize(
    ("signature", "words"),
    [
        ("def f(a) -> int:", "no type hint"),
        ("def f(a: int):", "the result has no type hint"),
        ("def f(a: tuple[int, int]) -> int:", "no JSON form"),
        ("def f(a: 'Missing') -> int:", "does not resolve"),
        ("def f(*a: int) -> int:", "variadic"),
        ("def f(a: int = object()) -> int:", "not JSON"),
        ("async def f(a: int) -> int:", "async"),
        ("def f(a: dict[int, int]) -> int:", "no strings"),
        ("def _f(a: int) -> int:", "no public function"),
    ],
)
async def test_source_that_cannot_be_a_tool_says_why(
    tmp_path: Path, runner: ToolRunner, signature: str, words: str
) -> None:
    folder = write_box(tmp_path / "box", f'"""x"""\n\n\n{signature}\n    """Does."""\n    return 1\n')
    with pytest.raises(BoxInvalid, match=words):
        async with staged(folder) as stage:
            await build(stage, runner)


async def test_resolution_takes_the_highest_that_fits_and_is_not_yanked(
    tmp_path: Path, registry: Registry, runner: ToolRunner
) -> None:
    for version in ("1.0.0", "1.2.0", "1.10.0", "2.0.0"):
        await publish(write_box(tmp_path / version, version=version), registry, runner)
    assert registry.resolve("doubler").version == "2.0.0"
    assert registry.resolve("doubler>=1,<2").version == "1.10.0"
    registry.set_lifecycle("doubler", "1.10.0", "yanked", "wrong for negative numbers")
    assert registry.resolve("doubler>=1,<2").version == "1.2.0"
    assert registry.get("doubler", "1.10.0").reason == "wrong for negative numbers"
    with pytest.raises(NotFound, match=r"1\.10\.0 \(yanked\)"):
        registry.resolve("doubler==1.10.0")
    with pytest.raises(NotFound, match="did you mean 'doubler'"):
        registry.resolve("dobler")
    with pytest.raises(NotFound, match="it has 1.0.0"):
        registry.get("doubler", "1.0.1")
    with pytest.raises(BadInput, match="no specification"):
        registry.resolve("doubler~latest")


async def test_files_changed_after_publishing_are_noticed_and_not_run(
    tmp_path: Path, registry: Registry, runner: ToolRunner
) -> None:
    release = await publish(write_box(tmp_path / "box"), registry, runner)
    source = release.folder / "tools.py"
    source.write_text(source.read_text().replace("2 *", "3 *"))
    with pytest.raises(DigestMismatch, match="changed after it was published"):
        registry.verify(release)
    fresh = ToolRunner(runner.sandbox)
    with pytest.raises(DigestMismatch):
        await fresh.call(release, "double", {"number": 1})


async def test_a_release_that_was_changed_can_be_yanked_and_followed_by_another(
    tmp_path: Path, registry: Registry, runner: ToolRunner
) -> None:
    release = await publish(write_box(tmp_path / "box"), registry, runner)
    (release.folder / "README.md").write_text("changed")
    with pytest.raises(DigestMismatch, match="boxes mark doubler 1.0.0 yanked"):
        Registry(registry.folder).resolve("doubler")
    registry.set_lifecycle("doubler", "1.0.0", "yanked", "changed by hand")
    await publish(write_box(tmp_path / "next", version="1.0.1"), registry, runner)
    assert Registry(registry.folder).resolve("doubler").version == "1.0.1"


async def test_one_bad_box_does_not_take_the_others_with_it(
    tmp_path: Path, registry: Registry, runner: ToolRunner, caplog: pytest.LogCaptureFixture
) -> None:
    await publish(write_box(tmp_path / "good", name="good"), registry, runner)
    bad = await publish(write_box(tmp_path / "bad", name="bad"), registry, runner)
    (bad.folder / "tools.json").write_text("{}")
    (registry.folder / "half" / "1.0.0").mkdir(parents=True)
    (registry.folder / "a-file").write_text("")
    assert [one.name for one in Registry(registry.folder).current()] == ["good"]
    assert "box bad is left out" in caplog.text


async def test_what_a_kill_left_behind_is_no_release_and_is_swept(
    tmp_path: Path, registry: Registry, runner: ToolRunner
) -> None:
    left = tmp_path / "registry" / ".staging" / "stage-killed"
    left.mkdir(parents=True)
    home = tmp_path / "registry" / "doubler"
    home.mkdir()
    (home / "1.0.0.record.json").write_text("{}")  # written just before the rename that never came
    assert registry.versions("doubler") == []
    release = await publish(write_box(tmp_path / "box"), registry, runner)
    registry.verify(release)
    assert not left.exists()


async def test_a_registry_that_cannot_be_written_is_told_and_left(tmp_path: Path, runner: ToolRunner) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(BadInput, match="choose a folder you may write to"):
        await publish(write_box(tmp_path / "box"), Registry(tmp_path / "file" / "registry"), runner)


async def test_one_name_in_two_roots_is_an_error_unless_shadowing_is_asked_for(
    tmp_path: Path, runner: ToolRunner
) -> None:
    library = Registry(tmp_path / "library")
    await publish(write_box(tmp_path / "box"), library, runner)
    await publish(write_box(tmp_path / "newer", version="2.0.0"), Registry(tmp_path / "mine"), runner)
    with pytest.raises(RegistryError, match="BOXWRIGHT_SHADOW"):
        Registry(tmp_path / "mine", library.folder).releases("doubler")
    shadowing = Registry(tmp_path / "mine", library.folder, shadow=True)
    assert [one.version for one in shadowing.current()] == ["2.0.0"]


async def test_the_shipped_library_holds_its_digests_and_examples(settings: object, runner: ToolRunner) -> None:
    from boxwright.registry.build import example_faults
    from boxwright.registry.registry import library_folder
    from boxwright.sandbox.trust import shipped

    library = Registry(library_folder())
    assert set(library.boxes()) >= {"calculator", "dates", "game_of_24", "python"}
    for release in library.current():
        library.verify(release)
        assert (release.digest in shipped()) == (release.name != "python"), "what runs any code wants a real sandbox"
        async with staged(release.folder) as stage:
            built = await build(stage, runner)
        assert built.release.digest == release.digest
        assert await example_faults(release, list(built.examples), runner) == []
