"""Tell which models, sandboxes and extras are reachable here, and what mends each gap."""

from __future__ import annotations

import json

import click
from rich.markup import escape
from rich.table import Table

from boxwright.checks import Finding, examine
from boxwright.settings import Settings
from boxwright.terminal import run_async, screen

_MARKS = {"ok": "[green]ok[/green]", "gap": "[yellow]gap[/yellow]", "fault": "[red]fault[/red]"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Look at this machine. A gap is something optional; a fault, which the exit status tells too, is not."""
    findings = run_async(examine(Settings()))
    if as_json:
        click.echo(json.dumps([vars(finding) for finding in findings], indent=2))
    else:
        screen().print(_table(findings))
    if any(finding.state == "fault" for finding in findings):
        raise SystemExit(1)


def _table(findings: list[Finding]) -> Table:
    table = Table("", "what", "found", "mend it with")
    for finding in findings:
        table.add_row(_MARKS[finding.state], finding.what, escape(finding.found), escape(finding.mend))
    return table
