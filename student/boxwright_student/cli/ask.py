"""Ask the student one question; it plans over the boxes."""

from __future__ import annotations

import json

import click

from boxwright.models import load_model
from boxwright.settings import Settings
from boxwright.traces import TraceStore, Trajectory
from boxwright_student.cli.consent import Consent
from boxwright_student.cli.exits import check_answered, errors, failures_as_json, keep, run_command
from boxwright_student.cli.options import AgentOptions, agent_options, question_text
from boxwright_student.cli.screen import Screen


@click.command()
@click.argument("question", callback=question_text)
@agent_options
@click.option("--yes", is_flag=True, help="Call tools that may change something without asking.")
@click.option("--thinking", is_flag=True, help="Show the model's thinking.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole trajectory as JSON, and nothing else.")
def ask(question: str, options: AgentOptions, yes: bool, thinking: bool, as_json: bool) -> None:
    """Ask the student QUESTION; - reads it from stdin. The answer goes to stdout; plan, calls and results to stderr.

    The exit status is 0 with an answer, 3 without one within the bounds, 4 if the model and 5 if the tools cannot be
    reached, 130 after Ctrl-C, 2 for wrong usage, and 1 for any other error.
    """
    made: list[Trajectory] = []
    with failures_as_json(lambda: as_json and not made), errors():
        _ask(question, options, made, Screen(thinking=thinking, stream=False if as_json else None), yes, as_json)


def _ask(
    question: str, options: AgentOptions, made: list[Trajectory], screen: Screen, yes: bool, as_json: bool
) -> None:
    settings = Settings()
    model = load_model(options.uri(settings), settings)
    store = TraceStore(settings.home / "trajectories" / "ask.jsonl")
    lost: list[str] = []

    async def go() -> Trajectory:
        async with options.tools(settings) as tools:
            agent = options.agent(model, tools, None if yes else Consent(screen))
            attempt = agent.start(question, on_event=screen)
            try:
                return await attempt.finish()
            finally:
                made.append(attempt.trajectory())
                lost.extend(keep(store, made[0]))
                for told in lost:
                    screen.note(told, fg="red")

    if model.label:
        screen.note(f"[{model.label}]", fg="yellow")
    try:
        trajectory = run_command(
            go(), lambda: f"stopped; {f'{store.path} has it so far' if made and not lost else 'nothing is kept'}"
        )
    finally:
        if as_json and made:
            click.echo(json.dumps(made[0].model_dump(mode="json", exclude_defaults=True)))
    if trajectory.answer is not None and not as_json:
        screen.answer(trajectory.answer)
    check_answered(trajectory)
    if lost:
        raise SystemExit(1)
