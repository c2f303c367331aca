"""Training's arithmetic against torch and Megatron: gradients, AdamW, schedule, packing, kernels, data order."""

import subprocess
import sys

import mindspore as ms
import numpy as np
import pytest
import torch
from engine_oracle import SMALL, mcore, model
from hypothesis import given, settings
from hypothesis import strategies as st
from megatron.core.optimizer_param_scheduler import OptimizerParamScheduler
from places import SUPPORT

from distillery import cutting
from distillery.engine import batches, compiling, composed, kernels, native, passes, supported_models
from distillery.engine.batches import Rows, assemble
from distillery.engine.decoder import Decoder, load_state, state_dict
from distillery.engine.kernels import choose, mark
from distillery.engine.mesh import Mesh
from distillery.engine.pipeline_step import PipelineStep
from distillery.engine.train_settings import Schedule, Settings
from distillery.engine.train_step import Objective, Step, weights
from distillery.marks import IGNORED

pytestmark = pytest.mark.mindspore

KERNELS = {"composed": composed, "native": native}


def make_settings(**changes) -> Settings:
    chosen = {
        "seq_length": 24,
        "micro_batch_size": 2,
        "global_batch_size": 2,
        "train_iters": 20,
        "schedule": Schedule(1e-2, 1e-3, "cosine", 3, 20),
        "weight_decay": 0.1,
        "clip_grad": 1.0,
        "beta1": 0.9,
        "beta2": 0.95,
        "eps": 1e-8,
        "seed": 1,
        "split": (1, 0, 0),
        "packing": "none",
        "eos_token_id": 1,
        "cut_plainly": False,
        "pad_left": False,
        "shuffle": True,
        "per_token_loss": False,
        "recompute": False,
    }
    return Settings(**{**chosen, **changes})


def some_rows(count: int = 8, seed: int = 0) -> Rows:
    """Rows of 6 to 24 tokens whose first 3 are not learnt."""
    rng = np.random.RandomState(seed)
    ids = [rng.randint(2, SMALL["vocab_size"], rng.randint(6, 25)).astype(np.int32) for _ in range(count)]
    labels = [np.where(np.arange(len(row)) < 3, IGNORED, row).astype(np.int32) for row in ids]
    return Rows(ids, labels, [np.ones_like(row) for row in ids])


def ours(made, kernels=native) -> Decoder:
    decoder = Decoder(supported_models.from_config(made.config.to_dict()), kernels)
    load_state(decoder, mcore(made))
    return decoder


def torch_losses(made, batch) -> torch.Tensor:
    logits = made(torch.tensor(batch.ids).long()).logits.flatten(0, 1)
    labels = torch.tensor(batch.labels).long().flatten()
    return torch.nn.functional.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum")


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize(
    ("family", "changes"),
    [("qwen2", {"tie_word_embeddings": True}), ("llama", {"tie_word_embeddings": False, "head_dim": 10})],
    ids=["qwen2", "llama"],
)
def test_every_gradient_equals_torch(family, changes, kernels):
    made = model(family, **changes)
    batch = assemble(some_rows(), range(2), make_settings())
    (torch_losses(made, batch) / batch.supervised).backward()
    wanted = mcore(made, {name: p.grad for name, p in made.named_parameters()})
    objective = Objective(ours(made, KERNELS[kernels]), KERNELS[kernels])
    named = dict(objective.model.parameters_and_names())
    gradient = ms.jit(ms.grad(objective, None, ms.ParameterTuple(named.values())))
    weight = ms.Tensor(np.float32(1 / batch.supervised))
    for name, found in zip(named, gradient(*map(ms.Tensor, batch.arrays()), weight), strict=True):
        error = np.linalg.norm(found.asnumpy() - wanted[name]) / np.linalg.norm(wanted[name])
        assert error < 1e-4, name


@pytest.mark.parametrize(("kernels", "micro_batches"), [("composed", 1), ("native", 1), ("native", 3)])
def test_adamw_equals_torch_over_20_steps(kernels, micro_batches):
    """Losses and norms as torch's; weights as near to those of float64 as torch's own float32 are.

    AdamW divides a gradient by its own size: where it is about 0, its rounding, which differs from CPU to CPU, becomes
    a step of up to the learning rate. So the distance allowed is that of torch on this CPU, not a number.
    """
    chosen = make_settings(global_batch_size=2 * micro_batches)
    made, exact = model("qwen2"), model("qwen2").double()
    step = Step(ours(made, KERNELS[kernels]), chosen, KERNELS[kernels])
    rows = some_rows(20 * 2 * micro_batches)
    batches = []
    for number in range(20):
        at = number * 2 * micro_batches
        batches.append(
            [assemble(rows, range(at + 2 * i, at + 2 * i + 2), chosen) for i in range(micro_batches)]
        )
    curve = list(torch_curve(made, batches, chosen))
    for number, (parts, (wanted, wanted_norm)) in enumerate(zip(batches, curve, strict=True), 1):
        loss, norm = step.run(number, parts)
        assert loss == pytest.approx(wanted, rel=1e-5)
        assert norm == pytest.approx(wanted_norm, rel=1e-5)
    list(torch_curve(exact, batches, chosen))
    truth, torchs, found = mcore(exact), mcore(made), state_dict(step.objective.model)
    for name, array in truth.items():
        allowed = max(2e-5, 2 * float(np.abs(torchs[name] - array).max()))
        np.testing.assert_allclose(found[name], array, atol=allowed, rtol=0, err_msg=name)


def torch_curve(made, batches, chosen):
    """(loss, gradient norm) of each step of torch's AdamW on a model, which is trained meanwhile."""
    matrices = [p for p in made.parameters() if p.ndim > 1]
    vectors = [p for p in made.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95), eps=1e-8)
    for number, parts in enumerate(batches, 1):
        optimizer.zero_grad()
        wanted = sum(torch_losses(made, part) / part.supervised / len(parts) for part in parts)
        wanted.backward()
        norm = torch.nn.utils.clip_grad_norm_(made.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = chosen.schedule.at(number)
        optimizer.step()
        yield wanted.item(), norm.item()


@pytest.mark.parametrize(
    ("family", "kernels", "changes"),
    [
        ("qwen2", "native", {"global_batch_size": 6}),
        ("llama", "native", {"global_batch_size": 4, "per_token_loss": True, "packing": "neat"}),
        ("qwen2", "composed", {}),
    ],
    ids=["accumulated", "packed, per token, untied", "composed"],
)
def test_recomputed_layers_give_the_same_bits(family, kernels, changes):
    made = model(family, tie_word_embeddings=family == "qwen2")
    plain, thrifty = (make_settings(recompute=recompute, **changes) for recompute in (False, True))
    rows = some_rows(30)
    for mask in rows.attention_mask:
        mask[len(mask) // 2 :] = 2  # two samples in a row, which neat packing keeps apart
    kept = Step(ours(made, KERNELS[kernels]), plain, KERNELS[kernels])
    again = PipelineStep(ours(made, KERNELS[kernels]), thrifty, KERNELS[kernels], Mesh())
    size = plain.global_batch_size
    for number in range(1, 5):
        parts = [assemble(rows, [i, i + 1], plain) for i in range((number - 1) * size, number * size, 2)]
        assert again.run(number, parts) == kept.run(number, parts), number
    assert again.evaluate(parts) == pytest.approx(kept.evaluate(parts), rel=1e-6)
    for wanted, found in zip(kept.state(), again.state(), strict=True):
        assert wanted.keys() == found.keys()
        for name, array in wanted.items():
            assert np.array_equal(found[name], array), name


def test_logits_in_pieces_give_the_same_gradients(monkeypatch):
    """48 tokens of 61 logits in 4 pieces."""
    monkeypatch.setattr(passes, "LOGITS", 61 * 13)
    made = model("qwen2", tie_word_embeddings=True)
    kept = Step(ours(made), make_settings(), native)
    again = PipelineStep(ours(made), make_settings(recompute=True), native, Mesh())
    for number in range(1, 4):
        parts = [assemble(some_rows(seed=number), range(2), make_settings())]
        assert again.run(number, parts) == pytest.approx(kept.run(number, parts), rel=1e-6), number
    assert again.evaluate(parts) == pytest.approx(kept.evaluate(parts), rel=1e-6)
    for (name, wanted), found in zip(kept.state()[1].items(), again.state()[1].values(), strict=True):
        assert np.linalg.norm(found - wanted) <= 1e-6 * np.linalg.norm(wanted), name


def test_recomputation_needs_less_memory():
    """8 layers keep 16.8 MB each for 2048 tokens (2050 floats a token) when nothing is recomputed."""
    peaks = {}
    for recompute in (0, 1):
        line = [sys.executable, SUPPORT / "engine_memory_worker.py", str(recompute)]
        peaks[recompute] = int(subprocess.run(line, capture_output=True, text=True, check=True).stdout)
    assert peaks[0] - peaks[1] > 80e6, peaks


@given(
    warmup=st.integers(0, 5),
    style=st.sampled_from(["constant", "linear", "cosine"]),
    minimum=st.sampled_from([0.0, 1e-4]),
    batch=st.sampled_from([1, 8]),
)
@settings(max_examples=30, deadline=None)
def test_learning_rates_equal_megatrons(warmup, style, minimum, batch):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    theirs = OptimizerParamScheduler(
        optimizer,
        init_lr=0.0,
        max_lr=1e-2,
        min_lr=minimum,
        lr_warmup_steps=warmup * batch,
        lr_decay_steps=12 * batch,
        lr_decay_style=style,
        start_wd=0.0,
        end_wd=0.0,
        wd_incr_steps=12 * batch,
        wd_incr_style="constant",
    )
    ours_ = Schedule(1e-2, minimum, style, warmup, 12)
    for step in range(1, 16):
        assert ours_.at(step) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12), step
        theirs.step(increment=batch)


def test_documents_come_in_the_references_order():
    """RandomState(seed) shuffles each epoch anew; the numbers are numpy's, fixed since 1.17."""
    rng = np.random.RandomState(1234)
    epochs = []
    for _ in range(3):
        epoch = np.arange(2, 9)
        rng.shuffle(epoch)
        epochs += epoch.tolist()
    assert batches.order(range(2, 9), 17, 1234, True).tolist() == epochs[:17]
    assert batches.order(range(2, 5), 5, 1234, False).tolist() == [2, 3, 4, 2, 3]
    assert batches.split(10, (90, 10, 0)) == (range(9), range(9, 10), range(10, 10))
    assert [len(part) for part in batches.split(7, (100, 0, 0))] == [7, 0, 0]


def test_long_rows_are_cut_turn_by_turn():
    labels = np.array([IGNORED] * 10 + list(range(20)) + [IGNORED] * 4 + [7, 8], np.int32)
    ids = np.arange(36, dtype=np.int32)
    cut, cut_labels = batches.cut_turns(ids, labels, 12)
    # 10 prompt and 20 answer tokens share 12: int(12 * 20/30) = 8 of the answer, 4 of the prompt
    assert cut.tolist() == [0, 1, 2, 3, *range(10, 18)]
    assert cut_labels.tolist() == [IGNORED] * 4 + list(range(8))
    assert cutting.by_need(10, 3, 20) == (10, 3)
    assert cutting.by_need(100, 3, 20) == (17, 3)
    assert cutting.by_need(3, 100, 20) == (3, 17)


def test_micro_batches_or_tokens_weigh_the_same():
    rows = some_rows()
    parts = [assemble(rows, [i], make_settings(micro_batch_size=1)) for i in range(3)]
    counts = [len(rows.input_ids[i]) - 3 for i in range(3)]
    assert [part.supervised for part in parts] == counts
    assert weights(parts, False) == pytest.approx([1 / (3 * count) for count in counts])
    assert weights(parts, True) == pytest.approx([1 / sum(counts)] * 3)


@pytest.mark.parametrize("packing", ["neat", "reset"])
def test_packed_loss_equals_unpacked(packing):
    made = model("qwen2")
    rows = some_rows(3)
    for row, labels in zip(rows.input_ids, rows.labels, strict=True):
        row[-1] = labels[-1] = 1  # eos ends each sample
        row[0] = 1  # an eos that is not learnt ends nothing
    joined = [np.concatenate(column) for column in (rows.input_ids, rows.labels)]
    numbers = np.concatenate([np.full(len(row), i + 1, np.int32) for i, row in enumerate(rows.input_ids)])
    packed = Rows([joined[0]], [joined[1]], [numbers])
    long = make_settings(packing=packing, seq_length=80, micro_batch_size=1)
    one = assemble(packed, [0], long)
    apart = assemble(rows, range(3), make_settings())
    assert one.supervised == apart.supervised
    objective = Objective(ours(made), native)
    compiled = ms.jit(objective)
    unit = ms.Tensor(np.float32(1))
    together, separate = (
        float(compiled(*map(ms.Tensor, batch.arrays()), unit).asnumpy()) for batch in (one, apart)
    )
    assert together == pytest.approx(separate, rel=1e-6)


def test_padding_side_does_not_change_the_loss():
    made = model("llama")
    objective = ms.jit(Objective(ours(made), native))
    unit = ms.Tensor(np.float32(1))
    left, right = (
        float(objective(*map(ms.Tensor, assemble(some_rows(), range(2), chosen).arrays()), unit).asnumpy())
        for chosen in (make_settings(pad_left=True), make_settings())
    )
    assert left == pytest.approx(right, rel=1e-6)


def test_native_kernels_equal_the_composed_ones():
    kernels.check(native, composed)


@pytest.mark.parametrize("wide", [["-mavx2", "-mfma"], ["-msse4.2"]], ids=["avx2", "sse"])
def test_kernels_of_narrower_vectors_equal_the_composed_ones(wide, monkeypatch, tmp_path):
    """The 4-wide code is NEON's, too."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiling, "FLAGS", [f for f in compiling.FLAGS if f != "-march=native"] + wide)
    compiling.library.cache_clear()
    try:
        kernels.check(native, composed)
        assert list((tmp_path / "distillery").glob("native-*.so"))
    finally:
        compiling.library.cache_clear()


def test_without_a_compiler_composed_ops_run_and_say_so(monkeypatch, tmp_path, capfd):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    compiling.library.cache_clear()
    try:
        assert choose("CPU") is composed
        assert "no C++ compiler" in capfd.readouterr().err
        with pytest.raises(kernels.Problem, match="--kernels composed"):
            choose("CPU", "native")
    finally:
        compiling.library.cache_clear()


def test_another_mindspore_is_held_against_the_kernels_anew(monkeypatch, tmp_path):
    library = tmp_path / "native.so"
    former = mark(library)
    assert former == mark(library)
    (tmp_path / "mindspore-9.9.dist-info").mkdir()
    (tmp_path / "mindspore-9.9.dist-info/METADATA").write_text("Name: mindspore\nVersion: 9.9\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert mark(library) != former


def test_a_wrong_kernel_is_named():
    class Wrong:
        RmsNorm, CrossEntropy, Attention = composed.RmsNorm, composed.CrossEntropy, composed.Attention

        class SwiGlu(composed.SwiGlu):
            def construct(self, gate_up):
                return composed.SwiGlu.construct(self, gate_up) * 1.001

    with pytest.raises(kernels.Problem, match=r"SwiGlu.*output"):
        kernels.check(Wrong, composed)
