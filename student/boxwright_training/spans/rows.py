"""Token ids and span masks: what a model is trained on, a row for each rendered text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from boxwright.errors import BadInput
from boxwright.models.written import WrittenToken
from boxwright.traces import Trajectory
from boxwright_training.kinds import Kind
from boxwright_training.spans.chat import ChatMessage, Mistakes, Thoughts, chat_of
from boxwright_training.spans.placing import Placed, SpansInvalid, Template, place

if TYPE_CHECKING:
    from boxwright_training.importers import Sourced

__all__ = ["Row", "Rows", "Segmenter", "WrittenTurn"]

MOST_FAULTS_TOLD = 20


class WrittenTurn(NamedTuple):
    """A supervised turn, [start, end) of a row's tokens, whose model's own tokens were kept."""

    start: int
    end: int
    tokens: tuple[WrittenToken, ...]


@dataclass(frozen=True)
class Row:
    """One text to be learned.

    Attributes:
        ids: [length] token ids.
        kinds: [length] `Kind` of each token.
        source: file and row that it comes from.
        turns: how many supervised turns are in it.
        written: those of them whose model's own tokens were kept.
    """

    ids: NDArray[np.int32]
    kinds: NDArray[np.uint8]
    source: str
    turns: int
    written: tuple[WrittenTurn, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def count(self, kind: Kind) -> int:
        """How many tokens of a kind can be learned: the first of a row has nothing that predicts it."""
        return int((self.kinds[1:] == kind).sum())


@dataclass
class Rows:
    """What became of many trajectories."""

    rows: list[Row] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """Source and reason of each trajectory that gave no row."""
    counts: Counter[str] = field(default_factory=Counter)
    """Trajectories, rows, turns, turns cut off, tokens of each kind, and tokens that lie across two spans."""

    def told(self) -> str:
        """Say what became of them, in a few lines."""
        counts = self.counts
        lines = [
            f"{counts['trajectories']} trajectories gave {len(self.rows)} rows with {counts['turns']} turns: "
            + ", ".join(f"{counts[kind.name.lower()]} {kind.name.lower()}" for kind in Kind)
            + " tokens"
        ]
        if counts["divided"]:
            lines.append(
                f"{counts['divided']} trajectories became several rows, since the template writes a turn otherwise "
                "once others follow; one that does not (--template) learns them at once"
            )
        if counts["turns cut off"]:
            lines.append(
                f"{counts['turns cut off']} turns of {counts['rows cut']} rows did not fit the window and were left "
                "out; set a larger --window to keep them"
            )
        shown = self.faults[:MOST_FAULTS_TOLD]
        more = [f"... and {len(self.faults) - len(shown)} more"] if len(self.faults) > len(shown) else []
        return "\n".join([*lines, *shown, *more])


class Segmenter:
    """Renders, places and tokenizes with one tokenizer.

    A token belongs to the span of its first character: one that begins in the prompt is never supervised, since the
    student is given the prompt's tokens and cannot begin in the middle of one.

    Args:
        tokenizer: a fast tokenizer of transformers with a chat template.
        thoughts: where thinking goes.
        mistakes: whether calls that failed are learned.
        options: what else the template is given, such as `enable_thinking`.

    Raises:
        BadInput: The tokenizer gives no offsets, or has no template.
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        thoughts: Thoughts = "template",
        mistakes: Mistakes = "masked",
        options: dict[str, Any] | None = None,
    ) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise BadInput(
                f"{type(tokenizer).__name__} gives no character offsets, by which spans are placed; take the model's "
                "fast tokenizer (a folder with a tokenizer.json)"
            )
        if not tokenizer.chat_template:
            raise BadInput(
                f"the tokenizer {tokenizer.name_or_path!r} has no chat template; give one with --template "
                "FILE.jinja, or take the model's instruct version"
            )
        self.tokenizer, self.thoughts, self.mistakes, self.options = tokenizer, thoughts, mistakes, options or {}
        self._ends, self._tokens = _ends(tokenizer), _never_cut(tokenizer)

    def place(self, trajectory: Trajectory) -> list[Placed]:
        """Render a trajectory and place its spans.

        Raises:
            SpansInvalid: They cannot be placed; the message says why.
        """
        chat = chat_of(trajectory, self.thoughts, self.mistakes)
        if not any(one.role == "assistant" and one.supervised for one in chat.messages):
            raise SpansInvalid("nothing in it was said by a model that could be learned")
        tools = list(chat.tools) or None

        def render(messages: Sequence[ChatMessage], ask: bool) -> str:
            return self._render([one.wire() for one in messages], tools, ask)

        return place(chat, Template(render, self._ends, self._tokens))

    def rows(self, found: Iterable[Sourced], window: int) -> Rows:
        """Turn trajectories into rows of at most `window` tokens.

        A row that is longer is cut behind the last turn that fits; a trajectory that gives no row is listed.
        """
        rows = Rows()
        for trajectory, source in found:
            rows.counts["trajectories"] += 1
            try:
                placed = self.place(trajectory)
            except SpansInvalid as error:
                rows.faults.append(f"{source}: {error}")
                continue
            before = len(rows.rows)
            for one in placed:
                self._add(rows, one, source, window)
            rows.counts["divided"] += len(placed) > 1
            if len(rows.rows) == before:
                rows.faults.append(
                    f"{source}: even its first turn does not fit a window of {window} tokens; set a larger --window"
                )
        return rows

    def tokens(self, placed: Placed) -> tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.int64], int]:
        """Return ids, kinds and start offsets of the tokens of a text, and how many lie across two spans."""
        coded = self.tokenizer(placed.text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        offsets = np.array(coded["offset_mapping"], np.int64).reshape(-1, 2)
        kinds = np.frombuffer(placed.kinds, np.uint8)
        starts = np.minimum(offsets[:, 0], len(kinds) - 1)
        lasts = np.clip(offsets[:, 1] - 1, starts, len(kinds) - 1)
        across = int((kinds[starts] != kinds[lasts]).sum())
        return np.array(coded["input_ids"], np.int32), kinds[starts], starts, across

    def _add(self, rows: Rows, placed: Placed, source: str, window: int) -> None:
        ids, kinds, starts, across = self.tokens(placed)
        # The first token of what follows a turn is where the turn's tokens end.
        turns, length = np.searchsorted(starts, placed.turns).tolist(), len(ids)
        if length > window:
            fit = [end for _, end in turns if end <= window]
            rows.counts["turns cut off"] += len(turns) - len(fit)
            rows.counts["rows cut"] += len(fit) < len(turns)
            if not fit:
                return
            length = fit[-1]
            turns = turns[: len(fit)]
        written = tuple(
            WrittenTurn(start, end, tokens)
            for (start, end), tokens in zip(turns, placed.written, strict=False)  # fewer turns where some were cut off
            if tokens
        )
        row = Row(ids[:length], kinds[:length], source, len(turns), written)
        rows.rows.append(row)
        rows.counts["turns"] += len(turns)
        rows.counts["across two spans"] += across
        for kind in Kind:
            rows.counts[kind.name.lower()] += row.count(kind)

    def _render(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None, ask: bool) -> str:
        from jinja2 import TemplateError

        try:
            text: str = self.tokenizer.apply_chat_template(
                messages, tools=tools, tokenize=False, add_generation_prompt=ask, **self.options
            )
        except (TemplateError, TypeError, AttributeError, KeyError, IndexError, ValueError) as error:
            raise SpansInvalid(
                f"the chat template refuses the conversation ({type(error).__name__}: {error})"
            ) from error
        return text


def _ends(tokenizer: Any) -> tuple[str, ...]:
    special = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    return tuple(dict.fromkeys([*([tokenizer.eos_token] if tokenizer.eos_token else []), *special]))


def _never_cut(tokenizer: Any) -> re.Pattern[str] | None:
    tokens = sorted(tokenizer.added_tokens_encoder, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, tokens))) if tokens else None
