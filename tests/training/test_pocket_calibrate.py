"""The pocket student as it is shipped: what a bias on `<tool_call>` changes, and how the bias is chosen."""

import json
import random
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from support.pocket_episodes import call, conversation, write_tokenizer

pytest.importorskip("tokenizers", reason="tokenizers is not installed: install boxwright[train]")

from boxwright_training.pocket.calibrate import MOST_BIAS, Weighed, choose, table, trade, weigh
from boxwright_training.pocket.concepts import domains
from boxwright_training.pocket.evaluate import main as evaluate
from boxwright_training.pocket.turns import Said, Turn, turns

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
NO = Said((), "No tool here can do that.")
F, G = Said((("f", {"x": 1}),), ""), Said((("g", {}),), "")


def asked(called: Said | None) -> Turn:
    """Make a turn in which a call is due, or none."""
    if called is None:
        gold: dict[str, Any] = {"role": "assistant", "content": NO.text}
    else:
        gold = {"role": "assistant", "content": "", "tool_calls": [call(n, **a) for n, a in called.calls]}
    return Turn([], [{"role": "user", "content": "?"}], gold, "call" if called else "abstain", called is None)


def test_a_bias_that_makes_good_the_lead_brings_the_call() -> None:
    one = Weighed(asked(F), True, NO, -2.0, F)
    assert one.under(0) == one.under(2.0) == NO
    assert one.under(2.5) == F
    assert Weighed(asked(F), True, NO, -2.0, None).under(9.0) == NO


def test_the_bias_is_chosen_on_even_episodes_alone_and_the_least_of_equals() -> None:
    helped = [Weighed(asked(F), True, NO, -2.2, F), Weighed(asked(F), True, NO, -2.4, F)]
    hurt = [Weighed(asked(None), True, NO, -4.0, G)]
    odd = [Weighed(asked(None), False, NO, -0.1, G)] * 9
    assert choose(helped + hurt + odd) == 2.5
    assert choose(hurt + odd) == 0


def test_the_trade_counts_calls_and_abstentions_at_every_bias() -> None:
    traded = trade([Weighed(asked(F), True, NO, -2.2, F), Weighed(asked(None), True, NO, -4.0, G)])
    assert [len(traded), max(traded)] == [21, MOST_BIAS]
    assert traded[0.0]["exact"]["all"]["share"] == traded[10.0]["exact"]["all"]["share"] == 0.5
    assert (traded[0.0]["abstain_precision"], traded[3.0]["abstain_precision"]) == (0.5, 1.0)
    assert traded[3.0]["exact"]["all"]["share"] == 1.0
    assert traded[10.0]["exact"]["abstain"]["share"] == 0.0
    assert "| 3 | 100.0% | 100.0% | 100.0% | - | 100.0% |" in table(traded)


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (Said((("area", {"base": 10, "unit": "Square Meters", "sides": [1, 2]}),), ""), ""),
        (Said((("area", {"base": 10.0, "sides": [1.0, 2]}),), ""), ""),
        (Said((), "No."), "no call"),
        (Said((("area", {"base": 10}), ("area", {"base": 10})), ""), "several calls"),
        (Said((("volume", {"base": 10}),), ""), "another function"),
        (Said((("area", {"sides": [1, 2]}),), ""), "a required argument is missing"),
        (Said((("area", {"base": 10, "height": 2}),), ""), "an argument too many"),
        (Said((("area", {"base": "10", "sides": [1, 2]}),), ""), "a value of another type"),
        (Said((("area", {"base": True, "sides": [1, 2]}),), ""), "a value of another type"),
        (Said((("area", {"base": 11, "sides": [1, 2]}),), ""), "another value"),
        (Said((("area", {"base": 10, "sides": [2, 1]}),), ""), "another value"),
        (Said((("area", {"base": 10}),), ""), "an optional argument is missing"),
    ],
)
def test_bfcl_s_rules_are_kept(said: Said, fault: str) -> None:
    judge = runpy.run_path(str(BENCHMARKS / "pocket_bfcl.py"))["fault"]
    kinds = {"base": {"type": "float"}, "unit": {"type": "string"}, "sides": {"type": "array"}}
    function = {"name": "area", "parameters": {"type": "dict", "properties": kinds, "required": ["base"]}}
    truth = {"area": {"base": [10], "unit": ["square-meters", ""], "sides": [[1, 2]]}}
    assert judge(said, [function], truth) == fault


def test_the_wordings_of_game_24_are_none_of_the_generator_s() -> None:
    def bare(text: str) -> str:
        without = re.sub(r"the numbers|\b(a|an|and|24)\b|\{\w+\}", "", text.lower())
        return re.sub(r"\W", "", without)

    ours = runpy.run_path(str(BENCHMARKS / "pocket_game24.py"))["WORDINGS"]
    puzzles = [one for one in domains()["number puzzles"] if any(slot.kind == "puzzle" for slot in one.slots)]
    known = {bare(text) for concept in puzzles for _, text in concept.wordings}
    assert len(set(map(bare, ours))) == 10
    assert not known & set(map(bare, ours))
    assert bare("Make {target} from {numbers}!") in known


def test_what_a_gguf_file_is_evaluated_with_is_one_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.gguf"
    file.write_bytes(b"GGUF")
    with pytest.raises(SystemExit):
        evaluate(["--model", str(file), "--lexicon", str(file), "--out", str(tmp_path), "--bias", "2", "--free"])
    assert "not allowed with" in capsys.readouterr().err


@pytest.mark.extended
def test_the_lead_is_the_bias_that_a_call_needs_in_llama_cpp(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: install boxwright[train]")
    pytest.importorskip("gguf", reason="gguf is not installed: install boxwright[train]")
    pytest.importorskip("xllamacpp", reason="xllamacpp is not installed: install boxwright[gguf]")
    from boxwright_training.pocket.gguf_file import write_gguf
    from boxwright_training.pocket.llama import request, serve
    from boxwright_training.pocket.model import Pocket, Shape
    from boxwright_training.pocket.weights import export

    torch.manual_seed(0)
    model = Pocket(Shape(layers=2, width=64, heads=4, kv_heads=2, hidden=96, vocab=512, context=1024))
    for weights in (model.o, model.down, model.embed):
        torch.nn.init.normal_(weights, std=0.3)
    torch.nn.init.normal_(model.embed[5], std=0.6)  # the mark of a call: often near the top, seldom there
    export(model, tmp_path, write_tokenizer(tmp_path / "learned.json"), dtype=torch.float32)
    write_gguf(tmp_path, tmp_path / "pocket.gguf", "F32")
    server = serve(tmp_path / "pocket.gguf", 1)
    made = (conversation(random.Random(number), 1.0) for number in range(40))
    found = list(weigh(server, [turns(*one, "call")[0] for one in made]))
    near = [one for one in found if -MOST_BIAS < one.lead < 0]
    assert len(near) > 5
    for one in near:
        for bias, calls in ((-one.lead - 0.05, False), (-one.lead + 0.05, True)):
            reply = server.handle_chat_completions(request(one.turn, bias) | {"max_tokens": 1})
            assert (reply["choices"][0]["message"]["content"] == "<tool_call>") is calls, json.dumps(reply)
