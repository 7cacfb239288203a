"""The names under which tools stand in code: Python names that hide nothing Python has."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable

FINAL = "final_answer"
"""The function that ends an attempt with an answer."""
KEYWORDS = frozenset(keyword.kwlist)
TAKEN = frozenset({*dir(builtins), *keyword.kwlist, *keyword.softkwlist, FINAL})
"""What no function may be named: it would hide, or be hidden by, what Python has."""


def python_names(names: Iterable[str], taken: frozenset[str] = TAKEN) -> dict[str, str]:
    """Return the Python name of each name, in order; what is one already, and is not taken, stays as it is."""
    wanted = list(dict.fromkeys(names))
    given: dict[str, str] = {name: name for name in wanted if name.isidentifier() and name not in taken}
    used = {*given, *taken}
    for name in wanted:
        if name not in given:
            given[name] = _free(name, used)
            used.add(given[name])
    return {name: given[name] for name in wanted}


def _free(name: str, used: set[str]) -> str:
    base = re.sub(r"\W", "_", name, flags=re.ASCII) or "_"
    base = f"_{base}" if base[0].isdigit() else base
    base = f"{base}_" if base in TAKEN else base
    return next(one for one in (base, *(f"{base}_{number}" for number in range(2, 10_000))) if one not in used)
