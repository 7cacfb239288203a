"""The span loss against the plain formula, on random numbers and on ones worked out by hand."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the training tests need torch (the extra 'train')")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from boxwright_training.kinds import Kind  # noqa: E402
from boxwright_training.loss import (  # noqa: E402
    Head,
    LearnedWeights,
    LocalTeacher,
    SpanLoss,
    StoredTopK,
    Supervision,
    TeacherInvalid,
    projected_backward,
    top_k,
)

# torch's compiler touches deprecated names of its own.
COMPILES = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
STUDENT = Path(__file__).parent.parent.parent / "student"
BATCH, LENGTH, WIDTH, TEACHER_WIDTH, VOCABULARY = 3, 23, 16, 24, 97


def batch(seed: int = 0, dtype: Any = torch.float32, device: str = "cpu") -> SimpleNamespace:
    """A batch of random hidden states, heads and kinds; the teacher is wider than the student."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Any:
        return torch.randn(*shape, generator=draw, dtype=torch.float64).to(device, dtype)

    def integers(most: int) -> Any:
        return torch.randint(most, (BATCH, LENGTH), generator=draw).to(device)

    return SimpleNamespace(
        hidden=normal(BATCH, LENGTH, WIDTH).requires_grad_(),
        weight=normal(VOCABULARY, WIDTH).requires_grad_(),
        bias=normal(VOCABULARY).requires_grad_(),
        teacher=LocalTeacher(
            normal(BATCH, LENGTH, TEACHER_WIDTH), Head(normal(VOCABULARY, TEACHER_WIDTH) / TEACHER_WIDTH**0.5)
        ),
        ids=integers(VOCABULARY),
        kinds=integers(4),
        sequence_weights=(torch.rand(BATCH, generator=draw) + 0.5).to(device),
    )


def plain(data: SimpleNamespace, temperature: float, act: str, teacher: bool = True) -> tuple[Any, list[Any]]:
    """The formula of issue 5 with all logits at once, in float64: the total and its gradients."""
    hidden, weight, bias = (
        tensor.detach().double().requires_grad_() for tensor in (data.hidden, data.weight, data.bias)
    )
    logits = (hidden @ weight.t() + bias)[:, :-1]
    teacher_logits = (data.teacher.hidden.double() @ data.teacher.head.weight.double().t())[:, :-1]
    targets, kinds = data.ids[:, 1:], data.kinds[:, 1:]
    log_q = torch.log_softmax(logits / temperature, -1)
    log_p = torch.log_softmax(teacher_logits / temperature, -1)
    kl = temperature**2 * (log_p.exp() * (log_p - log_q)).sum(-1)
    ce = -torch.log_softmax(logits, -1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    by_kind = {Kind.REASON: kl if teacher else ce, Kind.ACT: kl if teacher and act == "kl" else ce}
    total = logits.new_zeros(())
    for kind, coefficient in ((Kind.REASON, 0.7), (Kind.ACT, 1.9)):
        mask = (kinds == int(kind)) * data.sequence_weights.double().unsqueeze(1)
        total = total + coefficient * (by_kind[kind] * mask).sum() / (kinds == int(kind)).sum()
    total.backward()
    return total.detach(), [hidden.grad, weight.grad, bias.grad]


def ours(data: SimpleNamespace, loss: SpanLoss, teacher: Any) -> Any:
    supervision = Supervision.of(data.ids, data.kinds)
    return loss(
        data.hidden,
        Head(data.weight, data.bias),
        supervision,
        teacher,
        weights=(0.7, 1.9),
        sequence_weights=data.sequence_weights,
    )


def value(scalar: Any) -> float:
    return float(scalar.detach())


def distance(one: Any, other: Any) -> float:
    return float((one.double() - other).norm() / other.norm())


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("act", ["cross-entropy", "kl"])
@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_loss_and_gradients_are_those_of_the_plain_formula(temperature: float, act: Any, chunk: int) -> None:
    data = batch()
    total, gradients = plain(data, temperature, act)
    losses = ours(data, SpanLoss(temperature, act, chunk), data.teacher)
    losses.total.backward()
    assert distance(losses.total.detach(), total) < 1e-5
    for mine, theirs in zip((data.hidden, data.weight, data.bias), gradients, strict=True):
        assert distance(mine.grad, theirs) < 1e-5


def test_without_a_teacher_both_terms_are_cross_entropy() -> None:
    data = batch()
    total, gradients = plain(data, 1.0, "cross-entropy", teacher=False)
    losses = ours(data, SpanLoss(chunk=5), None)
    losses.total.backward()
    assert distance(losses.total.detach(), total) < 1e-5
    assert distance(data.weight.grad, gradients[1]) < 1e-5


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 40), st.floats(0.3, 5.0))
def test_any_batch_chunk_and_temperature_agree_with_the_plain_formula(
    seed: int, chunk: int, temperature: float
) -> None:
    data = batch(seed, torch.float64)
    total, gradients = plain(data, temperature, "cross-entropy")
    losses = ours(data, SpanLoss(temperature, chunk=chunk), data.teacher)
    losses.total.backward()
    # The weights and counts are kept in float32.
    assert distance(losses.total.detach(), total) < 1e-6
    assert distance(data.hidden.grad, gradients[0]) < 1e-6


def test_a_loss_worked_out_by_hand() -> None:
    # Two tokens in the vocabulary. Teacher (3/4, 1/4), student (1/2, 1/2): KL = 3/4 ln(3/2) + 1/4 ln(1/2).
    # The act's target has probability 1/2: cross-entropy is ln 2.
    states = torch.ones(1, 3, 1)
    teacher = LocalTeacher(states, Head(torch.tensor([[math.log(3.0)], [0.0]])))
    supervision = Supervision.of(torch.tensor([[0, 1, 1]]), torch.tensor([[0, 1, 2]]))
    losses = SpanLoss()(states, Head(torch.zeros(2, 1)), supervision, teacher, weights=(2.0, 3.0))
    kl = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert value(losses.reason) == pytest.approx(kl, rel=1e-6)
    assert value(losses.act) == pytest.approx(math.log(2), rel=1e-6)
    assert value(losses.total) == pytest.approx(2 * kl + 3 * math.log(2), rel=1e-6)


def test_the_mask_belongs_to_the_target_token() -> None:
    supervision = Supervision.of(
        torch.tensor([[10, 11, 12, 13], [20, 21, 22, 23]]), torch.tensor([[1, 0, 1, 2], [2, 3, 3, 1]])
    )
    # Token 0 of a sequence is nobody's target, although it is of a supervised kind.
    assert supervision.reason.positions.tolist() == [1, 6] and supervision.reason.targets.tolist() == [12, 23]
    assert supervision.act.positions.tolist() == [2] and supervision.act.targets.tolist() == [13]
    assert supervision.reason.rows.tolist() == [0, 1]


def test_observations_and_prompts_get_no_gradient() -> None:
    data = batch()
    ours(data, SpanLoss(chunk=5), data.teacher).total.backward()
    supervised = torch.zeros(BATCH, LENGTH, dtype=torch.bool)
    supervised[:, :-1] = (data.kinds[:, 1:] == Kind.REASON) | (data.kinds[:, 1:] == Kind.ACT)
    assert bool((data.hidden.grad[~supervised] == 0).all())
    assert bool((data.hidden.grad[supervised].abs().sum(-1) > 0).all())


@pytest.mark.parametrize("with_teacher", [True, False])
def test_a_batch_with_nothing_supervised_is_0_and_not_nan(with_teacher: bool) -> None:
    data = batch()
    data.kinds = torch.full_like(data.kinds, int(Kind.OBSERVE))
    losses = ours(data, SpanLoss(), data.teacher if with_teacher else None)
    losses.total.backward()
    assert [value(one) for one in (losses.total, losses.reason, losses.act)] == [0.0, 0.0, 0.0]
    for tensor in (data.hidden, data.weight, data.bias):
        assert bool((tensor.grad == 0).all())


def test_with_global_counts_the_parts_of_a_batch_add_up_to_it() -> None:
    data = batch()
    whole = Supervision.of(data.ids, data.kinds)
    counts = {Kind.REASON: len(whole.reason), Kind.ACT: torch.tensor(len(whole.act))}
    loss, head = SpanLoss(chunk=6), Head(data.weight, data.bias)
    expected = loss(data.hidden, head, whole, data.teacher)
    summed = [0.0, 0.0, 0.0]
    for row in range(BATCH):
        one = slice(row, row + 1)
        part = Supervision.of(data.ids[one], data.kinds[one])
        teacher = LocalTeacher(data.teacher.hidden[one], data.teacher.head)
        got = loss(data.hidden[one], head, part, teacher, counts=counts)
        summed = [old + value(new) for old, new in zip(summed, (got.total, got.reason, got.act), strict=True)]
    assert summed == pytest.approx([value(one) for one in (expected.total, expected.reason, expected.act)], rel=1e-5)


def test_a_kind_alone_is_its_term_of_the_whole() -> None:
    data = batch()
    supervision, head = Supervision.of(data.ids, data.kinds), Head(data.weight, data.bias)
    both = SpanLoss()(data.hidden, head, supervision, data.teacher, weights=(0.7, 1.9))
    alone = [
        SpanLoss()(data.hidden, head, supervision, data.teacher, weights=(0.7, 1.9), kinds=(kind,)).total
        for kind in (Kind.REASON, Kind.ACT)
    ]
    assert value(sum(alone)) == pytest.approx(value(both.total), rel=1e-6)
    assert value(alone[1]) == pytest.approx(1.9 * value(both.act), rel=1e-6)


def test_never_more_logits_at_once_than_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    data, seen = batch(), []
    logits = Head.logits

    def watched(head: Head, hidden: Any) -> Any:
        seen.append(hidden.shape[0])
        return logits(head, hidden)

    monkeypatch.setattr(Head, "logits", watched)
    ours(data, SpanLoss(chunk=4), data.teacher).total.backward()
    supervision = Supervision.of(data.ids, data.kinds)
    assert max(seen) <= 4
    # Twice for reason (student and teacher), once for act, and nothing for the rest.
    assert sum(seen) == 2 * len(supervision.reason) + len(supervision.act)


def test_bfloat16_gradients_are_summed_in_float32() -> None:
    data = batch(dtype=torch.bfloat16)
    _, gradients = plain(data, 1.0, "cross-entropy")
    ours(data, SpanLoss(chunk=2), data.teacher).total.backward()
    # A product is rounded once to bfloat16 (2^-9 relative), and the sum of 30 chunks adds nothing to that.
    assert data.weight.grad.dtype == torch.bfloat16
    assert distance(data.weight.grad, gradients[1]) < 1e-2
    assert distance(data.hidden.grad, gradients[0]) < 1e-2


def test_under_autocast_a_float32_head_gets_a_float32_gradient() -> None:
    data = batch()
    _, gradients = plain(data, 1.0, "cross-entropy")
    with torch.autocast("cpu", torch.bfloat16):
        losses = ours(data, SpanLoss(chunk=6), data.teacher)
    losses.total.backward()
    assert losses.total.dtype == torch.float32 and data.weight.grad.dtype == torch.float32
    assert 1e-5 < distance(data.weight.grad, gradients[1]) < 2e-2


@GPU
@COMPILES
@pytest.mark.extended
@pytest.mark.parametrize("compile_formulas", [False, True])
@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
def test_on_a_gpu_it_is_the_plain_formula_too(dtype: Any, most: float, compile_formulas: bool) -> None:
    data = batch(dtype=dtype, device="cuda")
    cases: list[tuple[Any, bool]] = [("cross-entropy", True), ("kl", True), ("cross-entropy", False)]
    for act, teacher in cases:
        data.hidden.grad = data.weight.grad = data.bias.grad = None
        total, gradients = plain(data, 1.7, act, teacher)
        losses = ours(data, SpanLoss(1.7, act, 7, compile_formulas), data.teacher if teacher else None)
        losses.total.backward()
        assert distance(losses.total.detach(), total) < min(most, 1e-4)
        for mine, theirs in zip((data.hidden, data.weight, data.bias), gradients, strict=True):
            assert distance(mine.grad, theirs) < most


@GPU
@COMPILES
@pytest.mark.extended
@pytest.mark.parametrize("compile_formulas", [False, True])
def test_on_a_gpu_top_k_is_the_same_and_what_is_faulty_is_refused(compile_formulas: bool) -> None:
    answers = []
    for device in ("cpu", "cuda"):
        data = batch(device=device)
        stored = top_k(data.teacher, Supervision.of(data.ids, data.kinds), 5)
        losses = ours(data, SpanLoss(chunk=7, compile=compile_formulas and device == "cuda"), stored)
        losses.total.backward()
        answers.append((losses.total.detach().cpu(), data.hidden.grad.cpu(), data.weight.grad.cpu()))
    for one, other in zip(*answers, strict=True):
        assert distance(other, one.double()) < 1e-5
    data = batch(device="cuda")
    data.kinds[2, 7] = int(Kind.REASON)
    data.teacher.hidden[2, 6, 0] = math.nan
    with pytest.raises(TeacherInvalid, match=r"at 1 of \d+ .* sequence 2 .* token 7"):
        ours(data, SpanLoss(chunk=5, compile=compile_formulas), data.teacher)


@COMPILES
@pytest.mark.extended
def test_compiled_formulas_are_the_same() -> None:
    one, other = batch(), batch()
    for data, compile_formulas in ((one, False), (other, True)):
        ours(data, SpanLoss(2.0, chunk=9, compile=compile_formulas), data.teacher).total.backward()
    assert distance(other.weight.grad, one.weight.grad.double()) < 1e-6


def test_a_frozen_head_and_no_gradients_at_all_are_cheaper_and_the_same() -> None:
    data = batch()
    expected = ours(data, SpanLoss(chunk=6), data.teacher)
    with torch.no_grad():
        assert value(ours(data, SpanLoss(chunk=6), data.teacher).total) == value(expected.total)
    expected.total.backward()
    frozen = batch()
    frozen.weight.requires_grad_(False)
    ours(frozen, SpanLoss(chunk=6), frozen.teacher).total.backward()
    assert frozen.weight.grad is None and torch.equal(frozen.hidden.grad, data.hidden.grad)


def test_a_second_backward_is_refused_and_not_wrong() -> None:
    data = batch()
    total = ours(data, SpanLoss(), data.teacher).total
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="taken backward already"):
        total.backward()


@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_what_is_no_number_in_the_teachers_logits_is_refused_with_its_place(poison: float) -> None:
    data = batch()
    data.kinds[2, 7] = int(Kind.REASON)
    data.teacher.hidden[2, 6, 0] = poison
    with pytest.raises(TeacherInvalid, match=r"at 1 of \d+ supervised positions, first at sequence 2 .* token 7"):
        ours(data, SpanLoss(chunk=5), data.teacher)


def test_nan_where_nothing_is_learned_from_the_teacher_harms_nothing() -> None:
    data = batch()
    data.kinds[2, 7] = int(Kind.OBSERVE)
    data.teacher.hidden[2, 6, 0] = math.nan
    assert math.isfinite(value(ours(data, SpanLoss(), data.teacher).total))


def test_a_token_that_the_teacher_rules_out_counts_as_probability_0() -> None:
    data = batch()
    bias = torch.zeros(VOCABULARY)
    bias[5] = -math.inf
    ruled_out = LocalTeacher(data.teacher.hidden, Head(data.teacher.head.weight, bias))
    bias_of_nearly = bias.clone()
    bias_of_nearly[5] = -200.0
    nearly = LocalTeacher(data.teacher.hidden, Head(data.teacher.head.weight, bias_of_nearly))
    one, other = ours(data, SpanLoss(), ruled_out).total, ours(data, SpanLoss(), nearly).total
    assert value(one) == pytest.approx(value(other), rel=1e-6)
    one.backward()
    assert bool(data.hidden.grad.isfinite().all())


def test_another_vocabulary_is_refused_with_the_reason() -> None:
    data = batch()
    other = LocalTeacher(data.teacher.hidden, Head(data.teacher.head.weight[:-1]))
    with pytest.raises(TeacherInvalid, match="96 tokens and the student 97.*no meaning"):
        ours(data, SpanLoss(), other)


# -- stored top-k ------------------------------------------------------------------------------------------------------


def test_all_of_the_vocabulary_stored_is_the_whole_kl() -> None:
    data = batch()
    total, gradients = plain(data, 1.0, "kl")
    stored = top_k(data.teacher, Supervision.of(data.ids, data.kinds), VOCABULARY, chunk=7)
    losses = ours(data, SpanLoss(act="kl", chunk=6), stored)
    losses.total.backward()
    assert distance(losses.total.detach(), total) < 1e-5
    assert distance(data.hidden.grad, gradients[0]) < 1e-5


def test_the_tail_of_the_top_k_is_one_bucket() -> None:
    data = batch(dtype=torch.float64)
    supervision = Supervision.of(data.ids, data.kinds)
    stored = top_k(data.teacher, supervision, 5, chunk=7)
    mine = SpanLoss(act="kl", chunk=6)(data.hidden, Head(data.weight), supervision, stored)
    mine.total.backward()
    gradient, data.hidden.grad = data.hidden.grad, None
    # The same by autograd on the k + 1 outcomes.
    total = torch.zeros((), dtype=torch.float64)
    for part in (supervision.reason, supervision.act):
        q = torch.softmax(data.hidden.flatten(0, 1)[part.positions] @ data.weight.t(), -1)
        ids, log_p = stored.rows(part, LENGTH)
        p, q_k = log_p.double().exp(), q.gather(-1, ids)
        p, q = (torch.cat([some, 1 - some.sum(-1, keepdim=True)], -1) for some in (p, q_k))
        total = total + (p * (p / q).log()).sum(-1).mean()
    total.backward()
    assert distance(mine.total.detach(), total.detach()) < 1e-5
    assert distance(gradient, data.hidden.grad) < 1e-5
    whole = SpanLoss(act="kl")(data.hidden, Head(data.weight), supervision, data.teacher)
    assert 0 < value(mine.total) < value(whole.total)


def test_padding_of_a_short_top_k_changes_nothing() -> None:
    data = batch()
    supervision = Supervision.of(data.ids, data.kinds)
    stored = top_k(data.teacher, supervision, 5)
    ids = torch.nn.functional.pad(stored.ids, (2, 1))
    padded = StoredTopK(ids, torch.nn.functional.pad(stored.log_p, (2, 1), value=-math.inf))
    one, other = (ours(data, SpanLoss(chunk=6), signal).total for signal in (stored, padded))
    assert value(one) == pytest.approx(value(other), rel=1e-6)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda stored: stored.log_p[1, 9].fill_(math.nan),
        lambda stored: stored.log_p[1, 9].fill_(-math.inf),
        lambda stored: stored.log_p[1, 9].fill_(-0.1),
        lambda stored: stored.ids[1, 9].fill_(3),
    ],
    ids=["nan", "empty", "more than 1", "a token twice"],
)
def test_a_top_k_that_is_no_distribution_is_refused_with_its_place(spoil: Any) -> None:
    data = batch()
    data.kinds[1, 9] = int(Kind.REASON)
    stored = top_k(data.teacher, Supervision.of(data.ids, data.kinds), 5)
    spoil(stored)
    with pytest.raises(TeacherInvalid, match="at 1 of .* sequence 1 of the batch, token 9"):
        ours(data, SpanLoss(), stored)


def test_a_top_k_with_a_temperature_or_of_another_length_is_refused() -> None:
    data = batch()
    stored = top_k(data.teacher, Supervision.of(data.ids, data.kinds), 5)
    with pytest.raises(ValueError, match=r"temperature must be 1 .* got 2.0"):
        ours(data, SpanLoss(2.0), stored)
    with pytest.raises(TeacherInvalid, match=r"\[batch, 23, k\], got \(3, 22, 5\)"):
        ours(data, SpanLoss(), StoredTopK(stored.ids[:, 1:], stored.log_p[:, 1:]))


# -- weights and projection --------------------------------------------------------------------------------------------


def test_learned_weights_start_where_told_and_stay_in_their_bounds() -> None:
    weights = LearnedWeights(0.5, 2.0, least=0.1, most=10.0)
    assert [value(one) for one in weights()] == pytest.approx([0.5, 2.0], rel=1e-5)
    with torch.no_grad():
        weights.s.copy_(torch.tensor([-1e4, 1e4]))
    assert [value(one) for one in weights()] == pytest.approx([0.1, 10.0], rel=1e-5)


def test_learned_weights_find_the_inverse_of_their_terms() -> None:
    data = batch()
    supervision, head, loss = Supervision.of(data.ids, data.kinds), Head(data.weight.detach()), SpanLoss()
    weights = LearnedWeights(least=0.01)
    steps = torch.optim.Adam(weights.parameters(), lr=0.05)
    for _ in range(150):
        steps.zero_grad()
        losses = loss(data.hidden.detach(), head, supervision, data.teacher, weights=weights())
        (losses.total + weights.penalty()).backward()
        steps.step()
    assert [value(one) for one in weights()] == pytest.approx(
        [1 / value(losses.reason), 1 / value(losses.act)], rel=1e-2
    )


def test_terms_that_agree_are_left_alone_and_terms_that_oppose_are_projected() -> None:
    point = torch.nn.Parameter(torch.zeros(2))
    agreeing = torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0])
    cosine = projected_backward(point @ agreeing[0], point @ agreeing[1], [point])
    assert torch.equal(point.grad, torch.tensor([2.0, 1.0])) and float(cosine) == pytest.approx(0.5**0.5)
    point.grad = None
    # (1, 0) loses its part along (-1, 1), which is (1/2, -1/2); (-1, 1) loses its part along (1, 0).
    cosine = projected_backward(point @ torch.tensor([1.0, 0.0]), point @ torch.tensor([-1.0, 1.0]), [point])
    assert point.grad.tolist() == pytest.approx([0.5, 1.5]) and float(cosine) == pytest.approx(-(0.5**0.5))


def test_projection_of_the_span_loss_reaches_a_shared_body() -> None:
    data = batch()
    body = torch.nn.Linear(WIDTH, WIDTH)
    supervision, head, loss = Supervision.of(data.ids, data.kinds), Head(data.weight), SpanLoss(chunk=6)
    shared = body(data.hidden.detach())
    reason, act = (
        loss(shared, head, supervision, data.teacher, kinds=(kind,)).total for kind in (Kind.REASON, Kind.ACT)
    )
    cosine = projected_backward(reason, act, [*body.parameters(), data.weight])
    got, body.weight.grad = body.weight.grad, None
    loss(body(data.hidden.detach()), head, supervision, data.teacher).total.backward()
    # Where the two agree the projection is the plain gradient.
    assert float(cosine) > 0 and distance(got, body.weight.grad.double()) < 1e-5


# -- bad arguments, and what it stands on ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"temperature": 0.0}, "temperature must be above 0 and finite, got 0.0"),
        ({"temperature": math.nan}, "temperature .* got nan"),
        ({"act": "mse"}, "act must be .* got 'mse'"),
        ({"chunk": 0}, "chunk must be at least 1 position, got 0"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SpanLoss(**arguments)
    with pytest.raises(ValueError, match="alpha must lie between 1.0 and 2.0, both above 0, got 3.0"):
        LearnedWeights(3.0, least=1.0, most=2.0)
    with pytest.raises(ValueError, match=r"both be \[batch, length\]"):
        Supervision.of(torch.zeros(2, 3), torch.zeros(2, 4))


def test_a_model_that_changes_its_logits_after_the_head_is_refused() -> None:
    layer = torch.nn.Linear(4, 9)

    def model(**config: Any) -> Any:
        text = SimpleNamespace(get_text_config=lambda: SimpleNamespace(**config))
        return SimpleNamespace(get_output_embeddings=lambda: layer, config=text)

    assert Head.of(model(logit_scale=1.0)).vocabulary == 9
    with pytest.raises(ValueError, match="final_logit_softcapping = 30.0"):
        Head.of(model(final_logit_softcapping=30.0))
    layer = torch.nn.Sequential(layer)
    with pytest.raises(ValueError, match="'Sequential', not a plain Linear"):
        Head.of(model())


def test_the_loss_needs_nothing_but_torch() -> None:
    program = (
        "import sys, torch; before = set(sys.modules)\nimport boxwright_training.loss\n"
        "print(sorted({name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": f"{STUDENT}:{Path(torch.__file__).parent.parent}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() in ("['boxwright_training']", "['boxwright_training', 'torch']")
