"""The names under which tools are shown: unique over all servers, and in the letters that every model's API takes."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence

MOST = 64
"""The longest name that OpenAI's API and those that follow it take (litellm#26733, claude-code#19882)."""
_OTHER = re.compile(r"[^A-Za-z0-9_-]")
_LIKE_HASHED = re.compile(r"_[0-9a-f]{8}$")
"""How a hashed name ends. A tool that is called so gets a hash too, lest a server takes another's name on purpose."""


def shown_names(listed: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, str]]:
    """Return, by the name a model is shown, each tool's server and its name there.

    A name that two servers give gets its server's name in front, on both. Letters that APIs refuse become `_`. Names
    that are too long, or the same after that, end in a hash of server and name: none depends on the servers' order.

    Args:
        listed: Each server's tool names; a name that a server lists twice counts once.
    """
    pairs = [(server, name) for server, names in listed.items() for name in dict.fromkeys(names)]
    given = Counter(name for _, name in pairs)
    plain = {
        (server, name): _OTHER.sub("_", name if given[name] == 1 else f"{server}__{name}") for server, name in pairs
    }
    counts = Counter(plain.values())
    return {
        short if counts[short] == 1 and _fits(short) else _hashed(short, pair): pair for pair, short in plain.items()
    }


def _fits(name: str) -> bool:
    return 0 < len(name) <= MOST and not _LIKE_HASHED.search(name)


def _hashed(name: str, pair: tuple[str, str]) -> str:
    mark = hashlib.sha256("\0".join(pair).encode()).hexdigest()[:8]
    return f"{name[: MOST - 9] or 'tool'}_{mark}"
