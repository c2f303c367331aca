"""Converting by MindSpeed-LLM's convert_ckpt.py, its back end's own, both ways, with our checks and manifest on the result.

It writes into a hidden folder beside the target. What lies there is opened as any checkpoint is (names, shapes, the set
of ranks, every record's CRC-32), and moved into place with the manifest that our converter would have written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from distillery import files as disk
from distillery.checkpoint_names import TRACKER
from distillery.engine import supported_models
from distillery.experiment import Layout
from distillery.launch import commandline, launcher
from distillery.launch.launch_request import Request
from distillery.launch.mindspeed import accepted_flags
from distillery.launch.mindspeed.shape import Flags, stages

SCRIPT = "convert_ckpt.py"
FRAMEWORK = accepted_flags.FRAMEWORK


def hf_to_mcore(layout: Layout, *, qkv_bias: bool, load: str, save: str) -> Flags:
    """convert_ckpt.py towards MCore. `llama2` with a qkv bias is its route for Qwen2: it has no qwen2 choice."""
    return {
        "use_mcore_models": True,
        "model_type": "GPT",
        "load_model_type": "hf",
        "save_model_type": "mg",
        "target_tensor_parallel_size": layout.tensor_parallel_size,
        "target_pipeline_parallel_size": layout.pipeline_parallel_size,
        "num_layer_list": stages(layout),
        "add_qkv_bias": qkv_bias,
        "load_dir": load,
        "save_dir": save,
        "tokenizer_model": f"{load}/tokenizer.json",
        "model_type_hf": "llama2",
        "params_dtype": layout.params_dtype,
        **_framework("hf"),
    }


def mcore_to_hf(
    params_dtype: str, *, qkv_bias: bool, load: str, save: str, num_layer_list: str | None = None
) -> Flags:
    """convert_ckpt.py back. `save` is the original Hugging Face directory; the weights go to `save`/mg2hf.

    Args:
        num_layer_list: `stages` of the checkpoint; it ends with missing keys if they are not said again.
    """
    return {
        "use_mcore_models": True,
        "model_type": "GPT",
        "model_type_hf": "llama2",
        "load_model_type": "mg",
        "save_model_type": "hf",
        "target_tensor_parallel_size": 1,
        "target_pipeline_parallel_size": 1,
        "num_layer_list": num_layer_list,
        "add_qkv_bias": qkv_bias,
        "load_dir": load,
        "save_dir": save,
        "params_dtype": params_dtype,
        **_framework("mg"),
    }


def _framework(loader: str) -> Flags:
    """The back end's name, where its converter takes it: PyTorch's knows of no other."""
    takes = "--ai-framework" in accepted_flags.options(f"{SCRIPT} {loader}", FRAMEWORK)
    return {"ai_framework": FRAMEWORK} if takes else {}


def to_mcore(request: Request, layout: Layout, *, load: Path, save: Path) -> dict[str, Any]:
    """Convert the Hugging Face directory `load` to the MCore checkpoint `save`; returns its manifest.

    Raises:
        Problem: flags that the reference rejects, a failed run, or a checkpoint that is not the one asked for.
    """
    from distillery.launch.mindspeed import adopted_weights  # heavy, and no part of a plan

    with _folder(save) as folder:
        flags = hf_to_mcore(
            layout,
            qkv_bias=supported_models.read(load).add_qkv_bias,
            load=str(load.absolute()),
            save=str(folder / "mcore"),
        )
        tracker = folder / "mcore" / TRACKER
        _launch(request, "convert_ckpt.py hf", flags, tracker)
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

    with _folder(save) as folder:
        # it writes into the original's directory: into links to it here
        beside = folder / "original"
        beside.mkdir()
        for path in original.absolute().iterdir():
            (beside / path.name).symlink_to(path)
        flags = mcore_to_hf(
            params_dtype,
            qkv_bias=supported_models.read(original).add_qkv_bias,
            load=str(load.absolute()),
            save=str(beside),
            num_layer_list=num_layer_list,
        )
        _launch(request, "convert_ckpt.py mg", flags, beside / "mg2hf")
        return adopted_weights.adopt_hf(
            beside / "mg2hf", params_dtype, load=load, original=original, save=save, sampling=sampling
        )


@contextmanager
def _folder(save: Path) -> Iterator[Path]:
    """A hidden folder beside the target, gone at the end: on the same disk, so that files can be moved."""
    folder = save.absolute().with_name(f".{save.name}.mindspeed")
    disk.remove(folder)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        disk.remove(folder)


def _launch(request: Request, parser: str, flags: Flags, expected: Path) -> None:
    words = commandline.words(flags)
    accepted_flags.refuse(parser, words, FRAMEWORK)
    script = str((request.directory / accepted_flags.script(SCRIPT, FRAMEWORK)).absolute())
    launcher.start(replace(request, worker=(script, *words), expect=(expected,)))
