"""Reads the word lists and wordings that the grammars hold as text, so that they stay readable."""

from __future__ import annotations


def words_in(text: str) -> list[str]:
    """Return the words of a text that stand between blanks."""
    return text.split()


def rows_in(text: str) -> list[str]:
    """Return the parts of a text that stand between bars."""
    return text.split("|")
