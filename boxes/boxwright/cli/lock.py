"""Pin boxes by version and digest, so that what is served stays what was looked at."""

from __future__ import annotations

from pathlib import Path

import click

from boxwright.errors import BadInput
from boxwright.registry import open_registry, pins_of, write_lock
from boxwright.registry.lock import LOCK_FILE
from boxwright.settings import Settings
from boxwright.terminal import screen


@click.command()
@click.argument("specs", nargs=-1)
@click.option("--file", "path", type=click.Path(path_type=Path), default=Path(LOCK_FILE), show_default=True)
@click.option("--registry", type=click.Path(path_type=Path), help="The registry folder (default: yours).")
def lock(specs: tuple[str, ...], path: Path, registry: Path | None) -> None:
    """Write a lock file for what SPECS resolve to, such as 'game_of_24>=1,<2'; without any, for every box.

    `boxwright serve --lock FILE` then serves exactly these releases, or says which pin cannot be met.
    """
    settings = Settings()
    if registry:
        settings = settings.model_copy(update={"registry": registry})
    opened = open_registry(settings)
    releases = [opened.resolve(spec) for spec in specs] if specs else list(opened.current())
    if len({one.name for one in releases}) < len(releases):
        raise BadInput(f"two of {', '.join(map(repr, specs))} name one box; a lock holds one release of each")
    if not releases:
        raise BadInput(f"there is no box to pin in {settings.registry_folder}; publish one, or name another --registry")
    write_lock(path, pins_of(releases))
    for release in releases:
        screen().print(f"{release.title}  {release.digest}")
    screen().print(f"wrote {path}; serve it with: boxwright serve --lock {path}")
