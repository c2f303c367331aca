"""Weights that generation holds in two bytes: the same bits come out as of a float32 copy, and memory holds them once."""

import ctypes
import json
import math

import forked
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_calls import call, ints
from places import SUPPORT
from safetensors.numpy import save_file

from distillery import model_config
from distillery.architecture import Architecture
from distillery.convert import tensor_map
from distillery.engine import compiling, panels
from distillery.problems import Problem

STORED = {ml_dtypes.bfloat16: np.uint16, np.float16: np.float16, np.float32: np.float32}


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(list(STORED)), st.integers(1, 100), st.integers(1, 40), st.sampled_from([64, 1 << 20]))
def test_panels_hold_every_weight_and_nothing_else(dtype, outputs, inputs, block):
    weight = np.random.RandomState(outputs).standard_normal((outputs, inputs)).astype(dtype)
    try:
        panels.BLOCK, usual = block, panels.BLOCK
        packed, gated = panels.pack(weight), panels.pack_gated(np.concatenate([weight, weight * dtype(2)]))
    finally:
        panels.BLOCK = usual
    assert packed.dtype == gated.dtype == STORED[dtype]
    rows = panels.widened(packed).swapaxes(1, 2).reshape(-1, inputs)
    assert np.array_equal(rows[:outputs], weight.astype(np.float32)) and not rows[outputs:].any()
    gates, ups = (
        part.swapaxes(1, 2).reshape(-1, inputs) for part in np.split(panels.widened(gated), 2, axis=-1)
    )
    assert np.array_equal(gates[:outputs], weight.astype(np.float32)) and not gates[outputs:].any()
    assert np.array_equal(ups[:outputs], weight.astype(np.float32) * 2) and not ups[outputs:].any()


@pytest.mark.parametrize("last", [1.0, 1.0 + 2**-20])
def test_float32_weights_are_held_in_two_bytes_only_if_all_of_them_fit(last, monkeypatch):
    monkeypatch.setattr(panels, "BLOCK", 64)
    weight = np.ones((70, 3), np.float32)
    weight[-1, -1] = last
    packed = panels.pack(weight)
    assert packed.dtype == (np.uint16 if last == 1.0 else np.float32)
    assert np.array_equal(panels.widened(packed).swapaxes(1, 2).reshape(-1, 3)[:70], weight)


@pytest.mark.slow  # the compiler
def test_kernels_widen_every_number_exactly():
    every_number_is_widened_exactly(ctypes.CDLL(str(compiling.library(compiling.DECODING))))


@pytest.mark.slow
@pytest.mark.parametrize("narrower", [["-mavx2", "-mfma"], ["-msse4.2"]], ids=["avx2", "sse"], indirect=True)
def test_kernels_of_narrower_vectors_widen_and_sum_exactly(narrower):
    library = ctypes.CDLL(str(compiling.library(compiling.DECODING)))
    every_number_is_widened_exactly(library)
    panels_side_by_side_sum_as_each_alone(library)


@pytest.mark.slow
def test_panels_that_are_read_side_by_side_give_the_sums_of_each_alone():
    panels_side_by_side_sum_as_each_alone(ctypes.CDLL(str(compiling.library(compiling.DECODING))))


def panels_side_by_side_sum_as_each_alone(library: ctypes.CDLL) -> None:
    """Up to four at once for few tokens, fewer where threads or tokens are many: 35 leave one, two or three over."""
    openmp = ctypes.CDLL("libgomp.so.1")
    usual = openmp.omp_get_max_threads()
    weight = np.random.RandomState(0).standard_normal((35 * 32, 130)).astype(np.float32)
    rest = np.array([1e-6], "f4"), np.ones(130, "f4")

    def scores(x: np.ndarray, table: np.ndarray) -> np.ndarray:
        live, out = len(x), np.zeros((len(x), len(table) * 32), "f4")
        return call(library, "decode_head", x, *rest, table, ints(*range(live)), ints(live, live), out)[-1]

    for packed in (*(panels.pack(weight.astype(kind)) for kind in STORED), panels.pack(weight, "int8")):
        for live in 1, 2, 4, 7, 12, 13:
            x = np.random.RandomState(live).standard_normal((live, 130)).astype("f4")
            alone = np.concatenate([scores(x, one[None]) for one in packed], 1)
            exact = x.astype(float) / np.sqrt((x.astype(float) ** 2).mean(1, keepdims=True) + 1e-6)
            wide = panels.widened(packed).swapaxes(1, 2).reshape(-1, 130)
            assert np.abs(alone - exact @ wide.T.astype(float)).max() < 1e-4
            for threads in 1, 2, 3, 5, 20:
                openmp.omp_set_num_threads(threads)
                assert scores(x, packed).tobytes() == alone.tobytes(), (packed.dtype, live, threads)
            openmp.omp_set_num_threads(usual)


def every_number_is_widened_exactly(library: ctypes.CDLL) -> None:
    """All 65536 of both types, subnormal, infinite and negative ones too; of NaNs that they are one."""
    bits = np.arange(65536, dtype=np.uint16).reshape(1, 2048, 32)
    for table, numbers in (bits, bits.view(ml_dtypes.bfloat16)), (bits.view(np.float16),) * 2:
        out = np.zeros((32, 2048), np.float32)
        found = call(library, "decode_embed", np.arange(32, dtype=np.int32), table, ints(32, 0), out)[-1]
        wanted = numbers[0].T.astype(np.float32)
        assert np.array_equal(found, wanted, equal_nan=True)
        assert np.array_equal(np.signbit(found), np.signbit(wanted))
    bytes_of = np.arange(-127, 129, dtype=np.int16).astype(np.int8).reshape(1, 8, 32)
    made = np.random.RandomState(0).standard_normal((96, 200)).astype(np.float32)
    for table in panels.pack(made, "int8"), np.concatenate([bytes_of[:, :4] * 0 + 61, bytes_of], 1):
        same, inputs = panels.widened(table), panels.widened(table).shape[1]
        for live in 1, 3, 5, 13:
            x, norm = np.random.RandomState(live).standard_normal((live, inputs)), np.ones(inputs, "f4")
            rest = np.array([1e-6], "f4"), norm
            rows, out = np.arange(live, dtype=np.int32), np.zeros((live, len(table) * 32), "f4")
            found, wanted = (
                call(library, "decode_head", x.astype("f4"), *rest, one, rows, ints(live, live), out)[-1]
                for one in (table, same)
            )
            assert found.any() and found.tobytes() == wanted.tobytes()
        ids = np.arange(32, dtype=np.int32)
        out = np.zeros((32, inputs), np.float32)
        assert np.array_equal(call(library, "decode_embed", ids, table, ints(32, 0), out)[-1], same[0].T)


def small(family: str) -> tuple[Architecture, dict[str, np.ndarray], list[int]]:
    """A small model of transformers' as the engine takes it, and 70 tokens."""
    from engine_oracle import SMALL, mcore, model

    made = model(family, max_position_embeddings=256, head_dim=10)
    ids = np.random.RandomState(0).randint(0, SMALL["vocab_size"], 70).tolist()
    return model_config.from_config(made.config.to_dict()), mcore(made), ids


@pytest.mark.mindspore
@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16])
@pytest.mark.parametrize("family", ["qwen2", "qwen3", "llama"])
def test_scores_are_those_of_a_float32_copy_to_the_last_bit(family, dtype, monkeypatch):
    """So answers are, however drawn; norms and biases stay float32, here with bits that the narrow type lacks."""
    from distillery.engine import runner_choice  # MindSpore, and torch by `small`: not for the tests above

    arch, state, ids = small(family)
    narrow = {n: one.astype(dtype) if one.ndim == 2 else one for n, one in state.items()}

    def scores(weights):
        cached = runner_choice.build(arch, weights, 2, 80, kernels="native")
        first = cached.extend({0: ids, 1: ids[:7]}, greedy=False)
        second = cached.extend({0: [3], 1: [5]}, greedy=False)
        return cached, [*first.values(), *second.values()]

    held, found = scores(narrow)
    assert {held.table.asnumpy().dtype, held.layers[0][1].asnumpy().dtype} == {np.dtype(STORED[dtype])}
    monkeypatch.setattr(panels, "_narrowest", lambda _: np.float32)
    copied, wanted = scores({name: one.astype(np.float32) for name, one in narrow.items()})
    assert copied.table.asnumpy().dtype == np.float32
    for one, other in zip(found, wanted, strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.mindspore
@pytest.mark.slow
def test_loading_holds_the_weights_once(tmp_path):
    """Beside panels and cache lies the tensor that is being packed: neither a float32 copy, nor the whole file."""
    config = {
        "model_type": "qwen3",
        "hidden_size": 1024,
        "intermediate_size": 3072,
        "num_hidden_layers": 4,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "vocab_size": 16000,
        "torch_dtype": "bfloat16",
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    arch = model_config.read(tmp_path)
    some = np.random.default_rng(0).standard_normal(1 << 20).astype(ml_dtypes.bfloat16)
    shapes = tensor_map.shapes(arch)
    weights = {name: np.resize(some, math.prod(shape)).reshape(shape) for name, shape in shapes.items()}
    save_file(weights, tmp_path / "model.safetensors")
    slots, length = 2, 128
    done = forked.run(SUPPORT / "generation_memory_worker.py", tmp_path, slots, length)
    assert done.returncode == 0, done.stderr
    before, _, peak = map(int, done.stdout.split())
    cache = 2 * arch.num_layers * slots * length * arch.num_query_groups * arch.kv_channels * 4
    assert peak - before < 2 * arch.num_parameters + cache + 80e6


@pytest.mark.mindspore
def test_a_bf16_cache_rounds_keys_and_values_and_nothing_else():
    from distillery.engine import runner_choice

    arch, state, ids = small("qwen3")
    exact, rounded = (
        runner_choice.build(arch, state, 2, 80, kernels="native", kv_cache_dtype=dtype)
        for dtype in ("fp32", "bf16")
    )
    for runner in exact, rounded:
        runner.extend({1: ids[:9], 0: ids}, greedy=False)
        runner.reorder({1: 0})  # beams copy rows of either type
    last = [runner.extend({1: [7]}, greedy=False)[1] for runner in (exact, rounded)]
    assert 0 < np.abs(last[0] - last[1]).max() < 0.02 * np.abs(last[0]).max()
    for name in "keys", "values":
        wanted = (
            getattr(exact, name)[0].asnumpy().astype(ml_dtypes.bfloat16)
        )  # of the first layer: the same inputs
        found = getattr(rounded, name)[0].asnumpy()
        assert found.dtype == np.uint16 and np.array_equal(found, wanted.view(np.uint16))
    with pytest.raises(Problem, match="--kv-cache-dtype"):
        runner_choice.build(arch, state, 2, 80, kernels="composed", kv_cache_dtype="bf16")
