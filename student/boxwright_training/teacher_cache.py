"""A local teacher's log-probabilities, computed once and kept compactly on disk: its top k and the mass of the rest.

Ids are int32 and log-probabilities float16, 6 k bytes for each supervised token; nothing is kept for other tokens.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from boxwright.errors import BadInput, RecordInvalid
from boxwright.files import writable
from boxwright.jsontypes import digest, digest_bytes
from boxwright_training.kinds import Kind
from boxwright_training.loss import Head, LocalTeacher, StoredTopK, Supervision, TeacherInvalid, top_k
from boxwright_training.spans import Row

__all__ = ["Said", "TeacherCache", "rows_digest"]

Said = tuple[NDArray[np.int32], NDArray[np.float16], NDArray[np.int32]]
"""Of a row: ids and log-probabilities, [tokens, k] each, and the columns of the tokens."""


def rows_digest(rows: Sequence[Row]) -> str:
    """Return the digest over ids and kinds of rows in their order."""
    return digest([digest_bytes(row.ids.tobytes() + row.kinds.tobytes()) for row in rows])


@dataclass(frozen=True)
class TeacherCache:
    """What a teacher said of every supervised token of some rows.

    Attributes:
        ids: [tokens, k] int32.
        log_p: [tokens, k] float16.
        starts: [rows + 1], where each row's tokens begin.
        places: [tokens], the column of each token in its row.
        entropies: [rows], the mean entropy in nats of the k tokens and the rest as one.
    """

    ids: NDArray[np.int32]
    log_p: NDArray[np.float16]
    starts: NDArray[np.int64]
    places: NDArray[np.int32]
    entropies: NDArray[np.float64]

    def batch(self, numbers: Sequence[int], length: int) -> StoredTopK:
        """Return what was said of some rows, padded to `length`; places that are not supervised hold padding."""
        k = self.ids.shape[1]
        ids = torch.zeros(len(numbers), length, k, dtype=torch.long)
        log_p = torch.full((len(numbers), length, k), -torch.inf)
        for row, number in enumerate(numbers):
            here = slice(self.starts[number], self.starts[number + 1])
            columns = torch.from_numpy(self.places[here].astype(np.int64))
            ids[row, columns] = torch.from_numpy(self.ids[here].astype(np.int64))
            log_p[row, columns] = torch.from_numpy(self.log_p[here].astype(np.float32))
        # Sixteen bits round probabilities up as often as down, and a distribution's may add up to no more than 1.
        return StoredTopK(ids, log_p - torch.logsumexp(log_p, -1, keepdim=True).clamp(min=0.0))

    @classmethod
    def of(cls, said: Sequence[Said]) -> TeacherCache:
        """Return what was said of each row's supervised tokens as a cache."""
        starts = np.cumsum([0, *(len(places) for _, _, places in said)]).astype(np.int64)
        ids, log_p, places = (np.concatenate(part) for part in zip(*said, strict=True))
        return cls(ids, log_p, starts, places, np.array([_entropy(of_row) for _, of_row, _ in said]))

    @classmethod
    def open(cls, folder: Path, rows: Sequence[Row], teacher: str, k: int) -> TeacherCache | None:
        """Return the cache in a folder, or None where it is of other rows, another teacher or another k.

        Raises:
            RecordInvalid: Its files are not whole.
        """
        about = folder / "about.json"
        if not about.exists():
            return None
        try:
            if json.loads(about.read_text(encoding="utf-8")) != _about(rows, teacher, k):
                return None
            arrays = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in cls.__dataclass_fields__]
        except (OSError, ValueError, EOFError) as error:
            raise RecordInvalid(f"the cache {str(folder)!r} cannot be read ({error}); delete the folder") from error
        return cls(*arrays)

    @classmethod
    def make(
        cls,
        folder: Path,
        rows: Sequence[Row],
        model: Any,
        teacher: str,
        k: int,
        *,
        vocabulary: int | None = None,
        on_row: Callable[[int], None] = lambda number: None,
    ) -> TeacherCache:
        """Ask the teacher of every row and keep what it says.

        The folder is there whole or not at all. Rows are asked one at a time, so nothing is padded.

        Args:
            folder: Where it is kept.
            rows: What it is asked of.
            model: The teacher, a causal language model of transformers.
            teacher: Its name, by which the cache is found again.
            k: How many tokens are kept; all, where the student has fewer.
            vocabulary: How many tokens the student has; those of the teacher's head beyond are padding.
            on_row: Called with the number of each row that is done.

        Raises:
            BadInput: The folder cannot be written, or holds something else.
            TeacherInvalid: The teacher gives NaN; the row is named.
        """
        if folder.exists() and not (folder / "about.json").exists():
            raise BadInput(f"{str(folder)!r} is there and holds no cache, which would replace it; name another folder")
        said: list[Said] = []
        for number, row in enumerate(rows):
            ids, log_p, places = _ask(model, row, k, vocabulary)
            if np.isneginf(log_p).all(-1).any() or np.isnan(log_p).any():
                raise TeacherInvalid(
                    f"{row.source}: the teacher {teacher!r} gives NaN or infinities there; run it in bfloat16 or "
                    "float32, or leave the trajectory out"
                )
            said.append((ids.astype(np.int32), log_p.astype(np.float16), places.astype(np.int32)))
            on_row(number)
        cache = cls.of(said)
        cache._write(folder, _about(rows, teacher, k))
        return cache

    def _write(self, folder: Path, about: dict[str, Any]) -> None:
        fresh = folder.with_name(f".{folder.name}.new")
        with writable(folder.parent):
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir()
            for name in self.__dataclass_fields__:
                np.save(fresh / f"{name}.npy", getattr(self, name))
            (fresh / "about.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
            shutil.rmtree(folder, ignore_errors=True)
            fresh.rename(folder)


def _about(rows: Sequence[Row], teacher: str, k: int) -> dict[str, Any]:
    return {"teacher": teacher, "k": k, "rows": rows_digest(rows)}


@torch.no_grad()
def _ask(
    model: Any, row: Row, k: int, vocabulary: int | None
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    device = next(model.parameters()).device
    ids = torch.from_numpy(row.ids.astype(np.int64)).unsqueeze(0)
    supervision = Supervision.of(ids, torch.from_numpy(row.kinds.astype(np.int64)).unsqueeze(0)).to(device)
    hidden = model.get_decoder()(input_ids=ids.to(device)).last_hidden_state
    head = Head.of(model).first(vocabulary)
    said = top_k(LocalTeacher(hidden, head), supervision, min(k, head.vocabulary))
    places = (row.kinds == Kind.REASON) | (row.kinds == Kind.ACT)
    places[0] = False
    columns = np.flatnonzero(places)
    return said.ids[0].cpu().numpy()[columns], said.log_p[0].cpu().numpy()[columns], columns


def _entropy(log_p: NDArray[Any]) -> float:
    """The mean over tokens of the entropy of the k tokens and the rest as one outcome."""
    wide = log_p.astype(np.float64)
    p = np.exp(wide)
    rest = np.clip(1 - p.sum(-1), 1e-12, 1.0)
    terms = np.where(np.isfinite(wide), p * np.where(np.isfinite(wide), wide, 0.0), 0.0)
    return float((-terms.sum(-1) - rest * np.log(rest)).mean())
