"""Reading a teacher's draft of a box and writing it as a folder. Nothing is run here."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from boxwright.box.examples import parse_examples
from boxwright.box.manifest import Manifest, Provenance, parse_manifest, render_manifest
from boxwright.errors import BoxInvalid
from boxwright.files import writable

BLOCKS = ("box", "tools.py", "examples.jsonl", "calls.jsonl")
_FENCE = re.compile(r"^```\w*[ \t]+(\S+)[ \t]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)


class OriginCall(BaseModel):
    """The call that answers one of the tasks the draft was made from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Draft:
    """A box as a teacher wrote it."""

    about: dict[str, Any]
    """Name, summary, description and keywords."""
    tools: str
    examples: str
    calls: tuple[OriginCall, ...]

    @property
    def name(self) -> str:
        """The box's name."""
        return str(self.about.get("name", ""))


def read_draft(text: str) -> Draft:
    """Read the four blocks of a draft.

    Raises:
        BoxInvalid: Blocks are missing or cannot be read; `faults` holds every one, in words for the teacher.
    """
    blocks = dict(_FENCE.findall(text))
    faults = [f"the block {name!r} is missing" for name in BLOCKS if name not in blocks]
    about: dict[str, Any] = {}
    calls: list[OriginCall] = []
    try:
        about = json.loads(blocks.get("box", "{}"))
        if not isinstance(about, dict):
            raise ValueError("not an object")
    except ValueError as error:
        faults.append(f"the block 'box' is not a JSON object ({error})")
    for number, line in enumerate(blocks.get("calls.jsonl", "").splitlines(), start=1):
        try:
            calls += [OriginCall.model_validate_json(line)] if line.strip() else []
        except ValidationError as error:
            faults += [f"calls.jsonl line {number}: {one['msg']}" for one in error.errors()]
    try:
        parse_examples(blocks.get("examples.jsonl", ""))
    except BoxInvalid as error:
        faults += [f"examples.jsonl {fault}" for fault in error.faults]
    if faults:
        raise BoxInvalid("the draft", faults)
    return Draft(about, blocks["tools.py"], blocks["examples.jsonl"], tuple(calls))


def write_draft(draft: Draft, folder: Path, version: str, provenance: Provenance) -> Manifest:
    """Write the draft as a box folder and return its manifest.

    Raises:
        BoxInvalid: What the teacher wrote of the box breaks the manifest's rules.
        BadInput: The folder cannot be written.
    """
    known = {key: draft.about[key] for key in ("name", "summary", "description", "keywords") if key in draft.about}
    loose = Manifest.model_construct(
        format=1,
        version=version,
        license="Apache-2.0",
        provenance=provenance,
        **known,  # checked just below
    )
    manifest = parse_manifest(render_manifest(loose), "the draft's block 'box'")
    with writable(folder):
        (folder / "box.toml").write_text(render_manifest(manifest), encoding="utf-8")
        (folder / "tools.py").write_text(draft.tools, encoding="utf-8")
        (folder / "examples.jsonl").write_text(draft.examples, encoding="utf-8")
        (folder / "README.md").write_text(_readme(manifest), encoding="utf-8")
    return manifest


def _readme(manifest: Manifest) -> str:
    origin = manifest.provenance
    by = f"Mined with {origin.teacher}" + (f" ({origin.label})" if origin.label else "")
    return f"# {manifest.name}\n\n{manifest.summary}.\n\n{manifest.description}\n\n{by}.\n"
