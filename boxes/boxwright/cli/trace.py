"""Show kept trajectories, and export them as chat messages or OpenTelemetry spans."""

from __future__ import annotations

import json
from pathlib import Path

import click

from boxwright.errors import NotFound
from boxwright.files import write_atomically
from boxwright.models.base import Message
from boxwright.terminal import notes, screen
from boxwright.trace_export import FORMATS
from boxwright.trace_export import export as export_rows
from boxwright.traces import TraceStore, Trajectory
from boxwright.visible import visible

_file = click.argument("file", type=click.Path(path_type=Path))
_STYLES = {"system": "dim", "user": "bold", "assistant": "", "tool": "cyan"}


@click.group()
def trace() -> None:
    """Show and export trajectories, which ask, chat, run, compare and mine keep in files of JSON lines."""


@trace.command()
@_file
@click.argument("number", required=False, type=click.IntRange(min=1))
def show(file: Path, number: int | None) -> None:
    """Print what FILE holds, a line each; or the trajectory of that NUMBER, whole."""
    trajectories = _read(file)
    out = screen()
    if number is None:
        for at, one in enumerate(trajectories, start=1):
            out.print(visible(_line(at, one)), markup=False)
        return
    if number > len(trajectories):
        raise NotFound("trajectory", str(number), (), f"{file} holds {len(trajectories)}")
    one = trajectories[number - 1]
    for message in one.messages:
        out.print(visible(_told(message)), style=_STYLES[message.role], markup=False)
    out.print(visible(f"\n{_line(number, one)}"), markup=False)
    if one.note or one.reason:
        out.print(visible(one.note or one.reason), markup=False)


@trace.command()
@_file
@click.option("--to", required=True, type=click.Choice(FORMATS), help="Chat messages, or OTLP's JSON.")
@click.option("--out", type=click.Path(path_type=Path), help="The file to write (default: stdout).")
@click.option("--right", is_flag=True, help="Only attempts whose answer was right.")
@click.option("--content", is_flag=True, help="otel: with what was said and called, which may be private.")
def export(file: Path, to: str, out: Path | None, right: bool, content: bool) -> None:
    """Write the trajectories of FILE as JSON lines of another format."""
    trajectories = [one for one in _read(file) if one.right or not right]
    lines = [json.dumps(row, ensure_ascii=False) for row in export_rows(trajectories, to, content=content)]
    text = "".join(f"{line}\n" for line in lines)
    if out is None:
        click.echo(text, nl=False)
    else:
        write_atomically(out, text)
    notes().print(
        f"{len(lines)} of {len(trajectories)} trajectories exported{f' to {out}' if out else ''}", markup=False
    )
    if to == "openai" and any(one.tools and not one.definitions for one in trajectories):
        notes().print("some were kept without their tools' definitions, so their lines have no tools", style="yellow")


def _read(file: Path) -> list[Trajectory]:
    if not file.exists():
        raise NotFound("file of trajectories", str(file), ())
    return TraceStore(file).read()


def _line(number: int, one: Trajectory) -> str:
    mark = {True: "right", False: "wrong", None: one.ended}[one.right]
    what = " ".join((one.task or one.prompt).split())[:60]
    return f"{number:4}  {mark:10} {one.calls:2} calls {one.usage.tokens:7} tokens  {one.model}  {what}"


def _told(message: Message) -> str:
    calls = [
        f"→ {call.name}({', '.join(f'{key}={value!r}' for key, value in call.arguments.items())})"
        for call in message.tool_calls
    ]
    thinking = [f"(thinking) {message.thinking}"] if message.thinking else []
    return "\n".join([f"{message.role}:", *thinking, *([message.content] if message.content else []), *calls])
