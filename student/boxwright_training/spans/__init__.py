"""Spans: which characters of a rendered trajectory, and so which tokens, are prompt, reason, act or observe."""

from boxwright_training.spans.chat import Chat, ChatMessage, Thoughts, chat_of
from boxwright_training.spans.placing import Placed, SpansInvalid, place
from boxwright_training.spans.rows import Row, Rows, Segmenter

__all__ = [
    "Chat",
    "ChatMessage",
    "Placed",
    "Row",
    "Rows",
    "Segmenter",
    "SpansInvalid",
    "Thoughts",
    "chat_of",
    "place",
]
