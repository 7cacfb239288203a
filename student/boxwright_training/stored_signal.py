"""Log-probabilities that an API gave and a trajectory kept, as a teacher's signal: `boxwright train --teacher stored`.

They count where the teacher's tokens are the student's own: from the start of a turn, one by one, by their bytes. From
the first that is another one on, the rest of the turn has no signal (a template may write a call otherwise than the
model did): there the token itself has the probability 1, which makes the KL its cross-entropy. So it has where a server
tells a letter in place of the tokens it is made of. Of the likeliest tokens, one that the student has none for counts
to the tail, with all that were not stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from boxwright.errors import BadInput
from boxwright.models.written import WrittenToken
from boxwright_training.kinds import Kind
from boxwright_training.spans import Row
from boxwright_training.teacher_cache import Said, TeacherCache
from boxwright_training.token_texts import parts, shown, token_texts

__all__ = ["LEAST_SAME", "STORED", "stored_signal"]

STORED = "stored"
"""What names this signal in the place of a teacher."""
LEAST_SAME = 0.5
"""The share of reasoning tokens with stored log-probabilities that have to be the student's: less is no accident."""
_LEARNED = (Kind.REASON, Kind.ACT)
_LONGEST_LETTER = 8
"""Tokens that a letter may be made of, with some to spare."""


def stored_signal(rows: Sequence[Row], tokenizer: Any, tell: Callable[[str], None]) -> TeacherCache:
    """Return what is stored of the rows' supervised tokens.

    Args:
        rows: What is learned.
        tokenizer: The student's, a fast one of transformers.
        tell: Takes the line that says how many tokens have a signal.

    Raises:
        BadInput: Nothing is stored, or its tokens are not the student's.
    """
    if not any(row.written for row in rows):
        raise BadInput(
            f"--teacher {STORED}: none of the {len(rows)} rows holds log-probabilities; make trajectories that do with "
            "`boxwright run … --logprobs 20`, import chats whose assistant messages have `logprobs`, or leave "
            "--teacher out (cross-entropy)"
        )
    matching = _Matching(token_texts(tokenizer))
    found = [matching.row(row) for row in rows]
    matching.refuse_others()
    tell(matching.told())
    k = max(ids.shape[1] for ids, _, _ in found)
    return TeacherCache.of([_widened(one, k) for one in found])


class _Matching:
    """Finds stored tokens among a student's, and counts how many are its own."""

    def __init__(self, texts: list[str]) -> None:
        self._texts = texts
        self._ids = {text: number for number, text in enumerate(texts) if text}
        self._all: Counter[Kind] = Counter()
        self._stored: Counter[Kind] = Counter()
        self._same: Counter[Kind] = Counter()
        self._signalled: Counter[Kind] = Counter()
        self._difference = ""

    def row(self, row: Row) -> Said:
        """Return what is stored of a row's supervised tokens, and the token itself where nothing is."""
        signal = self._signal(row)
        columns = np.flatnonzero(np.isin(row.kinds, _LEARNED))
        columns = columns[columns > 0]
        kinds = [Kind(kind) for kind in row.kinds[columns]]
        in_turns = {column for turn in row.written for column in range(turn.start, turn.end)}
        signalled = {column for column, found in signal.items() if found}
        for counts, held in ((self._stored, in_turns), (self._same, signal), (self._signalled, signalled)):
            counts.update(kind for kind, column in zip(kinds, columns.tolist(), strict=True) if column in held)
        self._all.update(kinds)
        told = [signal.get(int(column)) or {int(row.ids[column]): 0.0} for column in columns]
        k = max(map(len, told), default=1)
        ids, log_p = np.zeros((len(told), k), np.int32), np.full((len(told), k), -np.inf)
        for place, one in enumerate(told):
            ids[place, : len(one)], log_p[place, : len(one)] = list(one), list(one.values())
        return ids, log_p.astype(np.float16), columns.astype(np.int32)

    def refuse_others(self) -> None:
        """Check that the stored tokens are the student's.

        Raises:
            BadInput: Hardly any is.
        """
        kinds = [Kind.REASON] if self._stored[Kind.REASON] else list(_LEARNED)
        stored, alike = (sum(counts[kind] for kind in kinds) for counts in (self._stored, self._same))
        if alike < LEAST_SAME * stored:
            first = f"the first difference is {self._difference}" if self._difference else "they end before"
            raise BadInput(
                f"--teacher {STORED}: of {stored} tokens in turns with stored log-probabilities, {alike} are the "
                f"student's own ({first}). An API teacher with another tokenizer gives no KL: leave --teacher out "
                "(cross-entropy). If the tokenizer is the same, the template begins a turn otherwise than the API did: "
                "set --template, --template-option or --thoughts"
            )

    def told(self) -> str:
        """Say how many tokens have a signal, and where the first of the others is."""
        shares = " and ".join(f"{self._signalled[kind]} of {self._all[kind]} {kind.name.lower()}" for kind in _LEARNED)
        more = f"; the first difference is {self._difference}" if self._difference else ""
        return (
            f"log-probabilities are stored of {shares} tokens; others are learned as they stand (cross-entropy){more}"
        )

    def _signal(self, row: Row) -> dict[int, dict[int, float]]:
        """Return what is stored, by column: the token and the likeliest in its place, by id; or nothing of a letter."""
        signal: dict[int, dict[int, float]] = {}
        for turn in row.written:
            column, texts = turn.start, [self._texts[number] for number in row.ids[: turn.end]]
            for one in turn.tokens:
                if column == turn.end:
                    break
                own = int(row.ids[column])
                ends = column == turn.end - 1 and not one.token  # as llama.cpp tells what ends a turn
                if ends or texts[column] == one.token:
                    signal[column] = self._likeliest(own, one)
                    column += 1
                elif count := parts(one.token, texts[column : column + _LONGEST_LETTER]):
                    signal |= {at: {} for at in range(column, column + count)}
                    column += count
                else:
                    self._differ(row.source, column - turn.start, one.token, texts[column])
                    break
        return signal

    def _differ(self, source: str, place: int, there: str, here: str) -> None:
        if not self._difference:
            self._difference = f"{source}, token {place + 1} of a turn, {shown(there)} there and {shown(here)} here"

    def _likeliest(self, own: int, one: WrittenToken) -> dict[int, float]:
        found = {own: one.logprob}
        for text, logprob in one.likeliest:
            number = self._ids.get(text)
            if number is not None and text != one.token:
                found.setdefault(number, logprob)
        return found


def _widened(said: Said, k: int) -> Said:
    ids, log_p, columns = said
    more = ((0, 0), (0, k - ids.shape[1]))
    return np.pad(ids, more), np.pad(log_p, more, constant_values=-np.inf), columns
