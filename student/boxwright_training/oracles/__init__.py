"""Oracles: seeded programs that make tasks of a suite, solve them exactly and write their steps down as trajectories.

This is training data that no model wrote: the tasks' sentences are templates of ours, each split its own, and what is
said and called on the way is what the solving does. Results come from the library's boxes, in the sandbox.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice

from boxwright.errors import BadInput, NotFound
from boxwright.settings import Settings
from boxwright.tasks import Split, Task
from boxwright.tasks.task import SPLITS
from boxwright.traces import TraceStore, Trajectory
from boxwright_training.oracles import arithmetic, dates, game24, units
from boxwright_training.oracles.episode import Episode
from boxwright_training.oracles.library import LibraryTools, open_library
from boxwright_training.oracles.playing import play

__all__ = ["ORACLES", "LibraryTools", "open_library", "oracle_tasks", "oracle_trajectories", "write_trajectories"]

_EPISODES: dict[str, Callable[[Split, int], Iterator[Episode]]] = {
    "arithmetic": arithmetic.episodes,
    "dates": dates.episodes,
    "game24": game24.episodes,
    "units": units.episodes,
}
ORACLES: tuple[str, ...] = tuple(sorted(_EPISODES))
"""The oracles, by name; each is called like the suite whose tasks it makes."""
AT_ONCE = 8
"""How many episodes are played side by side; their order is kept."""


def oracle_tasks(name: str, *, split: Split, count: int, seed: int) -> list[Task]:
    """Return tasks that an oracle makes; the same seed gives the same ones, and more of them when more are asked for.

    Raises:
        NotFound: There is no such oracle.
        BadInput: There is no such split, `count` is less than 1, or the split has fewer tasks.
    """
    return [episode.task for episode in _episodes(name, split, count, seed)]


async def oracle_trajectories(
    name: str, *, split: Split, count: int, seed: int, tools: LibraryTools
) -> AsyncIterator[Trajectory]:
    """Yield the trajectories of an oracle's tasks, in the order of `oracle_tasks`.

    Raises:
        NotFound: There is no such oracle.
        BadInput: There is no such split, `count` is less than 1, or the split has fewer tasks.
        CallerMustHandle: The tools cannot be called.
    """
    episodes = iter(_episodes(name, split, count, seed))
    while batch := list(islice(episodes, AT_ONCE)):
        played = await asyncio.gather(*(play(name, episode, tools) for episode in batch), return_exceptions=True)
        for one in played:  # raised only when all have ended, lest some still call tools of a closed runner
            if isinstance(one, BaseException):
                raise one
            yield one


async def write_trajectories(
    name: str,
    *,
    split: Split,
    count: int,
    seed: int,
    store: TraceStore,
    settings: Settings,
    on_trajectory: Callable[[Trajectory], None] = lambda _: None,
) -> None:
    """Append an oracle's trajectories to a store, telling each that is on disk.

    Raises:
        NotFound: There is no such oracle.
        BadInput: There is no such split, `count` is less than 1, the split has fewer tasks, or the file cannot be
            written.
        CallerMustHandle: The tools cannot be called.
    """
    async with open_library(settings) as tools:
        async for trajectory in oracle_trajectories(name, split=split, count=count, seed=seed, tools=tools):
            store.append(trajectory)
            on_trajectory(trajectory)


def _episodes(name: str, split: Split, count: int, seed: int) -> list[Episode]:
    if name not in _EPISODES:
        raise NotFound("oracle", name, ORACLES, f"an oracle is one of {', '.join(ORACLES)}")
    if split not in SPLITS:
        raise BadInput(f"{split!r} is no split; it is one of {', '.join(SPLITS)}")
    if count < 1:
        raise BadInput(f"an oracle writes at least one trajectory, got the count {count!r}; ask for 1 or more")
    found = list(islice(_EPISODES[name](split, seed), count))
    if len(found) < count:
        raise BadInput(
            f"{count!r} tasks were asked for, but the split {split!r} of the oracle {name!r} has {len(found)}; "
            f"ask for at most {len(found)}"
        )
    return found
