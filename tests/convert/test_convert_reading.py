"""Rank files as torch itself writes them: MindSpeed-LLM's two converters, Megatron's trainer, and hostile ones."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from argparse import Namespace
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest
from convert_parts import HF, RESHARD, TO_HF, assert_same, convert, tensors
from lazy import Lazy

from distillery.convert import convert as conversion
from distillery.convert import mcore, states, weight_sources
from distillery.convert.dtypes import BF16
from distillery.convert.mcore_layout import Layout
from distillery.convert.weight_sources import open_hf

enums = Lazy("megatron.core.enums")
transformer_enums = Lazy("megatron.core.transformer.enums")
torch = Lazy("torch")

pytestmark = pytest.mark.slow

TINY = HF / "tiny"


@pytest.fixture
def ours(tmp_path):
    """A TP2 checkpoint of ours, its rank files loaded by torch."""
    conversion.to_mcore(open_hf(TINY), Layout(2, 1), BF16, tmp_path / "mg", facts={})
    files = sorted((tmp_path / "mg").glob("iter_*/*/*.pt"))
    return tmp_path / "mg", {path: torch.load(path, weights_only=False) for path in files}


def back(directory: Path, tmp_path: Path) -> None:
    """Export, and expect the original weights."""
    convert(*TO_HF, "--load-dir", directory, "--hf-cfg-dir", TINY, "--save-dir", tmp_path / "back")
    assert_same(tensors(tmp_path / "back"), tensors(TINY))


def test_as_v1_writes_it(ours, tmp_path):
    """Hundreds of arguments, enums and types among them, and `_extra_state` beside the weights."""
    folder, ranks = ours
    for path, saved in ranks.items():
        args = saved["args"]
        args.model_type, args.attention_backend = (
            enums.ModelType.encoder_or_decoder,
            transformer_enums.AttnBackend.auto,
        )
        args.params_dtype = args.exp_avg_dtype = torch.bfloat16
        args.device, args.cp_comm_type, args.noop_layers = torch.device("cpu"), ["p2p"], {1, 5}
        args.noop_layers = None
        for number in range(660):
            setattr(args, f"field_{number}", [None, True, 1.5, "text", [], 4294967296][number % 6])
        for name in [n for n in saved["model"] if "linear" in n and n.endswith("weight")]:
            saved["model"][name.replace("weight", "_extra_state")] = None
        saved["model"]._metadata = OrderedDict([("", {"version": 1})])
        torch.save(saved, path)
    back(folder, tmp_path)
    _, args = states.load_rank(folder)
    assert (args.hidden_size, args.field_5, args.cp_comm_type) == (64, 4294967296, ["p2p"])
    state = states.load_state(folder)
    saved = states.save(tmp_path / "trained", {(0, 0): state}, args, iteration=3)
    assert saved["iteration"] == 3
    back(tmp_path / "trained", tmp_path)


def test_as_v2_writes_it(ours, tmp_path):
    folder, ranks = ours
    for path, saved in ranks.items():
        model = defaultdict(dict, saved["model"])
        plain = {key: getattr(saved["args"], key) for key in list(vars(saved["args"]))}
        torch.save(
            {"args": Namespace(**plain), "checkpoint_version": 3.0, "iteration": 1, "model": model}, path
        )
    back(folder, tmp_path)


def test_as_the_trainer_writes_it(ours, tmp_path):
    """Optimizer, scheduler and random states are ignored; parameters are views of one flat buffer."""
    folder, ranks = ours
    for path, saved in ranks.items():
        flat = torch.cat([value.reshape(-1) for value in saved["model"].values()])
        start = 0
        for name, value in saved["model"].items():
            saved["model"][name] = torch.nn.Parameter(flat[start : start + value.numel()].view(value.shape))
            start += value.numel()
        moments = {
            "exp_avg": torch.randn(7, 5).t(),
            "step": torch.tensor(3),
            "mask": torch.ones(2, dtype=torch.bool),
        }
        saved["optimizer"] = {"state": {0: moments}, "param_groups": [{"lr": 1e-5, "params": [0]}]}
        saved["opt_param_scheduler"] = {"num_steps": np.int64(5), "lr": np.float64(0.1)}
        saved["rng_state"] = [
            {
                "random_rng_state": (3, (1, 2), None),
                "np_rng_state": np.random.RandomState(0).get_state(),
                "torch_rng_state": torch.get_rng_state(),
                "rng_tracker_states": {"model-parallel-rng": torch.get_rng_state()},
                "blob": io.BytesIO(b"x"),
            }
        ]
        saved["iteration"], saved["args"].iteration = 2000, 2000
        torch.save(saved, path)
    (folder / "iter_0000001").rename(folder / "iter_0002000")
    (folder / "latest_checkpointed_iteration.txt").write_text("2000\n")
    back(folder, tmp_path)
    sizes = ["--target-pipeline-parallel-size", 2]
    convert(*RESHARD, *sizes, "--load-dir", folder, "--save-dir", tmp_path / "resharded")
    assert (tmp_path / "resharded" / "latest_checkpointed_iteration.txt").read_text() == "2000"


def test_tensors_of_one_storage_are_told_apart_by_their_bytes(ours):
    """As torch saves parameters that are views of one flat buffer: no tensor has a checksum of its own."""
    folder, ranks = ours

    def digest(change):
        for path, saved in ranks.items():
            flat = torch.cat([value.reshape(-1) for value in saved["model"].values()])
            flat[change] += 1
            pieces = flat.split([value.numel() for value in saved["model"].values()])
            names = saved["model"].items()
            model = {
                name: piece.view(value.shape) for (name, value), piece in zip(names, pieces, strict=True)
            }
            torch.save({**saved, "model": model}, path)
        source = weight_sources.open_mcore(folder)
        assert len(source.entries) == sum(len(saved["model"]) for saved in ranks.values())
        return mcore.payload_digest(source.entries)

    first, last = digest(0), digest(-1)
    assert first != last
    assert first == digest(0)


def test_norms_fused_into_linear_layers(ours, tmp_path):
    """Transformer Engine's names."""
    folder, ranks = ours
    fused = {
        "input_layernorm.weight": "self_attention.linear_qkv.layer_norm_weight",
        "pre_mlp_layernorm.weight": "mlp.linear_fc1.layer_norm_weight",
    }
    for path, saved in ranks.items():
        for name in list(saved["model"]):
            for plain, other in fused.items():
                if name.endswith(plain):
                    saved["model"][name.replace(plain, other)] = saved["model"].pop(name)
        torch.save(saved, path)
    back(folder, tmp_path)


def test_release_checkpoints(ours, tmp_path):
    folder, _ = ours
    (folder / "iter_0000001").rename(folder / "release")
    (folder / "latest_checkpointed_iteration.txt").write_text("release")
    back(folder, tmp_path)


class Hostile:
    def __init__(self, target, *arguments):
        self.target, self.arguments = target, arguments

    def __reduce__(self):
        return self.target, self.arguments


@pytest.mark.parametrize(
    "attack",
    [
        lambda path: Hostile(os.system, f"touch {path}"),
        lambda path: Hostile(eval, f"open({str(path)!r}, 'w')"),
        lambda path: Hostile(getattr, "builtins", "eval"),
        lambda path: Hostile(torch.hub.load, str(path), "x"),
    ],
)
def test_hostile_pickles_run_nothing(ours, tmp_path, attack):
    folder, ranks = ours
    path, saved = next(iter(ranks.items()))
    mark = tmp_path / "executed"
    saved["args"].payload = attack(mark)
    torch.save(saved, path)
    words = ["--load-dir", folder, "--hf-cfg-dir", TINY, "--save-dir", tmp_path / "back"]
    if isinstance(
        saved["args"].payload.target, type(torch.hub.load)
    ):  # becomes an inert stand-in, never called
        convert(*TO_HF, *words)
    else:
        said = convert(*TO_HF, *words, code=1)
        assert "refused" in said
        assert "do not trust this file" in said
        assert not (tmp_path / "back").exists()
    assert not mark.exists()


def test_other_files_are_told_apart(ours, tmp_path):
    folder, ranks = ours
    path, saved = next(iter(ranks.items()))
    words = ["--load-dir", folder, "--hf-cfg-dir", TINY, "--save-dir", tmp_path / "back"]

    def refused(*parts):
        said = convert(*TO_HF, *words, code=1)
        assert "Traceback" not in said
        for part in parts:
            assert part in said, said

    torch.save(saved, path, _use_new_zipfile_serialization=False)
    refused("not a whole .pt file of torch 1.6", "mp_rank_00")
    torch.save({"state_dict": saved["model"]}, path)
    refused("no model or no args")
    torch.save([1, 2], path)
    refused("holds no dict")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}, 2)[:-1])
    refused("damaged")
    turned = {**saved, "model": {**saved["model"]}}
    name = "decoder.layers.0.self_attention.linear_proj.weight"
    turned["model"][name] = saved["model"][name].t()
    torch.save(turned, path)
    refused("one piece", name)
    turned["model"][name] = saved["model"][name].to(torch.float8_e4m3fn)
    torch.save(turned, path)
    refused("cannot be converted", name, "bf16")
    turned["model"][name] = saved["model"][name].float()
    torch.save(turned, path)
    refused("not of one type")
    saved["args"].tensor_model_parallel_size = 4
    torch.save(saved, path)
    refused("another layout", "(4, 1)", "(2, 1)")
