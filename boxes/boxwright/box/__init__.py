"""The box format: manifest, tools, examples, digest and interface. Nothing here runs box code."""

from boxwright.box.examples import Example
from boxwright.box.manifest import Limits, Manifest
from boxwright.box.release import Release, ToolSpec

__all__ = ["Example", "Limits", "Manifest", "Release", "ToolSpec"]
