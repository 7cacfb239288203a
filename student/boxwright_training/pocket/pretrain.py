"""`python -m boxwright_training.pocket.pretrain`: makes the pocket student from nothing, on generated episodes."""

from __future__ import annotations

import argparse
import json
import os
import random
from functools import partial
from pathlib import Path
from typing import Any

from boxwright_training.pocket.feed import Feed, Plan, Source
from boxwright_training.pocket.paths import existing


def training_source(lexicon: Path) -> Source:
    """Make the source of training episodes from a lexicon's file."""
    from boxwright_training.pocket.episodes import Generator
    from boxwright_training.pocket.lexicon import Lexicon

    generator = Generator(Lexicon.load(lexicon))

    def make(randomness: random.Random, level: float) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        made = generator.episode(randomness, "train", level=level)
        return made.tools, made.messages

    return make


def main(arguments: list[str] | None = None) -> None:
    """Train as the command line says; torch is imported here, so that the feed's processes start without it."""
    parser = _parser()
    args = parser.parse_args(arguments)
    if args.resume and not (args.out / "checkpoint.pt").exists():
        parser.error(f"--resume: {str(args.out / 'checkpoint.pt')!r} is not there; leave --resume out to begin anew")
    import torch

    from boxwright_training.pocket.model import Pocket, Shape
    from boxwright_training.pocket.trainer import Run, Trainer

    torch.manual_seed(args.seed)
    torch.set_float32_matmul_precision("high")
    args.out.mkdir(parents=True, exist_ok=True)
    run = Run(
        out=args.out,
        tokenizer=args.tokenizer,
        minutes=args.minutes,
        slots=args.slots,
        passes=args.passes,
        lr=args.lr,
        told=args.told,
        log_seconds=args.log_seconds,
        checkpoint_seconds=args.checkpoint_seconds,
    )
    shape = Shape(args.layers, args.width, args.heads, args.kv_heads, args.hidden, vocab=_vocabulary(args.tokenizer))
    trainer = Trainer(Pocket(shape).to(args.device), run, compiled=args.device == "cuda")
    if args.resume:
        trainer.resume()
    settings = {**vars(args), "shape": shape.as_dict(), "torch": torch.__version__, "pid": os.getpid()}
    (args.out / "settings.json").write_text(json.dumps(settings, default=str, indent=1), encoding="utf-8")
    plan = Plan(
        source=partial(training_source, args.lexicon),
        tokenizer=args.tokenizer,
        seed=args.seed,
        slots=args.slots,
        context=shape.context,
        first=trainer.state.last + 1,
    )
    with Feed(plan, workers=args.workers, uses=args.uses) as feed:
        trainer.train(feed)


def _vocabulary(tokenizer: Path) -> int:
    from boxwright_training.pocket.tokenizer import load_tokenizer

    return load_tokenizer(tokenizer).get_vocab_size()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("--minutes", type=float, required=True, help="of training, in all")
    add("--out", type=Path, required=True, help="folder of checkpoint.pt, log.jsonl and model/")
    add("--lexicon", type=existing, required=True, help="made by boxwright_training.pocket.lexicon")
    add("--tokenizer", type=existing, required=True, help="made by boxwright_training.pocket.tokenizer")
    add("--resume", action="store_true", help="go on from checkpoint.pt")
    add("--seed", type=int, default=0)
    add("--device", default="cuda", choices=("cuda", "cpu"))
    add("--slots", type=int, default=131_072, help="tokens of a pass")
    add("--passes", type=int, default=2, help="of a step")
    add("--lr", type=float, default=3e-3)
    add("--told", type=float, default=0.1, help="loss weight of what is read; what is spoken has 1")
    add("--uses", type=int, default=2, help="a batch is given at most this often where the workers are slow")
    add("--workers", type=int, default=max(1, (os.cpu_count() or 1) - 3), help="processes that make episodes")
    add("--log-seconds", type=float, default=10.0)
    add("--checkpoint-seconds", type=float, default=150.0)
    for name, value in (("layers", 8), ("width", 512), ("heads", 8), ("kv-heads", 2), ("hidden", 1408)):
        add(f"--{name}", type=int, default=value)
    return parser


if __name__ == "__main__":
    main()
