"""Feeds the trainer: processes that generate, render and encode episodes, and one that bins them by length."""

from __future__ import annotations

import multiprocessing
import os
import queue
import random
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from boxwright_training.pocket.chat import render
from boxwright_training.pocket.tokenizer import END_OF_TEXT, load_tokenizer

CHUNK = 64
"""Episodes that a worker encodes and sends at once."""
STEP = 64
"""Bins are this many tokens wide, so a row is padded by half of it on average."""
KEPT = 512
"""Batches of which one may be given again when none is fresh."""

Source = Callable[[random.Random, float], tuple[list[dict[str, Any]], list[dict[str, Any]]]]
"""Makes the tools and messages of one episode, given randomness and the level from 0 to 1."""


class Batch(NamedTuple):
    """Rows of about one length."""

    ids: NDArray[np.uint16]
    """`[rows, length]`, filled with `<|endoftext|>` at the right."""
    parts: NDArray[np.uint8]
    """`[rows, length]`: 0 filling, 1 told (prompt, tools, results), 2 spoken by the student."""
    last: int
    """The highest index of an episode that may be in it."""


@dataclass(frozen=True)
class Plan:
    """What is fed."""

    source: Callable[[], Source]
    """Called once in each worker; has to be picklable."""
    tokenizer: Path
    seed: int
    slots: int
    """Tokens of a batch, filling included, at most."""
    context: int
    """Longer episodes are left out."""
    first: int = 0
    """The index of the first episode."""


class Rows(NamedTuple):
    """Encoded episodes, one after another."""

    lengths: NDArray[np.int64]
    ids: NDArray[np.uint16]
    parts: NDArray[np.uint8]
    last: int


class Feed:
    """Batches without end; a context manager that ends its processes.

    Episode `i` is made from `f"{seed}/{i}"` and given once. Where the trainer is faster than the workers, a batch kept
    from before is given again, up to `uses` times in all.
    """

    def __init__(self, plan: Plan, *, workers: int, uses: int = 1) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._level: Synchronized[float] = spawn.Value("d", 0.0)
        self._rows = spawn.Queue(maxsize=4 * workers)  # kept: collected here, it would be gone for the processes
        self._batches = spawn.Queue(maxsize=16)
        self._processes = [
            spawn.Process(target=_work, args=(plan, number, workers, self._level, self._rows), daemon=True)
            for number in range(workers)
        ]
        self._processes.append(spawn.Process(target=_bin, args=(plan, self._rows, self._batches), daemon=True))
        self._kept: deque[tuple[Batch, int]] = deque(maxlen=KEPT)
        self._uses, self._random = uses, random.Random(plan.seed)
        self.fresh = self.again = 0

    def __enter__(self) -> Feed:
        for process in self._processes:
            process.start()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.join()

    def level(self, value: float) -> None:
        """Set how hard new episodes are, from 0 to 1."""
        self._level.value = value

    def take(self) -> Batch:
        """Give a fresh batch, or one kept from before, or wait.

        Raises:
            RuntimeError: A process that feeds has died; its own error is on standard error.
        """
        while True:
            try:
                # A batch is larger than a pipe: right after one, the next is not there at once however fast they come.
                batch: Batch = self._batches.get(timeout=0.02 if self._kept else 1)
            except queue.Empty:
                if self._kept:
                    return self._take_again()
                self._check()
                continue
            self.fresh += 1
            if self._uses > 1:
                self._kept.append((batch, 1))
            return batch

    def _take_again(self) -> Batch:
        self._check()
        self.again += 1
        self._kept.rotate(self._random.randrange(len(self._kept)))
        batch, used = self._kept.popleft()
        if used + 1 < self._uses:
            self._kept.append((batch, used + 1))
        return batch

    def _check(self) -> None:
        for process in self._processes:
            if process.exitcode is not None:
                raise RuntimeError(f"{process.name} of the feed ended with {process.exitcode}")


def _work(plan: Plan, number: int, workers: int, level: Synchronized[float], out: Any) -> None:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    source, encode = plan.source(), encoder(plan.tokenizer)
    index = plan.first + number
    while True:
        episodes = []
        for _ in range(CHUNK):
            episodes.append(source(random.Random(f"{plan.seed}/{index}"), level.value))
            index += workers
        out.put(encode(episodes, index))


def encoder(tokenizer: Path) -> Callable[[list[Any], int], Rows]:
    """Make the function that renders and encodes episodes (tools, messages); its second argument goes along as `last`.

    Pieces are encoded apart: they meet at control tokens and after a newline, where the cut falls anyway (tested).
    """
    held = load_tokenizer(tokenizer)

    def encode(episodes: list[Any], last: int) -> Rows:
        pieces = [render(messages, tools) for tools, messages in episodes]
        encoded = iter(held.encode_batch_fast([piece.text for row in pieces for piece in row]))
        ids: list[int] = []
        parts: list[NDArray[np.uint8]] = []
        lengths = []
        for row in pieces:
            before = len(ids)
            for piece in row:
                new = next(encoded).ids
                ids += new
                parts.append(np.full(len(new), 2 if piece.spoken else 1, np.uint8))
            lengths.append(len(ids) - before)
        return Rows(np.array(lengths), np.array(ids, np.uint16), np.concatenate(parts), last)

    return encode


def _bin(plan: Plan, rows: Any, out: Any) -> None:
    for batch in batches(iter(rows.get, None), plan.slots, plan.context):
        out.put(batch)


def batches(chunks: Iterator[Rows], slots: int, context: int) -> Iterator[Batch]:
    """Collect rows of about one length until they fill `slots`; those longer than `context` are dropped."""
    bins: dict[int, list[tuple[NDArray[np.uint16], NDArray[np.uint8]]]] = defaultdict(list)
    for chunk in chunks:
        ends = np.cumsum(chunk.lengths)
        for start, end in zip(ends - chunk.lengths, ends, strict=True):
            length = -(-int(end - start) // STEP) * STEP
            if length > min(context, slots):
                continue
            bins[length].append((chunk.ids[start:end], chunk.parts[start:end]))
            if len(bins[length]) == slots // length:
                yield _stack(bins.pop(length), length, chunk.last)


def _stack(rows: list[tuple[NDArray[np.uint16], NDArray[np.uint8]]], length: int, last: int) -> Batch:
    ids = np.full((len(rows), length), END_OF_TEXT, np.uint16)
    parts = np.zeros((len(rows), length), np.uint8)
    for number, (row, part) in enumerate(rows):
        ids[number, : len(row)], parts[number, : len(row)] = row, part
    return Batch(ids, parts, last)
