"""Tasks and suites: what is asked, in which split, and how an answer is scored. Nothing here calls a model."""

from boxwright.tasks.scoring import Score, score
from boxwright.tasks.suites import load_suite, split_tasks, suite_names
from boxwright.tasks.task import Split, Suite, Task

__all__ = ["Score", "Split", "Suite", "Task", "load_suite", "score", "split_tasks", "suite_names"]
