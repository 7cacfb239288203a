"""Every error Boxwright raises on purpose, in one tree; anything outside it is a bug.

BoxwrightError
├── ModelMayRetry               told to the model, which may try again
│   ├── ArgumentsInvalid        the arguments do not fit the tool's schema
│   ├── ToolUnknown             no such tool is mounted
│   ├── ToolRefused             the tool raised ValueError: its own rule was broken
│   ├── ToolFailed              the tool raised anything else, or ended without a result
│   ├── ToolLimitReached        time, memory or output ran over the box's limits
│   └── ToolResultInvalid       the result is not finite JSON, or breaks the tool's schema
└── CallerMustHandle            told to the person or program that asked
    ├── BadInput                a value, file or option breaks a rule
    │   ├── BoxInvalid          a box folder has faults (all of them, at once)
    │   ├── TasksInvalid        a tasks file has faults
    │   └── RecordInvalid       a trace, recording or run folder cannot be read
    ├── NotFound                no such box, version, tool, suite, model (with the near misses)
    ├── RegistryError           the registry cannot do what was asked
    │   ├── ReleaseExists       published releases are never rewritten
    │   ├── StepTooSmall        the version says less than what changed
    │   ├── PinUnmet            a pin by version or digest that no release meets
    │   └── DigestMismatch      the files are not those that were published
    ├── SandboxError            box code could not be run at all
    │   ├── SandboxMissing      no sandbox here that may run this release
    │   └── WorkerLost          the worker hung, could not import the box or broke its protocol
    │       └── WorkerEnded     the worker ended under a call, which may be made again
    ├── ModelError              the model could not answer
    │   ├── ModelUnreachable    no answer from its server, or it lacks the model or the key
    │   ├── ContextOverflow     the prompt did not fit the model's window
    │   ├── RecordingMiss       a replay was asked for something it does not hold
    │   └── BudgetSpent         the budget in dollars or tokens is used up
    ├── ToolsUnreachable        a tool server cannot be started or reached, or keeps ending
    └── ExtraMissing            an optional dependency is not installed
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

__all__ = [
    "ArgumentsInvalid",
    "BadInput",
    "BoxInvalid",
    "BoxwrightError",
    "BudgetSpent",
    "CallerMustHandle",
    "ContextOverflow",
    "DigestMismatch",
    "ExtraMissing",
    "ModelError",
    "ModelMayRetry",
    "ModelUnreachable",
    "NotFound",
    "PinUnmet",
    "RecordInvalid",
    "RecordingMiss",
    "RegistryError",
    "ReleaseExists",
    "SandboxError",
    "SandboxMissing",
    "StepTooSmall",
    "TasksInvalid",
    "ToolFailed",
    "ToolLimitReached",
    "ToolRefused",
    "ToolResultInvalid",
    "ToolUnknown",
    "ToolsUnreachable",
    "WorkerEnded",
    "WorkerLost",
]


class BoxwrightError(Exception):
    """Base of every error raised on purpose. Never raised itself."""


class ModelMayRetry(BoxwrightError):
    """The call went wrong in a way its caller, usually a model, can mend. Never raised itself."""


class ArgumentsInvalid(ModelMayRetry):
    """The arguments do not fit the tool's input schema."""


class ToolUnknown(ModelMayRetry):
    """No tool of that name is mounted."""


class ToolRefused(ModelMayRetry):
    """The tool raised `ValueError`; the message is the tool author's own."""


class ToolFailed(ModelMayRetry):
    """The tool raised something other than `ValueError`, or ended without a result."""


class ToolLimitReached(ModelMayRetry):
    """The call ran over the box's limit of seconds, memory or output bytes."""


class ToolResultInvalid(ModelMayRetry):
    """The result is not finite JSON, or does not fit the tool's output schema."""


class CallerMustHandle(BoxwrightError):
    """Something the person or the calling program has to put right. Never raised itself."""


class BadInput(CallerMustHandle):
    """A value, file or option breaks a rule."""


class _Faults(BadInput):
    def __init__(self, subject: str, faults: Sequence[str]) -> None:
        self.subject = subject
        self.faults = tuple(faults)
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__("\n".join([f"{subject} has {count}:", *(f"  - {fault}" for fault in faults)]))


class BoxInvalid(_Faults):
    """A box folder has faults; `faults` holds every one found."""


class TasksInvalid(_Faults):
    """A tasks file has faults; `faults` holds every one found."""


class RecordInvalid(BadInput):
    """A trace, a recording or a run folder cannot be read."""


class NotFound(CallerMustHandle):
    """Nothing has that name; the message lists what comes near."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        self.kind, self.name = kind, name
        self.near = near_misses(name, known)
        super().__init__(f"no {kind} {name!r}{did_you_mean(self.near)}" + (f" ({hint})" if hint else ""))


class RegistryError(CallerMustHandle):
    """The registry cannot do what was asked."""


class ReleaseExists(RegistryError):
    """That version is published already, and published releases are never rewritten."""


class StepTooSmall(RegistryError):
    """The new version number says less than what changed since the one before."""


class PinUnmet(RegistryError):
    """What was pinned by version or digest is not there, is another, or was yanked. Nothing is used in its place."""


class DigestMismatch(RegistryError):
    """The files of a release are not those that were published."""


class SandboxError(CallerMustHandle):
    """Box code could not be run at all."""


class SandboxMissing(SandboxError):
    """No sandbox on this machine may run this release."""


class WorkerLost(SandboxError):
    """The worker hung, could not import the box, or broke its protocol."""


class WorkerEnded(WorkerLost):
    """The worker ended under a call. Calls leave nothing behind, so it may be made again on another one."""


class ModelError(CallerMustHandle):
    """The model could not answer."""


class ModelUnreachable(ModelError):
    """The model's server gave no answer, or lacks the model, the key or the right."""


class ContextOverflow(ModelError):
    """The prompt did not fit the model's window: its server refused it, or cut it and was found out."""

    def __init__(self, uri: str, prompt_tokens: int | None, context_tokens: int | None, said: str = "") -> None:
        self.prompt_tokens, self.context_tokens = prompt_tokens, context_tokens
        prompt = "the prompt" if prompt_tokens is None else f"the prompt of {prompt_tokens} tokens"
        window = "the model's window" if context_tokens is None else f"the model's window of {context_tokens} tokens"
        super().__init__(
            f"{uri}: {prompt} does not fit {window}{f' ({said})' if said else ''}; "
            "set BOXWRIGHT_CONTEXT_TOKENS higher if the model has room, or show it fewer tools"
        )


class RecordingMiss(ModelError):
    """A replay was asked for a completion that the recording does not hold."""


class BudgetSpent(ModelError):
    """The budget in dollars or tokens is used up; what was done so far is kept."""


class ToolsUnreachable(CallerMustHandle):
    """A tool server cannot be started or reached, or keeps ending."""


class ExtraMissing(CallerMustHandle):
    """An optional dependency is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{what} needs the extra {extra!r}; run: pip install 'boxwright[{extra}]'")


def near_misses(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Return up to `most` of the known names that look like `name`, best first."""
    return difflib.get_close_matches(name, list(known), n=most, cutoff=0.5)


def did_you_mean(near: Sequence[str]) -> str:
    """Return the half sentence that offers near misses, or nothing where there are none."""
    return f"; did you mean {' or '.join(repr(one) for one in near)}?" if near else ""
