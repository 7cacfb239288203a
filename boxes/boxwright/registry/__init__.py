"""Where releases live: a folder per box and version, readable in git."""

from boxwright.registry.build import Built, build, staged
from boxwright.registry.publish import publish, same_source
from boxwright.registry.registry import Registry, open_registry

__all__ = ["Built", "Registry", "build", "open_registry", "publish", "same_source", "staged"]
