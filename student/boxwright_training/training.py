"""One training run, in the order in which it happens: data, models, order, trainer, checkpoints, what comes out."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from torch.utils.tensorboard import SummaryWriter
from transformers.integrations import TensorBoardCallback

from boxwright.errors import BadInput, RecordInvalid
from boxwright.files import writable, write_atomically
from boxwright.jsontypes import digest, pretty
from boxwright_training.attached import attach
from boxwright_training.batches import Collator, Drawn
from boxwright_training.card import write_card
from boxwright_training.data import Data, load
from boxwright_training.evaluation import Fit, evaluate
from boxwright_training.exporting.from_gguf import unpack
from boxwright_training.exporting.source import SOURCE, Source, digest_of, is_gguf, located, source_of
from boxwright_training.loading import adapted, load_model, load_teacher, load_tokenizer, refuse_adapter
from boxwright_training.loss import LearnedWeights, SpanLoss
from boxwright_training.memory import out_of_memory
from boxwright_training.order import complexity, draws, evened, shares
from boxwright_training.progress import Progress, stops
from boxwright_training.recipes import LEAST, MOST, Recipe
from boxwright_training.span_trainer import SpanTrainer, checkpoints
from boxwright_training.spans import Segmenter, Thoughts
from boxwright_training.stored_signal import STORED, stored_signal
from boxwright_training.teacher_cache import TeacherCache, rows_digest

__all__ = ["Run", "Trained", "train"]

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Run:
    """What is trained on what, and how; all of it is kept in the run's folder."""

    data: tuple[Path, ...]
    model: str
    """The student: a folder, a name on the Hugging Face Hub, or a GGUF file (`pocket` is one), which is unpacked into
    `out`."""
    out: Path
    recipe: Recipe
    teacher: str | None = None
    """A local teacher with the student's tokenizer, or `stored`: log-probabilities that the trajectories hold."""
    cache: int = 0
    """How many of the teacher's likeliest tokens are kept in a cache; 0 asks the teacher at every step."""
    cache_folder: Path | None = None
    """Where the cache is; by default in the run's folder. Runs over the same rows can share one."""
    held_out: float = 0.05
    held_out_data: tuple[Path, ...] = ()
    window: int = 4096
    """Tokens of a row at most."""
    thoughts: Thoughts = "template"
    template: Path | None = None
    """A chat template in place of the tokenizer's own."""
    template_options: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    device_batch: int = 1
    """Rows that a device takes at once."""
    steps: int | None = None
    """Steps in place of the recipe's epochs."""
    checkpointing: bool = True
    """Whether activations are computed again in the backward pass: a third more time, a fraction of the memory."""
    precision: Literal["auto", "bf16", "float32"] = "auto"
    device: Literal["auto", "cpu"] = "auto"
    chunk: int | None = None
    """Positions whose logits are in memory at once; by default 256 on a GPU, which wants large products, and 64 on a
    CPU, which does not."""
    save_every: int = 100
    """Steps between checkpoints."""
    log_every: int = 5
    fsdp: bool = False
    """Whether weights are sharded over the processes that torchrun started; else each has all of them."""

    @property
    def signal_kept(self) -> bool:
        """Whether what the teacher says was kept, in a cache or with the trajectories, and none is asked at a step."""
        return bool(self.cache) or self.teacher == STORED


@dataclass(frozen=True)
class Trained:
    """What a run gave."""

    model: Path
    """The folder of the adapter, or of all weights."""
    steps: int
    stopped: bool
    """Whether it was told to stop before its end; then the model is that of its last checkpoint."""
    before: dict[str, float]
    """How well held-out trajectories were fitted before training (`Fit.figures`); empty where none were held out."""
    after: dict[str, float]


def train(run: Run, *, resume: bool = False, tell: Tell = print) -> Trained:
    """Train, or go on with a run that was stopped or killed.

    Raises:
        BadInput: Something in the data, models, settings or the run's folder does not fit; the message says what.
        TeacherInvalid: The teacher's signal cannot be learned from; the message names the trajectory.
    """
    refuse_adapter(run.model)
    _refuse_folder(run.out, resume)
    arguments = _arguments(run)
    with _unpacked(run, arguments, resume) as (begun, source):
        return _train(run, begun, source, arguments, resume, tell)


def _train(
    run: Run,
    begun: Run,
    source: Source | None,
    arguments: transformers.TrainingArguments,
    resume: bool,
    tell: Tell,
) -> Trained:
    """Train a run as it was given; `begun` is the same with a folder for its student, unpacked of `source`."""
    transformers.set_seed(run.seed)
    tokenizer = load_tokenizer(begun.model, run.template)
    segmenter = Segmenter(tokenizer, thoughts=run.thoughts, mistakes=run.recipe.mistakes, options=run.template_options)
    data = load(run.data, run.recipe, segmenter, run.window, held_out=run.held_out, held_out_paths=run.held_out_data)
    say = tell if arguments.process_index == 0 else _silent
    for line in data.told:
        say(line)
    resolved = _resolved(run, source, data, arguments)
    last = _folder(run, resolved, resume)
    say(json.dumps(resolved, indent=1, default=str))
    with out_of_memory(run):
        trainer = _trainer(begun, data, tokenizer, arguments, say)
        # Before it is sharded, a model might not fit a device.
        before = {} if run.fsdp else _kept_fit(run.out) if last else _fit(trainer, data, tokenizer, "before")
        if last is None:
            _begin(run, trainer, resolved, before)
        with stops(trainer, say):
            trainer.train(resume_from_checkpoint=str(last) if last else None)
        stopped = trainer.state.global_step < trainer.state.max_steps
        after = {} if stopped else _fit(trainer, data, tokenizer, "after")
    if stopped:
        return Trained(checkpoints(run.out)[-1], trainer.state.global_step, True, before, {})
    trainer.save_model(str(run.out / "model"))
    if arguments.process_index == 0:
        # A pickle of the settings, with the folders they name; training.json has them as text.
        (run.out / "model" / "training_args.bin").unlink(missing_ok=True)
        if source and run.recipe.adapter:  # all weights, once trained, are no longer the file's
            source.write(run.out / "model")
        write_card(run.out / "model", resolved, data.counts, trainer.state.log_history, before, after)
    return Trained(run.out / "model", trainer.state.global_step, False, before, after)


# -- the parts --------------------------------------------------------------------------------------------------------


def _trainer(
    run: Run, data: Data, tokenizer: Any, arguments: transformers.TrainingArguments, tell: Tell
) -> SpanTrainer:
    recipe, pad = run.recipe, tokenizer.pad_token_id
    student = load_model(run.model, tokenizer, torch.float32 if recipe.adapter is None else _frozen_type(arguments))
    vocabulary = student.get_output_embeddings().weight.shape[0]
    teacher, cache = _signal(run, data, tokenizer, arguments, vocabulary, tell)
    # FSDP has a checkpointing of its own.
    student = adapted(student, recipe.adapter, checkpointing=run.checkpointing and not run.fsdp)
    loss = SpanLoss(
        temperature=recipe.loss.temperature,
        act=recipe.loss.act,
        chunk=run.chunk or (256 if arguments.device.type == "cuda" else 64),
        compile=arguments.device.type == "cuda",
    )
    learned = (
        LearnedWeights(recipe.loss.alpha, recipe.loss.beta, LEAST, MOST) if recipe.loss.weights == "learned" else None
    )
    attach(student, loss, learned)
    complexities = complexity(data.rows, recipe.curriculum, cache.entropies if cache else None)
    order = draws(
        complexities,
        _draws(run, len(data.rows)),
        recipe.curriculum,
        run.seed,
        shares(data.methods, recipe.methods),
    )
    trainer = SpanTrainer(
        recipe=recipe,
        rows=data.rows,
        complexities=complexities,
        teacher=teacher,
        model=student,
        args=arguments,
        train_dataset=Drawn(evened(order, [len(row) for row in data.rows], recipe.optimisation.batch)),
        data_collator=Collator(data.rows, pad, cache),
        processing_class=tokenizer,
        # Named by us, since its own folder would bear the machine's name.
        callbacks=[TensorBoardCallback(SummaryWriter(str(run.out / "logs")))] if arguments.process_index == 0 else [],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.add_callback(Progress(tell))
    return trainer


def _frozen_type(arguments: transformers.TrainingArguments) -> torch.dtype:
    """The type of weights that are not trained."""
    return torch.bfloat16 if arguments.bf16 else torch.float32


def _signal(
    run: Run,
    data: Data,
    tokenizer: Any,
    arguments: transformers.TrainingArguments,
    vocabulary: int,
    tell: Tell,
) -> tuple[Any | None, TeacherCache | None]:
    """Return a teacher that is asked at every step, or what one said once, or neither."""
    if not run.teacher:
        if run.recipe.loss.teacher:
            tell("no --teacher: reasoning is learned token by token, not from a teacher's probabilities")
        return None, None
    if run.teacher == STORED:
        return None, stored_signal(data.rows, tokenizer, tell)

    def load() -> Any:
        return load_teacher(str(run.teacher), tokenizer, _frozen_type(arguments), arguments.device, vocabulary)

    if not run.cache:
        return load(), None
    folder = run.cache_folder or run.out / "teacher-cache"
    with arguments.main_process_first(desc="asking the teacher"):
        cache = TeacherCache.open(folder, data.rows, run.teacher, run.cache)
        if cache is None:
            tell(f"asking the teacher of {len(data.rows)} rows (once; kept in {folder})")
            cache = TeacherCache.make(folder, data.rows, load(), run.teacher, run.cache, vocabulary=vocabulary)
    return None, cache


def _draws(run: Run, rows: int) -> int:
    """How many rows are drawn in all: whole steps, so that no step is smaller than the others."""
    steps = run.steps or max(1, round(rows * run.recipe.optimisation.epochs / run.recipe.optimisation.batch))
    return steps * run.recipe.optimisation.batch


def _arguments(run: Run) -> transformers.TrainingArguments:
    recipe = run.recipe.optimisation
    cpu = run.device == "cpu" or not torch.cuda.is_available()
    bf16 = run.precision == "bf16" or (run.precision == "auto" and not cpu and torch.cuda.is_bf16_supported())
    plain: dict[str, Any] = {"use_cpu": cpu, "bf16": bf16}
    if cpu and "LOCAL_RANK" in os.environ:  # as torchrun sets it
        plain["ddp_backend"] = "gloo"
    if run.fsdp:
        plain |= {"fsdp": True, "fsdp_config": {"activation_checkpointing": run.checkpointing}}
    arguments = transformers.TrainingArguments(
        output_dir=str(run.out),
        per_device_train_batch_size=run.device_batch,
        num_train_epochs=1,
        learning_rate=recipe.learning_rate,
        warmup_steps=recipe.warmup,
        lr_scheduler_type=recipe.schedule,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.clip,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        logging_strategy="steps",
        logging_steps=run.log_every,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=run.save_every,
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
        seed=run.seed,
        data_seed=run.seed,
        ddp_find_unused_parameters=False,
        ddp_timeout=24 * 3600,  # the others wait for the first, which asks a teacher of all rows
        **plain,
    )
    _check(run, arguments.world_size)
    if arguments.n_gpu > 1:  # else Trainer takes them all through DataParallel, which knows nothing of spans
        arguments._n_gpu = 1
    parts, over = divmod(recipe.batch, run.device_batch * arguments.world_size)
    if over or not parts:
        raise BadInput(
            f"a step of {recipe.batch} rows is no whole number of {arguments.world_size} processes with "
            f"{run.device_batch} rows each; change --device-batch or --set optimisation.batch"
        )
    arguments.gradient_accumulation_steps = parts
    return arguments


def _check(run: Run, processes: int) -> None:
    """Refuse what the settings of a run cannot mean together."""
    loss = run.recipe.loss
    if run.teacher and is_gguf(run.teacher):
        raise BadInput(
            f"--teacher {run.teacher} is a GGUF file, which only a student is read from: name full weights, a folder "
            "of safetensors or a model of the Hugging Face Hub"
        )
    if run.teacher and not loss.teacher:
        raise BadInput(
            f"the recipe {run.recipe.name!r} learns from no teacher's probabilities; leave --teacher out, or take "
            "sad or token-kl"
        )
    if run.teacher == STORED and run.cache:
        raise BadInput(f"--teacher {STORED} asks no teacher whose answers --cache {run.cache} could keep: leave it out")
    if loss.temperature != 1 and run.signal_kept:
        raise BadInput(
            f"loss.temperature is {loss.temperature}: what a cache or a trajectory holds is of temperature 1; set it "
            "to 1, or take a local teacher without --cache"
        )
    if run.recipe.curriculum.entropy and not (run.teacher and run.signal_kept):
        raise BadInput(
            "curriculum.entropy is that of a cached or stored teacher: add --teacher and --cache, or set it to 0"
        )
    if loss.projection and processes > 1:
        raise BadInput("loss.projection takes the two gradients apart, past what averages them: use one process")
    if loss.weights == "learned" and run.fsdp:
        raise BadInput("loss.weights = 'learned' are two numbers, which --fsdp cannot shard; leave one out")
    if run.fsdp and processes == 1:
        raise BadInput(
            "--fsdp shards over the processes that torchrun starts: torchrun --nproc-per-node N -m boxwright train ..."
        )


def _resolved(run: Run, source: Source | None, data: Data, arguments: transformers.TrainingArguments) -> dict[str, Any]:
    """Everything that decides what comes out; two runs of the same are the same run."""
    about = {key: value for key, value in asdict(run).items() if key not in ("out", "recipe")}
    recipe = run.recipe.model_dump(mode="json")
    return {
        "recipe": recipe,
        **json.loads(json.dumps(about, default=str)),
        "model_sha256": source.sha256 if source else None,
        "data_digest": data.digest,
        "rows": len(data.rows),
        "rows_digest": rows_digest(data.rows),
        "held_out_digest": rows_digest(data.held_out),
        "processes": arguments.world_size,
        "accumulation": arguments.gradient_accumulation_steps,
        "device": arguments.device.type,
        "bf16": arguments.bf16,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


MAY_DIFFER = (
    *("device_batch", "accumulation", "checkpointing", "chunk"),  # how a step is cut and computed, and not what it is
    *("cache_folder", "save_every", "log_every", "torch", "transformers"),
)
"""What may differ between a run and its resume."""


def _refuse_folder(out: Path, resume: bool) -> None:
    """Refuse a run where there is one already that is not to be resumed, and a resume where there is none.

    Raises:
        BadInput: It is so.
    """
    there = (out / "run.json").exists()
    if there and not resume:
        raise BadInput(f"{str(out)!r} holds a run; add --resume to go on with it, or name another --out")
    if resume and not there:
        raise BadInput(f"--resume: there is no run in {str(out)!r}; leave --resume out to begin one")


@contextmanager
def _unpacked(run: Run, arguments: transformers.TrainingArguments, resume: bool) -> Iterator[tuple[Run, Source | None]]:
    """Give a run whose student is a folder: of a GGUF file, the weights it has begun with, and which file they are of.

    What was unpacked for a run that was refused goes again.

    Raises:
        BadInput: The file is refused, or is not the one that a run began with, or something else lies in its place.
    """
    if not is_gguf(run.model):
        yield run, None
        return
    folder, there, made = run.out / "start", run.out.exists(), False
    try:
        with arguments.main_process_first(local=False, desc="unpacking the student"):
            if arguments.process_index == 0 and not (resume and folder.is_dir()):
                _refuse_start(run, folder, resume)
                made = True
                unpack(Path(located(run.model)), folder)
        yield replace(run, model=str(folder)), source_of(folder)
    finally:
        if made and not (run.out / "run.json").exists():
            shutil.rmtree(folder, ignore_errors=True)
            if not there:
                with suppress(OSError):  # where something else was kept, a teacher's answers for one
                    run.out.rmdir()


def _refuse_start(run: Run, folder: Path, resume: bool) -> None:
    if folder.exists() and not (folder / SOURCE).is_file():
        raise BadInput(
            f"{str(folder)!r} is where the student would be unpacked, and something else is there: name another --out"
        )
    if resume:
        now, then = digest_of(Path(located(run.model))), _read(run.out / "run.json").get("model_sha256")
        if now != then:
            raise BadInput(
                f"--resume: {str(folder)!r} is gone, and {run.model!r} is not known to be the file that the run began "
                f"with (sha256 {then or 'not written down'} then, {now} now): put either back, or begin anew"
            )


def _folder(run: Run, resolved: dict[str, Any], resume: bool) -> Path | None:
    """Return the checkpoint to go on from, or none for a run that is at its beginning.

    Raises:
        BadInput: The folder holds another run, or cannot be written.
    """
    last = checkpoints(run.out)[-1:]
    if not resume:
        with writable(run.out):
            return None
    held = _read(run.out / "run.json")
    differ = [key for key in resolved if key not in MAY_DIFFER and digest(held.get(key)) != digest(resolved[key])]
    if differ:
        changes = "; ".join(f"{key} was {held.get(key)!r} and is {resolved[key]!r}" for key in differ)
        raise BadInput(f"--resume: the run in {str(run.out)!r} is another one: {changes[:600]}")
    return last[0] if last else None


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordInvalid(f"{path} cannot be read ({error}); the run cannot be resumed: begin it anew") from error
    if not isinstance(found, dict):
        raise RecordInvalid(f"{path} holds no JSON object; the run cannot be resumed: begin it anew")
    return found


def _begin(run: Run, trainer: SpanTrainer, resolved: dict[str, Any], before: dict[str, float]) -> None:
    """Write down what a run is, once all that it needs is there: a try that was refused is no run."""
    trainer.accelerator.wait_for_everyone()  # the others look whether there is one already
    if trainer.is_world_process_zero():
        write_atomically(run.out / "run.json", pretty(resolved))
        if before:
            write_atomically(run.out / "before.json", pretty(before))


def _fit(trainer: SpanTrainer, data: Data, tokenizer: Any, when: str) -> dict[str, float]:
    """Try the student on what is held out; every process takes its part."""
    if not data.held_out:
        return {}
    accelerator = trainer.accelerator
    model = trainer.model_wrapped if when == "after" else trainer.model.to(trainer.args.device)
    batch = max(4, trainer.args.per_device_train_batch_size)
    with accelerator.autocast():  # as it is trained; after training, the model does so itself
        part: Fit = evaluate(
            model,
            data.held_out,
            tokenizer.pad_token_id,
            batch=batch,
            part=accelerator.process_index,
            parts=accelerator.num_processes,
        )
    if accelerator.num_processes == 1:
        return part.figures()
    sums = torch.tensor(list(asdict(part).values()), dtype=torch.float64, device=accelerator.device)
    reason, act, *counts = accelerator.reduce(sums, "sum").tolist()
    return Fit(reason, act, *map(int, counts)).figures()


def _kept_fit(out: Path) -> dict[str, float]:
    kept = out / "before.json"
    return _read(kept) if kept.exists() else {}


def _silent(_: str) -> None:
    """What the other processes tell."""
