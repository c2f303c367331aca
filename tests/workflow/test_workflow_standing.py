"""What a finished run stands on: sources and files that went away, or are not what was written, are found and named."""

from __future__ import annotations

import copy
import importlib
import shlex
import shutil
from argparse import Namespace
from pathlib import Path

import pytest
import yaml
from house import House

from distillery import artefacts, config, digests, kept_runs, reproduction
from distillery.problems import Problem
from distillery.verify import quick_check

ABSENT = {"path": {"path": "/no/such", "files": "train-{00000..00001}-of-00002.parquet"}}


def without(raw: dict, part: str) -> dict:
    raw = copy.deepcopy(raw)
    if part == "models":
        raw["models"]["tiny"] = {"path": {"path": "/no/such"}}
    else:
        raw["datasets"]["sums"]["source"] = ABSENT
    return raw


@pytest.mark.parametrize("part", ["models", "datasets"])
def test_old_results_do_not_stand_for_a_source_that_is_not_there(finished, part):
    """Snakemake took them, and ended with 0."""
    raw = without(yaml.safe_load(finished.configfile.read_text()), part)
    with finished.edited("experiment.yaml", yaml.safe_dump(raw).encode()):
        done = finished.snakemake("--cores", "1")
    assert done.returncode == 1
    assert f"error[absent-source] {part}." in done.stderr and "no /no/such" in done.stderr


# no digest is recorded of these: locks, trackers that loaders hold against the checkpoint, a run's earlier steps;
# what made each file carries its own, is no part of what an experiment stands on, and is written again where it is spoilt
FREE = {"lock", "latest_checkpointed_iteration.txt"}


def files(house: House) -> list[Path]:
    """Every file of the run that was written by it and has a digest, relative to its directory."""
    trained = [path.resolve() for path in house.path.glob("results/experiments/*/train/iter_*")]
    found = [path for top in ("resources", "results") for path in (house.path / top).rglob("*")]
    return [
        path.relative_to(house.path)
        for path in found
        if path.is_file()
        and path.name[0] != "."
        and path.name not in FREE
        and Path(artefacts.PROVENANCE.folder) not in path.relative_to(house.path).parents
        and not path.name.endswith(".timings.json")
        and (
            path.parts[-3:-2] != ("iter_0000002",)
            and path.parent.name != "iter_0000002"
            or path.parent in trained
        )
    ]


@pytest.fixture(scope="module")
def house(finished, tmp_path_factory) -> House:
    """A copy of the finished run, to be damaged."""
    return finished.copied(tmp_path_factory.mktemp("standing") / "house")


@pytest.fixture
def inside(house, monkeypatch):
    monkeypatch.chdir(house.path)
    return house


def test_a_whole_run_stands(inside):
    done = inside.verify("--quick")
    assert done.returncode == 0 and " of 1 experiments are those that were written\n" in done.stdout
    assert "no digest" not in done.stdout


@pytest.mark.faults
def test_a_bit_of_any_file_is_found_without_running_anything(inside):
    loaded = config.read(inside.configfile)
    looked_at = files(inside)
    assert len(looked_at) > 70
    missed = []
    for name in looked_at:
        data = name.read_bytes()
        with inside.edited(
            name, data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]
        ):
            try:
                quick_check.run(loaded)
            except Problem as problem:
                found = str(problem)
            else:
                found = ""
        named = "/".join(name.parts[-2:]) in found  # a checkpoint's through the link beside done.json
        # a manifest's own fault is said of the file whose digest it no longer has
        named = named or (name.name == "manifest.json" and str(name.parent) in found)
        # a kept run is no rule's, and what is not what was kept is removed
        taught = f"remove {'/'.join(name.parts[:5])}" if kept_runs.FOLDER in name.parts else "--forcerun"
        missed += [] if named and taught in found else [str(name)]
    assert not missed, missed


@pytest.mark.faults
def test_all_faults_are_listed(inside):
    export = Path("results/experiments/small/hf")
    with (
        inside.edited("results/experiments/small/report/loss.svg", b"<svg/>"),
        inside.edited(export / "config.json", b"{}"),
        inside.edited("results/experiments/small/tuned.jsonl", b""),
    ):
        weights = (export / "model.safetensors").read_bytes()
        (export / "model.safetensors").unlink()
        done = inside.verify("--quick")
        (export / "model.safetensors").write_bytes(weights)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    for name in ("report/loss.svg", "hf/config.json", "hf/model.safetensors", "tuned.jsonl"):
        assert f"results/experiments/small/{name}: " in done.stderr
    assert "--forcerun results/experiments/small/hf/manifest.json" in done.stderr


@pytest.mark.faults
def test_sound_files_of_another_run_are_found(inside, tmp_path):
    """Answers replaced with their digest: the report was drawn from others."""
    answers = Path("results/experiments/small/tuned.jsonl")
    data, listing = answers.read_bytes(), digests.beside(answers).read_bytes()
    digests.write_text(answers, data.decode().replace('"id"', '"id" ', 1))
    try:
        with pytest.raises(Problem, match="drawn from other files than lie there"):
            quick_check.run(config.read(inside.configfile))
    finally:
        answers.write_bytes(data)
        digests.beside(answers).write_bytes(listing)


def test_what_was_deleted_by_hand_is_made_again_byte_for_byte(finished, tmp_path):
    """Snakemake found nothing to do, since the manifests were there; and nothing for a folder that was gone altogether."""
    house = finished.copied(tmp_path / "house")
    run = house.path / "results/experiments/small"
    gone = [
        "resources/models/tiny/generation_config.json",
        "results/checkpoints/tiny/fp32-tp2-pp1-to-fp32-tp1-pp1/iter_0000001/mp_rank_00/model_optim_rng.pt",
        *(
            f"{one.relative_to(house.path)}"
            for one in house.path.glob("results/datasets/sums/*/sums_packed_labels_document.bin")
        ),
        "results/experiments/small/hf/model.safetensors",
    ]
    assert len(gone) == 4
    kept = (house.path / gone[0]).read_bytes()
    for name in gone:
        (house.path / name).unlink()
    shutil.rmtree(run / "train")
    (run / "tuned.scores.jsonl").unlink()
    dry = house.snakemake("--dry-run")
    for name in gone:
        assert f"gone: {name}: no such file" in dry.stderr
    assert "--forcerun results/experiments/small/hf/manifest.json --until" in dry.stderr
    planned = set(house.planned())
    assert {"convert_reshard", "tokenize_merge", "train", "convert_mcore_to_hf", "evaluate_tuned"} <= planned
    assert not {"fetch_generated_model", "convert_hf_to_mcore", "tokenize_shard"} & planned
    (house.path / gone[0]).write_bytes(kept)
    house.run()
    assert reproduction.compare(finished.path, house.path).same > 40
    assert house.planned() == {} and house.verify("--quick").returncode == 0


@pytest.mark.faults
def test_a_trained_rank_file_is_missed_and_its_training_resumed(inside):
    (rank,) = inside.path.glob("results/experiments/small/train/iter_0000004/mp_rank_00/model_optim_rng.pt")
    data = rank.read_bytes()
    rank.unlink()
    try:
        assert "train" in inside.planned() and "tokenize_merge" not in inside.planned("finetune")
        assert "train" in inside.planned("finetune") and "train" not in inside.planned("tokenize")
    finally:
        rank.write_bytes(data)


# commands that read whole results; training, answers, merging and conversion have such tests in their rooms
READERS = (
    "score",
    "evaluate_compare",
    "report_page",
    "tokenize_quality",
    "plan_sources",
    "plan_outcome",
    "fetch_generated_model",
)
# what is only linked is no input
WRITTEN = ("output", "summary", "parts_dir", "output_dir", "card", "upload", "overview", "manifest")


def lines(house: House) -> list[tuple[str, Namespace]]:
    """(command, its flags) of every job of these commands, as the workflow would start it."""
    dry = house.snakemake("--dry-run", "--printshellcmds", "--forceall")
    found = []
    for line in (dry.stdout + dry.stderr).splitlines():
        words = shlex.split(line.partition("Shell command: ")[2]) if "Shell command: " in line else []
        name = Path(words[1]).stem if len(words) > 1 else ""
        if name in READERS:
            flags = words[2 : words.index("--log")]
            found.append((name, importlib.import_module(name).parser().parse_args(flags)))
    return found


def paths(args: Namespace) -> list[Path]:
    given = [value for key, value in vars(args).items() if key not in WRITTEN]
    flat = [one for value in given for one in (value if isinstance(value, list) else [value])]
    return [one for one in flat if isinstance(one, Path) and one.is_file()]


@pytest.mark.faults
def test_who_reads_a_result_compares_it(inside):
    """A bit is turned in each file that each command reads: it ends with a problem that names the file."""
    jobs = lines(inside)
    assert {name for name, _ in jobs} == set(READERS)
    tried, believed = 0, []
    for name, args in jobs:
        for path in paths(args):
            data = path.read_bytes()
            middle = len(data) // 2
            with inside.edited(path, data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]):
                try:
                    importlib.import_module(name).main(args)
                    believed.append(f"{name}: {path}")
                except Problem as problem:
                    believed += [] if str(path) in str(problem) else [f"{name}: {path} is not named"]
            tried += 1
    assert not believed and tried > 25
