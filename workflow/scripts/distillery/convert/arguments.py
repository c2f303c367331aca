"""The `args` that an MCore checkpoint carries: what Megatron compares when it loads, and what its loaders need."""

from __future__ import annotations

from argparse import Namespace

from distillery.architecture import Architecture
from distillery.convert.dtypes import DType
from distillery.convert.mcore_layout import Layout
from distillery.problems import Problem


def build(a: Architecture, layout: Layout, dtype: DType, padded_vocab_size: int, iteration: int) -> Namespace:
    """Plain values only: a reader needs neither torch nor megatron to unpickle them.

    The dropouts are those of the model, zero: Megatron's own default of 0.1 would be taken over by
    --use-checkpoint-args. num_layers counts empty layers, as the trainer's --num-layers does.
    """
    return Namespace(
        num_layers=a.num_layers + len(layout.noop_layers),
        hidden_size=a.hidden_size,
        ffn_hidden_size=a.ffn_hidden_size,
        num_attention_heads=a.num_attention_heads,
        num_query_groups=a.num_query_groups,
        group_query_attention=a.num_query_groups != a.num_attention_heads,
        kv_channels=a.kv_channels,
        add_qkv_bias=a.add_qkv_bias,
        add_bias_linear=False,
        swiglu=True,
        normalization="RMSNorm",
        norm_epsilon=a.norm_epsilon,
        add_position_embedding=True,
        position_embedding_type="rope",
        use_rotary_position_embeddings=True,
        rotary_base=int(a.rotary_base) if a.rotary_base == int(a.rotary_base) else a.rotary_base,
        max_position_embeddings=a.max_position_embeddings,
        seq_length=a.max_position_embeddings,
        vocab_size=a.vocab_size,
        padded_vocab_size=padded_vocab_size,
        make_vocab_size_divisible_by=layout.make_vocab_size_divisible_by,
        untie_embeddings_and_output_weights=a.untie_embeddings_and_output_weights,
        tokenizer_type="Llama2Tokenizer",
        attention_dropout=0.0,
        hidden_dropout=0.0,
        tensor_model_parallel_size=layout.tensor_parallel_size,
        pipeline_model_parallel_size=layout.pipeline_parallel_size,
        num_layer_list=",".join(map(str, layout.num_layer_list)) if layout.num_layer_list else None,
        num_layers_per_virtual_pipeline_stage=layout.num_layers_per_virtual_pipeline_stage,
        noop_layers=",".join(map(str, layout.noop_layers)) if layout.noop_layers else None,
        expert_model_parallel_size=1,
        sequence_parallel=False,
        global_batch_size=1,
        bf16=dtype.name == "bf16",
        fp16=dtype.name == "fp16",
        iteration=iteration,
        # said of models that have it: of others the bytes stay what they were
        **({"qk_layernorm": True} if a.qk_layernorm else {}),
    )


def from_args(args: Namespace, num_layers: int, padded_vocab_size: int, where: object) -> Architecture:
    """The architecture of an MCore checkpoint, from its saved arguments.

    Args:
        num_layers: layers found in the rank files; `args.num_layers` counts empty ones too.
        padded_vocab_size: rows of the whole embedding; the vocabulary's size where the args keep silent.

    Raises:
        Problem: the arguments lack a size.
    """
    saved = vars(args)
    try:
        heads = int(saved["num_attention_heads"])
        hidden = int(saved["hidden_size"])
        grouped = saved.get("group_query_attention", True) and saved.get("num_query_groups")
        return Architecture(
            num_layers=num_layers,
            hidden_size=hidden,
            ffn_hidden_size=int(saved["ffn_hidden_size"]),
            num_attention_heads=heads,
            num_query_groups=int(grouped or heads),
            kv_channels=int(saved.get("kv_channels") or hidden // heads),
            vocab_size=int(saved.get("vocab_size") or padded_vocab_size),
            untie_embeddings_and_output_weights=bool(saved.get("untie_embeddings_and_output_weights", False)),
            add_qkv_bias=bool(saved.get("add_qkv_bias", False)),
            max_position_embeddings=int(saved.get("max_position_embeddings") or 4096),
            norm_epsilon=float(saved.get("norm_epsilon", 1e-6)),
            rotary_base=float(saved.get("rotary_base") or 10000.0),
            qk_layernorm=bool(saved.get("qk_layernorm", False)),
        ).checked(f"{where}, args")
    except KeyError as missing:
        raise Problem(
            "the checkpoint's saved arguments lack a size",
            where=f"{where}, args",
            found=f"no {missing.args[0]}",
            fix="convert again from the Hugging Face weights",
        ) from None
