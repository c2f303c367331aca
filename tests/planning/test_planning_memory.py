"""Memory by formula: of training in every layout against an independent table, by its parts, and of answers."""

from __future__ import annotations

import pytest

from distillery.experiment import Layout
from distillery.planning import known_models, memory

MODEL = known_models.known("Qwen/Qwen2.5-Math-7B").architecture


SETTINGS = [(4096, False), (8192, False), (8192, True), (16384, True), (32768, True)]


# GiB on the fullest of 8 NPUs for (TP, PP, DP) at SETTINGS, in whole GiB
TABLE = {
    (1, 1, 8): (72, 95, 64, 78, 107),
    (1, 2, 4): (45, 62, 42, 56, 83),
    (2, 1, 4): (41, 54, 36, 45, 61),
    (4, 1, 2): (26, 34, 23, 28, 37),
    (2, 2, 2): (28, 38, 25, 32, 47),
    (4, 2, 1): (19, 26, 17, 21, 29),
}


@pytest.mark.parametrize("sizes", TABLE)
def test_training_memory_of_every_layout(sizes):
    tensor, stages, replicas = sizes
    for (length, recompute), wanted in zip(SETTINGS, TABLE[sizes], strict=True):
        run = memory.Run(length, data_parallel=replicas, microbatches=16, recompute=recompute)
        found = memory.fullest(MODEL, Layout("bf16", tensor, stages), run).gib
        assert found == pytest.approx(wanted, rel=0.05), (sizes, length, recompute)


def test_memory_by_its_parts():
    run = memory.Run(4096, data_parallel=8, microbatches=16)
    one = memory.fullest(MODEL, Layout("bf16", 1, 1), run)
    assert one.parameters == 2 * 7_615_616_512
    assert one.gradients == 4 * 7_615_616_512
    assert one.optimizer == 8 * 7_615_616_512 / 8
    assert one.logits == 10 * 4096 * 152064
    # without the distributed optimizer each device has all moments; master weights are 4 bytes more
    whole = memory.fullest(
        MODEL, Layout("bf16", 1, 1), memory.Run(4096, 1, 16, 8, distributed_optimizer=False)
    )
    assert whole.optimizer == 8 * one.optimizer
    master = memory.fullest(MODEL, Layout("bf16", 1, 1), memory.Run(4096, 1, 16, 8, master_weights=True))
    assert master.optimizer == 1.5 * one.optimizer


def test_a_pipeline_with_few_micro_batches_keeps_fewer():
    layout = Layout("bf16", 1, 4)
    many = memory.stage(MODEL, layout, memory.Run(4096, microbatches=16), (7, 7, 7, 7), 0).activations
    few = memory.stage(MODEL, layout, memory.Run(4096, microbatches=2), (7, 7, 7, 7), 0).activations
    assert many == 2 * few
    assert memory.layers(MODEL, Layout("bf16", 1, 3)) == (10, 9, 9)
    assert memory.layers(MODEL, Layout("bf16", 1, 2, (13, 15))) == (13, 15)
    # a slip of the finger takes no memory; that these stages hold no layer is said by another check
    assert sum(memory.layers(MODEL, Layout("bf16", 1, 10**9))) == MODEL.num_layers


def test_a_tied_table_is_held_once_by_a_stage_that_is_first_and_last():
    tied = known_models.known("Qwen/Qwen2.5-0.5B").architecture
    run = memory.Run(128)
    assert memory.fullest(tied, Layout("bf16", 1, 1), run).parameters == 2 * tied.num_parameters
    table = 2 * tied.vocab_size * tied.hidden_size
    both = [memory.stage(tied, Layout("bf16", 1, 2), run, (12, 12), rank).parameters for rank in (0, 1)]
    # both stages keep the table; the final norm (each stage counts one) is too small to matter
    assert sum(both) == pytest.approx(2 * tied.num_parameters + table, rel=1e-4)


def test_keys_and_values_of_a_token():
    assert memory.kv_cache(MODEL) == 57_344


def test_answers_hold_weights_and_the_keys_and_values_of_every_slot():
    whole = memory.generate(MODEL, Layout("bf16", 1, 1), 16, 4096, 2, 2)
    assert whole.parameters == 2 * MODEL.num_parameters
    assert whole.activations == 57_344 * 16 * 4096
    rounded = memory.generate(MODEL, Layout("bf16", 1, 1), 16, 4096, 2, memory.INT8_WIDTH)
    assert rounded.parameters == whole.parameters * 1.0625 / 2
    half = memory.generate(MODEL, Layout("bf16", 2, 1), 16, 4096, 2, 2)
    assert half.total == pytest.approx(whole.total / 2)
    stage = memory.generate(MODEL, Layout("bf16", 1, 2), 16, 4096, 2, 2)
    assert stage.activations == whole.activations / 2


def test_operations_of_a_token():
    per_token = MODEL.flops_per_token(4096)
    assert per_token == 6 * (7_615_616_512 - 152064 * 3584) + 6 * 28 * 3584 * 4096
    assert MODEL.flops_per_token(4096, recompute=True) == pytest.approx(per_token * 4 / 3)
