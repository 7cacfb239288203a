"""`box.toml` as a value: what a box is called, may do and comes from. Files are read in `folder`, not here."""

from __future__ import annotations

import re
import tomllib
from typing import Annotated, Literal, Self

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from boxwright.box.names import name_fault, version_fault
from boxwright.errors import BoxInvalid

Method = Literal["hand-written", "mined", "repaired", "corpus"]


def _checked(fault: str | None, value: str) -> str:
    if fault:
        raise ValueError(fault)
    return value


def _python_range(value: str) -> str:
    try:
        SpecifierSet(value)
    except InvalidSpecifier as error:
        raise ValueError(f"{value!r} is no version range such as '>=3.11'") from error
    return value


def _pinned(value: str) -> str:
    try:
        requirement = Requirement(value)
    except InvalidRequirement as error:
        raise ValueError(f"{value!r} is no requirement such as 'sympy==1.13.3'") from error
    if [one.operator for one in requirement.specifier] != ["=="] or requirement.url:
        raise ValueError(f"{value!r} is not pinned; write '{requirement.name}==VERSION'")
    return value


def _relative(value: str) -> str:
    if not value.startswith("data/") or ".." in value.split("/"):
        raise ValueError(f"{value!r} is outside the box; a box may read only files under 'data/'")
    return value


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


class Permissions(_Table):
    """What box code may reach; nothing by default."""

    files: tuple[Annotated[str, AfterValidator(_relative)], ...] = Field(default=(), strict=False)
    """Files of the box that it reads, under `data/`."""
    network: Literal["none", "all"] = "none"
    """`all` asks for the user's explicit consent."""


class Limits(_Table):
    """What one call may use."""

    seconds: float = Field(default=10.0, gt=0, le=600, strict=False)
    """Wall-clock and processor seconds."""
    memory_mb: int = Field(default=512, ge=64, le=65536)
    """Address space, in MiB."""
    output_bytes: int = Field(default=1_000_000, ge=1000, le=64_000_000)
    """Length of the result as JSON."""
    processes: int = Field(default=32, ge=1, le=256)
    """Threads of a call; it may start no process of its own."""

    @model_validator(mode="after")
    def _output_fits(self) -> Self:
        if self.output_bytes > self.memory_mb << 18:  # the worker keeps room for it, beside Python and the box
            raise ValueError(f"output_bytes is {self.output_bytes}, and may be a quarter of memory_mb at most")
        return self


class Provenance(_Table):
    """Where a box comes from."""

    method: Method
    """How the box was made."""
    teacher: str | None = None
    """The model that wrote it."""
    label: str | None = None
    """What else a reader must know, such as `hand-written` completions in a teacher's place."""
    prompts: str | None = None
    """Digest of the prompts."""
    tasks: str | None = None
    """Digest of the ids of the tasks it was mined from."""
    parent: str | None = None
    """Digest of the release it was made from."""


class Manifest(_Table):
    """The content of `box.toml`."""

    format: Literal[1]
    """Version of this format."""
    name: Annotated[str, AfterValidator(lambda value: _checked(name_fault(value), value))]
    version: Annotated[str, AfterValidator(lambda value: _checked(version_fault(value), value))]
    summary: str = Field(min_length=1, max_length=100)
    description: str = Field(min_length=1, max_length=1024)
    """What it does, and when to use it."""
    license: str = Field(min_length=1)
    provenance: Provenance
    keywords: tuple[str, ...] = Field(default=(), strict=False)
    requires_python: Annotated[str, AfterValidator(_python_range)] = Field(default=">=3.11", alias="requires-python")
    dependencies: tuple[Annotated[str, AfterValidator(_pinned)], ...] = Field(default=(), strict=False)
    dependencies_optional: bool = Field(default=False, alias="dependencies-optional")
    """Whether it runs without them too, where the user's list lacks them."""
    permissions: Permissions = Permissions()
    limits: Limits = Limits()


def parse_manifest(text: str, where: str = "box.toml") -> Manifest:
    """Read a manifest.

    Raises:
        BoxInvalid: It is not TOML, or breaks rules; `faults` holds every one, each with its key and line.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BoxInvalid(where, [f"not TOML: {error}"]) from error
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        lines = _key_lines(text)
        raise BoxInvalid(
            where, [_fault(one["loc"], one["msg"], one["input"], lines) for one in error.errors()]
        ) from None


def _fault(location: tuple[int | str, ...], message: str, value: object, lines: dict[str, int]) -> str:
    keys = [str(part) for part in location if isinstance(part, str)]
    key = ".".join(keys)
    line = lines.get(key)
    where = f"line {line}, {key}" if line else key
    if message == "Field required":
        return f"{where}: missing; every manifest has it"
    if message.startswith("Extra inputs"):
        return f"{where}: unknown key; remove it or check its spelling"
    text = message.removeprefix("Value error, ")
    return f"{where}: {text}" if repr(value) in text else f"{where}: {text}, got {value!r}"


def _key_lines(text: str) -> dict[str, int]:
    """Return the line of each key and table, by dotted key; enough for messages, no parser."""
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[([\w.-]+)\]", line):
            table = header[1] + "."
            lines.setdefault(header[1], number)
        elif key := re.match(r"\s*([\w-]+)\s*=", line):
            lines.setdefault(table + key[1], number)
    return lines


def render_manifest(manifest: Manifest) -> str:
    """Return a manifest as `box.toml` text; reading it back gives an equal value, and equal values equal text."""
    content = manifest.model_dump(by_alias=True, exclude_none=True, exclude_defaults=True, warnings=False)
    tables = {key: value for key, value in content.items() if isinstance(value, dict)}
    lines = [f"{key} = {_toml(value)}" for key, value in content.items() if key not in tables]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda match: f"\\u{ord(match[0]):04x}", escaped) + '"'
    if isinstance(value, tuple | list):
        return f"[{', '.join(_toml(one) for one in value)}]"
    return repr(value)
