"""The settings of Boxwright, read from `BOXWRIGHT_…` variables; every command's options override them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_data_path
from pydantic import BeforeValidator, Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from boxwright.errors import BadInput


def _split(value: Any) -> Any:
    return value.replace(",", " ").split() if isinstance(value, str) else value


Listing = Literal["auto", "tools", "search"]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Several values; in a variable, with commas between them."""
SandboxChoice = Literal["auto", "bubblewrap", "docker", "process"]


class Settings(BaseSettings):
    """All settings; each field is the variable `BOXWRIGHT_` and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="BOXWRIGHT_", extra="ignore")

    home: Path = Field(default_factory=lambda: user_data_path("boxwright"))
    """Where the registry, runs and trajectories live unless told otherwise."""
    registry: Path | None = None
    """The user's registry folder; by default `registry` under `home`."""
    library: bool = True
    """Whether the boxes that ship with the product are served below the user's."""
    shadow: bool = False
    """Whether a box of the user's registry may hide the shipped box of the same name."""
    sandbox: SandboxChoice = "auto"
    """Which sandbox runs box code: the best one found here, or one by name."""
    docker_image: str = "python:3.11-slim"
    """The image whose Python runs boxes in the Docker sandbox; it is never pulled unasked."""
    packages: Names = ()
    """The packages that boxes may depend on, by name; none by default."""
    teacher: str = "litellm/gpt-4o"
    """The model that makes boxes."""
    student: str = "ollama/qwen3:8b"
    """The model that uses boxes."""
    mcp: Path | None = None
    """An mcp.json whose servers the student uses; our own box server, where there is none."""
    ollama_url: str = "http://127.0.0.1:11434"
    """Where Ollama listens."""
    context_tokens: int = Field(default=16384, ge=512)
    """The context window that is asked of a local model; never more than the model has."""
    thinking: bool = False
    """Whether a local model that can reason before it answers is let; it takes tokens, and spoils some tool calls."""
    keep_alive: str = Field(default="10m", pattern=r"^-?(\d+(\.\d+)?(ms|s|m|h)?)+$")
    """How long Ollama keeps a model loaded after an answer: `10m`, `1h30m`, seconds, or `-1` for ever."""
    boxes: Names = ()
    """The boxes that are served; all, where none is named."""
    lock: Path | None = None
    """A lock file: what is served is exactly what it pins."""
    listing: Listing = "auto"
    """How tools are shown to clients: all, through a search, or (`auto`) all while they fit `listing_tokens`."""
    listing_tokens: int = Field(default=6000, ge=0)
    """How many tokens of tool definitions a listing may hold before it gives way to a search."""
    allowed_hosts: Names = ()
    """Names under which the server may be addressed over HTTP, beside localhost and the address it listens on."""
    allowed_origins: Names = ()
    """Web origins whose pages may call the server over HTTP."""
    auth_public_key: str | None = None
    """The key that signs clients' tokens: PEM text, or a file of it."""
    auth_jwks_url: str | None = None
    """Where the keys that sign clients' tokens are published, in place of one key."""
    auth_issuer: str | None = None
    """Who must have issued a token."""
    auth_audience: str | None = None
    """Whom a token must be meant for."""
    rate: float = Field(default=0, ge=0, allow_inf_nan=False)
    """Requests a second that each client may make, in bursts of twice as many; 0 sets no limit."""
    audit_log: Path | None = None
    """A file that takes one JSON line for every call: who, what, how it ended; never the values."""
    drain_seconds: float = Field(default=20, ge=0, allow_inf_nan=False)
    """How long calls that are under way may go on when the server is told to stop."""
    budget_usd: float = Field(default=5.0, ge=0)
    """What a run may spend, in dollars, before it stops cleanly."""
    budget_tokens: int = Field(default=2_000_000, ge=0)
    """What a run may use, in tokens, before it stops cleanly."""

    def __init__(self, **values: Any) -> None:
        """Read the environment; the values given go before it.

        Raises:
            BadInput: A variable holds what its setting cannot be.
        """
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise BadInput("; ".join(_fault(one) for one in error.errors())) from error

    @property
    def registry_folder(self) -> Path:
        """The folder of the user's registry."""
        return self.registry or self.home / "registry"


def _fault(error: ErrorDetails) -> str:
    return f"BOXWRIGHT_{str(error['loc'][0]).upper()}={error['input']!r}: {error['msg']}"
