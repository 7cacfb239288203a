"""The parts of training, each by itself: order, data, models, evaluation, the teacher's cache, recipes, our own loop."""

from __future__ import annotations

import errno
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the training tests need torch (the extra 'train')")
pytest.importorskip("peft", reason="the training tests need peft (the extra 'train')")

from boxwright.errors import BadInput, RecordInvalid  # noqa: E402
from boxwright.models import Message, Usage  # noqa: E402
from boxwright.traces import TraceStore, Trajectory  # noqa: E402
from boxwright_training.attached import attach  # noqa: E402
from boxwright_training.batches import collate  # noqa: E402
from boxwright_training.data import Data, load  # noqa: E402
from boxwright_training.evaluation import Fit, evaluate  # noqa: E402
from boxwright_training.importers import read_trajectories  # noqa: E402
from boxwright_training.kinds import Kind  # noqa: E402
from boxwright_training.loading import adapted, load_model, load_teacher, load_tokenizer  # noqa: E402
from boxwright_training.loss import SpanLoss, TeacherInvalid  # noqa: E402
from boxwright_training.memory import SHAPES, Shape, estimate, out_of_memory  # noqa: E402
from boxwright_training.order import complexity, draws, evened, shares, weights  # noqa: E402
from boxwright_training.recipes import Adapter, Curriculum, load_recipe  # noqa: E402
from boxwright_training.spans import Row, Segmenter  # noqa: E402
from boxwright_training.teacher_cache import TeacherCache  # noqa: E402
from boxwright_training.training import Run  # noqa: E402
from support.tiny_models import tiny_student, tiny_tokenizer, tool_trajectories  # noqa: E402

pytestmark = [
    pytest.mark.extended,
    # transformers and torch speak of their own next versions.
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning"),
]
KINDS = {"p": Kind.PROMPT, "r": Kind.REASON, "a": Kind.ACT, "o": Kind.OBSERVE}


def a_row(kinds: str, ids: Sequence[int] | None = None, source: str = "row", turns: int = 1) -> Row:
    """A row whose tokens have kinds by their first letters."""
    given = range(5, 5 + len(kinds)) if ids is None else ids
    return Row(np.array(given, np.int32), np.array([KINDS[kind] for kind in kinds], np.uint8), source, turns)


def some_rows(count: int, vocabulary: int, seed: int = 0) -> list[Row]:
    chance = random.Random(seed)
    rows = []
    for number in range(count):
        kinds = "p" + "".join(chance.choice(["pp", "rrr", "aa", "a", "o", "aaa"]) for _ in range(chance.randint(2, 9)))
        ids = [chance.randrange(vocabulary) for _ in kinds]
        rows.append(a_row(kinds + "a", [*ids, 3], f"row-{number}", chance.randint(1, 4)))
    return rows


def a_model(made: Path, name: str = "student") -> tuple[Any, Any]:
    tokenizer = load_tokenizer(str(made / name))
    return load_model(str(made / name), tokenizer, torch.float32), tokenizer


# -- order ------------------------------------------------------------------------------------------------------------


def test_complexity_has_mean_zero_and_rises_with_reasoning_turns_and_entropy() -> None:
    rows = [a_row("pra", turns=1), a_row("prrra", turns=1), a_row("pra", turns=3)]
    plain = complexity(rows, Curriculum())
    assert plain.mean() == pytest.approx(0)
    assert plain[0] < plain[1]
    assert plain[0] < plain[2]
    with_entropy = complexity(rows, Curriculum(reason=0, act=0, entropy=2), np.array([1.0, 2.0, 3.0]))
    assert with_entropy == pytest.approx(2 * np.array([-math.sqrt(1.5), 0, math.sqrt(1.5)]))
    assert complexity([rows[0]] * 4, Curriculum()).tolist() == [0] * 4  # nothing to tell them apart by


def test_each_epoch_has_every_row_once_and_a_seed_gives_one_order() -> None:
    hard, equal = np.array([3.0, 1.0, 2.0, 0.0, 5.0]), np.ones(5)
    for order in ("shuffled", "easy-first"):
        curriculum = Curriculum(order=order)
        found = draws(hard, 13, curriculum, 7, equal)
        assert len(found) == 13
        assert sorted(found[:5]) == sorted(found[5:10]) == [0, 1, 2, 3, 4]
        assert found == draws(hard, 13, curriculum, 7, equal)
    assert draws(hard, 5, Curriculum(order="easy-first"), 0, equal) == [3, 1, 2, 0, 4]
    orders = {tuple(draws(hard, 5, Curriculum(), seed, equal)) for seed in range(8)}
    assert len(orders) > 4


def test_paced_draws_come_from_a_share_of_the_easiest_that_grows() -> None:
    hard = np.random.default_rng(0).permutation(100).astype(float)
    found = draws(hard, 400, Curriculum(order="paced", start=0.1), 0, np.ones(100))
    for number, row in enumerate(found):
        share = math.sqrt(number / 400 * (1 - 0.01) + 0.01)
        assert hard[row] < math.ceil(share * 100)
    in_time = math.sqrt(300 / 400 * (1 - 0.01) + 0.01) * 100  # these had a hundred draws left
    assert {row for row in range(100) if hard[row] < in_time} <= set(found)
    assert len(set(found[:10])) == 10  # none twice while others wait


def test_methods_are_drawn_in_the_shares_that_are_wanted() -> None:
    methods: list[Any] = ["acts"] * 80 + ["reasoning"] * 20
    found = shares(methods, {"acts": 0.7, "reasoning": 0.3})
    assert found.sum() == pytest.approx(100)
    assert found[:80].sum() == pytest.approx(70)
    drawn = draws(np.zeros(100), 5000, Curriculum(), 0, found)
    assert sum(row < 80 for row in drawn) / 5000 == pytest.approx(0.7, abs=0.01)
    assert shares(methods, {"acts": 1.0, "reasoning": 1.0}).tolist() == [1.0] * 100
    assert shares(methods[:80], {"acts": 0.7, "reasoning": 0.3}).tolist() == pytest.approx([1.0] * 80)


def test_easy_rows_weigh_more_at_first_and_all_alike_at_the_end() -> None:
    hard = np.array([-1.0, 0.0, 1.0])
    first, last = weights(hard, 0.5, 0.0), weights(hard, 0.5, 1.0)
    assert first.mean() == pytest.approx(1)
    assert first / first[1] == pytest.approx(np.exp([0.5, 0, -0.5]))
    assert last == pytest.approx([1, 1, 1])
    assert np.isfinite(weights(np.array([-2e3, 0, 2e3]), 50.0, 0.0)).all()


def test_steps_are_sorted_by_length_and_keep_their_rows() -> None:
    assert evened([0, 1, 2, 3, 4], [9, 1, 5, 7, 2], 2) == [1, 0, 2, 3, 4]
    assert evened([0, 0, 1], [9, 1], 3) == [1, 0, 0]


# -- evaluation -------------------------------------------------------------------------------------------------------


def greedy_rows(model: Any, count: int) -> list[Row]:
    """Rows whose acts are often, and not always, what the model would write."""
    rows, chance = [], random.Random(5)
    for row in some_rows(count, 390):
        ids = row.ids.tolist()
        for at in range(1, len(ids)):
            if row.kinds[at] == Kind.ACT and chance.random() < 0.8:
                with torch.no_grad():
                    ids[at] = int(model(input_ids=torch.tensor([ids[:at]])).logits[0, -1].argmax())
        rows.append(Row(np.array(ids, np.int32), row.kinds, row.source, row.turns))
    return rows


def plain_fit(model: Any, rows: Sequence[Row]) -> Fit:
    """The same as `evaluate`, a row and a token at a time."""
    fit = Fit()
    for row in rows:
        with torch.no_grad():
            log_p = model(input_ids=torch.from_numpy(row.ids.astype(np.int64))[None]).logits[0].log_softmax(-1)
        before, exact = Kind.PROMPT, True
        for at in range(1, len(row)):
            kind, token = Kind(row.kinds[at]), int(row.ids[at])
            loss = -float(log_p[at - 1, token])
            if before == Kind.ACT and kind != Kind.ACT:
                fit.exact += exact
            if kind == Kind.REASON:
                fit.reason, fit.reason_tokens = fit.reason + loss, fit.reason_tokens + 1
            if kind == Kind.ACT:
                fit.act, fit.act_tokens = fit.act + loss, fit.act_tokens + 1
                if before != Kind.ACT:
                    fit.acts, exact = fit.acts + 1, True
                exact = exact and int(log_p[at - 1].argmax()) == token
            before = kind
        fit.exact += exact and before == Kind.ACT
    return fit


def test_evaluation_counts_what_a_plain_computation_counts(made: Path) -> None:
    model, _ = a_model(made)
    rows = greedy_rows(model, 23)
    plain = plain_fit(model, rows)
    attach(model, SpanLoss(chunk=7))
    assert 0 < plain.exact < plain.acts
    for batch in (1, 4, 50):
        found = evaluate(model, rows, 0, batch=batch)
        assert (found.reason, found.act) == pytest.approx((plain.reason, plain.act), rel=1e-5)
        for key in ("reason_tokens", "act_tokens", "acts", "exact"):
            assert getattr(found, key) == getattr(plain, key)
    figures = plain.figures()
    assert figures["exact_act"] == plain.exact / plain.acts
    assert figures["reason"] == plain.reason / plain.reason_tokens
    assert Fit().figures() == {"acts": 0.0}  # of what there is none, nothing is said


@pytest.mark.parametrize(("count", "parts"), [(7, 3), (2, 3), (8, 2)])
def test_parts_add_up_to_the_whole_and_make_as_many_passes(count: int, parts: int, made: Path) -> None:
    model, _ = a_model(made)
    rows = greedy_rows(model, count)
    attach(model, SpanLoss())
    whole = evaluate(model, rows, 0)
    passes = [0] * parts
    found = []
    for part in range(parts):

        def count_pass(*_: Any, part: int = part) -> None:
            passes[part] += 1

        hook = model.model.register_forward_hook(count_pass)
        found.append(evaluate(model, rows, 0, batch=2, part=part, parts=parts))
        hook.remove()
    assert len(set(passes)) == 1
    for key in Fit.__dataclass_fields__:
        assert sum(getattr(one, key) for one in found) == pytest.approx(getattr(whole, key), rel=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_knows_no_dropout_and_leaves_the_model_as_it_was(training: bool, made: Path) -> None:
    model, _ = a_model(made)
    student = adapted(model, Adapter(rank=4, dropout=0.5), checkpointing=True)
    for name, values in student.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(values)
    attach(student, SpanLoss())
    student.train(training)
    rows = some_rows(6, 390)
    assert evaluate(student, rows, 0) == evaluate(student, rows, 0)
    assert student.training is training
    assert not any(values.grad is not None for values in student.parameters())


# -- data -------------------------------------------------------------------------------------------------------------


def prompts(data: Path, rows: Sequence[Row]) -> set[str]:
    by_source = {one.source: one.trajectory.prompt for one in read_trajectories([data]).found}
    return {by_source[row.source] for row in rows}


def loaded(paths: Sequence[Path], recipe: str = "kang", **given: Any) -> Data:
    return load(paths, load_recipe(recipe), Segmenter(tiny_tokenizer()), 2048, **given)


def test_questions_that_differ_in_numbers_alone_are_held_out_together(made: Path, tmp_path: Path) -> None:
    shuffled = tmp_path / "shuffled.jsonl"
    trajectories = [one.trajectory for one in read_trajectories([made / "data.jsonl"]).found]
    for one in random.Random(1).sample(trajectories, len(trajectories)):
        TraceStore(shuffled).append(one)
    found = []
    for path in (made / "data.jsonl", shuffled):
        data = loaded([path], held_out=0.4)
        learned, apart = prompts(path, data.rows), prompts(path, data.held_out)
        letters = [{prompt.split()[1] for prompt in some} for some in (learned, apart)]
        assert letters[0]
        assert letters[1]
        assert not letters[0] & letters[1]
        found.append((learned, apart))
        assert len(data.rows) + len(data.held_out) == 40
    assert found[0] == found[1]
    more = prompts(made / "data.jsonl", loaded([made / "data.jsonl"], held_out=0.8).held_out)
    assert found[0][1] < more  # a larger share holds out those of the smaller too


def reasoned(number: int) -> Trajectory:
    question = Message(role="user", content=f"Why {number}?")
    answer = Message(role="assistant", content=f"Since it is {number}, yes.")
    return Trajectory(
        prompt=question.content,
        messages=(question, answer),
        answer="yes",
        ended="answered",
        right=True,
        model="oracle/why",
        usage=Usage(),
    )


def test_a_recipe_takes_the_methods_that_it_names(tmp_path: Path) -> None:
    data = tool_trajectories(6, tmp_path / "data" / "acts.jsonl").parent
    store = TraceStore(data / "reasoning.jsonl")
    for number in range(4):
        store.append(reasoned(number))
    assert loaded([data], "cot").methods == ["reasoning"] * 4
    assert loaded([data], "fireact").methods == ["acts"] * 6 + ["reasoning"] * 4
    only = loaded([data], "cot")
    assert any("6 of a method that the recipe leaves out" in line for line in only.told)
    assert only.counts["learned"]["rows"] == 4
    assert only.digest != loaded([data], "fireact").digest


def test_data_that_are_all_held_out_or_none_are_told_as_that(made: Path, tmp_path: Path) -> None:
    one = tool_trajectories(1, tmp_path / "one.jsonl")
    with pytest.raises(BadInput, match=r"every question is held out: give more trajectories, or --held-out 0"):
        loaded([one], held_out=0.9999)
    assert loaded([one], held_out=0.01).told[-1].startswith("no question fell to the 1% that is held out")
    assert "no question" not in loaded([one]).told[-1]


# -- models -----------------------------------------------------------------------------------------------------------


def test_a_teacher_that_cuts_texts_otherwise_is_refused_though_its_tokens_are_the_same(
    made: Path, tmp_path: Path
) -> None:
    from tokenizers import pre_tokenizers

    other = tiny_tokenizer()
    other.backend_tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tiny_student(tmp_path / "teacher", other)
    with pytest.raises(BadInput, match=r"has the student's tokens but cuts '.*' otherwise"):
        a_teacher(tmp_path / "teacher", made, 395)


def a_teacher(folder: Path, made: Path, vocabulary: int) -> Any:
    return load_teacher(
        str(folder), load_tokenizer(str(made / "student")), torch.float32, torch.device("cpu"), vocabulary
    )


def resized(made: Path, folder: Path, rows: int) -> Path:
    model, tokenizer = a_model(made, "teacher")
    model.resize_token_embeddings(rows)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_teacher_may_have_more_rows_than_tokens_but_not_fewer_than_the_student(made: Path, tmp_path: Path) -> None:
    size = len(tiny_tokenizer())
    wide = resized(made, tmp_path / "wide", size + 32)
    teacher = a_teacher(wide, made, size)
    assert not teacher.training
    assert not any(values.requires_grad for values in teacher.parameters())
    with pytest.raises(BadInput, match=rf"tells {size} tokens apart and the student {size + 32}.*not smaller"):
        a_teacher(made / "teacher", made, size + 32)
    with pytest.raises(BadInput, match=rf"knows {size - 8} tokens and its tokenizer {size}"):
        a_teacher(resized(made, tmp_path / "narrow", size - 8), made, size - 8)


def test_models_that_cannot_be_loaded_are_named_with_the_reason(made: Path, tmp_path: Path) -> None:
    model, tokenizer = a_model(made)
    model.save_pretrained(tmp_path / "bare")
    with pytest.raises(BadInput, match=r"holds no tokenizer \(tokenizer.json\); copy"):
        load_tokenizer(str(tmp_path / "bare"))
    whole = (tmp_path / "bare" / "model.safetensors").read_bytes()
    (tmp_path / "bare" / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match="no model '.*bare': .*metadata"):
        load_model(str(tmp_path / "bare"), tokenizer, torch.float32)
    model.config.final_logit_softcapping = 30.0
    with pytest.raises(BadInput, match="cannot be trained on spans: the model has final_logit_softcapping"):
        attach(model, SpanLoss())


def test_activations_are_computed_again_where_that_is_asked_for(made: Path) -> None:
    for checkpointing in (True, False):
        model, _ = a_model(made)
        student = adapted(model, Adapter(rank=4), checkpointing=checkpointing)
        passes: list[int] = []
        model.model.layers[0].self_attn.register_forward_pre_hook(lambda *_, passes=passes: passes.append(1))
        student.train()
        student(input_ids=torch.tensor([[1, 2, 3]]), labels=torch.tensor([[1, 2, 3]])).loss.backward()
        assert len(passes) == (2 if checkpointing else 1)
        trained = {name: values for name, values in student.named_parameters() if values.requires_grad}
        assert all("lora_" in name and values.grad is not None for name, values in trained.items())


# -- memory -----------------------------------------------------------------------------------------------------------


def test_memory_is_reckoned_from_as_many_weights_as_a_model_has(made: Path) -> None:
    model, _ = a_model(made)
    shape = Shape.of(model.config)
    matrices = sum(values.numel() for name, values in model.named_parameters() if "norm" not in name)
    assert shape.weights == matrices
    full, lora = (estimate(shape, rank=rank, window=100) for rank in (None, 8))
    assert full.weights == lora.weights == 2 * matrices
    student = adapted(model, Adapter(rank=8), checkpointing=False)
    adapter = sum(values.numel() for values in student.parameters() if values.requires_grad)
    assert shape.adapter(8) == adapter
    assert (full.trained, lora.trained) == (16 * matrices, 16 * adapter)


@pytest.mark.parametrize(("name", "billions"), [("qwen3-0.6b", 0.596), ("qwen3-8b", 8.19), ("llama-3.1-8b", 8.03)])
def test_known_shapes_have_the_weights_that_their_makers_tell(name: str, billions: float) -> None:
    assert SHAPES[name].weights / 1e9 == pytest.approx(billions, rel=0.002)


def test_memory_grows_with_what_it_should_grow_with() -> None:
    shape = SHAPES["qwen3-8b"]
    plain = estimate(shape, rank=64, window=4096)
    assert estimate(shape, rank=64, window=8192).activations == 2 * plain.activations
    assert estimate(shape, rank=64, window=4096, batch=2).activations == 2 * plain.activations
    assert estimate(shape, rank=64, window=4096, checkpointing=False).activations > 5 * plain.activations
    assert estimate(shape, rank=64, window=4096, teacher=SHAPES["qwen3-4b"]).teacher > 2 * SHAPES["qwen3-4b"].weights
    assert plain.total < 24 * 2**30 < estimate(shape, rank=None, window=4096).total


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9000000000000 bytes."),
    ],
)
def test_every_way_in_which_memory_runs_out_is_told_with_what_to_change(error: Exception) -> None:
    run = Run((), "m", Path("out"), load_recipe("sad", {"adapter": "none"}), teacher="t", checkpointing=False)
    advice = r"leave --no-checkpointing out.*--cache 64.*adapter=\{rank=16\}"
    with pytest.raises(BadInput, match=advice), out_of_memory(run):
        raise error
    with pytest.raises(RuntimeError, match="of another kind"), out_of_memory(run):
        raise RuntimeError("of another kind")


def test_a_mixture_of_experts_is_none_of_the_shapes_that_are_reckoned_with() -> None:
    from transformers import MixtralConfig

    with pytest.raises(BadInput, match="a mixture of experts"):
        Shape.of(MixtralConfig())


# -- the teacher's cache ----------------------------------------------------------------------------------------------


def plain_log_p(teacher: Any, row: Row, vocabulary: int) -> Any:
    """[length, vocabulary]: what a teacher says of each token of a row but the first."""
    with torch.no_grad():
        logits = teacher(input_ids=torch.from_numpy(row.ids.astype(np.int64))[None]).logits[0, :, :vocabulary]
    return logits.double().log_softmax(-1).roll(1, 0)


def test_a_cache_holds_what_a_plain_computation_says_and_is_found_again(made: Path, tmp_path: Path) -> None:
    size = len(tiny_tokenizer())
    teacher = a_teacher(resized(made, tmp_path / "wide", size + 32), made, size)
    rows = [*some_rows(5, size), a_row("rpa")]
    done: list[int] = []
    cache = TeacherCache.make(tmp_path / "cache", rows, teacher, "t", 4, vocabulary=size, on_row=done.append)
    assert done == [0, 1, 2, 3, 4, 5]
    again = TeacherCache.open(tmp_path / "cache", rows, "t", 4)
    assert again is not None
    for one in (cache, again):
        stored = one.batch([5, 2], 40)
        assert stored.ids.shape == stored.log_p.shape == (2, 40, 4)
        for place, number in enumerate((5, 2)):
            log_p, row = plain_log_p(teacher, rows[number], size), rows[number]
            entropies = []
            for at in range(40):
                here = stored.log_p[place, at]
                if at == 0 or at >= len(row) or row.kinds[at] not in (Kind.REASON, Kind.ACT):
                    assert torch.isneginf(here).all()
                    assert not stored.ids[place, at].any()
                    continue
                best = log_p[at].topk(4)
                assert stored.ids[place, at].tolist() == best.indices.tolist()
                assert here.tolist() == pytest.approx(best.values.tolist(), abs=4e-3)
                p = best.values.exp()
                rest = 1 - p.sum()
                entropies.append(-float((p * best.values).sum() + rest * rest.log()))
            assert one.entropies[number] == pytest.approx(np.mean(entropies), rel=5e-3)
    batch = collate(rows, [5, 2], 0, again)
    assert batch.top_k is not None
    assert batch.top_k.ids.shape[:2] == batch.input_ids.shape


def test_a_cache_of_anything_else_is_not_taken_and_is_replaced(made: Path, tmp_path: Path) -> None:
    teacher, _ = a_model(made, "teacher")
    rows = some_rows(3, 390)
    folder = tmp_path / "cache"
    assert TeacherCache.open(folder, rows, "t", 4) is None
    TeacherCache.make(folder, rows, teacher, "t", 4)
    other = [a_row("pra"), *rows[1:]]
    masked = [Row(rows[0].ids, np.zeros_like(rows[0].kinds), "row-0", 1), *rows[1:]]
    for given in ((other, "t", 4), (masked, "t", 4), (rows[::-1], "t", 4), (rows, "u", 4), (rows, "t", 5)):
        assert TeacherCache.open(folder, *given) is None
    TeacherCache.make(folder, other, teacher, "t", 4)
    assert TeacherCache.open(folder, other, "t", 4) is not None
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_more_tokens_than_there_are_are_all_of_them(made: Path, tmp_path: Path) -> None:
    teacher, tokenizer = a_model(made, "teacher")
    rows = some_rows(2, 390)
    cache = TeacherCache.make(tmp_path / "cache", rows, teacher, "t", 512)
    assert cache.ids.shape[1] == len(tokenizer)
    assert TeacherCache.open(tmp_path / "cache", rows, "t", 512) is not None


@pytest.mark.parametrize("name", ["about.json", "ids.npy", "log_p.npy"])
@pytest.mark.parametrize("left", [None, 0, 0.5])
def test_a_cache_whose_files_are_not_whole_is_refused(
    name: str, left: float | None, made: Path, tmp_path: Path
) -> None:
    teacher, _ = a_model(made, "teacher")
    rows = some_rows(2, 390)
    TeacherCache.make(tmp_path / "cache", rows, teacher, "t", 4)
    file = tmp_path / "cache" / name
    whole = file.read_bytes()
    file.unlink()
    if left is not None:
        file.write_bytes(whole[: int(len(whole) * left)])
    if name == "about.json" and left is None:
        assert TeacherCache.open(tmp_path / "cache", rows, "t", 4) is None
        return
    with pytest.raises(RecordInvalid, match=r"cache '.*cache' cannot be read .*; delete the folder"):
        TeacherCache.open(tmp_path / "cache", rows, "t", 4)


def test_a_cache_is_there_whole_or_not_at_all_and_replaces_nothing_else(made: Path, tmp_path: Path) -> None:
    teacher, _ = a_model(made, "teacher")
    rows = some_rows(3, 390)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInput, match="holds no cache, which would replace it; name another folder"):
        TeacherCache.make(theirs, rows, teacher, "t", 4)
    assert (theirs / "thesis.txt").read_text() == "years of work"
    teacher.model.norm.weight.data[0] = float("nan")
    with pytest.raises(TeacherInvalid, match="row-0: the teacher 't' gives NaN or infinities"):
        TeacherCache.make(tmp_path / "cache", rows, teacher, "t", 4)
    assert not (tmp_path / "cache").exists()
