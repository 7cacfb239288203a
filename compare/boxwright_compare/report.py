"""A comparison on the screen, as Markdown and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from boxwright.files import write_atomically
from boxwright.jsontypes import pretty
from boxwright_compare.paired import ArmSummary, Paired

HEADS = ("arm", "right", "95% interval", "called tools", "tokens", "model seconds", "dollars")


def as_table(paired: Paired, title: str, others: Sequence[ArmSummary] = ()) -> Table:
    """Return the comparison as a table for the screen, with other arms beside the two."""
    table = Table(*HEADS, title=title)
    for arm in (paired.first, paired.second, *others):
        table.add_row(*_row(arm))
    return table


def verdict(paired: Paired) -> str:
    """Return what the pairs say, in a sentence or two."""
    a, b = paired.first.name, paired.second.name
    return (
        f"Of {paired.first.tasks} tasks both got {paired.both} right, only {b!r} {paired.only_second}, "
        f"only {a!r} {paired.only_first}, neither {paired.neither} (exact McNemar p = {paired.p_value:.2g})."
    )


def write_report(
    paired: Paired, title: str, folder: Path, remarks: list[str], others: Sequence[ArmSummary] = ()
) -> list[Path]:
    """Write `comparison.md` and `comparison.json`, with other arms beside the two, and return their paths.

    Raises:
        BadInput: The folder cannot be written.
    """
    lines = [f"# {title}", "", *(f"> {remark}" for remark in remarks), ""]
    lines += [f"| {' | '.join(HEADS)} |", f"|{' --- |' * len(HEADS)}"]
    lines += [f"| {' | '.join(_row(arm))} |" for arm in (paired.first, paired.second, *others)]
    lines += ["", verdict(paired), ""]
    for heading, tasks in (("Helped", paired.helped), ("Hurt", paired.hurt)):
        lines += [f"## {heading}: {len(tasks)}", "", *(f"- {task}" for task in tasks), ""]
    markdown, machine = folder / "comparison.md", folder / "comparison.json"
    write_atomically(markdown, "\n".join(lines))
    more = {"others": [asdict(arm) for arm in others]} if others else {}
    write_atomically(machine, pretty({"title": title, "remarks": remarks, **asdict(paired), **more}))
    return [markdown, machine]


def _row(arm: ArmSummary) -> tuple[str, ...]:
    return (
        arm.name,
        f"{arm.right} of {arm.tasks}",
        f"{arm.interval.low:.0%} to {arm.interval.high:.0%}",
        f"{arm.called_tools}",
        f"{arm.tokens}",
        f"{arm.model_seconds:.1f}",
        f"{arm.dollars:.4f}",
    )
