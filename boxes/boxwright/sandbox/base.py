"""The protocol every sandbox follows, and the two protocols' rules that callers rely on."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from boxwright.box.release import Release
from boxwright.jsontypes import Json


class Worker(Protocol):
    """One live sandbox for one release; it takes one call at a time."""

    async def call(self, tool: str, arguments: dict[str, Any]) -> Json:
        """Run the tool in a fresh child of the worker and return its result, which is finite JSON.

        Raises:
            ToolRefused: The tool raised `ValueError`.
            ToolFailed: The tool raised anything else, or ended without a result.
            ToolLimitReached: Seconds, memory or output ran over the release's limits.
            ToolResultInvalid: The result is not finite JSON.
            WorkerLost: The worker died or broke its protocol; it is unusable from here on.
        """

    async def describe(self) -> dict[str, Any]:
        """Return the tools the box's source defines and the faults found in it: `{"tools": [...], "faults": [...]}`.

        Raises:
            WorkerLost: The worker died or broke its protocol.
        """

    @property
    def alive(self) -> bool:
        """Whether another call may be tried."""

    async def close(self) -> None:
        """End the worker and everything in it. May be called twice."""


class Sandbox(Protocol):
    """A way to run box code."""

    @property
    def name(self) -> str:
        """The sandbox's name, as settings spell it."""

    def worker(self, release: Release) -> AbstractAsyncContextManager[Worker]:
        """Start a worker for the release, after checking that its files are those of its digest.

        Raises:
            DigestMismatch: The files were changed.
            SandboxMissing: This sandbox may not run the release.
            WorkerLost: The worker did not start: the box's import failed or hung.
        """

    async def start(self, release: Release) -> Worker:
        """As `worker`, for callers that keep the worker and close it themselves."""
