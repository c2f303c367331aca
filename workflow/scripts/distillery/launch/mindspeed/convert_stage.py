"""Converting by MindSpeed-LLM's convert_ckpt.py, its back end's own, both ways, with our checks and manifest on the result.

It writes into a hidden folder beside the target. What lies there is opened as any checkpoint is (names, shapes, the set
of ranks, every record's CRC-32), and moved into place with the manifest that our converter would have written.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from distillery import files as disk
from distillery import model_config
from distillery.checkpoint_names import TRACKER
from distillery.experiment import Layout
from distillery.launch import commandline, launch_request, launcher
from distillery.launch.launch_request import Request
from distillery.launch.mindspeed import accepted_flags
from distillery.launch.mindspeed.shape import NORMED_HEADS, Flags, stages

SCRIPT, SECOND = "convert_ckpt.py", "convert_ckpt_v2.py"


def hf_to_mcore(
    layout: Layout,
    *,
    qkv_bias: bool,
    qk_layernorm: bool = False,
    load: str,
    save: str,
    framework: str = "mindspore",
    version: str | None = None,
) -> tuple[str, Flags]:
    """(parser, flags) towards MCore. `llama2` with a qkv bias is the first converter's route for Qwen2: it has no qwen2.

    Args:
        framework, version: of the installation: each has a converter of its own.
    """
    common = {
        "load_model_type": "hf",
        "save_model_type": "mg",
        "target_tensor_parallel_size": layout.tensor_parallel_size,
        "target_pipeline_parallel_size": layout.pipeline_parallel_size,
        "num_layer_list": stages(layout),
        "load_dir": load,
        "save_dir": save,
    }
    if accepted_flags.converter(version) == SECOND:
        return SECOND, {
            **common,
            "model_type_hf": "qwen3" if qk_layernorm else "qwen25" if qkv_bias else "llama2",
            **_framework(SECOND, framework, version),
        }
    return f"{SCRIPT} hf", {
        "use_mcore_models": True,
        "model_type": "GPT",
        **common,
        "add_qkv_bias": qkv_bias,
        "tokenizer_model": f"{load}/tokenizer.json",
        "model_type_hf": "qwen3" if qk_layernorm else "llama2",
        "spec": NORMED_HEADS if qk_layernorm else None,
        "params_dtype": layout.params_dtype,
        **_framework(f"{SCRIPT} hf", framework, version),
    }


def mcore_to_hf(
    params_dtype: str,
    *,
    qkv_bias: bool,
    qk_layernorm: bool = False,
    load: str,
    save: str,
    num_layer_list: str | None = None,
    framework: str = "mindspore",
    version: str | None = None,
) -> tuple[str, Flags]:
    """(parser, flags) back. `save` is the original Hugging Face directory; the weights go to `save`/mg2hf.

    Args:
        num_layer_list: `stages` of the checkpoint; it ends with missing keys if they are not said again.
        framework, version: as in `hf_to_mcore`.
    """
    common = {"load_model_type": "mg", "save_model_type": "hf", "load_dir": load, "save_dir": save}
    if accepted_flags.converter(version) == SECOND:
        # it writes where it is told, and copies config and tokenizer there
        own = {"save_dir": f"{save}/mg2hf", "hf_cfg_dir": save}
        return SECOND, {
            **common,
            **own,
            "model_type_hf": "qwen3" if qk_layernorm else "qwen25" if qkv_bias else "llama2",
            **_framework(SECOND, framework, version),
        }
    return f"{SCRIPT} mg", {
        "use_mcore_models": True,
        "model_type": "GPT",
        "model_type_hf": "qwen3" if qk_layernorm else "llama2",
        "spec": NORMED_HEADS if qk_layernorm else None,
        **common,
        "target_tensor_parallel_size": 1,
        "target_pipeline_parallel_size": 1,
        "num_layer_list": num_layer_list,
        "add_qkv_bias": qkv_bias,
        "params_dtype": params_dtype,
        **_framework(f"{SCRIPT} mg", framework, version),
    }


def _framework(parser: str, framework: str, version: str | None) -> Flags:
    """The back end's name, where its converter takes it: PyTorch's knows of no other."""
    takes = "--ai-framework" in accepted_flags.options(parser, framework, version)
    return {"ai_framework": framework} if takes else {}


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Convert as convert_mindspeed.py's flags ask: to Hugging Face with --hf-cfg-dir, else to MCore.

    Raises:
        Problem: as `to_mcore`.
    """
    from distillery.convert import convert_flags  # no part of a plan

    request = launch_request.from_args(args, ())
    if args.hf_cfg_dir:
        return to_hf(
            request,
            args.params_dtype,
            load=args.load_dir,
            original=args.hf_cfg_dir,
            save=args.save_dir,
            num_layer_list=args.num_layer_list,
            sampling=convert_flags.sampling(args),
        )
    layers = tuple(map(int, args.num_layer_list.split(","))) if args.num_layer_list else None
    sizes = (args.target_tensor_parallel_size, args.target_pipeline_parallel_size)
    layout = Layout(args.params_dtype, *sizes, layers)
    return to_mcore(request, layout, load=args.load_dir, save=args.save_dir)


def to_mcore(request: Request, layout: Layout, *, load: Path, save: Path) -> dict[str, Any]:
    """Convert the Hugging Face directory `load` to the MCore checkpoint `save`; returns its manifest.

    Raises:
        Problem: flags that the reference rejects, a failed run, or a checkpoint that is not the one asked for.
    """
    from distillery.launch.mindspeed import adopted_weights  # heavy, and no part of a plan

    with disk.scratch(save) as folder:
        parser, flags = hf_to_mcore(
            layout,
            framework=request.framework,
            version=request.version,
            **_biases(load),
            load=str(load.absolute()),
            save=str(folder / "mcore"),
        )
        tracker = folder / "mcore" / TRACKER
        _launch(request, parser, flags, tracker)
        return adopted_weights.adopt_mcore(folder / "mcore", layout, load=load, save=save)


def to_hf(
    request: Request,
    params_dtype: str,
    *,
    load: Path,
    original: Path,
    save: Path,
    num_layer_list: str | None = None,
    sampling: Mapping[str, float] = MappingProxyType({}),
) -> dict[str, Any]:
    """Convert the MCore checkpoint `load` to the Hugging Face directory `save`; returns its manifest.

    Args:
        original: the Hugging Face directory that the model came from, for config.json and tokenizer.
        num_layer_list: `stages` of the checkpoint's layout.
        sampling: defaults for generation_config.json, see `export.side_files`.

    Raises:
        Problem: as `to_mcore`.
    """
    from distillery.launch.mindspeed import adopted_weights

    with disk.scratch(save) as folder:
        # it writes into the original's directory: into links to it here
        beside = folder / "original"
        beside.mkdir()
        for path in original.absolute().iterdir():
            (beside / path.name).symlink_to(path)
        parser, flags = mcore_to_hf(
            params_dtype,
            framework=request.framework,
            version=request.version,
            **_biases(original),
            load=str(load.absolute()),
            save=str(beside),
            num_layer_list=num_layer_list,
        )
        _launch(request, parser, flags, beside / "mg2hf")
        return adopted_weights.adopt_hf(
            beside / "mg2hf", params_dtype, load=load, original=original, save=save, sampling=sampling
        )


def _biases(original: Path) -> dict[str, bool]:
    """By which tensors the reference's converters know a family."""
    model = model_config.read(original)
    return {"qkv_bias": model.add_qkv_bias, "qk_layernorm": model.qk_layernorm}


def _launch(request: Request, parser: str, flags: Flags, expected: Path) -> None:
    words = commandline.words(flags)
    back_end = request.framework, request.version
    accepted_flags.refuse(parser, words, *back_end)
    place = accepted_flags.script(parser.partition(" ")[0], *back_end)
    script = str((request.directory / place).absolute())
    launcher.start(replace(request, worker=(script, *words), expect=(expected,)))
