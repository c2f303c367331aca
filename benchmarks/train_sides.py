"""The two sides of bench_train.py: a training step of ours and of its peer, on models of the same shapes and settings."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

SHAPES = {  # hidden, layers, vocabulary, heads, groups, ffn, batch, sequence
    "A": (128, 4, 4096, 4, 2, 384, 8, 256),
    "B": (256, 8, 8192, 8, 4, 768, 4, 512),
    "C": (96, 2, 511, 4, 2, 256, 8, 128),
    "SmolLM2": (576, 30, 49152, 9, 3, 1536, 2, 256),
}


def architecture(shape: str):
    """The Qwen2 of a shape, embeddings tied."""
    from distillery.architecture import Architecture

    hidden, layers, vocab, heads, groups, ffn, _, seq = SHAPES[shape]
    return Architecture(
        num_layers=layers,
        hidden_size=hidden,
        ffn_hidden_size=ffn,
        num_attention_heads=heads,
        num_query_groups=groups,
        kv_channels=hidden // heads,
        vocab_size=vocab,
        untie_embeddings_and_output_weights=False,
        add_qkv_bias=True,
        max_position_embeddings=seq,
    )


def our_model(shape: str, kernels, rng, lora=None):
    """Our decoder of a shape, initialised by `start` from a NumPy random state."""
    from distillery.engine import adapters
    from distillery.engine.decoder import Decoder, load_state

    model = Decoder(architecture(shape), kernels, lora=lora)
    load_state(model, {n: start(n, p.shape, rng) for n, p in adapters.weights(model).items()})
    if lora:
        adapters.start(model, 0)
    return model


def our_step(shape: str, kernels: str, threads: int, batch: int = 0, recompute: bool = False, rank: int = 0):
    """A function that runs step i and returns its loss; `batch` rows instead of the shape's, adapters of a rank."""
    from distillery.engine import mindspore_import
    from distillery.engine import threads as engine_threads

    engine_threads.limit(threads)
    mindspore_import.load("CPU")
    import numpy as np

    from distillery.engine import kernels as kernel_sets
    from distillery.engine.batches import Rows, assemble
    from distillery.engine.mesh import Mesh
    from distillery.engine.pipeline_step import PipelineStep
    from distillery.engine.train_step import Step
    from distillery.lora import TARGETS, Lora

    _, _, vocab, _, _, _, rows, seq = SHAPES[shape]
    batch = batch or rows
    chosen = kernel_sets.choose("CPU", kernels)
    lora = Lora(rank, 2 * rank, TARGETS) if rank else None
    model = our_model(shape, chosen, np.random.RandomState(0), lora)
    settings = make_settings(seq, batch, recompute=recompute, lora=lora)
    step = PipelineStep(model, settings, chosen, Mesh()) if recompute else Step(model, settings, chosen)

    def run(i: int) -> float:
        ids = list(np.random.RandomState(i).randint(0, vocab, (batch, seq)).astype(np.int32))
        return step.run(i, [assemble(Rows(ids, ids, ids), range(batch), settings)])[0]

    return run


def start(name: str, shape, rng):
    """Initial values as transformers': normal weights, unit norms, zero biases."""
    import numpy as np

    if "norm" in name:
        return np.ones(shape, np.float32)
    return (rng.randn(*shape) * (0.0 if name.endswith("bias") else 0.02)).astype(np.float32)


def make_settings(seq: int, batch: int, packing: str = "none", recompute: bool = False, lora=None):
    from distillery.engine.train_settings import Schedule, Settings

    return Settings(
        seq_length=seq,
        micro_batch_size=batch,
        global_batch_size=batch,
        train_iters=10**6,
        schedule=Schedule(1e-3, 1e-3, "constant", 0, 1),
        weight_decay=0.1,
        clip_grad=1.0,
        beta1=0.9,
        beta2=0.95,
        eps=1e-8,
        seed=0,
        split=(1, 0, 0),
        packing=packing,
        eos_token_id=None,
        cut_plainly=False,
        pad_left=False,
        shuffle=False,
        per_token_loss=False,
        recompute=recompute,
        lora=lora,
    )


def torch_step(shape: str, attention: str, threads: int):
    """The peer: transformers' Qwen2, torch in eager mode."""
    import numpy as np
    import torch
    from transformers import AutoModelForCausalLM, Qwen2Config

    torch.set_num_threads(threads)
    hidden, layers, vocab, heads, groups, ffn, batch, seq = SHAPES[shape]
    config = Qwen2Config(
        vocab_size=vocab,
        hidden_size=hidden,
        intermediate_size=ffn,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        max_position_embeddings=seq,
        tie_word_embeddings=True,
        use_cache=False,
        attn_implementation=attention,
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).float()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)

    def run(i: int) -> float:
        ids = torch.tensor(np.random.RandomState(i).randint(0, vocab, (batch, seq)))
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return run
