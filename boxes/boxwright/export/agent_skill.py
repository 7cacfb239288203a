"""`--to skill`: an Agent Skill folder, whose script runs the box's tools without MCP. No sandbox in it."""

from __future__ import annotations

import json
import re
import shlex

from boxwright.box.examples import Example
from boxwright.box.folder import read_examples
from boxwright.box.release import Release, ToolSpec
from boxwright.export.fastmcp_script import data_files
from boxwright.export.script import make_script, one_line
from boxwright.jsontypes import pretty

_SCRIPT = "scripts/run.py"
_UNPRINTED = re.compile(r"[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def agent_skill(release: Release) -> dict[str, bytes]:
    """Return the files of the skill; the folder they go into bears the skill's name, as the specification asks.

    Raises:
        BadInput: The box's source would mean something else in a script of its own.
    """
    folder = skill_name(release)
    files = {
        "SKILL.md": f"---\n{_front_matter(release)}---\n\n{_body(release)}".encode(),
        "references/README.md": (release.folder / "README.md").read_bytes(),
        _SCRIPT: make_script(release, "running", "_boxwright_run"),
        **{f"scripts/{name}": content for name, content in data_files(release).items()},
    }
    return {f"{folder}/{name}": content for name, content in files.items()}


def skill_name(release: Release) -> str:
    """Return the box's name as skills are named: a-z, 0-9 and single hyphens between them, at most 64 characters."""
    return release.name.replace("_", "-")


def _front_matter(release: Release) -> str:
    about = release.manifest
    needs = f"Python {about.requires_python}" + (" and uv, for its packages" if about.dependencies else "")
    facts = {"box": release.name, "version": release.version, "digest": release.digest}
    facts |= about.provenance.model_dump(exclude_none=True)
    lines = [
        f"name: {skill_name(release)}",
        f"description: {quoted(about.description)}",
        f"license: {quoted(about.license)}",
        f"compatibility: {quoted(f'Needs {needs}. Runs without a sandbox.')}",
        "metadata:",
        *(f"  {key}: {quoted(value)}" for key, value in facts.items()),
    ]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """Return a text as a YAML string on one line, whatever is in it."""
    escaped = json.dumps(text, ensure_ascii=False)  # JSON's strings are YAML's, but for what YAML does not print
    return _UNPRINTED.sub(lambda one: f"\\u{ord(one[0]):04x}", escaped)


def _body(release: Release) -> str:
    about = release.manifest
    runner = "uv run" if about.dependencies else "python"
    examples = read_examples(release.folder)
    parts = [
        f"# {release.name} {release.version}\n",
        f"{_quote(about.description)}\n",
        f"Made: {one_line(release.origin)}. More about it: [references/README.md](references/README.md).\n",
        f"`{_SCRIPT}` takes a tool's name and its arguments as one JSON object (or reads them from stdin), and prints\n"
        "the result as JSON. Exit status 1 is a refusal; standard error then says what to change. Answer with the\n"
        "result instead of computing yourself.\n",
        *(_tool(tool, examples, runner) for tool in release.tools),
    ]
    return "\n".join(parts)


def _tool(tool: ToolSpec, examples: list[Example], runner: str) -> str:
    shown = next((one for one in examples if one.tool == tool.name and one.raises is None), None)
    text = f"## {tool.name}\n\n{_quote(tool.description)}\n\n"
    if shown:
        call = f"{runner} {_SCRIPT} {tool.name} {shlex.quote(json.dumps(shown.arguments))}"
        text += f"```sh\n{call}\n```\n\nprints `{_inline(json.dumps(shown.result))}`. "
    return f"{text}Arguments:\n\n```json\n{pretty(tool.input_schema)}```\n"


def _quote(text: str) -> str:
    """Return a text as a Markdown quotation, so that no line of it is taken for a part of the skill."""
    return "\n".join(f"> {one_line(line)}".rstrip() for line in text.splitlines())


def _inline(text: str) -> str:
    """Return a text that fits between two backticks."""
    return one_line(text.replace("`", "'"))
