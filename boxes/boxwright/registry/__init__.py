"""Where releases live: a folder per box and version, readable in git."""

from boxwright.registry.build import Built, build, staged
from boxwright.registry.lock import Pin, pinned, pins_of, read_lock, write_lock
from boxwright.registry.publish import publish, same_source
from boxwright.registry.registry import Registry, open_registry

__all__ = [
    "Built",
    "Pin",
    "Registry",
    "build",
    "open_registry",
    "pinned",
    "pins_of",
    "publish",
    "read_lock",
    "same_source",
    "staged",
    "write_lock",
]
