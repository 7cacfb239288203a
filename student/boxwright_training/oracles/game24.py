"""The oracle `game24`: the kernel's puzzles, each asked in many wordings, solved by the box that plays it.

Only puzzles of the split are asked. The suite's own wording stands in every split, since there the numbers tell tasks
apart; the other wordings and the order of the numbers are the split's.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from boxwright.tasks import Split, Task, load_suite
from boxwright_training.oracles.drawing import Draw, wordings
from boxwright_training.oracles.episode import Episode, Solving, Step

SOLVE, CHECK = "game_of_24__solve", "game_of_24__check"
_BOXES = ("game_of_24",)


def episodes(split: Split, seed: int) -> Iterator[Episode]:
    """Yield episodes of the suite `game24`: every puzzle in one wording, then every puzzle in another, and so on."""
    rng = random.Random(f"game24/{split}/{seed}")
    puzzles = load_suite("game24").split(split)
    sentences = range(len(wordings("game24").prompts[split]["puzzle"]) + 1)  # 0 is the suite's own
    orders = {puzzle.id: rng.sample(sentences, len(sentences)) for puzzle in puzzles}
    for place in sentences:
        for puzzle in rng.sample(puzzles, len(puzzles)):
            yield _episode(puzzle, orders[puzzle.id][place], seed)


def _episode(puzzle: Task, sentence: int, seed: int) -> Episode:
    """Return a puzzle in one wording; under which id and with which order of numbers does not depend on the seed."""
    name = f"{puzzle.id}-w{sentence}" if sentence else puzzle.id
    drawn = Draw("game24", puzzle.split, name)
    numbers = list(puzzle.numbers)
    prompt = puzzle.prompt
    if sentence:
        drawn.rng.shuffle(numbers)
        a, b, c, d = numbers
        told = drawn.word("lists").format(a=a, b=b, c=c, d=d)
        prompt = wordings("game24").prompts[puzzle.split]["puzzle"][sentence - 1].format(list=told)
    task = puzzle.model_copy(update={"id": name, "prompt": prompt})
    draw = Draw("game24", puzzle.split, f"{name}/{seed}")
    checked = draw.rng.random() < 0.5
    return Episode("game24", task, lambda: _solve(draw, numbers, checked), _BOXES, seed=f"{name}/{seed}")


def _solve(draw: Draw, numbers: list[int], checked: bool) -> Solving:
    told = ", ".join(map(str, numbers))
    expression = yield Step(draw.say("solve", numbers=told), SOLVE, {"numbers": numbers})
    if checked:
        said = draw.say("check", expression=expression, numbers=told)
        yield Step(said, CHECK, {"expression": expression, "numbers": numbers})
    return expression
