"""The flags of MindSpeed-LLM 2.2.0's four scripts, derived from a model's config.json and an experiment's choices.

    words = commandline.words({**training(layout, settings, ...), **architecture(model), **files(...)})

The order and the constants are those of its shipped scripts for distilled Qwen (examples/mindspore/
deepseek_r1_distill_qwen, tag v2.2.0). What those repeat by hand (layers, heads, vocabulary, rope base, prompt
type) is derived here, so that it cannot disagree. `facts.faults` says whether a line is one the reference takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from distillery import commandline
from distillery.engine.architecture import Architecture
from distillery.experiment import Experiment, Layout
from distillery.launch import facts
from distillery.problems import Problem

Flags = dict[str, Any]

# its fused NPU kernels; the CPU side of this project has no part in them
FUSED = {"use_fused_swiglu": True, "use_fused_rmsnorm": True, "use_fused_rotary_pos_emb": True}
PRECISION = {"bf16": {"bf16": True}, "fp16": {"fp16": True}, "fp32": {}}
# a start from weights alone; a resumed run reads the rest too
START = ("finetune", "no_load_optim", "no_load_rng")


def architecture(model: Architecture) -> Flags:
    """Shape flags of a model.

    Raises:
        Problem: the reference's parser cannot express the model (a fractional rope base, an unknown scaling).
    """
    base = model.rope_theta
    if base != int(base):
        raise Problem(
            "MindSpeed-LLM takes whole rotary bases only",
            where="--rotary-base",
            found=base,
            wanted="an integer",
            fix="train this model with engine: mindspore",
        )
    grouped = model.num_groups != model.num_heads
    return {
        "num_layers": model.num_layers,
        "hidden_size": model.hidden_size,
        "ffn_hidden_size": model.ffn_size,
        "num_attention_heads": model.num_heads,
        "group_query_attention": grouped,
        "num_query_groups": model.num_groups if grouped else None,
        "kv_channels": model.head_dim if model.head_dim * model.num_heads != model.hidden_size else None,
        "disable_bias_linear": True,
        "add_qkv_bias": model.qkv_bias,
        "swiglu": True,
        "normalization": "RMSNorm",
        "norm_epsilon": model.norm_eps,
        "position_embedding_type": "rope",
        "rotary_base": int(base),
        **_scaling(dict(model.rope_scaling)),
        "untie_embeddings_and_output_weights": not model.tied,
        # config.json's vocabulary is already padded; Megatron must not pad it further
        "make_vocab_size_divisible_by": 1,
        "padded_vocab_size": model.vocab_size,
    }


def _scaling(rope: Mapping[str, Any]) -> Flags:
    kind = rope.get("rope_type", "default")
    if kind == "default":
        return {}
    common = {
        "rope_scaling_type": kind,
        "rope_scaling_factor": rope.get("factor"),
        "rope_scaling_original_max_position_embeddings": rope.get("original_max_position_embeddings"),
    }
    if kind == "llama3":
        return {**common, **{key: rope.get(key) for key in ("low_freq_factor", "high_freq_factor")}}
    if kind == "yarn":
        own = {f"rope_scaling_{key}": rope.get(key) for key in ("beta_fast", "beta_slow")}
        return {**common, **own}
    raise Problem(
        "no launch line is known for this RoPE scaling",
        where="config.json, rope_scaling.rope_type",
        found=kind,
        wanted="default, llama3 or yarn",
        fix="train this model with engine: mindspore, or set its flags in MindSpeed-LLM by hand",
    )


def layout_flags(layout: Layout) -> Flags:
    """How running weights are cut. Stages of unequal depth come with the checkpoint and by number."""
    return {
        "tensor_model_parallel_size": layout.tensor_parallel_size,
        "pipeline_model_parallel_size": layout.pipeline_parallel_size,
        "num_layer_list": ",".join(map(str, layout.num_layer_list)) if layout.num_layer_list else None,
    }


def preprocess(*, input: str, tokenizer: str, output_prefix: str, settings: Flags, workers: int = 4) -> Flags:
    """preprocess_data.py: `settings` holds handler_name, prompt_type, map_keys and, if any, seq_length, pack, ..."""
    return {
        "input": input,
        "tokenizer_name_or_path": tokenizer,
        "output_prefix": output_prefix,
        "workers": workers,
        "log_interval": 1000,
        "tokenizer_type": "PretrainedFromHF",
        **settings,
    }


def hf_to_mcore(model: Architecture, layout: Layout, *, load: str, save: str) -> Flags:
    """convert_ckpt.py towards MCore. `llama2` with a qkv bias is its route for Qwen2: it has no qwen2 choice."""
    return {
        "use_mcore_models": True,
        "model_type": "GPT",
        "load_model_type": "hf",
        "save_model_type": "mg",
        "target_tensor_parallel_size": layout.tensor_parallel_size,
        "target_pipeline_parallel_size": layout.pipeline_parallel_size,
        "num_layer_list": ",".join(map(str, layout.num_layer_list)) if layout.num_layer_list else None,
        "add_qkv_bias": model.qkv_bias,
        "load_dir": load,
        "save_dir": save,
        "tokenizer_model": f"{load}/tokenizer.json",
        "model_type_hf": "llama2",
        "params_dtype": layout.params_dtype,
    }


def mcore_to_hf(model: Architecture, layout: Layout, *, load: str, save: str) -> Flags:
    """convert_ckpt.py back. `save` is the original Hugging Face directory; the weights go to `save`/mg2hf."""
    return {
        "use_mcore_models": True,
        "model_type": "GPT",
        "model_type_hf": "llama2",
        "load_model_type": "mg",
        "save_model_type": "hf",
        "target_tensor_parallel_size": 1,
        "target_pipeline_parallel_size": 1,
        "add_qkv_bias": model.qkv_bias,
        "load_dir": load,
        "save_dir": save,
        "params_dtype": layout.params_dtype,
    }


def training(layout: Layout, settings: Mapping[str, Any], *, prompt_type: str, seq_length: int) -> Flags:
    """posttrain_gpt.py for supervised fine-tuning: all but the model's shape, the paths and the start.

    Args:
        settings: training keys in Megatron's words (train_iters, lr, ...); they replace the constants here.
        seq_length: tokens of the longest sequence.
    """
    bf16 = layout.params_dtype == "bf16"
    chosen = dict(settings)
    distributed = chosen.setdefault("use_distributed_optimizer", True)
    packed = chosen.pop("pack", False)
    chosen.setdefault("reuse_fp32_param", bf16 and distributed)
    # packed rows have one length, and positions that start anew with each document
    chosen.setdefault("variable_seq_lengths", not packed)
    chosen.setdefault("reset_position_ids", packed)
    if chosen.get("recompute_granularity") == "full":
        chosen = {**chosen, "recompute_method": "uniform", "recompute_num_layers": 1}
    for key in START:
        chosen.pop(key, None)
    return {
        "use_mcore_models": True,
        **layout_flags(layout),
        "max_position_embeddings": seq_length,
        "seq_length": seq_length,
        "use_flash_attn": True,
        **FUSED,
        "tokenizer_type": "PretrainedFromHF",
        "tokenizer_not_use_fast": True,
        "attention_dropout": 0.0,
        "hidden_dropout": 0.0,
        "init_method_std": 0.01,
        "initial_loss_scale": 4096,
        "no_gradient_accumulation_fusion": True,
        "no_masked_softmax_fusion": True,
        "attention_softmax_in_fp32": True,
        "overlap_grad_reduce": distributed,
        "overlap_param_gather": distributed,
        **PRECISION[layout.params_dtype],
        **chosen,
        "log_interval": 1,
        "eval_interval": chosen["train_iters"],
        "eval_iters": 0,
        # not with variable lengths: the reference then switches it off itself, with a warning
        "log_throughput": not chosen["variable_seq_lengths"],
        "stage": "sft",
        "is_instruction_dataset": True,
        "prompt_type": prompt_type,
        "distributed_backend": "nccl",
        "ai_framework": "mindspore",
    }


def of_experiment(experiment: Experiment) -> Flags:
    """`training` for an experiment, packed as its data are."""
    stage, tokens = experiment.training, experiment.tokenization
    settings = dict(experiment.train)
    if tokens.pack:
        settings |= {"pack": True, "neat_pack": tokens.neat_pack}
    if experiment.hardware.deterministic:
        settings["npu_deterministic"] = True
    return training(stage.layout, settings, prompt_type=stage.prompt_type, seq_length=stage.seq_length)


def refuse(experiments: Iterable[Experiment]) -> None:
    """Raise for experiments of this engine that cannot start: no installation named, or a flag it would reject.

    Raises:
        Problem: all of them at once.
    """
    wrong = []
    for one in experiments:
        if one.training.engine == "mindspeed-llm":
            key = f"hardware.{one.hardware.name}.mindspeed_llm"
            if one.hardware.mindspeed_llm is None:
                wrong.append(f"{key}: not given, but experiments.{one.name} trains with engine mindspeed-llm")
            rejected = facts.faults("posttrain_gpt.py", commandline.words(of_experiment(one)))
            wrong += [f"experiments.{one.name}.train, as {fault}" for fault in rejected]
    if wrong:
        raise Problem("MindSpeed-LLM 2.2.0 cannot run what is planned", found="\n           ".join(wrong))


def files(*, tokenizer: str, data: str, load: str, save: str, resume: bool = False) -> Flags:
    """posttrain_gpt.py's paths, and how it starts.

    Args:
        resume: `load` is this run's own checkpoint: its optimizer, scheduler and step count are read too.
    """
    return {
        "tokenizer_name_or_path": tokenizer,
        "data_path": data,
        "load": load,
        "save": save,
        **dict.fromkeys(START, not resume),
    }


def generate(
    model: Architecture,
    layout: Layout,
    settings: Mapping[str, Any],
    *,
    prompt_type: str | None,
    seq_length: int,
    tokenizer: str,
    load: str,
) -> Flags:
    """inference.py. It answers its own built-in question only, so this shows that weights load and speak.

    `settings` may hold task, max_new_tokens, temperature, top_k, top_p, seed, use_kv_cache, max_tokens_to_oom.
    """
    return {
        "ai_framework": "mindspore",
        "use_mcore_models": True,
        **layout_flags(layout),
        **architecture(model),
        "max_position_embeddings": seq_length,
        "seq_length": seq_length,
        **FUSED,
        "prompt_type": prompt_type,
        "micro_batch_size": 1,
        "tokenizer_type": "PretrainedFromHF",
        "tokenizer_name_or_path": tokenizer,
        "tokenizer_not_use_fast": True,
        "hidden_dropout": 0.0,
        "attention_dropout": 0.0,
        "no_gradient_accumulation_fusion": True,
        "attention_softmax_in_fp32": True,
        **settings,
        # the shipped script of the guide has none, so that bf16 weights are multiplied in fp32
        **PRECISION[layout.params_dtype],
        "load": load,
        "exit_on_missing_checkpoint": True,
    }
