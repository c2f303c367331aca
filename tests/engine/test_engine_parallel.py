"""Tensor, pipeline, data parallel and ZeRO-1 training under msrun: curves equal to one process."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from engine_oracle import model
from engine_parallel_worker import curve
from places import SCRIPTS, SUPPORT
from train_parts import flags, forget_the_end, ranks, result, train

from distillery.engine.mesh import Mesh, mesh
from distillery.problems import UsageProblem

pytestmark = [pytest.mark.msrun, pytest.mark.mindspore]

WORKER = SUPPORT / "engine_parallel_worker.py"
# (model, processes): layouts TP,PP,ZeRO,recompute; data parallel is what is left. Tied: stages share the table, and the
# 61 tokens leave the second tensor rank a row of padding
LAYOUTS = {
    ("tied", 2): ["2,1,0,0", "1,2,0,0", "1,1,1,0", "2,1,0,1", "1,2,0,1"],
    # TP2 x DP2, the same with ZeRO-1, TP2 x PP2, PP2 x DP2 with ZeRO-1
    ("tied", 4): ["2,1,0,0", "2,1,1,0", "2,2,0,0", "1,2,1,0"],
    # not tied; four micro-batches in flight on the first stage
    ("deep", 4): ["1,4,0,0"],
}


@pytest.fixture(scope="module")
def curves(tmp_path_factory) -> Callable[[str, int], dict]:
    """Curves of a model on a number of processes, by layout; each number is started when a test first asks for it."""
    base = tmp_path_factory.mktemp("parallel")

    @cache
    def trained(name: str, processes: int) -> dict:
        if processes == 1:
            sizes = {
                "tied": ("qwen2", {"tie_word_embeddings": True}),
                "deep": ("llama", {"num_hidden_layers": 4}),
            }
            family, changes = sizes[name]
            model(family, **changes).save_pretrained(base / name)
            return {"serial": curve(base / name, Mesh(), False)}
        directory = base / f"{name}-{processes}"
        directory.mkdir()
        output = directory / "curves.json"
        returncode, said = ranks(processes, directory, WORKER, base / name, output, *LAYOUTS[name, processes])
        assert returncode == 0 and output.exists(), said[-8000:]
        return json.loads(output.read_text())

    return trained


@pytest.mark.parametrize(
    ("name", "processes", "layout"), [(*key, layout) for key, names in LAYOUTS.items() for layout in names]
)
def test_curves_equal_one_process(curves, name, processes, layout):
    wanted = curves(name, 1)["serial"]
    check(curves(name, processes)[layout], wanted)


def test_the_command_on_two_ranks_resumes_and_equals_one_process(parts, tmp_path):
    steps = ("--micro-batch-size", 2, "--global-batch-size", 4, "--keep-checkpoints", 10)
    alone = train(parts, tmp_path / "one", *steps)
    assert alone.returncode == 0, alone.stderr
    for attempt in range(2):
        logs = two_ranks(parts, tmp_path / "two", *steps)
        if attempt == 0:
            first = result(tmp_path / "two", "optimizer_000.safetensors")
            shards = sorted(path.name for path in (tmp_path / "two/iter_0000040/mp_rank_00").iterdir())
            assert shards == ["model_optim_rng.pt", "optimizer_000.safetensors", "optimizer_001.safetensors"]
            forget_the_end(tmp_path / "two")
    assert "resuming after step 36" in logs
    assert result(tmp_path / "two", "optimizer_000.safetensors") == first
    wanted = result(tmp_path / "one")[3]
    same_curve(first[3], wanted)

    # on one rank from what two had reached, and the reverse
    shutil.copytree(tmp_path / "one", tmp_path / "grown", symlinks=True)
    forget_the_end(tmp_path / "two", 20)
    fewer = train(parts, tmp_path / "two", *steps)
    assert "resuming after step 20" in fewer.stderr and "size 1 now, 2 until step 20" in fewer.stderr
    same_curve(result(tmp_path / "two")[3], wanted)
    forget_the_end(tmp_path / "grown", 20)
    logs = two_ranks(parts, tmp_path / "grown", *steps)
    assert "resuming after step 20" in logs and "size 2 now, 1 until step 20" in logs
    same_curve(result(tmp_path / "grown", "optimizer_001.safetensors")[3], wanted)


def two_ranks(parts: Path, save: Path, *steps: object) -> str:
    """Run the command to its end under msrun with ZeRO-1; what the ranks said."""
    line = [SCRIPTS / "posttrain_gpt.py", *flags(parts, save, *steps), "--use-distributed-optimizer"]
    returncode, said = ranks(2, save.parent, *line)
    assert returncode == 0, said[-6000:]
    return said


def same_curve(found: list[tuple], wanted: list[tuple]) -> None:
    assert len(found) == len(wanted) == 40
    for ours, serial in zip(found, wanted, strict=True):
        assert ours[1] == pytest.approx(serial[1], rel=1e-5), ours[0]


def check(found: list, wanted: list) -> None:
    assert len(found) == len(wanted) == 7
    for step, (ours, serial) in enumerate(zip(found, wanted, strict=True), 1):
        assert ours[0] == pytest.approx(serial[0], rel=1e-5), step
        assert ours[1] == pytest.approx(serial[1], rel=1e-4), step


def test_ranks_are_megatrons():
    """Order tp-cp-ep-dp-pp of Megatron-LM's parallel_state: tensor fastest, pipeline slowest."""
    places = [mesh(2, 2, 8, rank) for rank in range(8)]
    assert [(m.tensor_rank, m.data_rank, m.pipeline_rank) for m in places] == [
        (t, d, p) for p in range(2) for d in range(2) for t in range(2)
    ]
    assert places[5].peers("tensor") == (4, 5)
    assert places[5].peers("data") == (5, 7)
    assert places[5].peers("pipeline") == places[5].peers("previous") == (1, 5)
    with pytest.raises(UsageProblem, match="multiple of 4"):
        mesh(2, 2, 6, 0)
