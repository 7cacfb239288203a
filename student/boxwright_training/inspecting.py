"""Shows a trajectory as it would be learned, coloured by span, so that a mask can be checked by eye."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import NamedTuple

from rich.text import Text

from boxwright.visible import visible
from boxwright_training.importers import Sourced
from boxwright_training.kinds import Kind
from boxwright_training.spans import Placed, Segmenter, SpansInvalid

__all__ = ["Looked", "as_html", "as_text", "look"]

STYLES = {Kind.PROMPT: "dim", Kind.REASON: "blue", Kind.ACT: "bold green", Kind.OBSERVE: "yellow"}
MEANINGS = {
    Kind.PROMPT: "given, not learned",
    Kind.REASON: "learned as reasoning",
    Kind.ACT: "learned as act",
    Kind.OBSERVE: "observed, not learned",
}
LONGEST = 20_000
"""Characters of a text that a page shows."""


class Piece(NamedTuple):
    """The text of one token, or of part of one."""

    text: str
    kind: Kind
    number: int
    """Of the token."""


@dataclass(frozen=True)
class Looked:
    """A trajectory as it would be learned."""

    source: str
    texts: tuple[tuple[Piece, ...], ...]
    """Each text that is learned from, token by token."""
    lengths: tuple[int, ...]
    """Their tokens."""
    fault: str = ""
    """Why it gives none."""


def look(one: Sourced, segmenter: Segmenter) -> Looked:
    """Segment a trajectory and cut what is rendered at its tokens."""
    try:
        placed = segmenter.place(one.trajectory)
    except SpansInvalid as error:
        return Looked(one.source, (), (), str(error))
    texts = tuple(tuple(_pieces(text, segmenter)) for text in placed)
    return Looked(one.source, texts, tuple(text[-1].number + 1 if text else 0 for text in texts))


def _pieces(placed: Placed, segmenter: Segmenter) -> Iterator[Piece]:
    """Yield each character's stretch once: tokens that share a character, as bytes of one do, are shown together."""
    _, kinds, starts, _ = segmenter.tokens(placed)
    # A tokenizer may leave out what is before its first token: it is shown with that one.
    edges = [0, *starts[1:].tolist(), len(placed.text)]
    for number, (kind, (start, end)) in enumerate(zip(kinds.tolist(), pairwise(edges), strict=True)):
        yield Piece(placed.text[start:end], Kind(kind), number)


def as_text(looked: Looked, *, tokens: bool = False, named: bool = False) -> Text:
    """Return a trajectory in colours for a terminal.

    Args:
        looked: The trajectory.
        tokens: Put a bar where each token ends.
        named: Put each stretch's kind before it, for where colours are lost.
    """
    shown = Text()
    for kind, meaning in MEANINGS.items():
        shown.append(f" {kind.name.lower()} ", style=f"{STYLES[kind]} reverse")
        shown.append(f" {meaning}  ")
    shown.append(f"\n{visible(looked.source)}\n")
    if looked.fault:
        shown.append(visible(looked.fault), style="red")
    for number, (text, length) in enumerate(zip(looked.texts, looked.lengths, strict=True), start=1):
        shown.append(f"\n-- text {number} of {len(looked.texts)}, {length} tokens\n", style="dim")
        for kind, pieces in groupby(text, key=lambda piece: piece.kind):
            shown.append(f"⟦{kind.name.lower()}⟧" if named else "", style="reverse")
            joined = ("|" if tokens else "").join(visible(piece.text) for piece in pieces)
            shown.append(joined + ("|" if tokens else ""), style=STYLES[kind])
    return shown


def as_html(looked: Sequence[Looked], title: str) -> str:
    """Return a page of trajectories, complete in itself; whatever they hold is shown and never run."""
    legend = " ".join(
        f'<span class="{kind.name.lower()}">{kind.name.lower()}: {text}</span>' for kind, text in MEANINGS.items()
    )
    body = "\n".join(_article(one) for one in looked)
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>{html.escape(title)}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1a1a1a; }}
pre {{ font: 13px/1.55 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; background: #fafafa;
  border: 1px solid #ddd; border-radius: 6px; padding: 1rem; }}
i {{ font-style: normal; border-right: 1px solid #0002; }}
.legend span {{ padding: .1rem .5rem; border-radius: 4px; }}
.prompt {{ color: #666; }} .reason {{ background: #dbeafe; }} .act {{ background: #bbf7d0; font-weight: 600; }}
.observe {{ background: #fef3c7; }} .fault {{ color: #b91c1c; }}
</style>
<h1>{html.escape(title)}</h1>
<p class="legend">{legend}</p>
{body}
</html>
"""


def _article(one: Looked) -> str:
    parts = [f"<h2>{html.escape(one.source)}</h2>"]
    if one.fault:
        parts.append(f'<p class="fault">{html.escape(one.fault)}</p>')
    for number, (text, length) in enumerate(zip(one.texts, one.lengths, strict=True), start=1):
        parts.append(f"<p>text {number} of {len(one.texts)}, {length} tokens</p><pre>{_marked(text)}</pre>")
    return "\n".join(parts)


def _marked(text: Sequence[Piece]) -> str:
    shown, left = [], LONGEST
    for kind, pieces in groupby(text, key=lambda piece: piece.kind):
        inner = []
        for piece in pieces:
            if left > 0:
                inner.append(f'<i title="token {piece.number}">{html.escape(piece.text[:left])}</i>')
            left -= len(piece.text)
        shown.append(f'<span class="{kind.name.lower()}">{"".join(inner)}</span>')
    more = f"\n… and {-left} more characters" if left < 0 else ""
    return "".join(shown) + more
