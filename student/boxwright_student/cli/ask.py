"""Ask the student one question; it plans over the boxes."""

from __future__ import annotations

from pathlib import Path

import click

from boxwright.models import Message, load_model
from boxwright.settings import Settings
from boxwright.terminal import notes, run_async
from boxwright.traces import TraceStore, Trajectory
from boxwright_student.agent import Agent, Bounds
from boxwright_student.mcp_tools import box_server, connect, read_mcp_json
from boxwright_student.toolset import NoTools


@click.command()
@click.argument("question")
@click.option("--model", help="The model, such as ollama/llama3.1:8b (default: BOXWRIGHT_STUDENT).")
@click.option("--mcp", type=click.Path(path_type=Path), help="An mcp.json; without it, our box server is started.")
@click.option("--bare", is_flag=True, help="Without any tool.")
@click.option("--steps", default=8, show_default=True, type=click.IntRange(1, 100))
@click.option("--json", "as_json", is_flag=True, help="Print the whole trajectory as JSON.")
def ask(question: str, model: str | None, mcp: Path | None, bare: bool, steps: int, as_json: bool) -> None:
    """Ask the student QUESTION. Calls and results go to stderr, the answer to stdout."""
    settings = Settings()
    student = load_model(model or settings.student, settings)
    out = notes()

    def show(message: Message) -> None:
        for call in message.tool_calls:
            out.print(f"→ {call.name}({', '.join(f'{k}={v!r}' for k, v in call.arguments.items())})", markup=False)
        if message.role == "tool":
            out.print(f"← {message.content}", markup=False, style="dim")

    async def go() -> Trajectory:
        if bare:
            return await Agent(student, NoTools(), bounds=Bounds(steps=steps)).run(question, on_message=show)
        servers = read_mcp_json(mcp) if mcp else {"boxwright": box_server()}
        async with connect(servers) as tools:
            return await Agent(student, tools, bounds=Bounds(steps=steps)).run(question, on_message=show)

    if student.label:
        out.print(f"[{student.label}]", markup=False, style="yellow")
    trajectory = run_async(go())
    TraceStore(settings.home / "trajectories" / "ask.jsonl").append(trajectory)
    if as_json:
        click.echo(trajectory.model_dump_json(exclude_defaults=True))
    elif trajectory.answer is not None:
        click.echo(trajectory.answer)
    if trajectory.answer is None:
        raise click.ClickException(f"no answer: {trajectory.ended}, {trajectory.note}")
