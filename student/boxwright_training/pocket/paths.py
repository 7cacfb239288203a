"""Paths on the trainer's command lines: one that has to be there is looked for before anything starts."""

from __future__ import annotations

import argparse
from pathlib import Path


def existing(text: str) -> Path:
    """Give the path of a file or folder that is there, as a type for argparse.

    Raises:
        ArgumentTypeError: It is not.
    """
    path = Path(text)
    if not path.exists():
        raise argparse.ArgumentTypeError(f"{text!r} is not there")
    return path
