"""Files in, an indexed dataset out: spans of the files are tokenized (in processes if asked) and put in order."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from distillery import digests, files
from distillery.problems import UsageProblem
from distillery.tokenize import preprocess_flags, readers, row_spans, row_tally, taken_rows, workers
from distillery.tokenize.outputs import Outputs
from distillery.tokenize.parts import Part
from distillery.tokenize.readers import Source, Span
from distillery.tokenize.row_progress import Progress
from distillery.tokenize.row_spans import UUID, Recipe
from distillery.tokenize.row_tally import Tally
from distillery.tokenize.tokenizer import HubTokenizer


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Do what preprocess_data.py's flags ask; returns the dataset's manifest.

    Raises:
        UsageProblem: flags that do not go together, or a number that makes no sense.
        Problem: as `preprocess`.
    """
    sources = [source for path in args.input for source in readers.sources(path)]
    preprocess_flags.recognise(args, sources[0])
    return preprocess(
        preprocess_flags.recipe(args),
        sources,
        args.output_prefix,
        processes=args.workers,
        subsets=args.n_subs,
        max_samples=args.max_samples,
        row_span=args.row_span,
        max_rejected_share=args.max_rejected_share,
        log_interval=args.log_interval,
    )


def preprocess(
    recipe: Recipe,
    sources: list[Source],
    prefix: Path,
    *,
    processes: int = 1,
    subsets: int = 1,
    max_samples: int | None = None,
    row_span: tuple[int, int] | None = None,
    max_rejected_share: float | None = None,
    log_interval: int = 1000,
) -> dict[str, Any]:
    """Write the dataset `prefix` and return its manifest.

    Args:
        subsets: with packing, rows are packed in so many pieces of the input; else without effect.
        max_samples: only so many of the first rows are read, whatever the handler.
        row_span: (k, n): of the one source, only the k-th of n spans of rows; merged, they are what the whole gives.

    Raises:
        UsageProblem: two files of one name.
        Problem: an unreadable file, an over-long row with overlong="error", too many rejected rows, or nothing left.
    """
    import pyarrow as pa

    _check_names(sources)
    # pyarrow's own allocator keeps what row groups needed: 80 MB more for nothing
    pa.set_memory_pool(pa.system_memory_pool())
    for source in sources:
        source.check(recipe.columns(), (UUID,), recipe.held_columns())
    work = recipe.work()
    renderer = work.renderer
    print("encoder:", "fast" if work.encoder.fast else f"exact ({work.encoder.why})", file=sys.stderr)
    skip, most = taken_rows.window(sources[0], *row_span) if row_span else (0, max_samples)
    tally = Tally()
    outputs = Outputs(prefix, recipe.fields, packed=not recipe.plain, rules=recipe.rules)
    progress = Progress(log_interval)
    with _beside() as beside, outputs:
        made: list[Future[str]] = []

        def digest() -> None:
            if not made:  # not before the processes are forked: it is a thread
                made.extend(beside.submit(files.sha256, source.path) for source in sources)

        def take(span: Span, part: Part) -> dict[str, int]:
            digest()
            if part.overlong and recipe.rules.overlong == "error":
                raise row_tally.overlong(span.path.name, part.overlong[0], recipe.rules)
            tally.add(span.path.name, part)
            progress.add(part.seen, part.size(recipe.fields[0]))
            return outputs.append(span.path.name, part)

        spans = taken_rows.spans(sources, recipe.columns(), most, processes, skip, recipe.held_columns())
        workers.ordered(row_spans.SpanWork(work), spans, take, outputs.write, processes)
        digest()  # of a span without rows too
        row_tally.check(tally, sources, max_rejected_share, row_span is None, outputs.keep_rejected)
        outputs.finish(renderer.pad_id if renderer else 0, subsets)
        span = {"span": "{}/{}".format(*row_span)} if row_span else {}
        inputs = [
            span
            | {"name": source.path.name, "sha256": future.result(), "rows": tally.by_file[source.path.name]}
            for source, future in zip(sources, made, strict=True)
        ]
        for source, one in zip(sources, inputs, strict=True):
            digests.check(source.path, one["sha256"])
            if recipe.left_out:
                recipe.left_out.check(source.path.name, one["sha256"])
        manifest = _manifest(recipe, renderer, work.tokenizer, inputs, tally, outputs)
        if max_samples is not None:
            manifest["max_samples"] = max_samples
        return outputs.commit(manifest)


@contextmanager
def _beside() -> Iterator[ThreadPoolExecutor]:
    """A thread for digests; after an error none that has not begun is waited for."""
    pool = ThreadPoolExecutor(1)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _check_names(sources: list[Source]) -> None:
    """No two inputs share a name.

    Raises:
        UsageProblem: two files of one name, which the manifest, rows.parquet and the rejected rows could not tell apart.
    """
    paths: dict[str, Path] = {}
    for source in sources:
        other = paths.setdefault(source.path.name, source.path)
        if other is not source.path:
            raise UsageProblem(
                "two input files of one name",
                where="--input",
                found=f"{other} and {source.path}",
                wanted="names that tell rows apart",
                fix="rename one",
            )


def _manifest(
    recipe: Recipe,
    renderer: Any,
    hub: HubTokenizer,
    inputs: list[dict[str, Any]],
    tally: Tally,
    outputs: Outputs,
) -> dict[str, Any]:
    """Counts, options and digests; no paths and no times."""
    return {
        **described(recipe, renderer, hub, outputs.stems()),
        "inputs": inputs,
        "rows": tally.read,
        "kept": tally.kept,
        "truncated": tally.truncated,
        "rejected": {"count": sum(tally.reasons.values()), "reasons": dict(tally.reasons)},
        "dropped": {"overlong": tally.overlong}
        | ({"held_out": tally.held_out} if recipe.hold_out else {})
        | ({"left_out": tally.left_out} if recipe.left_out else {}),
        "noted": tally.noted,
        "roles": dict(tally.roles),
        "documents": outputs.sequences,
        "tokens": outputs.tokens,
        "supervised_tokens": outputs.supervised,
    }


def described(recipe: Recipe, renderer: Any, hub: HubTokenizer, stems: Sequence[str]) -> dict[str, Any]:
    """What a manifest says of how rows became tokens, whoever wrote them; `renderer` None for plain text."""
    return {
        "format": "megatron-indexed",
        "fields": list(stems),
        "handler": recipe.handler_name,
        "map_keys": recipe.map_keys,
        **({"thoughts": recipe.thoughts} if recipe.thoughts else {}),
        **({"hold_out": recipe.hold_out} if recipe.hold_out else {}),
        **({"left_out": recipe.left_out.sha256} if recipe.left_out else {}),
        "template": renderer.record() if renderer else None,
        "split_markers": renderer.split_markers() if renderer else [],
        "tokenizer": {
            "sha256": hub.sha256,
            "size": hub.size(),
            "pad_token_id": renderer.pad_id if renderer else hub.special_id("pad"),
            "new_tokens": hub.new_tokens,
        },
        "options": asdict(recipe.rules),
    }
