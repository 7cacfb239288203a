"""The suite's fixtures that a box can be, and how boxes get the names that the suite calls."""

from __future__ import annotations

from fastmcp.server.transforms import ToolTransform
from fastmcp.tools.tool_transform import ToolTransformConfig

from boxwright.registry import Registry, open_registry, publish
from boxwright.sandbox import ToolRunner, choose_sandbox
from boxwright.settings import Settings
from support.boxes import write_box

TOOLS = '''
"""What the conformance suite asks of a tool that computes and returns text."""


def simple_text(times: int = 1) -> str:
    """Return a fixed text, once or more often.

    Args:
        times: How often.
    """
    if times < 1:
        raise ValueError(f"times must be at least 1, got {times}")
    return " ".join(["This is a simple text response for testing."] * times)


def error_handling(detail: str = "") -> str:
    """Refuse every call.

    Args:
        detail: What to add to the refusal.
    """
    raise ValueError(f"This tool intentionally returns an error for testing{detail}")
'''
TEXT = "This is a simple text response for testing."
EXAMPLES = [
    {"tool": "simple_text", "arguments": {}, "result": TEXT},
    {"tool": "simple_text", "arguments": {"times": 2}, "result": f"{TEXT} {TEXT}"},
    {"tool": "simple_text", "arguments": {"times": 0}, "raises": "times must be at least 1"},
    {"tool": "error_handling", "arguments": {}, "raises": "intentionally returns an error"},
    {"tool": "error_handling", "arguments": {"detail": "!"}, "raises": "for testing!"},
    {"tool": "error_handling", "arguments": {"detail": "?"}, "raises": "for testing?"},
]
RENAMED = {"conformance__simple_text": "test_simple_text", "conformance__error_handling": "test_error_handling"}
"""Boxes are served as `box__tool`; the suite calls other names."""
COMES_AND_GOES = "doubler"
"""A box that is yanked and restored while the suite listens for changes of the tool list."""


async def publish_boxes(settings: Settings) -> None:
    """Publish the boxes of the suite into the registry of the settings."""
    registry, folder = open_registry(settings), settings.home / "boxes"
    async with ToolRunner(choose_sandbox(settings)) as runner:
        await publish(write_box(folder / "conformance", TOOLS, EXAMPLES, name="conformance"), registry, runner)
        await publish(write_box(folder / COMES_AND_GOES, name=COMES_AND_GOES), registry, runner)


def renaming() -> ToolTransform:
    """Return the transform that gives boxes the names that the suite calls."""
    return ToolTransform({served: ToolTransformConfig(name=name) for served, name in RENAMED.items()})


def yank_or_restore(registry: Registry) -> str:
    """Yank the box that comes and goes, or restore it; return what it now is."""
    usable = bool(registry.usable(COMES_AND_GOES))
    registry.set_lifecycle(COMES_AND_GOES, "1.0.0", "yanked" if usable else "active", "a change of the tool list")
    return "yanked" if usable else "active"
