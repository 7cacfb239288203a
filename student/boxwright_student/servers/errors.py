"""What a connection tells the tools above it, apart from what the caller must handle."""

from __future__ import annotations


class CallLost(Exception):
    """The server ended during a call that may not be repeated, or twice during one that may; told to the model."""
