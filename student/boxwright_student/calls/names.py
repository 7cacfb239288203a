"""Near misses of names: when a name that is not there can only mean one that is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

_SEPARATOR = re.compile(r"__|::|[./:]")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_PREFIXES = frozenset({"functions", "function", "tools", "tool", "mcp", "api", "defaultapi", "namespace"})
"""Words before a name that say only that it is a tool's."""
_SHORTEST_TYPO = 4
"""Words shorter than this are not mended: `get` is one letter from `set`."""


def nearest(name: str, known: Sequence[str]) -> str | None:
    """Return the one known name that a name can be read as: itself, or another spelling of it, or none.

    Spellings are tried from the likest on: other case and separators, a namespace lost, doubled or put before it, one
    letter wrong. Where two known names fit alike, there is no answer.
    """
    if name in known:
        return name
    for fits in (_same_letters, _same_but_for_prefix, one_typo):
        found = [one for one in known if fits(name, one)]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def nearest_argument(name: str, known: Iterable[str]) -> str | None:
    """Return the one parameter that an argument's name can be read as; it has no namespace to lose."""
    rules: tuple[Callable[[str, str], bool], ...] = (_same_letters, one_typo)
    for fits in rules:
        found = [one for one in known if fits(name, one)]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def share_a_word(left: str, right: str) -> bool:
    """Say whether two names have a word in common, so that one might have been meant for the other."""
    return bool(_words(left) & _words(right))


def one_typo(left: str, right: str) -> bool:
    """Say whether two names differ by one letter put in, left out, exchanged or swapped with its neighbour.

    A word's first letter, a digit and a short word have to be right: these change what a name means.
    """
    left, right = left.casefold(), right.casefold()
    if left == right or abs(len(left) - len(right)) > 1:
        return False
    start = next((at for at, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    rest, other = left[start:], right[start:]
    swapped = rest[:2] == other[:2][::-1] and rest[2:] == other[2:]
    if not (swapped or rest[1:] == other[1:] or rest[1:] == other or rest == other[1:]):
        return False
    wrong = rest[:1] + other[:1]
    return not re.search(r"[\W\d_]", wrong) and _inside_a_long_word(left, start) and _inside_a_long_word(right, start)


def _inside_a_long_word(name: str, at: int) -> bool:
    before = re.search(r"[^\W\d_]*$", name[:at])
    after = re.match(r"[^\W\d_]*", name[at:])
    head, tail = before.group() if before else "", after.group() if after else ""
    return bool(head) and len(head + tail) >= _SHORTEST_TYPO


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()


def _words(name: str) -> set[str]:
    return {word.casefold() for word in _WORDS.findall(name) if len(word) > 1}


def _same_letters(left: str, right: str) -> bool:
    return bool(_letters(left)) and _letters(left) == _letters(right)


def _same_but_for_prefix(name: str, known: str) -> bool:
    written, wanted = _segments(name), _segments(known)
    return written == wanted or (len(written) < len(wanted) and wanted[-len(written) :] == written)


def _segments(name: str) -> list[str]:
    """Return a name's parts, without what comes twice in a row and without words that any tool may have before it."""
    parts = [part for part in map(_letters, _SEPARATOR.split(name)) if part]
    parts = [part for at, part in enumerate(parts) if at == 0 or part != parts[at - 1]]
    while len(parts) > 1 and parts[0] in _PREFIXES:
        del parts[0]
    return parts
