"""What tools are worth, on the screen, as Markdown and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

from rich.table import Column, Table

from boxwright.files import write_atomically
from boxwright.jsontypes import pretty
from boxwright_compare.worth import Measured, ToolWorth, Worth, box_of

Rows: TypeAlias = list[tuple[str, ...]]
TOOL_HEADS = ("tool", "reached in", "right with / without", "only with / without", "p", "verdict")
SET_HEADS = ("set of tools", "right", "95% interval", "reached a tool", "calls / failed / refused", "tokens", "seconds")
LEGEND = (
    "each tool: tasks in which a call reached it; tasks that are right with all tools / without it; right only with it "
    "/ only without it; how likely so uneven a split is by chance (exact McNemar). Where p is large, take more tasks.",
    "each set (pruned: the tools with the verdict keep; kept: of all sets the one with most tasks right, and of equals "
    "the smallest; boxes: the kept tools' boxes, whole): tasks in which a call reached a tool; calls that did / that "
    "the tool answered with an error / that could not be made; tokens and model seconds a task",
)
NOTHING_RIGHT = (
    "No task was right with any set of tools, so nothing can be said: take more tasks, or a stronger student."
)


def tables(worth: Worth, title: str) -> list[Table]:
    """Return the tools, and the sets of them that were mounted, as tables for the screen."""
    made = []
    for heads, rows, told in ((TOOL_HEADS, _tools(worth), title), (SET_HEADS, _sets(worth), "")):
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
    lines += [*_markdown(TOOL_HEADS, _tools(worth)), "", *_markdown(SET_HEADS, _sets(worth)), ""]
    lines += [f"- {line}" for line in (*LEGEND, *conclusion(worth))]
    markdown, machine = folder / "worth.md", folder / "worth.json"
    write_atomically(markdown, "\n".join([*lines, ""]))
    told = {"kept": worth.kept, "dropped": worth.dropped, "conclusion": conclusion(worth)}
    write_atomically(machine, pretty({"title": title, "remarks": remarks, **told, **asdict(worth)}))
    return [markdown, machine]


def conclusion(worth: Worth) -> list[str]:
    """Return what may be left out, and how to mount what is kept; where nothing may, why."""
    pair, kept, whole = worth.pruning, worth.sets["kept"], worth.sets["all"]
    if not kept.figures.right:
        return [NOTHING_RIGHT]
    if not worth.dropped:
        return ["Every tool is worth its place here: nothing to prune."]
    lines = [
        f"Kept: {_list(kept.tools)}. Right: {_right(kept)}, with all tools {_right(whole)} (only with what is kept "
        f"{pair.only_first}, only with all {pair.only_second}, p = {pair.p_value:.2g}), at "
        f"{kept.use.tokens_a_task:.0f} tokens a task in place of {whole.use.tokens_a_task:.0f}."
    ]
    pruned = worth.sets["pruned"]
    if pruned.tools != kept.tools:
        lines.append(
            f"Judged one by one, the tools to keep are: {_list(pruned.tools)}. With only these, {_right(pruned)} are "
            f"right (p = {worth.judged.p_value:.2g} against what is kept)."
        )
    return [*lines, _mounting(worth)]


def _mounting(worth: Worth) -> str:
    """Say how to mount what is kept: `serve` takes boxes whole, so what goes is boxes of which nothing is kept."""
    served, whole = worth.sets["boxes"], worth.sets["all"]
    boxes = dict.fromkeys(map(box_of, served.tools))
    gone = ", ".join(box for box in dict.fromkeys(map(box_of, worth.dropped)) if box not in boxes)
    if not boxes:
        return f"To mount what is kept: no box ({gone} can go); the student does as well with --bare."
    if not gone:
        return "No box can go: boxes are served whole, and each has a tool that is kept."
    along = ", ".join(tool for tool in served.tools if tool not in worth.kept)
    if served.figures.right < whole.figures.right:
        return (
            f"No box can go: boxes are served whole, and with {', '.join(boxes)} whole ({along} along) only "
            f"{_right(served)} are right."
        )
    command = " ".join(["boxwright serve", *(f"--box {box}" for box in boxes)])
    rest = f"; boxes are served whole, {along} along: {_right(served)} right" if along else ""
    return f"To mount what is kept: {command} ({gone} can go{rest})"


def _list(tools: Sequence[str]) -> str:
    return ", ".join(tools) or "nothing"


def _right(one: Measured) -> str:
    return f"{one.figures.right} of {one.figures.tasks}"


def _tools(worth: Worth) -> Rows:
    return [_tool_row(one) for one in worth.tools]


def _tool_row(one: ToolWorth) -> tuple[str, ...]:
    pair = one.pair
    return (
        one.tool,
        f"{one.reached} of {pair.second.tasks}",
        f"{pair.second.right} / {pair.first.right}",
        f"{pair.only_second} / {pair.only_first}",
        f"{pair.p_value:.2g}",
        one.verdict,
    )


def _sets(worth: Worth) -> Rows:
    """Return a row for each set that is another one, with all its names; of those without one tool, the kept one."""
    names: dict[tuple[str, ...], list[str]] = {}
    for name in ("bare", "all", "pruned", "kept", "boxes"):
        names.setdefault(worth.sets[name].tools, []).append(name)
    return [_set_row(", ".join(told), worth.sets[told[0]]) for told in names.values()]


def _set_row(names: str, one: Measured) -> tuple[str, ...]:
    figures, use = one.figures, one.use
    return (
        names,
        _right(one),
        f"{figures.interval.low:.0%} to {figures.interval.high:.0%}",
        f"{use.reached / figures.tasks:.0%}",
        f"{use.calls} / {use.failed} / {use.refused}",
        f"{use.tokens_a_task:.0f}",
        f"{use.seconds_a_task:.1f}",
    )


def _markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}", *(f"| {' | '.join(row)} |" for row in rows)]
