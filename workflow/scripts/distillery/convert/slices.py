"""What each tensor of a rank file is: rectangles of Hugging Face tensors, one below the other.

Every kind of split (rows, columns, interleaved q/k/v, gate above up, padded vocabulary) is the same thing: a
stack of `Segment`s. Reading back, resharding and every check use this one description.
"""

from __future__ import annotations

from dataclasses import dataclass

from distillery.architecture import Architecture
from distillery.convert.mcore_layout import Grid
from distillery.convert.tensor_map import EMBEDDING, HEAD, NORM, Rule, layer_rules, layer_shapes


@dataclass(frozen=True)
class Segment:
    """Rows [top, bottom) and columns [left, right) of a Hugging Face tensor; a vector has one column.

    Padding is written as a copy of real rows, but means nothing when it is read.
    """

    name: str
    top: int
    bottom: int
    left: int
    right: int
    padding: bool = False


@dataclass(frozen=True)
class Slice:
    """One tensor of a rank file: its shape, and the segments it stacks."""

    shape: tuple[int, ...]
    segments: tuple[Segment, ...]


def rank_slices(a: Architecture, grid: Grid, tp_rank: int, pp_rank: int) -> list[dict[str, Slice]]:
    """{MCore name: slice} for every virtual chunk of a rank, in the order of the reference's files."""
    chunks = []
    for number, chunk in enumerate(grid.stages[pp_rank]):
        table: dict[str, Slice] = {}
        if pp_rank == 0 and number == 0:
            table["embedding.word_embeddings.weight"] = _vocabulary(EMBEDDING, a, grid, tp_rank)
        for local, layer in chunk:
            for rule in layer_rules(a):
                table[f"decoder.layers.{local}.{rule.mcore}"] = _layer_slice(
                    rule, f"model.layers.{layer}.", a, grid.tensor_parallel_size, tp_rank
                )
        last = grid.pipeline_parallel_size - 1
        if pp_rank == last and number == len(grid.stages[last]) - 1:
            table["decoder.final_layernorm.weight"] = _stack(
                (Segment(NORM, 0, a.hidden_size, 0, 1),), vector=True
            )
            if not a.tied:
                table["output_layer.weight"] = _vocabulary(HEAD, a, grid, tp_rank)
            elif last > 0:  # the last stage has no embedding to share: it carries a copy
                table["output_layer.weight"] = _vocabulary(EMBEDDING, a, grid, tp_rank)
        chunks.append(table)
    return chunks


def _layer_slice(rule: Rule, prefix: str, a: Architecture, tp: int, t: int) -> Slice:
    names = [prefix + part for part in rule.parts]
    h, f, d = a.hidden_size, a.ffn_hidden_size, a.kv_channels
    if rule.kind == "replicated":
        (size,) = layer_shapes(a)[rule.parts[0]]
        return _stack((Segment(names[0], 0, size, 0, 1),), vector=True)
    if rule.kind == "columns":
        width = (f if "fc2" in rule.mcore else a.num_attention_heads * d) // tp
        return _stack((Segment(names[0], 0, h, t * width, (t + 1) * width),))
    if rule.kind == "gated":
        return _stack(tuple(Segment(name, t * f // tp, (t + 1) * f // tp, 0, h) for name in names))
    if rule.kind == "qkv":
        groups, repeats = a.num_query_groups // tp, a.num_attention_heads // a.num_query_groups
        vector = rule.mcore.endswith("bias")
        width = 1 if vector else h
        q, k, v = names
        segments: list[Segment] = []
        for g in range(t * groups, (t + 1) * groups):
            segments.append(Segment(q, g * repeats * d, (g + 1) * repeats * d, 0, width))
            segments.extend(Segment(name, g * d, (g + 1) * d, 0, width) for name in (k, v))
        return _stack(tuple(segments), vector)
    raise ValueError(f"no such kind of rule: {rule.kind}")


def _vocabulary(name: str, a: Architecture, grid: Grid, t: int) -> Slice:
    """This rank's rows of the padded vocabulary; rows beyond it repeat the last one, as the reference's do."""
    rows = grid.padded_vocab_size // grid.tensor_parallel_size
    top, bottom = min(t * rows, a.vocab_size), min((t + 1) * rows, a.vocab_size)
    genuine = (Segment(name, top, bottom, 0, a.hidden_size),) if bottom > top else ()
    last = Segment(name, a.vocab_size - 1, a.vocab_size, 0, a.hidden_size, padding=True)
    return _stack(genuine + (last,) * (rows - (bottom - top)))


def _stack(segments: tuple[Segment, ...], vector: bool = False) -> Slice:
    rows = sum(segment.bottom - segment.top for segment in segments)
    return Slice((rows,) if vector else (rows, segments[0].right - segments[0].left), segments)
