"""LoRA's arithmetic against torch, whose gradients of whole matrices give those of A and B by the chain rule."""

from __future__ import annotations

from dataclasses import replace

import mindspore as ms
import numpy as np
import pytest
from engine_oracle import SMALL, mcore, model
from engine_settings import SETTINGS
from lazy import Lazy

from distillery import model_config
from distillery.engine import adapters, composed, native
from distillery.engine.batches import Rows, assemble
from distillery.engine.decoder import Decoder, load_state, state_dict
from distillery.engine.mesh import Mesh
from distillery.engine.pipeline_step import PipelineStep
from distillery.engine.train_step import Objective, Step
from distillery.lora import TARGETS, Lora
from distillery.marks import IGNORED

torch = Lazy("torch")

pytestmark = pytest.mark.mindspore

ALL = Lora(3, 6, TARGETS)
FAMILIES = [
    ("qwen2", {"tie_word_embeddings": True}),
    ("qwen3", {"tie_word_embeddings": False, "num_hidden_layers": 1}),
]


def adapted(made, lora: Lora = ALL, kernels=native) -> tuple[Decoder, dict[str, np.ndarray]]:
    """A decoder whose frozen weights and random adapters make `made`'s weights together, and its adapters."""
    decoder = Decoder(model_config.from_config(made.config.to_dict()), kernels, lora=lora)
    random = np.random.RandomState(3)
    found = {
        name: 0.2 * random.randn(*p.shape).astype(np.float32) for name, p in adapters.of(decoder).items()
    }
    state = mcore(made)
    for name in state:
        a, b = (found.get(name.removesuffix(".weight") + end) for end in adapters.ENDINGS)
        state[name] = state[name] if a is None else state[name] - lora.scale * (b @ a)
    load_state(decoder, state)
    adapters.start(decoder, 0)
    adapters.load(decoder, {adapters.STORED + name: array for name, array in found.items()})
    return decoder, found


def batches(count: int, size: int = 2) -> list:
    random = np.random.RandomState(0)
    ids = [random.randint(2, SMALL["vocab_size"], 12).astype(np.int32) for _ in range(count * size)]
    labels = [np.where(np.arange(12) < 3, IGNORED, row).astype(np.int32) for row in ids]
    rows = Rows(ids, labels, [np.ones_like(row) for row in ids])
    return [assemble(rows, range(at, at + size), SETTINGS) for at in range(0, count * size, size)]


@pytest.mark.parametrize("kernels", [composed, native], ids=["composed", "native"])
@pytest.mark.parametrize(("family", "changes"), FAMILIES, ids=["qwen2", "qwen3"])
def test_logits_and_gradients_of_adapters_equal_torch(family, changes, kernels):
    made = model(family, **changes)
    decoder, found = adapted(made, kernels=kernels)
    (batch,) = batches(1)
    logits = made(torch.tensor(batch.ids).long()).logits
    np.testing.assert_allclose(
        decoder(ms.Tensor(batch.ids)).asnumpy(), logits.detach().numpy(), atol=2e-5, rtol=0
    )
    labels = torch.tensor(batch.labels).long().flatten()
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels, ignore_index=IGNORED).backward()
    whole = mcore(made, {name: p.grad for name, p in made.named_parameters()})
    trained = adapters.trained(decoder)
    gradient = ms.jit(ms.grad(Objective(decoder, kernels), None, ms.ParameterTuple(trained.values())))
    weight = ms.Tensor(np.float32(1 / batch.supervised))
    assert trained.keys() == found.keys() and len(trained) == 2 * decoder.arch.num_layers * len(TARGETS)
    for name, value in zip(trained, gradient(*map(ms.Tensor, batch.arrays()), weight), strict=True):
        linear, end = name.rsplit(".", 1)
        of_matrix = whole[f"{linear}.weight"] * ALL.scale
        a, b = found[f"{linear}.lora_A"], found[f"{linear}.lora_B"]
        wanted = b.T @ of_matrix if end == "lora_A" else of_matrix @ a.T
        assert np.linalg.norm(value.asnumpy() - wanted) / np.linalg.norm(wanted) < 1e-4, name


@pytest.mark.parametrize(
    ("targets", "layers"), [(TARGETS, 2), (("linear_proj",), 1), (("linear_qkv", "linear_fc2"), 1)]
)
def test_recomputed_layers_train_the_same_adapters_and_no_weight(targets, layers):
    lora, made = Lora(2, 4, targets), model("qwen2", tie_word_embeddings=True, num_hidden_layers=layers)
    kept, thrifty = (replace(SETTINGS, lora=lora, recompute=again) for again in (False, True))
    plain = Step(adapted(made, lora)[0], kept, native)
    again = PipelineStep(adapted(made, lora)[0], thrifty, native, Mesh())
    frozen = {name: array.copy() for name, array in state_dict(plain.objective.model).items()}
    parts = batches(4 * 3)
    for number in range(1, 4):
        own = parts[4 * (number - 1) : 4 * number]
        assert again.run(number, own) == plain.run(number, own), number
    for name, array in state_dict(plain.objective.model).items():
        assert np.array_equal(array, frozen[name]), name
    weights, moments = plain.state()
    kinds = {name.partition(".")[0] for name in moments}
    assert kinds == {"adapter", "exp_avg", "exp_avg_sq"} and len(moments) == 3 * 2 * layers * len(targets)
    for name, array in again.state()[1].items():
        assert np.array_equal(array, moments[name]), name
    changed = {name for name in weights if not np.array_equal(weights[name], frozen[name])}
    assert changed == {name for name in frozen if name.endswith(tuple(f"{one}.weight" for one in targets))}
    merged = Decoder(plain.objective.model.arch, native)
    load_state(merged, weights)
    ids = ms.Tensor(parts[0].ids)
    wanted = plain.objective.model(ids).asnumpy()
    np.testing.assert_allclose(merged(ids).asnumpy(), wanted, atol=2e-5, rtol=0)


def test_a_start_changes_no_logit_and_depends_on_the_seed():
    made = model("qwen2")
    starts = []
    for seed in (1, 1, 2):
        decoder = Decoder(model_config.from_config(made.config.to_dict()), native, lora=ALL)
        load_state(decoder, mcore(made))
        adapters.start(decoder, seed)
        starts.append(adapters.copies(decoder))
    ids = batches(1)[0].ids
    wanted = made(torch.tensor(ids).long()).logits.detach().numpy()
    np.testing.assert_allclose(decoder(ms.Tensor(ids)).asnumpy(), wanted, atol=2e-5, rtol=0)
    first, same, other = starts
    assert all(np.array_equal(first[name], same[name]) for name in first)
    for name, array in first.items():
        if name.endswith("lora_A"):
            bound = array.shape[1] ** -0.5
            assert 0.8 * bound < np.abs(array).max() <= bound and not np.array_equal(array, other[name])
        else:
            assert not array.any()
