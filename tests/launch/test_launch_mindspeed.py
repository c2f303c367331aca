"""Launch lines of MindSpeed-LLM: the shipped scripts' flags, accepted by its parser as the facts describe it."""

import json
import shlex

import pytest
from shipped_lines import CONVERT, GENERATE, TUNE

from distillery.experiment import Dataset, Layout, Source, Tokenization
from distillery.launch import commandline
from distillery.launch.mindspeed import (
    accepted_flags,
    convert_stage,
    generate_stage,
    shape,
    tokenize_stage,
    train_lines,
)
from distillery.model_config import from_config
from distillery.problems import Problem

# Qwen2.5-Math-7B's config.json, the keys that matter
MATH_7B = {
    "model_type": "qwen2",
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "max_position_embeddings": 4096,
    "num_attention_heads": 28,
    "num_hidden_layers": 28,
    "num_key_value_heads": 4,
    "rms_norm_eps": 1e-06,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "vocab_size": 152064,
}
LLAMA_31_8B = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "max_position_embeddings": 131072,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-05,
    "rope_theta": 500000.0,
    "rope_scaling": {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
        "rope_type": "llama3",
    },
    "tie_word_embeddings": False,
    "vocab_size": 128256,
}
TP1_PP2 = Layout("bf16", 1, 2)
# values of tune_distill_qwen_7b_full.sh, tag v2.2.0
SETTINGS = {
    "micro_batch_size": 1,
    "global_batch_size": 64,
    "train_iters": 2000,
    "lr": 1.25e-6,
    "lr_decay_style": "cosine",
    "min_lr": 1.25e-7,
    "lr_warmup_fraction": 0.01,
    "weight_decay": 0.0,
    "clip_grad": 1.0,
    "adam_beta1": 0.9,
    "adam_beta2": 0.95,
    "no_save_optim": True,
    "no_save_rng": True,
    "seed": 1234,
    "split": "100,0,0",
    "save_interval": 2000,
}
MAP_KEYS = {"messages": "messages", "tags": {"role_tag": "role", "content_tag": "content"}}


def pairs(words):
    """Option -> value, numbers compared as numbers."""
    grouped = dict(accepted_flags.grouped(words))
    return {option: [_number(value) for value in values] for option, values in grouped.items()}


def _number(text):
    try:
        return float(text)
    except ValueError:
        return text


def train_line(config=MATH_7B, layout=TP1_PP2, settings=SETTINGS, resume=False):
    flags = {
        **train_lines.sft(layout, settings, prompt_type="deepseek3", seq_length=8192),
        **shape.architecture(from_config(config)),
        **train_lines.files(tokenizer="T", data="D", load="L", save="S", resume=resume),
    }
    return commandline.words(flags)


def test_the_tune_scripts_flags_follow_from_config_json_but_for_its_wrong_rope_base():
    wrong = {**MATH_7B, "rope_theta": 1e6}
    assert pairs(train_line(wrong)) == pairs(TUNE.split())
    assert pairs(train_line())["--rotary-base"] == [10000]


def test_the_generate_scripts_flags_follow():
    settings = {"max_new_tokens": 256, "seed": 42, "task": "greedy"}
    flags = {
        **generate_stage.flags(TP1_PP2, settings, prompt_type="deepseek3", seq_length=8192),
        **shape.architecture(from_config({**MATH_7B, "rope_theta": 1e6})),
        **generate_stage.files(tokenizer="T", load="L"),
    }
    assert pairs(commandline.words(flags)) == pairs(GENERATE.split())
    assert accepted_flags.faults("inference.py", commandline.words(flags)) == []


def test_the_convert_scripts_flags_follow():
    to, there = convert_stage.hf_to_mcore(Layout("bf16", 2, 1), qkv_bias=True, load="L", save="S")
    fro, back = convert_stage.mcore_to_hf("bf16", qkv_bias=True, load="L", save="S")
    there, back = commandline.words(there), commandline.words(back)
    assert (to, fro) == ("convert_ckpt.py hf", "convert_ckpt.py mg")
    # as the shipped script for Qwen2.5 has it, which runs the MindSpore back end's own converter
    assert pairs(there) == pairs([*CONVERT.split(), "--ai-framework", "mindspore"])
    assert accepted_flags.faults("convert_ckpt.py hf", there) == []
    assert accepted_flags.faults("convert_ckpt.py mg", back) == []
    _, stages = convert_stage.hf_to_mcore(Layout("bf16", 1, 2, (12, 16)), qkv_bias=True, load="L", save="S")
    assert stages["num_layer_list"] == "12,16"


def test_the_pytorch_back_end_has_its_own_lines():
    """Its converter is the root's, and ai_framework belongs to the other one."""
    common = {"qkv_bias": True, "load": "L", "save": "S", "framework": "pytorch"}
    parser, there = convert_stage.hf_to_mcore(Layout("bf16", 2, 1), **common)
    assert parser == "convert_ckpt.py hf" and "ai_framework" not in there
    assert accepted_flags.faults(parser, commandline.words(there), "pytorch") == []
    assert accepted_flags.script("convert_ckpt.py", "pytorch") == "convert_ckpt.py"
    assert accepted_flags.script("convert_ckpt.py") == "mindspeed_llm/mindspore/convert_ckpt.py"
    settings = {"train_iters": 2, "lr": 1e-5, "split": "100,0,0"}
    flags = train_lines.sft(
        Layout("bf16", 2, 1), settings, prompt_type="qwen", seq_length=8, framework="pytorch"
    )
    words = commandline.words(flags)
    assert "--ai-framework" not in words and accepted_flags.faults("posttrain_gpt.py", words, "pytorch") == []
    asked = generate_stage.flags(
        Layout("bf16", 2, 1), {}, prompt_type="qwen", seq_length=8, framework="pytorch"
    )
    assert "--ai-framework" not in commandline.words(asked)


@pytest.mark.parametrize(("bias", "name"), [(True, "qwen25"), (False, "llama2")])
def test_the_second_converter_is_chosen_by_the_version(bias, name):
    """convert_ckpt_v2.py, the only one on master: fewer flags, models by their own names, output where it is told."""
    common = {"qkv_bias": bias, "load": "L", "save": "S", "version": "master", "framework": "pytorch"}
    parser, there = convert_stage.hf_to_mcore(Layout("bf16", 2, 2, (12, 16)), **common)
    words = commandline.words(there)
    assert parser == "convert_ckpt_v2.py" and accepted_flags.faults(parser, words, "pytorch", "master") == []
    shipped = f"""--load-model-type hf --save-model-type mg --target-tensor-parallel-size 2
        --target-pipeline-parallel-size 2 --load-dir L --save-dir S --model-type-hf {name} --num-layer-list 12,16"""
    assert pairs(words) == pairs(shipped.split())
    parser, back = convert_stage.mcore_to_hf("bf16", **common)
    assert accepted_flags.faults(parser, commandline.words(back), "pytorch", "master") == []
    assert (back["save_dir"], back["hf_cfg_dir"]) == ("S/mg2hf", "S")


@pytest.mark.parametrize(("bias", "name"), [(True, "qwen25"), (False, "llama2")])
def test_on_mindspore_the_second_converter_is_another_and_knows_no_dense_qwen2_or_llama(bias, name):
    """The plan says so; without this the root's would have taken the device, as the first one did."""
    parser, there = convert_stage.hf_to_mcore(
        Layout("bf16", 2, 1), qkv_bias=bias, load="L", save="S", version="master", framework="mindspore"
    )
    assert (
        accepted_flags.script(parser, "mindspore", "master") == "mindspeed_llm/mindspore/convert_ckpt_v2.py"
    )
    assert there["ai_framework"] == "mindspore"
    (fault,) = accepted_flags.faults(parser, commandline.words(there), version="master")
    assert fault.startswith(f"--model-type-hf: found '{name}', wanted one of qwen3, ")


def test_the_guides_data_command_follows():
    rows = Dataset("math", Source("path", {}), "SharegptStyleInstructionHandler", MAP_KEYS)
    made = Tokenization("math", "qwen", "qwen_math_r1", 0.01, None, engine="mindspeed-llm")
    paths = tokenize_stage.files(input="a.parquet", tokenizer="T", output_prefix="o/p", cache="C")
    line = commandline.words({**tokenize_stage.of_dataset(rows, made), **paths})
    guide = (
        "--input a.parquet --tokenizer-name-or-path T --output-prefix o/p --workers 4 --log-interval 1000 "
        "--tokenizer-type PretrainedFromHF --handler-name SharegptStyleInstructionHandler --prompt-type qwen_math_r1"
    ).split()
    ours = pairs(line)
    del ours["--cache-dir"]  # else it fills ~/tmp
    assert ours == pairs([*guide, "--map-keys", line[line.index("--map-keys") + 1]])
    assert accepted_flags.faults("preprocess_data.py", line) == []
    assert json.loads(line[line.index("--map-keys") + 1]) == MAP_KEYS
    assert shlex.split(shlex.join(line)) == line


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"resume": True},
        {"config": LLAMA_31_8B},
        {"layout": Layout("fp32", 2, 2, (10, 18))},
        {"settings": {**SETTINGS, "recompute_granularity": "full", "pack": True, "neat_pack": True}},
        {"settings": {**SETTINGS, "context_parallel_size": 2, "sequence_parallel": True}},
    ],
)
def test_every_training_line_is_accepted(changes):
    assert accepted_flags.faults("posttrain_gpt.py", train_line(**changes)) == []


def test_evaluations_are_its_own_too_and_checkpoints_all_kept():
    chosen = {"eval_interval": 500, "eval_iters": 10, "calculate_per_token_loss": True}
    line = train_line(settings={**SETTINGS, **chosen, "keep_checkpoints": 3})
    assert accepted_flags.faults("posttrain_gpt.py", line) == []
    found = pairs(line)
    assert found["--eval-interval"] == [500] and found["--eval-iters"] == [10]
    assert "--calculate-per-token-loss" in found and "--keep-checkpoints" not in found


def test_a_resumed_run_loads_its_optimizer():
    assert not {"--finetune", "--no-load-optim", "--no-load-rng"} & set(train_line(resume=True))


def test_flags_that_need_the_distributed_optimizer_go_with_it():
    line = train_line(settings={**SETTINGS, "use_distributed_optimizer": False})
    assert not {"--reuse-fp32-param", "--overlap-grad-reduce", "--overlap-param-gather"} & set(line)


def test_llama_3s_scaling_is_spelled_out():
    line = pairs(train_line(config=LLAMA_31_8B))
    assert line["--rope-scaling-type"] == ["llama3"]
    assert line["--original-max-position-embeddings"] == [8192]
    assert "--add-qkv-bias" not in line


def test_a_fractional_rope_base_is_refused():
    with pytest.raises(Problem, match="whole rotary bases"):
        train_line(config={**MATH_7B, "rope_theta": 10000.5})
