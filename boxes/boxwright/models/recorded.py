"""`recorded/<file>`: completions found again by their request. Also how a run remembers what it asked.

The file is JSON lines: a head `{"format": 1, "label": …, "uri": …}`, then rows
`{"request": digest of the normalised request, "occurrence": from 0, "completions": […]}` and, once the model's facts
were asked for, `{"facts": {…}}`: what is asked may depend on them, so a replay has to tell the same.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from boxwright.errors import RecordingMiss, RecordInvalid
from boxwright.files import append_line, read_lines
from boxwright.jsontypes import digest
from boxwright.models.base import ChatModel, Completion, ModelFacts, Request, RequestModel, Usage, ask, tell

FORMAT = 1


class Recorded(RequestModel):
    """Replays a recording; a model behind it is asked for what is missing, and its answer recorded at once.

    The n-th time a request is made, the n-th recorded answer to it is given: a run that is started again gets what it
    had before it asks for anything new.

    Raises:
        RecordInvalid: The file is not a recording.
    """

    streams = True

    def __init__(self, path: Path, inner: ChatModel | None = None) -> None:
        self._path, self._inner = path, inner
        self._rows: dict[tuple[str, int], list[Completion]] = {}
        self._seen: Counter[str] = Counter()
        self._recorded_facts: ModelFacts | None = None
        self.usage = Usage()
        """What the recorded completions took when they were made."""
        head = self._load() if path.exists() else None
        if inner is None:
            if head is None:
                raise RecordInvalid(f"there is no recording {str(path)!r}; name a file that `mine` or you recorded")
            recorded_from = str(head.get("uri", "an unnamed model"))
            self.uri = f"recorded/{path.name}"
            self.label = str(head.get("label") or f"replay of {recorded_from}")
        else:
            self.uri, self.label = inner.uri, inner.label
            if head is None:
                append_line(path, {"format": FORMAT, "label": inner.label, "uri": inner.uri})

    async def look_up(self) -> ModelFacts:
        """Return the facts of the model behind, and record them; without one, those that were recorded last."""
        if self._inner is None:
            return self._recorded_facts or ModelFacts()
        facts = await self._inner.facts()
        if facts != self._recorded_facts:
            append_line(self._path, {"facts": asdict(facts)})
        return facts

    async def answer(self, request: Request) -> list[Completion]:
        """Return the recorded completions, or those of the model behind.

        Raises:
            RecordingMiss: They are not recorded, and no model stands behind.
        """
        key = request_digest(request)
        occurrence = self._seen[key]
        self._seen[key] += 1
        found = self._rows.get((key, occurrence))
        if found is not None:
            if request.on_text:
                tell(request.on_text, found[0])
            return found
        if self._inner is None:
            last = request.messages[-1].content if request.messages else ""
            raise RecordingMiss(
                f"{self._path} holds no answer {occurrence + 1} to the request {key} that ends in {last[-160:]!r}; "
                "it was recorded for other prompts or tasks: record it anew, or name a model that answers"
            )
        completions = await ask(self._inner, request)
        # At once, in this thread: it is paid for, and a cancelled wait would lose it.
        append_line(self._path, recording_row(key, occurrence, completions))
        return completions

    async def answer_one(self, request: Request, seed: int | None) -> Completion:
        """Never called: `answer` gives all completions of a request together."""
        raise NotImplementedError

    def _load(self) -> dict[str, Any] | None:
        lines = iter(read_lines(self._path))
        _, head = next(lines, (0, None))
        if head is None:  # empty, or killed before the head was whole
            return None
        if head.get("format") != FORMAT:
            raise RecordInvalid(f'{self._path} is no recording: its first line must hold "format": {FORMAT}')
        for number, row in lines:
            try:
                if "facts" in row:
                    self._recorded_facts = ModelFacts(**cast(dict[str, Any], row["facts"]))
                    continue
                completions = [Completion.model_validate(one) for one in cast(list[Any], row["completions"])]
                self._rows[str(row["request"]), int(str(row["occurrence"]))] = completions
                self.usage = sum((one.usage for one in completions), self.usage)
            except (KeyError, TypeError, ValueError, ValidationError) as error:
                raise RecordInvalid(f"{self._path}:{number}: no recorded completion ({error})") from error
        return dict(head)


def request_digest(request: Request) -> str:
    """Return the digest under which a request is recorded."""
    return digest(request.as_json())


def recording_row(key: str, occurrence: int, completions: list[Completion]) -> dict[str, Any]:
    """Return a row of a recording."""
    dumped = [one.model_dump(exclude_defaults=True) for one in completions]
    return {"request": key, "occurrence": occurrence, "completions": dumped}
