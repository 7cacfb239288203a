"""Where box code runs: the sandboxes, their workers, and the one way to call a tool. Box code never runs in this process."""

from boxwright.sandbox.base import Sandbox, Worker
from boxwright.sandbox.choice import choose_sandbox
from boxwright.sandbox.runner import ToolRunner

__all__ = ["Sandbox", "ToolRunner", "Worker", "choose_sandbox"]
