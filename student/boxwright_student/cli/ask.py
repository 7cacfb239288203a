"""Ask the student one question; it plans over the boxes."""

from __future__ import annotations

import click

from boxwright.models import load_model
from boxwright.settings import Settings
from boxwright.traces import TraceStore, Trajectory
from boxwright_student.cli.consent import Consent
from boxwright_student.cli.exits import check_answered, run_command
from boxwright_student.cli.options import AgentOptions, agent_options
from boxwright_student.cli.screen import Screen


@click.command()
@click.argument("question")
@agent_options
@click.option("--yes", is_flag=True, help="Call tools that may change something without asking.")
@click.option("--thinking", is_flag=True, help="Show the model's thinking.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole trajectory as JSON, and nothing else.")
def ask(question: str, options: AgentOptions, yes: bool, thinking: bool, as_json: bool) -> None:
    """Ask the student QUESTION. The answer goes to stdout; plan, calls and results to stderr.

    The exit status is 0 with an answer, 3 without one within the bounds, 4 if the model and 5 if the tools cannot be
    reached, 130 after Ctrl-C, 2 for wrong usage, and 1 for any other error.
    """
    settings = Settings()
    model = load_model(options.uri(settings), settings)
    store = TraceStore(settings.home / "trajectories" / "ask.jsonl")
    screen = Screen(thinking=thinking, stream=False if as_json else None)
    kept: list[Trajectory] = []

    async def go() -> Trajectory:
        async with options.tools(settings) as tools:
            agent = options.agent(model, tools, None if yes else Consent(screen))
            attempt = agent.start(question, on_event=screen)
            try:
                return await attempt.finish()
            finally:
                kept.append(attempt.trajectory())
                store.append(kept[0])

    if model.label:
        screen.note(f"[{model.label}]", fg="yellow")
    try:
        trajectory = run_command(
            go(), lambda: f"stopped; {f'{store.path} has it so far' if kept else 'nothing was asked'}"
        )
    finally:
        if as_json and kept:
            click.echo(kept[0].model_dump_json(exclude_defaults=True))
    if trajectory.answer is not None and not as_json:
        screen.answer(trajectory.answer)
    check_answered(trajectory)
