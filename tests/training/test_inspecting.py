"""What a trajectory looks like before it is learned: every character once, coloured by span, and nothing of it run."""

from __future__ import annotations

import html
import io
import re
from html.parser import HTMLParser

import pytest

pytest.importorskip("transformers", reason="spans need a tokenizer (the extra 'train')")

from rich.console import Console
from rich.text import Text

from boxwright.models import Message, ToolCall, Usage
from boxwright.traces import Trajectory
from boxwright_training.importers import Sourced
from boxwright_training.inspecting import LONGEST, Looked, as_html, as_text, look
from boxwright_training.spans import Segmenter
from support.tiny_models import CHATML, MISTRAL, tiny_tokenizer

HOSTILE = "</pre><script>alert('x')</script><img src=x onerror=alert(1)> & \"quotes\" \x1b[31m\u202e 🙂é"


def a_trajectory(text: str = HOSTILE, *, said: bool = True) -> Sourced:
    answer = Message(role="assistant", content=f"It is {text}", tool_calls=(ToolCall(id="c", name="f", arguments={}),))
    messages = (
        Message(role="system", content=text),
        Message(role="user", content=f"What is {text}?"),
        answer,
        Message(role="tool", content=text, tool_call_id="c", name="f"),
        Message(role="assistant", content=text),
    )
    kept = messages if said else messages[:2]
    trajectory = Trajectory(prompt="?", messages=kept, answer=text, ended="answered", model="m", usage=Usage())
    return Sourced(trajectory, f"<b>data</b>{text}.jsonl:1")


class Page(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.shown: dict[str, str] = {}
        self._open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.shown[tag] = self.shown.get(tag, "") + data


@pytest.mark.parametrize("template", [CHATML, MISTRAL])
def test_every_character_is_shown_once_in_order(template: str) -> None:
    segmenter = Segmenter(tiny_tokenizer(template))
    one = a_trajectory()
    texts = [placed.text for placed in segmenter.place(one.trajectory)]
    looked = look(one, segmenter)
    assert ["".join(piece.text for piece in text) for text in looked.texts] == texts
    assert looked.lengths == tuple(len(segmenter.tokenizer(text, add_special_tokens=False).input_ids) for text in texts)
    assert [piece.number for piece in looked.texts[0]] == list(range(looked.lengths[0]))
    assert Page(as_html([looked], "title")).shown["pre"] == "".join(texts)


def test_a_page_shows_what_trajectories_hold_and_runs_nothing_of_it() -> None:
    segmenter = Segmenter(tiny_tokenizer())
    page = as_html([look(a_trajectory(), segmenter), Looked("s", (), (), HOSTILE)], f"title {HOSTILE}")
    parsed = Page(page)
    tags = {tag for tag, _ in parsed.tags}
    assert tags == {"html", "meta", "title", "style", "h1", "h2", "p", "span", "pre", "i"}
    assert not any(name.startswith("on") or name in ("src", "href") for _, given in parsed.tags for name in given)
    policy = next(given for tag, given in parsed.tags if given.get("http-equiv") == "Content-Security-Policy")
    assert (policy["content"] or "").startswith("default-src 'none'")
    assert page.index("Content-Security-Policy") < page.index("<title>")
    assert f"<b>data</b>{HOSTILE}" in parsed.shown["h2"]
    assert html.escape(HOSTILE) in page.partition('class="fault"')[2]


def test_a_long_text_is_cut_and_says_by_how_much() -> None:
    looked = look(a_trajectory("x y " * LONGEST), Segmenter(tiny_tokenizer()))
    whole = sum(len(piece.text) for piece in looked.texts[0])
    shown = Page(as_html([looked], "title")).shown["pre"]
    cut = re.fullmatch(r"(.*)\n… and (\d+) more characters", shown, re.DOTALL)
    assert cut
    assert len(cut[1]) == LONGEST
    assert int(cut[2]) == whole - LONGEST


def printed(text: Text) -> str:
    console = Console(file=io.StringIO(), highlight=False, soft_wrap=True)
    console.print(text)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_a_terminal_shows_stretches_with_their_names_where_there_are_no_colours() -> None:
    looked = look(a_trajectory("so"), Segmenter(tiny_tokenizer()))
    shown = printed(as_text(looked, named=True))
    assert "⟦reason⟧It is so⟦act⟧<tool_call>" in shown
    assert "⟦observe⟧" in shown
    assert "learned as reasoning" in shown
    assert "⟦" not in printed(as_text(looked))


def test_tokens_are_parted_by_bars() -> None:
    segmenter = Segmenter(tiny_tokenizer())
    looked = look(a_trajectory("so"), segmenter)
    shown = printed(as_text(looked, tokens=True)).partition("tokens\n")[2]
    assert shown == "".join(f"{piece.text}|" for piece in looked.texts[0]) + "\n"


def test_a_terminal_is_not_told_to_do_anything() -> None:
    shown = printed(as_text(look(a_trajectory(), Segmenter(tiny_tokenizer())), tokens=True, named=True))
    assert not {"\x1b", "\u202e", "\x07"} & set(shown)
    assert "[bold]" in printed(as_text(look(a_trajectory("[bold]"), Segmenter(tiny_tokenizer()))))


def test_a_trajectory_without_anything_to_learn_says_why() -> None:
    looked = look(a_trajectory(said=False), Segmenter(tiny_tokenizer()))
    assert looked.fault == "nothing in it was said by a model that could be learned"
    assert looked.fault in printed(as_text(looked))
    assert looked.fault in as_html([looked], "title")
