"""Any model in any layout: shapes follow the reference's table, and everything comes back bit for bit."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from convert_parts import assert_same, make_model, tensors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lazy import Lazy

from distillery import model_config
from distillery.convert import convert, proof, states
from distillery.convert.mcore_layout import Layout
from distillery.convert.weight_sources import open_hf, open_mcore

torch = Lazy("torch")

pytestmark = pytest.mark.slow

TYPES = {"bf16": ml_dtypes.bfloat16, "fp16": np.float16, "fp32": np.float32}


@st.composite
def models(draw):
    groups = draw(st.sampled_from([1, 2, 3, 4]))
    heads = groups * draw(st.integers(1, 3))
    unit = math.lcm(groups, heads)
    return {
        "model_type": draw(st.sampled_from(["qwen2", "qwen3", "llama", "mistral"])),
        "num_key_value_heads": groups,
        "num_attention_heads": heads,
        "head_dim": draw(st.sampled_from([2, 4])),
        "hidden_size": unit * draw(st.integers(1, 3)),
        "intermediate_size": unit * draw(st.integers(1, 4)),
        "num_hidden_layers": draw(st.integers(1, 6)),
        "vocab_size": draw(st.integers(5, 60)),
        "tie_word_embeddings": draw(st.booleans()),
    }


@st.composite
def layouts(draw, model):
    layers, groups = model["num_hidden_layers"], model["num_key_value_heads"]
    tp = draw(st.sampled_from([n for n in range(1, groups + 1) if groups % n == 0]))
    m = draw(st.sampled_from([1, 1, 3, 16]))
    kind = draw(st.sampled_from(["even", "list", "virtual", "noop"]))
    if kind == "list" and layers > 1:
        cuts = sorted(draw(st.sets(st.integers(1, layers - 1), min_size=1, max_size=3)))
        listed = tuple(b - a for a, b in zip([0, *cuts], [*cuts, layers], strict=True))
        return Layout(tp, len(listed), listed, make_vocab_size_divisible_by=m)
    if kind == "virtual":
        options = [(p, v) for p in (2, 3) for v in (1, 2) if layers % (p * v) == 0]
        if options:
            p, v = draw(st.sampled_from(options))
            return Layout(tp, p, num_layers_per_virtual_pipeline_stage=v, make_vocab_size_divisible_by=m)
    noop = ()
    if kind == "noop":
        count = draw(st.integers(1, 3))
        positions = st.integers(0, layers + count - 1)
        noop = tuple(sorted(draw(st.sets(positions, min_size=count, max_size=count))))
    total = layers + len(noop)
    pp = draw(st.sampled_from([p for p in range(1, total + 1) if total % p == 0]))
    return Layout(tp, pp, noop_layers=noop, make_vocab_size_divisible_by=m)


def expected_shapes(c: dict, layout: Layout) -> dict[str, tuple[int, ...]]:
    """The table of Megatron's rank files, written out: shapes on one tensor rank by the last part of a name."""
    tp, h, f, d = layout.tensor_parallel_size, c["hidden_size"], c["intermediate_size"], c["head_dim"]
    nh, ng = c["num_attention_heads"], c["num_key_value_heads"]
    unit = layout.make_vocab_size_divisible_by * tp
    padded = -(-c["vocab_size"] // unit) * unit
    return {
        "word_embeddings.weight": (padded // tp, h),
        "output_layer.weight": (padded // tp, h),
        "q_layernorm.weight": (d,),
        "k_layernorm.weight": (d,),
        "layernorm.weight": (h,),
        "linear_qkv.weight": ((nh + 2 * ng) * d // tp, h),
        "linear_qkv.bias": ((nh + 2 * ng) * d // tp,),
        "linear_proj.weight": (h, nh * d // tp),
        "linear_fc1.weight": (2 * f // tp, h),
        "linear_fc2.weight": (h, f // tp),
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_round_trip_and_shapes(data):
    config = data.draw(models())
    layout, other = data.draw(layouts(config)), data.draw(layouts(config))
    dtype = data.draw(st.sampled_from(sorted(TYPES)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hf = make_model(folder / "hf", seed=data.draw(st.integers(0, 9)), dtype=TYPES[dtype], **config)
        source = open_hf(hf)
        convert.to_mcore(source, layout, source.dtype, folder / "mg", facts={})
        files = sorted((folder / "mg").glob("iter_*/*/*.pt"))
        assert len(files) == layout.tensor_parallel_size * layout.pipeline_parallel_size
        wanted, heads = expected_shapes(config, layout), 0
        for path in files:
            saved = torch.load(path, weights_only=False)
            for key in [key for key in saved if key.startswith("model")]:
                for tensor, value in saved[key].items():
                    shape = next(s for ending, s in wanted.items() if tensor.endswith(ending))
                    assert tuple(value.shape) == shape, tensor
                    heads += tensor == "output_layer.weight"
        carries_head = not config["tie_word_embeddings"] or layout.pipeline_parallel_size > 1
        assert heads == layout.tensor_parallel_size * carries_head

        there = open_mcore(folder / "mg")
        assert proof.round_trip(source, there)["tensors"] == len(tensors(hf))
        convert.to_mcore(there, other, there.dtype, folder / "mg2", facts={})
        back = open_mcore(folder / "mg2")
        convert.to_hf(back, hf, back.dtype, folder / "back", facts={})
        assert_same(tensors(folder / "back"), tensors(hf))


def test_wider_type_and_back_is_exact_and_narrower_is_refused_where_it_overflows(tmp_path):
    hf = make_model(tmp_path / "hf")
    source = open_hf(hf)
    convert.to_mcore(source, Layout(2, 1), states.of("fp32"), tmp_path / "mg", facts={})
    wide = open_mcore(tmp_path / "mg")
    assert wide.dtype.name == "fp32"
    convert.to_hf(wide, hf, states.of("bf16"), tmp_path / "back", facts={})
    assert_same(tensors(tmp_path / "back"), tensors(hf))
    found = proof.round_trip(source, wide)["payload"]
    assert not found["within_5_percent"]
    assert "fp32" in found["causes"][0]


def test_payload_is_what_the_layout_implies(tmp_path):
    """HF bytes + replicated norms + vocabulary padding, + the tied embedding's copy with pipeline ranks."""
    hf = make_model(tmp_path / "hf", tie_word_embeddings=True, vocab_size=41)
    source = open_hf(hf)
    a = model_config.read(hf)
    convert.to_mcore(source, Layout(2, 2), source.dtype, tmp_path / "mg", facts={})
    found = proof.payload(source, open_mcore(tmp_path / "mg"))
    norms, padding, copy = (2 * 2 + 1) * 16, 1 * 16, 42 * 16
    assert found["hf_bytes"] == 2 * a.num_parameters
    assert found["mcore_bytes"] == 2 * (a.num_parameters + norms + padding + copy)
    assert any("tied" in cause for cause in found["causes"])


def test_states_of_any_directory_and_layout(tmp_path):
    hf = make_model(tmp_path / "hf", vocab_size=41, num_hidden_layers=3)
    whole = states.load_state(hf)
    source = open_hf(hf)
    convert.to_mcore(source, Layout(2, 2, (1, 2)), source.dtype, tmp_path / "mg", facts={})
    assert_same(states.load_state(tmp_path / "mg"), whole)
    for t in range(2):
        for p in range(2):
            rank, args = states.load_rank(tmp_path / "mg", t, p)
            assert_same(states.load_state(hf, Layout(2, 2, (1, 2)), t, p), rank)
            assert (args.padded_vocab_size, args.num_layer_list) == (42, "1,2")
    ranks = {(t, p): states.load_rank(tmp_path / "mg", t, p)[0] for t in range(2) for p in range(2)}
    saved = states.save(tmp_path / "again", ranks, args, iteration=7)
    assert (tmp_path / "again" / "latest_checkpointed_iteration.txt").read_text() == "7"
    assert_same(states.load_state(tmp_path / "again"), whole)
    first = convert.to_mcore(open_mcore(tmp_path / "again"), Layout(), source.dtype, tmp_path / "a", facts={})
    second = convert.to_mcore(source, Layout(), source.dtype, tmp_path / "b", facts={})
    assert first["payload_digest"] == second["payload_digest"] != saved["payload_digest"]
