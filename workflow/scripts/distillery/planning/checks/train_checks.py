"""Batches, steps and checkpoints: what the training keys mean together, with the number of rows, and with who wrote them."""

from __future__ import annotations

from collections.abc import Iterator

from distillery import teachers
from distillery.planning.experiment_setup import Setup
from distillery.planning.finding import Finding, error, warning

MANY_EPOCHS, FEW_EPOCHS = 5, 0.2
FAR = 4  # times above or below the published learning rate
# peak rates of published full fine-tuning, by the dataset's hub repository
PUBLISHED_RATES = {
    # 3 epochs of up to 32768 tokens: https://huggingface.co/open-r1/OpenR1-Qwen-7B
    "open-r1/OpenR1-Math-220k": ("OpenR1-Qwen-7B", 5e-5),
    # 5 epochs: https://github.com/huggingface/open-r1/blob/main/recipes/OpenR1-Distill-7B/sft/config_distill.yaml
    "open-r1/Mixture-of-Thoughts": ("OpenR1-Distill-7B", 4e-5),
}


def batch_split(s: Setup) -> Iterator[Finding]:
    """A step is a whole number of micro-batches on each replica."""
    whole, micro, replicas = s.train["global_batch_size"], s.train["micro_batch_size"], s.data_parallel
    if whole % (micro * replicas):
        yield error(
            "batch-split",
            [s.key("train.global_batch_size"), s.key("train.micro_batch_size"), s.devices_key("train")],
            f"{whole} sequences in micro-batches of {micro} on {replicas} replicas",
            f"a multiple of {micro * replicas}",
            f"set global_batch_size to {max(1, round(whole / (micro * replicas))) * micro * replicas}",
        )


def pipeline_bubble(s: Setup) -> Iterator[Finding]:
    """With m micro-batches a pipeline of p stages idles (p-1)/(m+p-1) of the time."""
    stages, count = s.experiment.train.layout.pipeline_parallel_size, s.microbatches
    if count < stages:
        idle = (stages - 1) / (count + stages - 1)
        yield warning(
            "pipeline-bubble",
            [s.key("train.global_batch_size"), s.stage_key("train", "layout")],
            f"{count} micro-batches for {stages} stages, which idle {idle:.0%} of the time",
            f"at least {stages}",
            "make the batch larger, the micro-batch smaller, or use fewer stages",
        )


def epochs(s: Setup) -> Iterator[Finding]:
    """How often training sees each row."""
    count = s.epochs
    if count is None or FEW_EPOCHS <= count <= MANY_EPOCHS:
        return
    steps = max(1, round(s.rows / s.train["global_batch_size"]))
    yield warning(
        "epochs",
        [s.key("train.train_iters"), s.key("train.global_batch_size"), s.dataset_key],
        f"{s.train['train_iters']} * {s.train['global_batch_size']} sequences = {count:.3g} epochs of {s.rows} rows",
        f"{FEW_EPOCHS} to {MANY_EPOCHS} epochs",
        f"{steps} steps are one epoch",
    )


def few_rows(s: Setup) -> Iterator[Finding]:
    """The last, incomplete batch is dropped: fewer rows than one batch are none."""
    if s.rows is not None and s.rows < s.train["global_batch_size"]:
        yield error(
            "few-rows",
            [s.dataset_key, s.key("train.global_batch_size")],
            f"{s.rows} rows",
            f"at least one batch of {s.train['global_batch_size']}",
            "take more rows or a smaller batch",
        )


def warmup(s: Setup) -> Iterator[Finding]:
    """A warm-up shorter than a step is none."""
    steps = s.train["train_iters"] * s.train["lr_warmup_fraction"]
    if 0 < steps < 1:
        yield warning(
            "warmup",
            s.keys("train.lr_warmup_fraction", "train.train_iters"),
            f"{steps:.2g} steps",
            "0, or at least one step",
            f"set lr_warmup_fraction to 0 or to at least {1 / s.train['train_iters']:.2g}",
        )


def min_lr(s: Setup) -> Iterator[Finding]:
    """The rate falls to its minimum, not rises."""
    if s.train["min_lr"] > s.train["lr"]:
        yield error(
            "min-lr",
            s.keys("train.min_lr", "train.lr"),
            f"{s.train['min_lr']:g} above {s.train['lr']:g}",
            "at most lr",
            "lower min_lr",
        )


def learning_rate(s: Setup) -> Iterator[Finding]:
    """Far from the rate that is published to work for this dataset, either way."""
    name, rate = PUBLISHED_RATES.get(s.dataset.source.settings.get("repo", ""), ("", None))
    if rate is None:
        return
    factor = s.train["lr"] / rate
    if not 1 / FAR <= factor <= FAR:
        times = f"{1 / factor:.3g} times below" if factor < 1 else f"{factor:.3g} times above"
        yield warning(
            "learning-rate",
            [s.key("train.lr"), s.dataset_key],
            f"{s.train['lr']:g}, {times} the published recipe",
            f"about {rate:g} ({name})",
            f"set lr to {rate:g}, or accept this",
        )


def checkpoints(s: Setup) -> Iterator[Finding]:
    """A run that stops in the middle goes on from the last checkpoint, if there is one."""
    every, last = s.train["save_interval"], s.train["train_iters"]
    if every >= last:
        yield warning(
            "one-checkpoint",
            s.keys("train.save_interval", "train.train_iters"),
            f"a checkpoint every {every} of {last} steps: only the last",
            "at least one before the end",
            f"set save_interval to {max(1, last // 4)}",
        )


def resume(s: Setup) -> Iterator[Finding]:
    """Going on needs the optimizer's state, which the built-in engine always saves."""
    if not s.train["no_save_optim"]:
        return
    if s.experiment.train.engine == "mindspeed-llm":
        yield warning(
            "not-resumable",
            s.keys("train.no_save_optim"),
            "no resumable checkpoint: without the optimizer's state an interrupted run starts again from step 0",
            "a run that resumes",
            "leave it out",
        )
    else:
        yield warning(
            "start-flags",
            s.keys("train.no_save_optim", "train.engine"),
            "no_save_optim, which has no effect here",
            "a run that saves its whole state, as the built-in engine does",
            "leave it out",
        )


def teacher(s: Setup) -> Iterator[Finding]:
    """Of each dataset that has one."""
    for one in (s, *s.others):
        yield from _teacher(one)


def _teacher(s: Setup) -> Iterator[Finding]:
    """A teacher's problems are learnt, hence not asked; each shard has some; a budget that ends before them leaves some out."""
    if s.teacher is None:
        return
    key, most = f"{s.dataset_key}.source.teacher", s.teacher.most
    if s.teacher.problems in s.experiment.asked:
        yield error(
            "taught-problems",
            [f"{key}.problems", s.key("problems")],
            f"{s.teacher.problems}, to which the teacher's answers are learnt",
            "problems that are not learnt",
            "score with another problem set, or have the teacher asked another",
        )
    if s.taught is not None and s.taught < s.teacher.parts:
        yield error(
            "teacher-shards",
            [f"{key}.shards", *(f"{key}.{one}" for one in teachers.BUDGETS if one in s.teacher.settings)],
            f"{s.teacher.parts} shards of at most {s.taught} problems, {s.questions or 'an unknown number'} in the set",
            "a problem for each shard at least",
            f"write at most {s.taught} shards, or allow more",
        )
    if most is not None and (s.questions is None or most < s.questions):
        yield warning(
            "teacher-budget",
            [*(f"{key}.{one}" for one in teachers.BUDGETS if one in s.teacher.settings), f"{key}.samples"],
            f"at most {most} problems of {s.teacher.problems} can be asked",
            "a budget for all of them, or no more than that wanted",
            "raise it, or accept this: problems beyond are left out",
        )


CHECKS = (
    teacher,
    batch_split,
    pipeline_bubble,
    epochs,
    few_rows,
    warmup,
    min_lr,
    learning_rate,
    checkpoints,
    resume,
)
