"""An episode, and the conversation that it is made of as it grows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from boxwright_training.pocket.concepts import Mode
from boxwright_training.pocket.questions import arguments_of, wants_only_answer, wrap
from boxwright_training.pocket.results import answer, result_of
from boxwright_training.pocket.scene import Scene
from boxwright_training.pocket.talk import system
from boxwright_training.pocket.tools import Tool
from boxwright_training.pocket.values import Given, chance

EpisodeKind = Literal["call", "parallel", "chain", "follow_up", "mend", "abstain", "clarify"]


@dataclass(frozen=True)
class Evidence:
    """Where a gold argument comes from: the form in which a message before the call says it."""

    tool: str
    argument: str
    said: str


@dataclass
class Episode:
    """Tools, and a conversation with them."""

    tools: list[dict[str, Any]]
    """OpenAI function objects: {"type": "function", "function": {"name", "description"?, "parameters"}}."""
    messages: list[dict[str, Any]]
    """OpenAI form; the arguments of a call are an object, not text."""
    kind: EpisodeKind
    evidence: list[Evidence] = field(default_factory=list)
    """For each argument of each call, where it was said; checked by tests, unseen by the model."""


class Talk:
    """A conversation as it grows."""

    def __init__(self, scene: Scene) -> None:
        text, self.alone = system(scene.draw)
        self.messages: list[dict[str, Any]] = [{"role": "system", "content": text}] if text else []
        self.evidence: list[Evidence] = []
        self.scene = scene
        self.question = ""

    def user(self, text: str) -> None:
        self.question = text
        self.messages.append({"role": "user", "content": text})

    def ask(self, mode: Mode, text: str) -> None:
        """Let the user ask this, in a sentence."""
        question = wrap(self.scene.draw, self.scene.split, mode, text)
        if not self.alone and chance(self.scene.rng, 0.05):
            question, self.alone = f"{question} {wants_only_answer(self.scene.rng)}", True
        self.user(question)

    def says(self, text: str) -> None:
        self.messages.append({"role": "assistant", "content": text})

    def call(self, *calls: tuple[Tool, Mapping[str, Given]]) -> None:
        """Let the assistant call tools, all in one message."""
        made = []
        for place, (tool, given) in enumerate(calls):
            arguments = arguments_of(tool, given)
            function = {"name": tool.name, "arguments": arguments}
            made.append({"id": f"call_{len(self.messages)}{place}", "type": "function", "function": function})
            for param in tool.params:
                if param.slot.name in given:
                    self.evidence.append(Evidence(tool.name, param.name, given[param.slot.name][1]))
        self.messages.append({"role": "assistant", "content": "", "tool_calls": made})

    def result(self, text: str, place: int = 0) -> None:
        """Let the tool of the last message's call at this place return the text."""
        last = next(message for message in reversed(self.messages) if "tool_calls" in message)
        call = last["tool_calls"][place]
        name = call["function"]["name"]
        self.messages.append({"role": "tool", "tool_call_id": call["id"], "name": name, "content": text})

    def answer(self) -> None:
        """Let the assistant read the last result out."""
        self.says(answer(self.question, self.messages[-1]["content"], self.alone))

    def finish(self, tool: Tool, given: Mapping[str, Given]) -> None:
        """Let the tool return something and the assistant answer."""
        self.result(result_of(self.scene.draw, tool, given))
        self.answer()

    def episode(self, kind: EpisodeKind) -> Episode:
        return Episode(self.scene.functions(), self.messages, kind, self.evidence)


def said_of(given: Mapping[str, Given]) -> dict[str, str]:
    return {name: text for name, (_, text) in given.items()}


def target(scene: Scene) -> Tool:
    """Show the tool that is meant, and distractors."""
    concept = scene.concept()
    if not concept.senses and scene.count > 1 and chance(scene.rng, 0.06):
        other = scene.twin(concept)
        if other:
            scene.add(concept)
            concept = other
    tool = scene.add(concept)
    scene.fill([concept])
    return tool
