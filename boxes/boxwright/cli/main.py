"""The `boxwright` command: finds commands by entry point and turns errors into messages."""

from __future__ import annotations

import ast
import importlib.util
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, cast

import click

from boxwright import __version__
from boxwright.errors import BoxwrightError
from boxwright.visible import visible

GROUP = "boxwright.commands"
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


class Commands(click.Group):
    """A group whose commands are entry points, imported only when they are run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands whose package is installed here."""
        return sorted(name for name, entry in _entries().items() if _source(entry))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        entry = _entries().get(cmd_name)
        return cast(click.Command, entry.load()) if entry and _source(entry) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands with the first sentence of each module's docstring."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _summary(_entries()[name])) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error raised on purpose becomes one message and exit status 1."""
        try:
            return super().invoke(ctx)
        except BoxwrightError as error:
            raise click.ClickException(visible(str(error))) from error
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except PermissionError as error:
            raise click.ClickException(
                f"no permission for {error.filename!r}; use a file or folder of yours"
            ) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="boxwright")
def main() -> None:
    """Boxes: what a big model can compute, as verified MCP tools for small ones."""


def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _source(entry: EntryPoint) -> Path | None:
    """Return the file of the command's module, without importing more than its (empty) packages."""
    try:
        spec = importlib.util.find_spec(entry.module)
    except ModuleNotFoundError:
        return None  # an image that holds only some of the packages
    return Path(spec.origin) if spec and spec.origin else None


def _summary(entry: EntryPoint) -> str:
    source = _source(entry)
    assert source is not None
    text = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    return text.splitlines()[0]
