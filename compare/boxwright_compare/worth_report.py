"""What tools are worth, on the screen, as Markdown and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

from rich.table import Column, Table

from boxwright.files import write_atomically
from boxwright.jsontypes import pretty
from boxwright_compare.paired import ArmSummary
from boxwright_compare.use import Use
from boxwright_compare.worth import ToolWorth, Worth

Rows: TypeAlias = list[tuple[str, ...]]
TOOL_HEADS = ("tool", "called in", "right with / without", "only with / without", "p", "verdict")
ARM_HEADS = ("arm", "right", "95% interval", "called tools", "calls / failed / refused", "tokens", "seconds")
LEGEND = (
    "each tool: tasks in which it was called; tasks that are right with all tools / without it; right only with it / "
    "only without it; how likely so uneven a split is by chance (exact McNemar). Where p is large, take more tasks.",
    "each arm: tasks in which a tool was called; calls that were made / that the tool answered with an error / that "
    "could not be made; tokens and model seconds a task",
)


def tables(worth: Worth, title: str) -> list[Table]:
    """Return the tools, and the arms they were mounted in, as tables for the screen."""
    made = []
    for heads, rows, told in ((TOOL_HEADS, _tools(worth), title), (ARM_HEADS, _arms(worth), "")):
        table = Table(Column(heads[0], no_wrap=True), *heads[1:], title=told)
        for row in rows:
            table.add_row(*row)
        made.append(table)
    return made


def write_worth(worth: Worth, title: str, folder: Path, remarks: Sequence[str]) -> list[Path]:
    """Write `worth.md` and `worth.json` and return their paths.

    Raises:
        BadInput: The folder cannot be written.
    """
    lines = [f"# {title}", "", *(f"> {remark}\n" for remark in remarks)]
    lines += [*_markdown(TOOL_HEADS, _tools(worth)), "", *_markdown(ARM_HEADS, _arms(worth)), ""]
    lines += [f"- {line}" for line in (*LEGEND, *conclusion(worth))]
    markdown, machine = folder / "worth.md", folder / "worth.json"
    write_atomically(markdown, "\n".join([*lines, ""]))
    told = {"kept": worth.kept, "holds": worth.holds, "conclusion": conclusion(worth)}
    write_atomically(machine, pretty({"title": title, "remarks": remarks, **told, **asdict(worth)}))
    return [markdown, machine]


def conclusion(worth: Worth) -> list[str]:
    """Return what may be left out, and how to mount what is kept; where nothing may, why."""
    pair, whole, pruned = worth.pruning, worth.use["all"], worth.use["pruned"]
    if not worth.dropped:
        return ["Every tool is worth its place here: nothing to prune."]
    differ = (
        f"only with all tools {pair.only_second}, only with the pruned set {pair.only_first}, p = {pair.p_value:.2g}"
    )
    if not worth.holds:
        return [
            f"No pruning: without all of {', '.join(worth.dropped)} fewer tasks are right ({differ}). Each can be "
            "spared alone, so some stand in for each other."
        ]
    tokens = f"{pruned.tokens_a_task:.0f} tokens a task in place of {whole.tokens_a_task:.0f}"
    return [
        f"Kept: {', '.join(worth.kept) or 'nothing'}. Nothing is lost without the others ({differ}), at {tokens}.",
        _mounting(worth),
    ]


def _mounting(worth: Worth) -> str:
    """Say how to mount what is kept: `serve` takes boxes whole, so what goes is boxes of which nothing is kept."""
    boxes = dict.fromkeys(map(_box, worth.kept))
    gone = ", ".join(box for box in dict.fromkeys(map(_box, worth.dropped)) if box not in boxes)
    along = ", ".join(tool for tool in worth.dropped if _box(tool) in boxes)
    if not boxes:
        return f"To mount what is kept: no box ({gone} can go); the student does as well with --bare."
    command = " ".join(["boxwright serve", *(f"--box {box}" for box in boxes)])
    rest = "; ".join([f"{gone} can go"] * bool(gone) + [f"boxes are served whole, {along} with them"] * bool(along))
    return f"To mount what is kept: {command} ({rest})"


def _box(tool: str) -> str:
    return tool.partition("__")[0]  # no box's name has two _ in a row


def _tools(worth: Worth) -> Rows:
    return [_tool_row(one) for one in worth.tools]


def _tool_row(one: ToolWorth) -> tuple[str, ...]:
    pair = one.pair
    return (
        one.tool,
        f"{one.called} of {pair.second.tasks}",
        f"{pair.second.right} / {pair.first.right}",
        f"{pair.only_second} / {pair.only_first}",
        f"{pair.p_value:.2g}",
        one.verdict,
    )


def _arms(worth: Worth) -> Rows:
    summaries = (worth.alone.first, worth.alone.second, worth.pruning.first)
    return [_arm_row(arm, worth.use[arm.name]) for arm in summaries]


def _arm_row(arm: ArmSummary, use: Use) -> tuple[str, ...]:
    return (
        arm.name,
        f"{arm.right} of {arm.tasks}",
        f"{arm.interval.low:.0%} to {arm.interval.high:.0%}",
        f"{use.called / arm.tasks:.0%}",
        f"{use.calls} / {use.failed} / {use.refused}",
        f"{use.tokens_a_task:.0f}",
        f"{use.seconds_a_task:.1f}",
    )


def _markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}", *(f"| {' | '.join(row)} |" for row in rows)]
