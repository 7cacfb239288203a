"""Pasted into the script of an exported skill: calls one tool from the command line. Standard library only."""

from typing import Any

from boxwright.export.templates.calling import _boxwright_call

# pasted from here on


def _boxwright_run(functions: "dict[str, Any]", box: "dict[str, Any]") -> None:
    """Read a tool's name and its arguments as JSON, write its result as JSON; the exit status is 1 for a refusal."""
    import json
    import sys

    tools = {tool["name"]: tool for tool in box["tools"]}
    words = sys.argv[1:]
    if len(words) not in (1, 2) or words[0] not in tools:
        known = [f"  {name} {json.dumps(tool['input_schema'])}" for name, tool in tools.items()]
        sys.stderr.write("\n".join([f"usage: {sys.argv[0]} TOOL [ARGUMENTS AS JSON]; TOOL is one of", *known, ""]))
        sys.exit(2)
    try:
        arguments = json.loads(words[1] if len(words) == 2 else sys.stdin.read())
    except ValueError as error:
        sys.exit(f"the arguments are no JSON: {error}")
    try:
        result = _boxwright_call(functions, tools[words[0]], arguments)
        sys.stdout.write(json.dumps(result, allow_nan=False) + "\n")
    except ValueError as error:
        sys.exit(str(error))
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {error}")
