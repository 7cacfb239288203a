"""`python -m boxwright_training.pocket.calibrate`: what a bias on `<tool_call>` buys, and which one to ship.

Each turn of the evaluation's episodes is asked as it is; where no call came, it is asked again with just the bias that
brings one. So one pass gives every bias from 0 up. The bias is chosen on the episodes with even numbers, where most
messages are exactly right, and reported on the odd ones, which had no part in the choice.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxwright_training.pocket.evaluate import cell, report
from boxwright_training.pocket.llama import gguf_student, serve, weighed
from boxwright_training.pocket.paths import existing
from boxwright_training.pocket.turns import Said, Turn, right

if TYPE_CHECKING:
    import xllamacpp

MOST_BIAS = 10.0
_STEP = 0.5
_OVER = 0.05
"""What a bias is over the lead that it has to make good."""


@dataclass(frozen=True)
class Weighed:
    """A turn, and what the student says in it at every bias."""

    turn: Turn
    even: bool
    """Whether its episode's number is."""
    said: Said
    """With no bias."""
    lead: float
    """By how many logits `<tool_call>` led the other first tokens; negative where it did not."""
    called: Said | None
    """With the bias that just brings a call; None where there is a call in any case, or none up to `MOST_BIAS`."""

    def under(self, bias: float) -> Said:
        """Give what the student says with a bias on `<tool_call>`."""
        return self.called if self.called is not None and self.lead + bias > 0 else self.said


def weigh(server: xllamacpp.Server, turns: Sequence[Turn]) -> Iterator[Weighed]:
    """Ask every turn, once or twice."""
    episode = -1
    for turn in turns:
        episode += all(message["role"] != "assistant" for message in turn.messages)
        said, lead = weighed(server, turn)
        called = None
        if not said.calls and -MOST_BIAS < lead <= 0:
            (called,) = gguf_student(server, _OVER - lead)([turn])
        yield Weighed(turn, episode % 2 == 0, said, lead, called)


def trade(weighed: Sequence[Weighed]) -> dict[float, dict[str, Any]]:
    """Report what is right at every bias from 0 to `MOST_BIAS`."""
    biases = [_STEP * number for number in range(round(MOST_BIAS / _STEP) + 1)]
    return {bias: report((one.turn, one.under(bias)) for one in weighed) for bias in biases}


def choose(weighed: Sequence[Weighed]) -> float:
    """Return the bias with which most of the turns are right; of equals the least."""
    even = [one for one in weighed if one.even]
    counted = {bias: sum(right(one.under(bias), one.turn) for one in even) for bias in trade(even)}
    return max(counted, key=lambda bias: (counted[bias], -bias))


def table(traded: dict[float, dict[str, Any]]) -> str:
    """Write the trade as a Markdown table."""
    names = ("all", "first calls", "abstain", "clarify")
    rows = [
        f"| bias | {' | '.join(names)} | abstain precision |",
        "| ---: |" + " ---: |" * (len(names) + 1),
    ]
    for bias, counted in traded.items():
        shares = [f"{counted['exact'][name]['share']:.1%}" if name in counted["exact"] else "-" for name in names]
        rows.append(f"| {bias:g} | {' | '.join(shares)} | {counted['abstain_precision']:.1%} |")
    return "\n".join(rows)


def main(arguments: list[str] | None = None) -> None:
    """Calibrate as the command line says; writes trade.json into the folder asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", type=existing, required=True, help="a GGUF file")
    parser.add_argument("--lexicon", type=existing, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tools", type=int, nargs="+", default=[4])
    parser.add_argument("--episodes", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="of llama.cpp; one where the cores are shared")
    args = parser.parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    server, results = serve(args.model, args.threads), {}
    for tools in args.tools:
        found = list(weigh(server, cell(args.lexicon, tools, args.episodes, args.seed)))
        chosen, traded = choose(found), trade([one for one in found if not one.even])
        results[str(tools)] = {"chosen": chosen, "odd": traded, "all": trade(found)}
        print(f"{tools} tools, chosen on even episodes: {chosen:g}; on odd ones:\n{table(traded)}", flush=True)  # noqa: T201
        (args.out / f"leads-{tools}.jsonl").write_text("".join(map(_line, found)), encoding="utf-8")
        (args.out / "trade.json").write_text(json.dumps(results, indent=1), encoding="utf-8")


def _line(one: Weighed) -> str:
    told = {"kind": one.turn.kind, "even": one.even, "lead": one.lead, "gold": one.turn.gold}
    asked = [message for message in one.turn.messages if message["role"] != "system"]
    told |= {"asked": asked, "tools": one.turn.tools, "said": [one.said.calls, one.said.text]}
    told |= {"called": [one.called.calls, one.called.text] if one.called else None}
    told |= {"right": right(one.said, one.turn), "right_called": one.called is not None and right(one.called, one.turn)}
    return json.dumps(told, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
