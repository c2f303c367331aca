"""posttrain_gpt.py as a process: killed, interrupted, damaged, diverged, and what it leaves behind."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from places import SCRIPTS
from train_parts import command, flags, forget_the_end, result, start, steps, train, wait_for, work

from distillery.convert import states

pytestmark = pytest.mark.mindspore


@pytest.fixture(scope="module")
def whole(parts, tmp_path_factory) -> Path:
    """The uninterrupted run."""
    save = tmp_path_factory.mktemp("whole")
    done = command(
        "posttrain_gpt.py", *flags(parts, save)
    )  # the others are forked, and end with the same bytes
    assert done.returncode == 0, done.stderr
    return save


def test_what_a_run_leaves(whole, parts):
    done = json.loads((whole / "done.json").read_text())
    assert (whole / "latest_checkpointed_iteration.txt").read_text() == "40"
    assert (whole / "iter_0000040").is_symlink() and not (whole / "iter_0000040").readlink().is_absolute()
    assert done["iteration"] == 40 and done["template"]["prompt_type"] == "qwen_math_r1"
    assert sorted(path.name for path in work(whole).glob("iter_*")) == ["iter_0000036", "iter_0000040"]
    tuned, _ = states.load_rank(whole)
    before, _ = states.load_rank(parts / "mcore")
    assert {n: a.shape for n, a in tuned.items()} == {n: a.shape for n, a in before.items()}
    assert any(np.abs(tuned[name] - before[name]).max() > 1e-3 for name in tuned)
    lines = [json.loads(line) for line in (whole / done["metrics"]).read_text().splitlines()]
    assert [line["iteration"] for line in lines] == list(range(1, 41))
    assert lines[-1]["loss"] == done["loss"] < 0.7 * lines[0]["loss"]
    assert "/tmp" not in json.dumps(done) and "seconds" not in done


def test_what_a_line_of_the_metrics_says(whole):
    done = json.loads((whole / "done.json").read_text())
    lines = [json.loads(line) for line in (whole / done["metrics"]).read_text().splitlines()]
    # random weights: all of the 400 tokens are about as likely
    assert lines[0]["loss"] == pytest.approx(np.log(400), abs=0.3)
    # two steps of warm-up from 0, then down a line that would end at step 41
    rates = [0, 0.5e-2, *(1e-2 * (41 - step) / 38 for step in range(3, 41))]
    assert [line["lr"] for line in lines] == pytest.approx(rates)
    for step, line in enumerate(lines, 1):
        assert line["consumed_samples"] == 4 * step
        assert 0 < line["supervised_tokens"] < line["tokens"] <= 4 * 128
        assert 0.01 < line["grad_norm"] < 10
        for kind in ("tokens", "supervised_tokens"):
            assert line[f"{kind}_per_second"] == pytest.approx(line[kind] / line["seconds"], rel=0.02)
        assert 100 < line["memory_megabytes"] < 4000
        assert "tflops" not in line


@pytest.mark.faults
def test_kill_9_at_random_moments_changes_no_byte(whole, parts, tmp_path, pytestconfig):
    """At ten with --whole: `tests/faults/points` kills at each act on the disk, too."""
    chance = random.Random(7)
    reached = []
    kills = 10 if pytestconfig.getoption("whole") else 4
    for kill in range(kills):
        goal = max(reached, default=0) + chance.randint(1, 50 // kills)
        if kill % 4 == 3:
            line = [sys.executable, str(SCRIPTS / "posttrain_gpt.py"), *flags(parts, tmp_path)]
            process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(chance.uniform(0.2, 2.0))  # while importing, loading, compiling
        else:
            process = start(parts, tmp_path)
            assert wait_for(process, tmp_path, min(goal, 35)), process.communicate()[0]
            time.sleep(chance.uniform(0, 0.02))  # in a step, or while a checkpoint is being written
        process.kill()
        process.communicate()
        reached.append(steps(tmp_path))
    assert not (tmp_path / "done.json").exists() and max(reached) > 10, reached
    done = train(parts, tmp_path)
    assert done.returncode == 0 and "resuming after step" in done.stderr, done.stderr
    assert result(tmp_path) == result(whole)


def test_signals_save_and_exit_3_then_the_same_command_finishes(whole, parts, tmp_path):
    """Ctrl-C comes as SIGINT, of which MindSpore makes SIGTERM while it runs a graph."""
    for number, step, named in [
        (signal.SIGTERM, 4, "SIGTERM or Ctrl-C"),
        (signal.SIGINT, 8, "Ctrl-C"),
        (signal.SIGUSR1, 12, "by SIGUSR1"),
    ]:
        process = start(parts, tmp_path)
        assert wait_for(process, tmp_path, step)
        process.send_signal(number)
        output = "".join(process.communicate())
        assert process.returncode == 3 and "run the same command again" in output and named in output, output
        assert not (tmp_path / "done.json").exists()
    done = train(parts, tmp_path)
    assert done.returncode == 0 and "resuming after step" in done.stderr, done.stderr
    assert result(tmp_path) == result(whole)


def test_recomputation_changes_no_byte_resumed_or_not(whole, parts, tmp_path):
    for resumed in (False, True):
        done = train(parts, tmp_path, "--recompute-granularity", "full")
        assert done.returncode == 0 and ("resuming after step 36" in done.stderr) == resumed, done.stderr
        assert work(tmp_path).name != work(whole).name
        assert result(tmp_path) == result(whole)
        if not resumed:
            forget_the_end(tmp_path)


def test_a_damaged_last_checkpoint_falls_back_to_the_one_before(whole, parts, tmp_path):
    shutil.copytree(work(whole), tmp_path / "work" / work(whole).name)
    path = work(tmp_path) / "iter_0000040/mp_rank_00/model_optim_rng.pt"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    done = train(parts, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "iter_0000040 is damaged" in done.stdout and "model_optim_rng.pt" in done.stdout
    assert "resuming after step 36" in done.stderr
    assert result(tmp_path) == result(whole)


def test_bf16_weights_resume_from_their_fp32_values(parts, tmp_path):
    load = ("--load", parts / "mcore-bf16", "--bf16")
    assert train(parts, tmp_path, *load).returncode == 0
    uninterrupted = result(tmp_path)
    assert states.load_rank(tmp_path)[0]["decoder.final_layernorm.weight"].dtype == ml_dtypes.bfloat16
    forget_the_end(tmp_path)
    done = train(parts, tmp_path, *load)
    assert done.returncode == 0 and "resuming after step 36" in done.stderr, done.stderr
    assert result(tmp_path) == uninterrupted


def test_another_setting_starts_anew_and_says_so(whole, parts, tmp_path):
    shutil.copytree(work(whole), tmp_path / "work" / work(whole).name)
    done = train(parts, tmp_path, "--lr", "5e-3", "--train-iters", 3)
    assert done.returncode == 0, done.stderr
    assert "1 other runs" in done.stdout and "resuming" not in done.stderr
    assert json.loads((tmp_path / "done.json").read_text())["payload_digest"] != result(whole)[0]


def test_divergence_names_the_rows_and_retries_stop_at_once(parts, tmp_path):
    first = train(parts, tmp_path, "--lr", "1e30", "--lr-warmup-iters", 0, "--clip-grad", 0)
    assert first.returncode == 1, first.stderr
    marker = json.loads((work(tmp_path) / "diverged.json").read_text())
    assert "nan" in marker["loss"] + marker["grad_norm"] or "inf" in marker["loss"] + marker["grad_norm"]
    assert (
        len(marker["rows"]) == 4
        and marker["rows"][0]["shard"].startswith("train-")
        and marker["rows"][0]["uuid"]
    )
    recorded = steps(tmp_path)
    again = train(parts, tmp_path, "--lr", "1e30", "--lr-warmup-iters", 0, "--clip-grad", 0)
    assert again.returncode == 1 and "diverged at step" in again.stderr
    assert steps(tmp_path) == recorded


def test_evaluation_keeps_the_best_and_changes_no_weight(parts, tmp_path):
    held = ("--split", "90,10,0", "--eval-iters", 1)
    evaluated = train(parts, tmp_path / "a", *held, "--eval-interval", 10)
    assert evaluated.returncode == 0, evaluated.stderr
    done = json.loads((tmp_path / "a/done.json").read_text())
    lines = [json.loads(line) for line in (tmp_path / "a" / done["metrics"]).read_text().splitlines()]
    losses = {line["iteration"]: line["evaluation_loss"] for line in lines if "evaluation_loss" in line}
    assert sorted(losses) == [10, 20, 30, 40]
    best = min(losses, key=losses.get)
    assert done["best"] == {"iteration": best, "loss": losses[best]}
    assert (work(tmp_path / "a") / f"iter_{best:07d}").is_dir()
    plain = train(parts, tmp_path / "b", *held, "--eval-interval", 0)
    assert plain.returncode == 0, plain.stderr
    assert result(tmp_path / "a") == result(tmp_path / "b")


def test_there_is_an_evaluation_after_the_last_step_however_few_they_are(parts, tmp_path):
    """Of 90 % of 96 rows 10 are held out: two global batches and a half, the third takes two of them again."""
    held = ("--split", "90,10,0", "--train-iters", 3, "--log-throughput")
    for iters, best in [(3, True), (0, False)]:
        save = tmp_path / str(iters)
        ended = train(parts, save, *held, "--eval-iters", iters, "--eval-interval", 2000)
        assert ended.returncode == 0, ended.stderr
        done = json.loads((save / "done.json").read_text())
        lines = [json.loads(line) for line in (save / done["metrics"]).read_text().splitlines()]
        losses = [line for line in lines if "evaluation_loss" in line]
        if best:
            assert [line["iteration"] for line in losses] == [3]
            assert done["best"] == {"iteration": 3, "loss": losses[0]["evaluation_loss"]}
        else:
            assert not losses and done["best"] is None
        for line in lines:
            if "loss" in line:
                # 6 and 12 * seq / 2 as in Megatron-LM: matrices of a layer, head; keys of a causal row
                layer = 32 * (2 * 32 + 2 * 16 + 3 * 48)
                row = 128 * (6 * (layer + 400 * 32) + 6 * 32 * 128)
                assert line["tflops"] == pytest.approx(4 * row / line["seconds"] / 1e12, rel=0.03)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--noop-layers", "1,2"), ["--noop-layers", "without empty layers"]),
        (("--num-layers", 28), ["--num-layers", "28", "1", "config.json"]),
        (("--rotary-base", 1000000), ["--rotary-base"]),
        (("--seq-length", 256), ["max_position_embeddings = 128"]),
        (("--global-batch-size", 6), ["multiple of 4", "--global-batch-size 8"]),
        (("--neat-pack",), ["--neat-pack", "tokenize again"]),
        (("--prompt-type", "deepseek3"), ["deepseek3", "qwen_math_r1"]),
        (("--lr-warmup-iters", 40), ["no room to decay"]),
        (("--split", "0,100,0"), ["--split"]),
    ],
)
def test_contradictions_end_before_any_work(parts, tmp_path, more, words):
    done = train(parts, tmp_path, *more)
    assert done.returncode == 2, done.stderr
    for word in words:
        assert word in done.stderr
    assert not list(tmp_path.iterdir())
