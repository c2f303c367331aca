"""An experiment all of whose stages are MindSpeed-LLM's, played by stand-ins for its scripts: the same files as ours.

Its answers alone are missing: the built-in engine gives them, on devices that are not here.
"""

import json
import shutil
import sys

import pytest
import yaml
from house import House
from places import FIXTURES, ROOT, SUPPORT
from safetensors.numpy import load_file

pytestmark = [pytest.mark.long, pytest.mark.msrun]

STANDIN = SUPPORT / "standin_mindspeed"
SMALL = FIXTURES / "workflow/small.yaml"
TARGETS = ["tokenize", "hf2mcore", "finetune", "mcore2hf", "results/experiments/small/mindspeed_answer.txt"]
NAME = "results/experiments/small"
LAYERS = [1, 1]  # of its two; a list all the same


def configuration() -> dict:
    raw = yaml.safe_load(SMALL.read_text())
    raw["hardware"] = {
        "node": {
            "device": "Ascend",
            "chip": "910B3",
            "npus_per_node": 2,
            "environment": {"DISTILLERY": str(ROOT)},
            "mindspeed_llm": {"python": sys.executable, "directory": str(STANDIN)},
        }
    }
    small = raw["experiments"]["small"]
    small |= {"hardware": "node", "convert": {"engine": "mindspeed-llm"}}
    small["train"] |= {"engine": "mindspeed-llm"}
    small["tokenize"] = {"engine": "mindspeed-llm"}
    small["generate"] |= {"engine": "mindspeed-llm", "task": "greedy"}
    return raw


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> House:
    folder = tmp_path_factory.mktemp("stages")
    file = folder / "mindspeed.yaml"
    file.write_text(yaml.safe_dump(configuration()))
    made = House(folder / "house", file)
    made.run("--", *TARGETS)
    return made


def manifests(house: House, pattern: str) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(house.path.glob(pattern))]


def test_its_answer_is_kept(house):
    assert (
        house.path / NAME / "mindspeed_answer.txt"
    ).read_text() == "how are you?\n\nI am fine.\nAnd you?\n"


def test_its_dataset_equals_ours_but_for_the_engines_name(house, finished):
    (theirs,) = manifests(house, "results/datasets/sums/*/sums_manifest.json")
    (ours,) = manifests(finished, "results/datasets/sums/*/sums_manifest.json")
    assert theirs.pop("engine") == "mindspeed-llm-2.2.0"
    # it rejects no row and notes nothing, so it does not count roles
    assert theirs.pop("roles") == {}
    assert ours.pop("roles")
    assert theirs == ours
    for kind in ("*.bin", "*.idx", "*.parquet"):
        (one,), (other,) = (
            [{path.name: path.read_bytes() for path in sorted(folder.glob(kind))} for folder in one]
            for one in (
                list(house.path.glob("results/datasets/sums/*/")),
                list(finished.path.glob("results/datasets/sums/*/")),
            )
        )
        assert one == other


def test_its_weights_are_proven_and_equal_ours(house, finished):
    (theirs,) = manifests(house, "results/checkpoints/tiny/*-pp1-mindspeed-llm/manifest.json")
    (ours,) = manifests(finished, "results/checkpoints/tiny/*-tp2-pp1/manifest.json")
    assert theirs["payload_digest"] == ours["payload_digest"]
    house.run("--", "results/checkpoints/tiny/fp32-tp2-pp1-mindspeed-llm.proof.json")


def test_its_export_holds_the_trained_weights(house):
    """The stand-in's training leaves them as they were, so the export is the model."""
    exported, model = (
        load_file(house.path / where / "model.safetensors")
        for where in (f"{NAME}/hf", "resources/models/tiny")
    )
    assert exported.keys() == model.keys()
    assert all((exported[name] == model[name]).all() for name in model)
    house.run("--", f"{NAME}/hf.proof.json")
    assert (house.path / NAME / "hf/tokenizer.json").is_file()


def test_nothing_is_left_to_do(house):
    assert not house.planned("--", *TARGETS)


def test_a_run_of_its_converter_that_wrote_another_type_is_refused(house, tmp_path):
    """As when --params-dtype is lost on the way: its default is fp16."""
    wrong = tmp_path / "wrong"
    shutil.copytree(STANDIN, wrong)
    script = wrong / "mindspeed_llm/mindspore/convert_ckpt.py"
    script.write_text(script.read_text().replace("args.params_dtype", '"fp16"'))
    raw = configuration()
    raw["hardware"]["node"]["mindspeed_llm"]["directory"] = str(wrong)
    raw["experiments"]["small"]["layout"] = {"tensor_parallel_size": 1, "pipeline_parallel_size": 2}
    file = tmp_path / "wrong.yaml"
    file.write_text(yaml.safe_dump(raw))
    done = house.snakemake("--cores", "1", "--", "hf2mcore", configfile=file)
    assert done.returncode != 0
    log = (house.path / "logs/checkpoints/tiny/fp32-tp1-pp2-mindspeed-llm.log").read_text()
    assert "MindSpeed-LLM wrote weights of another type" in log
    assert "found:  fp16" in log
    assert not list(house.path.glob("results/checkpoints/tiny/*tp1-pp2-mindspeed-llm*"))


def packed(house: House, engine: str) -> tuple[dict[str, bytes], str]:
    """The packed tokens of an engine, and the digest of what its converter exports of stages named one by one."""
    raw = configuration()
    small = raw["experiments"]["small"]
    small["tokenize"] = {"engine": engine, "pack": True, "neat_pack": True}
    small["convert"]["engine"] = engine
    small["layout"] = {"pipeline_parallel_size": 2, "num_layer_list": LAYERS}
    small["train"].pop("layout", None)
    file = house.path / f"{engine}.yaml"
    file.write_text(yaml.safe_dump(raw))
    done = house.snakemake("--cores", "2", "--", "tokenize", "mcore2hf", configfile=file)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = {
        path.parent
        for path in house.path.glob("results/datasets/sums/*/sums_manifest.json")
        if json.loads(path.read_text())["options"]["neat_pack"]
        and (json.loads(path.read_text()).get("engine") is not None) == (engine == "mindspeed-llm")
    }
    exported = json.loads((house.path / NAME / "hf/manifest.json").read_text())
    tokens = {path.name: path.read_bytes() for kind in ("*.bin", "*.idx") for path in folder.glob(kind)}
    return tokens, exported["payload_digest"]


@pytest.fixture
def packed_by_it(house):
    return packed(house, "mindspeed-llm")


def test_packed_rows_and_stages_named_one_by_one_equal_ours(house, packed_by_it):
    """The reference's files for neat_pack, and its converter told the layers of each stage on both ways."""
    assert packed_by_it == packed(house, "mindspore")
