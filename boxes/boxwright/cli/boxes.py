"""Make, test, publish, find, show, verify and export boxes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, cast

import click
from rich.markup import escape
from rich.table import Table

from boxwright.box.folder import read_manifest, read_release, read_requirements
from boxwright.box.release import Release
from boxwright.box.requirements import REQUIREMENTS_FILE
from boxwright.box.skeleton import write_skeleton
from boxwright.corpus import write_corpus_box
from boxwright.errors import BadInput, BoxInvalid, BoxwrightError, RegistryError
from boxwright.export import FORMATS
from boxwright.export import export as export_box
from boxwright.files import write_atomically
from boxwright.jsontypes import pretty
from boxwright.registry import build, open_registry, staged
from boxwright.registry import publish as publish_box
from boxwright.registry.catalogue import Catalogue, index_file
from boxwright.sandbox import ToolRunner, choose_sandbox
from boxwright.sandbox.packages import pin as pinned_packages
from boxwright.sandbox.trust import Trust
from boxwright.settings import Settings
from boxwright.terminal import notes, run_async, screen

_registry = click.option("--registry", type=click.Path(path_type=Path), help="The registry folder (default: yours).")


@click.group()
def boxes() -> None:
    """Make, test, publish, find, show, verify and export boxes."""


@boxes.command()
@click.argument("name")
@click.option("--into", type=click.Path(path_type=Path), default=Path(), help="The parent folder (default: this one).")
def new(name: str, into: Path) -> None:
    """Write a box to start from; its own examples pass."""
    folder = write_skeleton(name, into)
    screen().print(f"wrote {folder}\ntest it: boxwright boxes test {folder}")


@boxes.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="The name of the box.")
@click.option("--summary", default="", help="What the documents are, as a model reads it: 'the ACME staff handbook'.")
@click.option("--version", default="1.0.0", show_default=True, help="The box's version.")
@click.option("--license", "license_", default="NOASSERTION", show_default=True, help="The documents' license.")
@click.option("--into", type=click.Path(path_type=Path), default=Path(), help="The parent folder (default: this one).")
def corpus(folder: Path, name: str, summary: str, version: str, license_: str, into: Path) -> None:
    """Write a box that searches and reads the documents in FOLDER (.txt .md .rst .html .jsonl)."""
    made = write_corpus_box(folder, name, into, summary=summary, version=version, license_=license_)
    screen().print("\n".join(made.corpus.told()), markup=False)
    screen().print(
        f"wrote {made.folder}, {made.passages:,} passages\npublish it: boxwright boxes publish {made.folder}",
        markup=False,
    )


@boxes.command()
@click.argument("folder", type=click.Path(path_type=Path))
def test(folder: Path) -> None:
    """Build the box in FOLDER in the sandbox and run its examples; nothing is written."""

    async def go() -> None:
        async with ToolRunner(choose_sandbox(Settings())) as runner, staged(folder) as stage:
            built = await build(stage, runner)
        if built.faults:
            raise BoxInvalid(f"box {built.release.title}", built.faults)
        tools = ", ".join(tool.name for tool in built.release.tools)
        screen().print(
            f"box {built.release.title}: {len(built.examples)} examples hold, tools {tools}\n{built.release.digest}"
        )

    run_async(go())


@boxes.command()
@click.argument("folder", type=click.Path(path_type=Path))
def pin(folder: Path) -> None:
    """Write requirements.txt for the dependencies of the box in FOLDER: everything they need, with hashes."""
    dependencies = read_manifest(folder).dependencies
    if not dependencies:
        raise BadInput(
            f"the box in {folder} asks for no packages; write dependencies = ['NAME==VERSION'] into box.toml"
        )
    text = run_async(pinned_packages(dependencies))
    write_atomically(folder / REQUIREMENTS_FILE, text)
    names = ",".join(package.name for package in read_requirements(folder))
    screen().print(f"wrote {folder / REQUIREMENTS_FILE}\nallow them with: BOXWRIGHT_PACKAGES={names}")


@boxes.command()
@click.argument("folder", type=click.Path(path_type=Path))
@_registry
def publish(folder: Path, registry: Path | None) -> None:
    """Build the box in FOLDER, run its examples, check its version, and publish it."""
    settings = _settings(registry)

    async def go() -> Release:
        async with ToolRunner(choose_sandbox(settings)) as runner:
            return await publish_box(folder, open_registry(settings), runner)

    release = run_async(go())
    screen().print(f"published {release.title} in {settings.registry_folder}\n{release.digest}")


@boxes.command("list")
@_registry
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(registry: Path | None, as_json: bool) -> None:
    """List the boxes, the newest usable release of each."""
    current = list(open_registry(_settings(registry)).current())
    if as_json:
        click.echo(pretty([_row(release) for release in current]), nl=False)
        return
    table = Table("box", "version", "tools", "made", "summary")
    for release in current:
        tools = ", ".join(tool.name for tool in release.tools)
        table.add_row(release.name, release.version, tools, escape(release.origin), escape(release.manifest.summary))
    screen().print(table)


@boxes.command()
@click.argument("words", nargs=-1, required=True)
@_registry
@click.option("--limit", default=10, show_default=True, type=click.IntRange(min=1))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def search(words: tuple[str, ...], registry: Path | None, limit: int, as_json: bool) -> None:
    """Find tools by what they do, as find_tools does for a client."""
    settings = _settings(registry)
    opened = open_registry(settings)
    catalogue = Catalogue(lambda: open_registry(settings), index_file(settings))
    catalogue.update()
    names = catalogue.search(" ".join(words), limit)
    catalogue.close()
    if as_json:
        click.echo(pretty(names), nl=False)
        return
    table = Table("tool", "version", "does")
    for name in names:
        box, _, tool = name.partition("__")
        release = opened.resolve(box)
        table.add_row(name, release.version, escape(release.tool(tool).description.partition("\n")[0]))
    screen().print(table if names else "no tool fits; try other words")


@boxes.command()
@click.argument("spec")
@_registry
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(spec: str, registry: Path | None, as_json: bool) -> None:
    """Show the release that SPEC resolves to, such as game_of_24 or 'game_of_24>=1,<2'."""
    release = open_registry(_settings(registry)).resolve(spec)
    if as_json:
        tools = [tool.as_json() for tool in release.tools]
        click.echo(pretty({**_row(release), "tools": tools, "folder": str(release.folder)}), nl=False)
        return
    out = screen()
    about = release.manifest
    out.print(f"[bold]{release.title}[/bold]  {escape(about.summary)}\n{escape(about.description)}\n")
    for tool in release.tools:
        properties = json.dumps(tool.input_schema["properties"])
        out.print(f"[bold]{release.served(tool)}[/bold]: {escape(tool.description)}")
        out.print(f"  parameters {properties}\n  result {json.dumps(tool.output_schema)}", markup=False)
    out.print(f"\nmade: {release.origin}\nlifecycle: {release.lifecycle} {release.reason}", markup=False)
    out.print(f"folder: {release.folder}\ndigest: {release.digest}", markup=False)


@boxes.command()
@click.argument("spec", required=False)
@_registry
def verify(spec: str | None, registry: Path | None) -> None:
    """Derive the digests of all releases, or of the one SPEC resolves to, from their files again."""
    opened = open_registry(_settings(registry))
    if spec:
        opened.verify(opened.resolve(spec))
        screen().print("the release holds its digest")
        return
    faults, held = [], 0
    for name in opened.boxes():
        for version in opened.versions(name):
            try:
                opened.get(name, version)  # reading a release verifies it
                held += 1
            except BoxwrightError as error:
                faults.append(str(error))
    screen().print(f"{held} releases hold their digests")
    if faults:
        raise RegistryError("\n".join(faults))


@boxes.command()
@click.argument("name")
@click.argument("version")
@click.argument("lifecycle", type=click.Choice(["active", "deprecated", "yanked"]))
@click.option("--reason", default="", help="Why, for whoever meets it.")
@click.option("--replaced-by", "replacement", default="", help="What to use instead.")
@_registry
def mark(name: str, version: str, lifecycle: str, reason: str, replacement: str, registry: Path | None) -> None:
    """Mark a release active, deprecated or yanked; its files stay."""
    state = cast(Literal["active", "deprecated", "yanked"], lifecycle)
    open_registry(_settings(registry)).set_lifecycle(name, version, state, reason, replacement)
    screen().print(f"{name} {version} is {lifecycle}")


@boxes.command()
@click.argument("digest")
def trust(digest: str) -> None:
    """Let the release of DIGEST run without a real sandbox, with your own rights. Read its tools.py first."""
    Trust(Settings().home).add(digest)
    screen().print(f"trusted {digest}")


@boxes.command()
@click.argument("folder", type=click.Path(path_type=Path))
def digest(folder: Path) -> None:
    """Print the digest of the files in FOLDER as they stand."""
    click.echo(read_release(folder).digest)


@boxes.command()
@click.argument("spec")
@click.option("--to", required=True, type=click.Choice(list(FORMATS)), help="The format.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path(), help="The folder to write to (default: this one)."
)
@click.option("--force", is_flag=True, help="Replace files of the same name.")
@_registry
def export(spec: str, to: str, out: Path, force: bool, registry: Path | None) -> None:
    """Write the release that SPEC resolves to as a FastMCP script, MCP bundle, OpenAI tools or Agent Skill."""
    release = open_registry(_settings(registry)).resolve(spec)
    for path in export_box(release, to, out, force=force):
        screen().print(f"wrote {path}", markup=False)
    if to != "openai":
        notes().print("what was written runs without a sandbox")


def _settings(registry: Path | None) -> Settings:
    settings = Settings()
    return settings.model_copy(update={"registry": registry}) if registry else settings


def _row(release: Release) -> dict[str, object]:
    return {
        "name": release.name,
        "version": release.version,
        "summary": release.manifest.summary,
        "digest": release.digest,
        "lifecycle": release.lifecycle,
        "tools": [tool.name for tool in release.tools],
        "provenance": release.manifest.provenance.model_dump(exclude_none=True),
    }
