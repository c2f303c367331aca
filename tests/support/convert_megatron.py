"""Megatron-core as a referee: its ranks strict-load rank files into its GPTModel and answer with logits.

    python convert_megatron.py FOLDER...

Each folder is named NAME-TP-PP and holds checkpoint mcore/; the logits of the fixed ids go to logits.npy beside it.
Ranks are processes forked from one that has imported Megatron, and are numbered as Megatron numbers them, tensor ranks
inner. Stages hand hidden states on over gloo; the last stage's first tensor rank gathers the vocabulary.
"""

import contextlib
import multiprocessing
import sys
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from megatron.core import parallel_state, tensor_parallel
from megatron.core.models.gpt import GPTModel
from megatron.core.models.gpt.gpt_layer_specs import get_gpt_layer_local_spec
from megatron.core.transformer import TransformerConfig

IDS = (torch.arange(24) * 7919 + 13).reshape(2, 12)


def answer(folder: Path, tp: int, pp: int, rank: int) -> None:
    """One rank's part."""
    torch.set_num_threads(1)
    # Megatron's rotary and tied embeddings move to a GPU without asking whether there is one
    torch.cuda.current_device = lambda: "cpu"
    torch.Tensor.cuda = lambda self: self
    dist.init_process_group("gloo", f"file://{folder / 'meet'}", rank=rank, world_size=tp * pp)
    parallel_state.initialize_model_parallel(tp, pp)

    # random states live on GPUs; with dropout 0 nothing is drawn from them
    tensor_parallel.get_cuda_rng_tracker().fork = lambda *name: contextlib.nullcontext()
    t, p = rank % tp, rank // tp
    name = f"mp_rank_{t:02d}" + (f"_{p:03d}" if pp > 1 else "")
    saved = torch.load(
        folder / "mcore/iter_0000001" / name / "model_optim_rng.pt", weights_only=False, mmap=True
    )
    args = saved["args"]
    config = TransformerConfig(
        num_layers=args.num_layers,
        hidden_size=args.hidden_size,
        num_attention_heads=args.num_attention_heads,
        num_query_groups=args.num_query_groups,
        kv_channels=args.kv_channels,
        ffn_hidden_size=args.ffn_hidden_size,
        add_qkv_bias=args.add_qkv_bias,
        add_bias_linear=False,
        qk_layernorm=getattr(args, "qk_layernorm", False),
        gated_linear_unit=True,
        activation_func=torch.nn.functional.silu,
        normalization="RMSNorm",
        layernorm_epsilon=args.norm_epsilon,
        attention_dropout=0.0,
        hidden_dropout=0.0,
        tensor_model_parallel_size=tp,
        pipeline_model_parallel_size=pp,
        pipeline_dtype=torch.float32,
        use_cpu_initialization=True,
        attention_softmax_in_fp32=True,
        bias_activation_fusion=False,
        masked_softmax_fusion=False,
        gradient_accumulation_fusion=False,
        perform_initialization=False,
        deterministic_mode=False,
    )
    model = GPTModel(
        config,
        get_gpt_layer_local_spec(normalization="RMSNorm", qk_layernorm=config.qk_layernorm),
        vocab_size=args.padded_vocab_size,
        max_sequence_length=args.max_position_embeddings,
        pre_process=p == 0,
        post_process=p == pp - 1,
        parallel_output=True,
        share_embeddings_and_output_weights=not args.untie_embeddings_and_output_weights,
        position_embedding_type="rope",
        rotary_base=args.rotary_base,
    )
    model.load_state_dict(saved["model"], strict=True)
    model = model.float().eval()
    positions = torch.arange(IDS.shape[1]).expand_as(IDS)
    mask = torch.triu(torch.ones(1, 1, IDS.shape[1], IDS.shape[1], dtype=torch.bool), 1)
    with torch.no_grad():
        if p > 0:
            hidden = torch.empty(IDS.shape[1], IDS.shape[0], args.hidden_size)
            dist.recv(hidden, rank - tp)
            model.set_input_tensor(hidden)
        result = model(IDS % args.vocab_size, positions, mask)
        if p < pp - 1:
            dist.send(result.contiguous(), rank + tp)
        else:
            parts = [torch.empty_like(result) for _ in range(tp)]
            group = parallel_state.get_tensor_model_parallel_group()
            dist.all_gather(parts, result.contiguous(), group=group)
            if t == 0:
                np.save(folder / "logits.npy", torch.cat(parts, -1).numpy())
    dist.barrier()
    dist.destroy_process_group()


def main(folders: list[Path]) -> None:
    context = multiprocessing.get_context("fork")
    for folder in folders:
        tp, pp = map(int, folder.name.split("-")[-2:])
        ranks = [context.Process(target=answer, args=(folder, tp, pp, rank)) for rank in range(tp * pp)]
        for rank in ranks:
            rank.start()
        for rank in ranks:
            rank.join(60)
            rank.kill()  # one that waits for one that died
            rank.join()
        if any(rank.exitcode for rank in ranks):
            (folder / "logits.npy").unlink(missing_ok=True)


if __name__ == "__main__":
    main(list(map(Path, sys.argv[1:])))
