"""Tensor, pipeline, data parallel and ZeRO-1 training under msrun: curves equal to one process."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from engine_oracle import model
from engine_parallel_worker import curve
from places import SCRIPTS, SUPPORT
from train_parts import flags, forget_the_end, ranks, result, said, start_ranks, train

from distillery.engine.mesh import Mesh, mesh
from distillery.problems import UsageProblem

pytestmark = [pytest.mark.long, pytest.mark.msrun, pytest.mark.mindspore]

WORKER = SUPPORT / "engine_parallel_worker.py"
# tied: stages share the table, and the 61 tokens leave the second tensor rank a row of padding; flat is its first layer,
# for whose layouts a second one would be more of the same; deep is not tied: four micro-batches in flight on its first stage
MODELS = {
    "tied": ("qwen2", {"tie_word_embeddings": True}),
    "flat": ("qwen2", {"tie_word_embeddings": True, "num_hidden_layers": 1}),
    "deep": ("llama", {"num_hidden_layers": 4}),
}
# by processes: model:TP,PP,ZeRO,recompute; data parallel is what is left
LAYOUTS = {
    2: ["flat:1,1,0,0", "tied:2,1,0,1", "tied:1,2,0,1"],
    # TP2 x DP2 with ZeRO-1, TP2 x PP2, PP2 x DP2 with ZeRO-1, PP4. TP2, alone or with DP2, computes and sums what the first
    # does, and updates as the second; PP2 alone does what the last does, and ties what the second does; DP2 with ZeRO-1 is
    # the command's below
    4: ["flat:2,1,1,0", "tied:2,2,0,0", "tied:1,2,1,0", "deep:1,4,0,0"],
}


@pytest.fixture(scope="module")
def curves(tmp_path_factory) -> Iterator[Callable[[int, str], tuple[list, list]]]:
    """(The curve of a model by a number of ranks on a layout, that by one process).

    A launch trains on its layouts in turn, and each test waits for its own only: layouts share a start, not a duration.
    """
    base = tmp_path_factory.mktemp("parallel")
    for name, (family, changes) in MODELS.items():
        model(family, **changes).save_pretrained(base / name)
    launches = {}

    @cache
    def alone(name: str) -> list:
        return curve(base / name, Mesh(), False)

    def trained(processes: int, layout: str) -> tuple[list, list]:
        directory = base / f"{processes}-ranks"
        if directory not in launches:
            directory.mkdir()
            launches[directory] = start_ranks(
                processes, directory, WORKER, base, directory / "curves", *LAYOUTS[processes]
            )
        wanted = alone(layout.partition(":")[0])
        output = directory / f"curves/{layout}.json"
        while not output.exists():
            ended = launches[directory].poll()
            assert ended is None or output.exists(), said(launches[directory], directory)[-8000:]
            time.sleep(0.05)
        if layout == LAYOUTS[processes][-1]:
            assert launches[directory].wait(900) == 0, said(launches[directory], directory)[-8000:]
        return json.loads(output.read_text()), wanted

    yield trained
    for launch in launches.values():
        launch.kill()
        launch.wait()


@pytest.mark.parametrize(
    ("processes", "layout"), [(processes, name) for processes, names in LAYOUTS.items() for name in names]
)
def test_curves_equal_one_process(curves, processes, layout):
    check(*curves(processes, layout))


STEPS = ("--micro-batch-size", 2, "--global-batch-size", 4, "--keep-checkpoints", 10)


@pytest.fixture(scope="module")
def alone(parts, tmp_path_factory) -> Path:
    """A training by one process, to be looked at only."""
    save = tmp_path_factory.mktemp("alone") / "one"
    done = train(parts, save, *STEPS)
    assert done.returncode == 0, done.stderr
    return save


@pytest.fixture(scope="module")
def shared(parts, tmp_path_factory) -> Path:
    """The same by two ranks, to be looked at only."""
    save = tmp_path_factory.mktemp("shared") / "two"
    two_ranks(parts, save, *STEPS)
    return save


def test_the_command_on_two_ranks_equals_one_process(alone, shared):
    shards = sorted(path.name for path in (shared / "iter_0000040/mp_rank_00").iterdir())
    assert shards == ["model_optim_rng.pt", "optimizer_000.safetensors", "optimizer_001.safetensors"]
    same_curve(result(shared, "optimizer_000.safetensors")[3], result(alone)[3])


def test_the_command_on_two_ranks_resumes(parts, shared, tmp_path):
    save = copied(shared, tmp_path, 36)
    logs = two_ranks(parts, save, *STEPS)
    assert "resuming after step 36" in logs
    assert result(save, "optimizer_000.safetensors") == result(shared, "optimizer_000.safetensors")


def test_one_process_goes_on_from_what_two_ranks_had_reached(parts, alone, shared, tmp_path):
    save = copied(shared, tmp_path, 20)
    fewer = train(parts, save, *STEPS)
    assert "resuming after step 20" in fewer.stderr and "size 1 now, 2 until step 20" in fewer.stderr
    same_curve(result(save)[3], result(alone)[3])


def test_two_ranks_go_on_from_what_one_process_had_reached(parts, alone, tmp_path):
    save = copied(alone, tmp_path, 20)
    logs = two_ranks(parts, save, *STEPS)
    assert "resuming after step 20" in logs and "size 2 now, 1 until step 20" in logs
    same_curve(result(save, "optimizer_001.safetensors")[3], result(alone)[3])


def copied(run: Path, directory: Path, last: int) -> Path:
    """A copy of a run, as if it had been killed after checkpoint `last`."""
    save = shutil.copytree(run, directory / run.name, symlinks=True)
    forget_the_end(save, last)
    return save


def two_ranks(parts: Path, save: Path, *steps: object) -> str:
    """Run the command to its end under msrun with ZeRO-1; what the ranks said."""
    line = [SCRIPTS / "posttrain_gpt.py", *flags(parts, save, *steps), "--use-distributed-optimizer"]
    returncode, text = ranks(2, save.parent, *line)
    assert returncode == 0, text[-6000:]
    return text


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
