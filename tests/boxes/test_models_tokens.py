"""The estimate of tokens, held against the real tokenizers that LiteLLM carries along."""

import json
import random
from collections.abc import Callable, Iterator
from importlib import resources, util
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwright.models import Message, ToolDefinition
from boxwright.models.base import ToolCall
from boxwright.models.tokens import TokenGauge, estimate_tokens

LIBRARY = Path(__file__).parent.parent.parent / "boxes" / "library"
ROOT = LIBRARY.parent.parent


def _texts() -> dict[str, str]:
    rng = random.Random(1)
    return {
        "English": (ROOT / "README.md").read_text(encoding="utf-8"),
        "code": (ROOT / "boxes" / "boxwright" / "search.py").read_text(encoding="utf-8"),
        "schemas": "".join(path.read_text(encoding="utf-8") for path in sorted(LIBRARY.glob("*/*/tools.json"))[:3]),
        "numbers": json.dumps([rng.randrange(10**6) for _ in range(500)]),
        "Chinese": "人工智能是计算机科学的一个分支，它试图了解智能的实质。" * 20,
        "German": "Größere Maßnahmen würden öffentlich überprüft, bevor sie über die Straße führen. " * 20,
        "Russian": "Сколько дней прошло с марта по июнь, если год високосный? " * 20,
        "Arabic": "كم يوما مضى من مارس إلى يونيو إذا كانت السنة كبيسة؟ " * 20,
        "emoji": "😀🎉🚀 " * 50,
    }


@pytest.fixture(scope="module")
def counters() -> Iterator[dict[str, Callable[[str], int]]]:
    """Real tokenizers, without the network."""
    if not (util.find_spec("litellm") and util.find_spec("tiktoken") and util.find_spec("tokenizers")):
        pytest.skip("the extra teacher, which carries tokenizers, is not installed")
    import tiktoken
    from tokenizers import Tokenizer

    found = util.find_spec("litellm")
    assert found and found.submodule_search_locations
    folder = Path(found.submodule_search_locations[0]) / "litellm_core_utils" / "tokenizers"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(folder))
        encodings = {name: tiktoken.get_encoding(name) for name in ("cl100k_base", "o200k_base")}
    claude = Tokenizer.from_file(str(folder / "anthropic_tokenizer.json"))
    yield {
        **{name: lambda text, one=one: len(one.encode(text)) for name, one in encodings.items()},  # type: ignore[misc]
        "claude": lambda text: len(claude.encode(text).ids),
    }


@pytest.mark.parametrize("kind", _texts())
def test_an_estimate_is_rarely_too_low_and_not_far_too_high(
    counters: dict[str, Callable[[str], int]], kind: str
) -> None:
    text = _texts()[kind]
    estimate = estimate_tokens([Message(role="user", content=text)])
    real = {name: count(text) for name, count in counters.items()}
    assert estimate >= 0.95 * max(real.values()), real
    if kind in ("English", "code", "schemas"):
        assert estimate <= 1.7 * min(real.values()), real


def test_everything_that_is_sent_counts_and_thinking_does_not() -> None:
    message = Message(role="user", content="Add 1 and 2.")
    tool = ToolDefinition(name="add", description="Add numbers up.", parameters={"type": "object"})
    call = ToolCall(id="c", name="add", arguments={"numbers": [1, 2]})
    plain = estimate_tokens([message])
    assert estimate_tokens([message], [tool]) > plain
    assert estimate_tokens([message, Message(role="assistant", tool_calls=(call,))]) > plain
    assert estimate_tokens([message.model_copy(update={"thinking": "long " * 100})]) == plain


@given(st.text(max_size=300), st.text(max_size=300))
def test_a_longer_text_is_never_estimated_shorter(left: str, right: str) -> None:
    def estimate(text: str) -> int:
        return estimate_tokens([Message(role="user", content=text)])

    # Where the texts meet, a word or a run may join; nothing else may get lost.
    assert estimate(f"{left}\n{right}") + 1 >= max(estimate(left), estimate(right))


def test_a_gauge_rises_at_once_and_falls_slowly() -> None:
    prompt = [Message(role="user", content="How many days are there from March to June? " * 20)]
    first = estimate_tokens(prompt)
    gauge = TokenGauge()
    gauge.learn(prompt, (), first * 3)
    assert gauge.estimate(prompt) == first * 3
    gauge.learn(prompt, (), first)
    assert first * 2.5 < gauge.estimate(prompt) < first * 3
    for _ in range(60):
        gauge.learn(prompt, (), first)
    assert gauge.estimate(prompt) <= first * 1.01 + 1
    gauge.learn(prompt, (), 0)
    assert gauge.estimate(prompt) >= first


def test_a_shipped_tool_listing_is_estimated_as_its_json() -> None:
    assert resources.files("boxwright").is_dir()
    rows = json.loads(sorted(LIBRARY.glob("*/*/tools.json"))[0].read_text(encoding="utf-8"))
    assert estimate_tokens([Message(role="user", content=json.dumps(rows))]) > 100
