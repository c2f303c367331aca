"""One fine-tuning run: what it depends on, where it works, and what it leaves when it is done."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillery import digests, model_config, provenance
from distillery.checkpoint_names import WORK
from distillery.train import engine_settings

ENGINE_CODE = [
    f"distillery.engine.{name}"
    for name in ("train_loop", "train_step", "pipeline_step", "kernels", "native", "composed")
]
ENGINE_SOURCES = ("engine/*.cpp", "engine/*.h")

if TYPE_CHECKING:
    from distillery.engine.mesh import Mesh
    from distillery.engine.train_start import Ranks


def run(args: argparse.Namespace) -> dict[str, Any] | None:
    """Train as the flags say and return done.json's content; None on all ranks but the first.

    Raises:
        UsageProblem: flags that contradict each other, config.json or the data.
        Problem: unusable data or weights, a diverged run, or another process at the same run.
        Interrupted: stopped by a signal, resumable.
    """
    from distillery.engine import mindspore_import, threads

    threads.limit(args.threads)
    mindspore_import.load(args.device_target)

    from distillery.engine import collectives
    from distillery.engine.mixture import course
    from distillery.engine.train_loop import train
    from distillery.engine.train_start import Cadence, Circumstances, Learnt, Start
    from distillery.train import mixed_data, run_identity, tokenized_data, train_files

    arch = model_config.read(args.tokenizer_name_or_path)
    engine_settings.check(args, arch)
    data = mixed_data.read(args.data_path, args.data_epochs)
    tokenized_data.check_tokenizer(data, args.tokenizer_name_or_path)
    tokenized_data.check_ids(data, arch.vocab_size)
    sizes = args.tensor_model_parallel_size, args.pipeline_model_parallel_size
    place = collectives.join(*sizes, args.device_target)
    chosen = engine_settings.settings(args, data, place.data)
    way = course(data.rows, data.mixture, chosen)
    tokenized_data.check_batches(data, way.sequence, chosen)
    part = train_files.load_part(args.load, place, arch, args.num_layer_list)
    from distillery.engine import kernels

    kernel_set = kernels.choose(args.device_target, args.kernels)
    content = run_identity.content(
        chosen,
        arch,
        data=mixed_data.identity(data),
        weights=train_files.weights_identity(args.load),
        layout=[place.tensor, place.pipeline],
        threads=args.threads,
        kernels=kernel_set.NAME,
    )
    key = provenance.digest(content)[:16]
    work = args.save / WORK / key
    snapshots = train_files.snapshots(
        work, part, place, args.keep_checkpoints, args.use_distributed_optimizer, chosen.lora is not None
    )
    if place.rank == 0:
        snapshots.claim()
        digests.write_json(work / "key.json", content)
        _report_other_runs(args.save / WORK, key)

    def build():
        from distillery.engine import adapters
        from distillery.engine.decoder import Decoder, load_state
        from distillery.engine.pipeline_step import PipelineStep
        from distillery.engine.train_step import Step

        model = Decoder(arch, kernel_set, part.padded_vocab, place, part.num_layers, chosen.lora)
        load_state(model, part.state)
        part.state.clear()  # pages of mapped files, which count as this process's memory
        if chosen.lora:
            adapters.start(model, chosen.seed)
        made = PipelineStep if place.pipeline > 1 or chosen.recompute else Step
        return made(model, chosen, kernel_set, place, args.use_distributed_optimizer)

    cadence = Cadence(args.save_interval, args.log_interval, args.eval_interval, args.eval_iters)
    # as Megatron counts: padding too, shared evenly among all ranks
    tokens = chosen.global_batch_size * chosen.seq_length / place.world
    flops = (
        arch.flops_per_token(args.seq_length, frozen=chosen.lora is not None) * tokens
        if args.log_throughput
        else None
    )
    circumstances = Circumstances(place.data, provenance.code(*ENGINE_CODE, data=ENGINE_SOURCES))
    learnt = Learnt(data.rows, data.describe, data.mixture)
    start = Start(cadence, _ranks(place), circumstances, flops)
    outcome = train(build, learnt, chosen, snapshots, start)
    if outcome is None:
        return None
    if chosen.lora:
        train_files.write_adapter(args.save, outcome, chosen.lora, arch)
    mix = mixed_data.said(data, way, chosen.seq_length)
    return train_files.finish(args.save, work, outcome, data.manifest["template"], key, mix)


def _ranks(place: Mesh) -> Ranks:
    from distillery.engine.collectives import Agreement
    from distillery.engine.train_start import Ranks

    return Ranks() if place.world == 1 else Ranks(place.rank == 0, Agreement(place.world).any)


def _report_other_runs(directory: Path, key: str) -> None:
    others = sorted(path.name for path in directory.iterdir() if path.is_dir() and path.name != key)
    if others:
        print(
            f"run {key}: {len(others)} other runs in {directory} are left alone, their data, weights, settings or "
            f"version of the engine's numbers differ ({', '.join(others[:3])}{', ...' if len(others) > 3 else ''})",
            flush=True,
        )
