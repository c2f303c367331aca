"""Everything that may be wrong with weights or flags ends in an error that names it, and leaves no output."""

import json
import os
import shutil

import pytest
from convert_parts import HF, RESHARD, TO_HF, TO_MG, convert, make_model, tensors
from convert_refusals import TINY, has, refused
from safetensors.numpy import save_file

from distillery import digests


@pytest.fixture
def broken(tmp_path):
    """A copy of the tiny model that a test may damage."""
    shutil.copytree(TINY, tmp_path / "hf")
    return tmp_path / "hf"


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--model-type", "BERT"], ["--model-type", "BERT", "GPT"]),
        (["--model-type-hf", "qwen"], ["--model-type-hf", "qwen", "keep llama2"]),
        (["--load-model-type", "megatron"], ["--load-model-type", "mg", "not a choice"]),
        (["--save-model-type", "hf"], ["nothing to convert"]),
        (["--target-tensor-parallel-size", 4], ["num_key_value_heads is 2", "1, 2"]),
        (["--target-tensor-parallel-size", 0], ["a whole number from 1"]),
        (["--target-pipeline-parallel-size", 3], ["4 layers, 3 ranks", "--num-layer-list 1,1,2"]),
        (["--target-pipeline-parallel-size", 2, "--num-layer-list", "1,2"], ["sum 3", "sum 4"]),
        (
            ["--target-pipeline-parallel-size", 4, "--num-layer-list", "11,13,19,21"],
            ["sum 64", "sum 4", "64 layers"],
        ),
        (["--num-layer-list", "4"], ["at least 2"]),
        (["--target-pipeline-parallel-size", 2, "--num-layer-list", "1;3"], ["not a list", "1;3"]),
        (
            ["--target-pipeline-parallel-size", 2, "--num-layer-list", "1,3", "--noop-layers", "1"],
            ["excludes"],
        ),
        (["--num-layers-per-virtual-pipeline-stage", 2], ["at least 2 pipeline ranks"]),
        (["--noop-layers", "9"], ["--noop-layers", "9", "0 to 4"]),
        (["--noop-layers", "1,1"], ["distinct"]),
    ],
)
def test_flags_that_mislead(tmp_path, words, parts):
    has(refused(tmp_path, *words, code=2), *parts)


def test_without_use_mcore_models(tmp_path):
    has(refused(tmp_path, code=2, base=TO_MG[1:]), "--use-mcore-models", "not given")


def test_bias_flag_on_a_model_without(tmp_path):
    llama = make_model(tmp_path / "llama", model_type="llama")
    has(refused(tmp_path, "--add-qkv-bias", code=2, load=llama), "--add-qkv-bias", "Llama does not")


def test_spaces_in_a_layer_list_are_forgiven(tmp_path):
    words = ["--target-pipeline-parallel-size", "2", "--num-layer-list", "1,", "3"]
    convert(*TO_MG, *words, "--load-dir", TINY, "--save-dir", tmp_path / "mg")
    assert json.loads((tmp_path / "mg" / "manifest.json").read_text())["layout"]["num_layer_list"] == [1, 3]


def test_output_over_input(tmp_path, broken):
    said = convert(*TO_MG, "--load-dir", broken, "--save-dir", broken, code=2)
    has(said, "same directory")
    assert sorted(path.name for path in broken.iterdir()) == ["config.json", "model.safetensors"]


def test_tokenizer_must_exist_and_fit(tmp_path):
    has(
        refused(tmp_path, "--tokenizer-model", tmp_path / "tokenizer.json"),
        "no such tokenizer",
        "tokenizer.json",
    )
    for model in [
        {"type": "BPE", "vocab": {"a": 0, 'q"uo\\te': 999, "z": 1000}, "merges": ["a b"]},
        {"type": "Unigram", "vocab": [["a", -1.0]] * 1001},
    ]:
        (tmp_path / "t.json").write_text(json.dumps({"added_tokens": [], "model": model}))
        has(refused(tmp_path, "--tokenizer-model", tmp_path / "t.json"), "id 1000", "below 1000")
    fitting = {
        "added_tokens": [{"id": 999, "content": "]"}],
        "model": {"vocab": {"a": 0, "}": 998}, "merges": []},
    }
    (tmp_path / "t.json").write_text(json.dumps(fitting))
    words = ["--tokenizer-model", tmp_path / "t.json", "--load-dir", TINY, "--save-dir", tmp_path / "mg"]
    assert "up to 999" in convert(*TO_MG, *words)
    fitting["added_tokens"][0]["id"] = 1000
    (tmp_path / "t.json").write_text(json.dumps(fitting))
    has(refused(tmp_path, "--tokenizer-model", tmp_path / "t.json"), "id 1000")


def test_missing_tensor(tmp_path, broken):
    weights = tensors(broken)
    del weights["model.layers.2.mlp.up_proj.weight"]
    save_file(weights, broken / "model.safetensors")
    has(refused(tmp_path, load=broken), "missing", "model.layers.2.mlp.up_proj.weight", "(176, 64)")


def test_misshapen_and_unexpected_tensors(tmp_path, broken):
    weights = tensors(broken)
    save_file(
        {**weights, "model.norm.weight": weights["model.norm.weight"][:32]}, broken / "model.safetensors"
    )
    has(refused(tmp_path, load=broken), "another shape", "model.norm.weight", "(32,)", "(64,)")
    save_file(
        {**weights, "model.layers.0.mlp.experts.weight": weights["model.norm.weight"]},
        broken / "model.safetensors",
    )
    has(refused(tmp_path, load=broken), "does not imply", "experts")


def test_truncated_and_overlong_shard(tmp_path, broken):
    file = broken / "model.safetensors"
    os.truncate(file, 632000)
    has(
        refused(tmp_path, load=broken),
        "cut off",
        "model.safetensors",
        "632000 bytes",
        "632064 bytes",
        "sha256",
    )
    os.truncate(file, 632100)
    has(refused(tmp_path, load=broken), "longer", "632100")
    os.truncate(file, 100)
    has(refused(tmp_path, load=broken), "not a whole safetensors file")


def sharded(directory) -> dict[str, str]:
    weights = tensors(directory)
    (directory / "model.safetensors").unlink()
    names = sorted(weights)
    parts = {"model-00001-of-00002.safetensors": names[:20], "model-00002-of-00002.safetensors": names[20:]}
    for file, held in parts.items():
        save_file({name: weights[name] for name in held}, directory / file)
    return {name: file for file, held in parts.items() for name in held}


def write_index(directory, weight_map) -> None:
    index = {"metadata": {}, "weight_map": weight_map}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))


def test_index_and_shards(tmp_path, broken):
    weight_map = sharded(broken)
    name = "model.layers.3.mlp.up_proj.weight"
    write_index(broken, {**weight_map, name: "model-00001-of-00002.safetensors"})
    has(refused(tmp_path, load=broken), "disagree", name, "model-00001-of-00002", "model-00002-of-00002")
    write_index(broken, {k: v for k, v in weight_map.items() if k != name})
    has(refused(tmp_path, load=broken), "does not list", name)
    write_index(broken, {**weight_map, "extra.weight": "model-00001-of-00002.safetensors"})
    has(refused(tmp_path, load=broken), "extra.weight", "no shard")
    write_index(broken, weight_map)
    convert(*TO_MG, "--load-dir", broken, "--save-dir", tmp_path / "mg")
    (broken / "model-00002-of-00002.safetensors").unlink()
    has(refused(tmp_path, load=broken), "a shard is missing", "model-00002-of-00002.safetensors")


def test_flipped_byte_in_the_source(tmp_path, broken):
    entries = digests.entries(broken, ["config.json", "model.safetensors"])
    (broken / "manifest.json").write_text(json.dumps({"source": {}, "revision": None, "files": entries}))
    convert(*TO_MG, "--load-dir", broken, "--save-dir", tmp_path / "good")
    flip(broken / "model.safetensors", 400_000)
    has(
        refused(tmp_path, load=broken),
        "is not the one whose digest lies beside it",
        "model.safetensors",
        "sha256",
    )


def flip(path, offset) -> None:
    with path.open("r+b") as stream:
        stream.seek(offset)
        byte = stream.read(1)[0]
        stream.seek(offset)
        stream.write(bytes([byte ^ 4]))


@pytest.fixture
def mcore(tmp_path):
    sizes = [
        "--target-tensor-parallel-size",
        2,
        "--target-pipeline-parallel-size",
        2,
        "--num-layer-list",
        "1,3",
    ]
    convert(*TO_MG, *sizes, "--load-dir", TINY, "--save-dir", tmp_path / "mg")
    return tmp_path / "mg"


def test_damaged_mcore_checkpoints(tmp_path, mcore):
    rank = mcore / "iter_0000001" / "mp_rank_01_001" / "model_optim_rng.pt"
    whole = rank.read_bytes()
    back = {"base": TO_HF, "load": mcore}
    words = ["--hf-cfg-dir", TINY]
    flip(rank, len(whole) // 2)
    has(refused(tmp_path, *words, **back), "bytes changed", "mp_rank_01_001", "CRC-32")
    rank.write_bytes(whole[: len(whole) // 2])
    has(refused(tmp_path, *words, **back), "not a whole .pt file", "mp_rank_01_001")
    rank.unlink()
    has(refused(tmp_path, *words, **back), "incomplete", "mp_rank_01_001", "2 tensor x 2 pipeline")
    has(refused(tmp_path, load=mcore, base=RESHARD), "incomplete")
    rank.write_bytes(whole)
    shutil.copytree(mcore / "iter_0000001" / "mp_rank_01_001", mcore / "iter_0000001" / "mp_rank_02_001")
    has(refused(tmp_path, *words, **back), "incomplete", "mp_rank_02_000")
    shutil.rmtree(mcore / "iter_0000001" / "mp_rank_02_001")
    (mcore / "latest_checkpointed_iteration.txt").unlink()
    has(refused(tmp_path, *words, **back), "tracker")


def test_export_flags(tmp_path, mcore):
    back = {"base": TO_HF, "load": mcore, "code": 2}
    has(refused(tmp_path, **back), "--hf-cfg-dir", "mg2hf")
    has(
        refused(tmp_path, "--hf-cfg-dir", TINY, "--target-tensor-parallel-size", 2, **back),
        "no parallel layout",
    )
    has(refused(tmp_path, "--hf-cfg-dir", TINY, "--num-layer-list", "2,2", **back), "2,2", "1,3")
    has(
        refused(tmp_path, "--hf-cfg-dir", HF / "tiny_v1001", **{**back, "code": 1}),
        "different models",
        "num_layers",
    )


def test_export_never_replaces_files_of_others(tmp_path, mcore):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    words = ["--hf-cfg-dir", TINY, "--load-dir", mcore, "--save-dir", out]
    has(convert(*TO_HF, *words, code=1), "thesis.tex", "would be replaced")
    assert [path.name for path in out.iterdir()] == ["thesis.tex"]
