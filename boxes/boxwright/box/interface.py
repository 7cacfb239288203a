"""What changed between two releases' interfaces, and the least version step for it. Compares schemas, runs nothing.

Arguments are judged contravariantly and results covariantly: a release may accept more and return less than the one
before, and whoever called that one is served as before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from boxwright.box.names import version_key
from boxwright.box.release import ToolSpec
from boxwright.jsontypes import canonical

Step = Literal["patch", "minor", "major"]
_ORDER: tuple[Step, ...] = ("patch", "minor", "major")


def step_between(old: str, new: str) -> Step:
    """Return which number of the version grew."""
    before, after = version_key(old), version_key(new)
    if after[0] != before[0]:
        return "major"
    return "minor" if after[1] != before[1] else "patch"


def enough(taken: Step, needed: Step) -> bool:
    """Say whether the step taken says at least what is needed."""
    return _ORDER.index(taken) >= _ORDER.index(needed)


def changes(old: Sequence[ToolSpec], new: Sequence[ToolSpec]) -> list[tuple[Step, str]]:
    """Return each change of the interface with the step it needs, the largest step first."""
    before, after = {tool.name: tool for tool in old}, {tool.name: tool for tool in new}
    found: list[tuple[Step, str]] = [("major", f"tool {name!r} was removed") for name in before if name not in after]
    found += [("minor", f"tool {name!r} was added") for name in after if name not in before]
    for name in before.keys() & after.keys():
        found += _tool_changes(before[name], after[name])
    return sorted(found, key=lambda change: (-_ORDER.index(change[0]), change[1]))


def _tool_changes(old: ToolSpec, new: ToolSpec) -> list[tuple[Step, str]]:
    name, found = old.name, list[tuple[Step, str]]()
    before, after = old.input_schema["properties"], new.input_schema["properties"]
    for parameter in sorted(before.keys() | after.keys()):
        what = f"tool {name!r}: parameter {parameter!r}"
        needed_now = parameter in new.input_schema["required"]
        if parameter not in after:
            found.append(("major", f"{what} was removed"))
        elif parameter not in before:
            found.append(
                ("major", f"{what} was added and is required") if needed_now else ("minor", f"{what} was added")
            )
        elif needed_now and parameter not in old.input_schema["required"]:
            found.append(("major", f"{what} is now required"))
        elif parameter in old.input_schema["required"] and not needed_now:
            found.append(("minor", f"{what} is no longer required"))
        elif not covers(after[parameter], before[parameter]):
            found.append(("major", f"{what} takes less than before"))
        elif not covers(before[parameter], after[parameter]):
            found.append(("minor", f"{what} takes more than before"))
        elif canonical(before[parameter].get("default")) != canonical(after[parameter].get("default")):
            found.append(("minor", f"{what} has another default"))
    if not covers(old.output_schema, new.output_schema):
        found.append(("major", f"tool {name!r} returns what it did not before"))
    elif not covers(new.output_schema, old.output_schema):
        found.append(("minor", f"tool {name!r} promises more of its result"))
    return found


def covers(wide: dict[str, Any], narrow: dict[str, Any]) -> bool:
    """Say whether every value of the narrow schema fits the wide one, for schemas as a build derives them.

    Where it cannot tell it says no, so that a step is asked for rather than missed.
    """
    if "anyOf" in narrow:
        return all(covers(wide, one) for one in narrow["anyOf"])
    if "anyOf" in wide:
        return any(covers(one, narrow) for one in wide["anyOf"])
    if "enum" in wide:
        return "enum" in narrow and set(map(canonical, narrow["enum"])) <= set(map(canonical, wide["enum"]))
    if "type" not in wide:
        return "type" not in narrow or not wide
    kinds = (wide["type"], narrow.get("type"))
    if kinds == ("number", "integer"):
        return True
    if kinds[0] != kinds[1]:
        return False
    if kinds[0] == "array":
        return "items" not in wide or ("items" in narrow and covers(wide["items"], narrow["items"]))
    return kinds[0] != "object" or _object_covers(wide, narrow)


def _object_covers(wide: dict[str, Any], narrow: dict[str, Any]) -> bool:
    rest = wide.get("additionalProperties", True)
    known, fields = wide.get("properties", {}), narrow.get("properties", {})
    if set(wide.get("required", ())) - set(narrow.get("required", ())):
        return False
    for name, schema in fields.items():
        if name not in known and rest is False:
            return False
        target = known.get(name, rest)
        if isinstance(target, dict) and not covers(target, schema):
            return False
    narrow_rest = narrow.get("additionalProperties", True)
    if rest is True or narrow_rest is False:
        return True
    return isinstance(rest, dict) and isinstance(narrow_rest, dict) and covers(rest, narrow_rest)
