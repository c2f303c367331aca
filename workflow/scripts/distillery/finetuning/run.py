"""One fine-tuning run: what it depends on, where it works, and what it leaves when it is done."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillery import files, provenance
from distillery.finetuning import flags
from distillery.problems import UsageProblem

if TYPE_CHECKING:
    from distillery.engine.settings import Settings
    from distillery.finetuning.rows import Data


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train as the flags say and return done.json's content.

    Raises:
        UsageProblem: flags that contradict each other, config.json or the data.
        Problem: unusable data or weights, or a diverged run.
        Interrupted: stopped by a signal, resumable.
    """
    from distillery.engine import threads

    threads.limit(args.threads)

    from distillery.checkpoint import states
    from distillery.engine import architecture, kernels
    from distillery.engine.training import Cadence, train
    from distillery.finetuning import rows, saving

    arch = architecture.read(args.tokenizer_name_or_path)
    flags.check(args, arch)
    data = rows.read(args.data_path)
    rows.check_tokenizer(data, args.tokenizer_name_or_path)
    _check_data_flags(args, data)
    chosen = settings(args, data)
    initial, saved_args = states.load_rank(args.load)
    import mindspore as ms

    ms.set_device(args.device_target)
    kernel_set = kernels.choose(args.device_target, args.kernels)
    content = {
        "settings": asdict(chosen),
        "data": data.digest,
        "weights": weights_identity(args.load),
        "model": asdict(arch),
        "threads": args.threads,
        "kernels": kernel_set.__name__.rpartition(".")[2],
        "native": files.sha256(Path(kernels.__file__).with_name("native.cpp")),
        "code": provenance.code(
            "distillery.engine.training", "distillery.engine.step", "distillery.engine.kernels"
        ),
    }
    key = provenance.digest(content)[:16]
    work = args.save / "work" / key
    snapshots = saving.snapshots(work, initial, saved_args, args.keep_checkpoints)
    files.write_json(work / "key.json", content)
    _say_strangers(args.save / "work", key)

    def build():
        from distillery.engine.decoder import Decoder, load_state
        from distillery.engine.step import Step

        rows_of_table = initial["embedding.word_embeddings.weight"].shape[0]
        model = Decoder(arch, kernel_set, rows_of_table)
        load_state(model, initial)
        return Step(model, chosen, kernel_set)

    cadence = Cadence(
        args.save_interval, args.log_interval, args.eval_interval, args.eval_iters, args.log_throughput
    )
    flops = flops_per_token(arch, args.seq_length)
    outcome = train(build, data.rows, chosen, cadence, snapshots, data.describe, flops)
    return saving.finish(args.save, work, outcome, saved_args, data.manifest["template"], key)


def settings(args: argparse.Namespace, data: Data) -> Settings:
    """The flags and the data's manifest as the engine's settings."""
    from distillery.engine.schedule import Schedule
    from distillery.engine.settings import Settings

    decay_steps = args.lr_decay_iters or args.train_iters
    fraction = args.lr_warmup_fraction
    warmup = args.lr_warmup_iters if fraction is None else fraction * decay_steps
    if warmup >= decay_steps or args.min_lr > args.lr:
        raise UsageProblem(
            "the learning rate has no room to decay",
            where="--lr-warmup-iters, --lr-warmup-fraction, --lr, --min-lr",
            found=f"{warmup:g} of {decay_steps} steps are warm-up, from {args.lr} down to {args.min_lr}",
            wanted="a warm-up shorter than the decay, min-lr at most lr",
        )
    template = data.manifest["template"]
    return Settings(
        seq_length=args.seq_length,
        micro_batch_size=args.micro_batch_size,
        global_batch_size=flags.global_batch(args, 1),
        train_iters=args.train_iters,
        schedule=Schedule(args.lr, args.min_lr, args.lr_decay_style, warmup, decay_steps),
        weight_decay=args.weight_decay,
        clip_grad=args.clip_grad,
        beta1=args.adam_beta1,
        beta2=args.adam_beta2,
        eps=args.adam_eps,
        seed=args.seed,
        split=_shares(args.split),
        packing=data.packing,
        eos_token_id=template["eos_token_id"] if template else None,
        cut_plainly=args.cut_max_seqlen,
        pad_left=args.tokenizer_padding_side == "left",
        shuffle=not args.no_shuffle,
        per_token_loss=args.calculate_per_token_loss,
        recompute=args.recompute_granularity == "full",
    )


def weights_identity(directory: Path) -> str:
    """Digest of the initial weights: their manifest's payload_digest, else the tracker's rank files' sha256."""
    for name in ("manifest.json", "done.json"):
        if (directory / name).is_file() and "payload_digest" in (record := files.read_json(directory / name)):
            return record["payload_digest"]
    paths = sorted(directory.glob("iter_*/*/model_optim_rng.pt"))
    return provenance.digest([(str(path.relative_to(directory)), files.sha256(path)) for path in paths])


def flops_per_token(arch: Any, seq_length: int) -> float:
    """Forward and backward: 6 per weight that multiplies (norms and the looked-up embedding left out), and
    attention's 12 * heads * head_dim * seq/2 a layer (causal: half of the keys)."""
    matrices = arch.num_parameters - (0 if arch.tied else arch.vocab_size * arch.hidden_size)
    return 6 * matrices + 6 * arch.num_layers * arch.num_heads * arch.head_dim * seq_length


def _shares(text: str) -> tuple[float, float, float]:
    try:
        first, second, third = (float(part) for part in text.split(","))
        if min(first, second, third) < 0 or first <= 0:
            raise ValueError
    except ValueError:
        raise UsageProblem(
            "not three shares",
            where="--split",
            found=text,
            wanted="such as 95,5,0: training, evaluation, test",
        ) from None
    return first, second, third


def _check_data_flags(args: argparse.Namespace, data: Data) -> None:
    options, template = data.manifest["options"], data.manifest["template"]
    for flag, given, holds in [
        ("--pack", args.pack, options["pack"]),
        ("--neat-pack", args.neat_pack, options["neat_pack"]),
        ("--prompt-type", args.prompt_type, template and template["prompt_type"]),
    ]:
        if given and given != holds:
            raise UsageProblem(
                "a flag contradicts the tokenized data",
                where=f"{flag}, {args.data_path}",
                found=given,
                wanted=holds,
                fix=f"leave {flag} out, or tokenize again with it",
            )
    if options["pack"] and options["seq_length"] != args.seq_length:
        raise UsageProblem(
            "the data was packed to another length",
            where=f"--seq-length, {args.data_path}",
            found=args.seq_length,
            wanted=options["seq_length"],
            fix=f"use --seq-length {options['seq_length']}, or tokenize again",
        )


def _say_strangers(directory: Path, key: str) -> None:
    others = sorted(path.name for path in directory.iterdir() if path.is_dir() and path.name != key)
    if others:
        print(
            f"run {key}: {len(others)} other runs in {directory} are left alone, their data, weights, settings or "
            f"code differ ({', '.join(others[:3])}{', ...' if len(others) > 3 else ''})",
            flush=True,
        )
