"""Training's arithmetic against torch and Megatron: gradients, AdamW, recomputation, packing."""

from __future__ import annotations

import forked
import mindspore as ms
import numpy as np
import pytest
from engine_oracle import SMALL, mcore, model
from lazy import Lazy
from places import SUPPORT

from distillery import model_config
from distillery.engine import composed, native, passes
from distillery.engine.batches import Rows, assemble
from distillery.engine.decoder import Decoder, load_state, state_dict
from distillery.engine.mesh import Mesh
from distillery.engine.pipeline_step import PipelineStep
from distillery.engine.train_settings import Schedule, Settings
from distillery.engine.train_step import Objective, Step, weights
from distillery.marks import IGNORED

torch = Lazy("torch")

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
    decoder = Decoder(model_config.from_config(made.config.to_dict()), kernels)
    load_state(decoder, mcore(made))
    return decoder


def torch_losses(made, batch) -> torch.Tensor:
    logits = made(torch.tensor(batch.ids).long()).logits.flatten(0, 1)
    labels = torch.tensor(batch.labels).long().flatten()
    return torch.nn.functional.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum")


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("qwen2", {"tie_word_embeddings": True}),
        ("qwen3", {"tie_word_embeddings": False, "num_hidden_layers": 1}),
        ("llama", {"tie_word_embeddings": False, "head_dim": 10, "num_hidden_layers": 1}),
    ],
    ids=["qwen2", "qwen3", "llama"],
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
    made, exact = model("qwen2", num_hidden_layers=1), model("qwen2", num_hidden_layers=1).double()
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
    layers = 1 if kernels == "composed" else 2
    made = model(family, tie_word_embeddings=family == "qwen2", num_hidden_layers=layers)
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
    made = model("qwen2", tie_word_embeddings=True, num_hidden_layers=1)
    kept = Step(ours(made), make_settings(), native)
    again = PipelineStep(ours(made), make_settings(recompute=True), native, Mesh())
    for number in range(1, 4):
        parts = [assemble(some_rows(seed=number), range(2), make_settings())]
        assert again.run(number, parts) == pytest.approx(kept.run(number, parts), rel=1e-6), number
    assert again.evaluate(parts) == pytest.approx(kept.evaluate(parts), rel=1e-6)
    for (name, wanted), found in zip(kept.state()[1].items(), again.state()[1].values(), strict=True):
        assert np.linalg.norm(found - wanted) <= 1e-6 * np.linalg.norm(wanted), name


def peak(kind: str) -> int:
    """Bytes that a training of one kind says it took."""
    done = forked.run(SUPPORT / "engine_memory_worker.py", kind)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_recomputation_needs_less_memory():
    """4 layers keep 33.6 MB each for 4096 tokens (2050 floats a token) when nothing is recomputed."""
    kept, recomputed = peak("kept"), peak("recomputed")
    assert kept - recomputed > 80e6, (kept, recomputed)


def test_the_weights_below_adapters_are_held_once():
    """Compiling takes 75 MB here; a second copy would be 101 MB: 8 layers of (2 + 1 + 6 + 3) * 512 ** 2 numbers in float32."""
    assert (found := peak("adapters")) < 120e6, found


def test_micro_batches_or_tokens_weigh_the_same():
    rows = some_rows()
    parts = [assemble(rows, [i], make_settings(micro_batch_size=1)) for i in range(3)]
    counts = [len(rows.input_ids[i]) - 3 for i in range(3)]
    assert [part.supervised for part in parts] == counts
    assert weights(parts, False) == pytest.approx([1 / (3 * count) for count in counts])
    assert weights(parts, True) == pytest.approx([1 / sum(counts)] * 3)


@pytest.mark.parametrize("packing", ["neat", "reset"])
def test_packed_loss_equals_unpacked(packing):
    made = model("qwen2", num_hidden_layers=1)
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
    made = model("llama", num_hidden_layers=1)
    objective = ms.jit(Objective(ours(made), native))
    unit = ms.Tensor(np.float32(1))
    left, right = (
        float(objective(*map(ms.Tensor, assemble(some_rows(), range(2), chosen).arrays()), unit).asnumpy())
        for chosen in (make_settings(pad_left=True), make_settings())
    )
    assert left == pytest.approx(right, rel=1e-6)
