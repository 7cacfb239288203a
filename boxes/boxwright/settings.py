"""The settings of Boxwright, read from `BOXWRIGHT_…` variables; every command's options override them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from platformdirs import user_data_path
from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from boxwright.errors import BadInput

SandboxChoice = Literal["auto", "bubblewrap", "process"]


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
    teacher: str = "litellm/gpt-4o"
    """The model that makes boxes."""
    student: str = "ollama/qwen3:8b"
    """The model that uses boxes."""
    ollama_url: str = "http://127.0.0.1:11434"
    """Where Ollama listens."""
    context_tokens: int = Field(default=16384, ge=512)
    """The context window that is asked of a local model."""
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
            faults = [
                f"BOXWRIGHT_{str(one['loc'][0]).upper()}={one['input']!r}: {one['msg']}" for one in error.errors()
            ]
            raise BadInput("; ".join(faults)) from error

    @property
    def registry_folder(self) -> Path:
        """The folder of the user's registry."""
        return self.registry or self.home / "registry"


def _fault(error: ErrorDetails) -> str:
    return f"BOXWRIGHT_{str(error['loc'][0]).upper()}={error['input']!r}: {error['msg']}"
