"""Where box code runs: sandboxes, workers, the one way to call a tool. Never in this process."""

from boxwright.sandbox.base import Sandbox, Worker
from boxwright.sandbox.choice import choose_sandbox
from boxwright.sandbox.runner import ToolRunner

__all__ = ["Sandbox", "ToolRunner", "Worker", "choose_sandbox"]
