"""What a start goes on from: never another run's state, never a damaged one, never beside a living process."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from train_parts import start, train, wait_for, work

from distillery import digests, files
from distillery.engine.snapshots import RankFiles, Snapshots
from distillery.engine.train_progress import Metrics, read
from distillery.train.train_files import weights_identity


def saved(directory: Path, *iterations: int) -> Snapshots:
    """Whole checkpoints of one small weight."""

    def write(rank: Path, state: dict, iteration: int) -> list:
        (rank / "model_optim_rng.pt").write_bytes(state["w"].tobytes())
        return ["w"]

    mine = RankFiles(rank_directory="mp_rank_00", write_model=write, read_model=lambda path: {}, identify=str)
    made = Snapshots(directory, mine, keep=9)
    for iteration in iterations:
        made.save(iteration, {"w": np.full(3, iteration)}, {"w": np.zeros(3)}, {})
    made.wait()
    return made


@pytest.mark.parametrize("text", ["", '{"files": [', "[]", "{}", '{"files": [{}]}', "\0" * 40])
def test_an_unreadable_state_falls_back_to_the_checkpoint_before(tmp_path, text):
    snapshots, warned = saved(tmp_path, 4, 8), []
    assert snapshots.latest(warned.append) == 8 and not warned
    (tmp_path / "iter_0000008/state.json").write_text(text)
    assert snapshots.latest(warned.append) == 4
    assert len(warned) == 1 and "iter_0000008" in warned[0] and "state.json" in warned[0]


def test_weights_of_another_release_are_another_run(tmp_path):
    for name in "ab":
        (tmp_path / name / "release/mp_rank_00").mkdir(parents=True)
        (tmp_path / name / "latest_checkpointed_iteration.txt").write_text("release")
        (tmp_path / name / "release/mp_rank_00/model_optim_rng.pt").write_text(name)
    assert weights_identity(tmp_path / "a") != weights_identity(tmp_path / "b")
    shutil.rmtree(tmp_path / "b")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert weights_identity(tmp_path / "a") == weights_identity(tmp_path / "b")


def test_only_the_iteration_that_the_tracker_names_counts(tmp_path):
    for iteration in (1, 2):
        (tmp_path / f"iter_{iteration:07d}/mp_rank_00").mkdir(parents=True)
        (tmp_path / f"iter_{iteration:07d}/mp_rank_00/model_optim_rng.pt").write_text("same")
    found = []
    for iteration in (1, 2):
        (tmp_path / "latest_checkpointed_iteration.txt").write_text(str(iteration))
        found.append(weights_identity(tmp_path))
    (tmp_path / "iter_0000001/mp_rank_00/model_optim_rng.pt").write_text("other")
    assert weights_identity(tmp_path) == found[1]


def test_metrics_end_at_the_first_line_that_is_none(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = [json.dumps({"iteration": i, "loss": 1 / i}) for i in range(1, 6)]
    path.write_text("\n".join([*lines[:3], "\0\0\0\0", *lines[3:], '{"itera']))
    assert [record["iteration"] for record in read(path)] == [1, 2, 3]
    metrics = Metrics(path, 2)
    metrics.add({"iteration": 3, "loss": 0.25})
    metrics.sync()
    metrics.close()
    assert path.read_text().splitlines() == [*lines[:2], '{"iteration": 3, "loss": 0.25}']


@pytest.mark.parametrize("hole", ['"iteration"', "[1]", '{"loss": 1.0}', '{"iteration": "4"}', "[" * 99_999])
def test_metrics_end_at_the_first_line_that_is_no_record(tmp_path, hole):
    path = tmp_path / "metrics.jsonl"
    path.write_text(f'{{"iteration": 1}}\n{hole}\n{{"iteration": 3}}\n')
    Metrics(path, 3).close()
    assert path.read_text() == '{"iteration": 1}\n'


def test_records_that_a_finished_run_did_not_write_are_not_kept(tmp_path, capsys):
    """A loss that was changed would stand in the report's curve."""
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"iteration": 1, "loss": 1.5}\n')
    digests.record(path)
    Metrics(path, 1).close()
    assert read(path) == [{"iteration": 1, "loss": 1.5}] and not digests.beside(path).exists()
    digests.record(path)
    path.write_text('{"iteration": 1, "loss": 1.4}\n')
    Metrics(path, 1).close()
    assert read(path) == [] and "no record of it is kept" in capsys.readouterr().out


def test_a_second_process_in_the_same_run_is_refused(parts, tmp_path):
    first = start(parts, tmp_path, "--train-iters", 20000)
    try:
        assert wait_for(first, tmp_path, 3), first.communicate()
        second = train(parts, tmp_path, "--train-iters", 20000)
        assert second.returncode == 1, second.stderr
        assert "another process" in second.stderr and work(tmp_path).name in second.stderr
        assert first.poll() is None
    finally:
        first.kill()
        first.communicate()


def test_a_finished_run_without_its_metrics_says_the_same_loss(parts, tmp_path):
    assert train(parts, tmp_path, "--train-iters", 6).returncode == 0
    done = (tmp_path / "done.json").read_bytes()
    files.remove(tmp_path / "done.json")
    (work(tmp_path) / "metrics.jsonl").write_text("\0\0\0")  # a power cut
    again = train(parts, tmp_path, "--train-iters", 6)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "done.json").read_bytes() == done
