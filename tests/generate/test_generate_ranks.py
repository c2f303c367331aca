"""inference.py on several ranks, started by launch.py and msrun as a rule starts it: same answers, same files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path

import forked
import numpy as np
import psutil
import pytest
from generate_models import answers, inference
from lazy import Lazy
from places import SCRIPTS
from safetensors.numpy import load_file, save_file

from distillery.convert import states
from distillery.convert.mcore_layout import Layout
from distillery.model_config import read
from distillery.tokenize import rendering

torch = Lazy("torch")
transformers = Lazy("transformers")

pytestmark = [pytest.mark.long, pytest.mark.msrun, pytest.mark.mindspore]

NEW = 32
LENGTHS = (3, 40, 1, 17, 90, 5, 64, 29, 12, 2)  # words of the prompts


@pytest.fixture(scope="module")
def prompts(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("prompts") / "mixed.jsonl"
    rows = [{"id": f"p{n}", "prompt": " ".join(str(n * i % 97) for i in range(n))} for n in LENGTHS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def flags(load: Path, tokenizer: Path, prompts: Path, output: Path, *more: object) -> list[str]:
    ask = [
        "--load",
        load,
        "--tokenizer-name-or-path",
        tokenizer,
        "--prompt-file",
        prompts,
        "--output",
        output,
    ]
    ask += ["--prompt-type", "qwen_math_r1", "--threads", 1, "--max-new-tokens", NEW, *more]
    return list(map(str, ask))


def launched(tensor: int, pipeline: int, logs: Path, command: list[str], replicas: int = 1) -> forked.Started:
    sizes = ["--tensor-model-parallel-size", tensor, "--pipeline-model-parallel-size", pipeline]
    # the others wait for a killed rank until a collective gives up after 30 seconds, or for the grace
    line = ["--workers", replicas * tensor * pipeline, "--log-dir", logs, "--grace", 10]
    return forked.start("launch.py", *line, "--", SCRIPTS / "inference.py", *command, *sizes)


def said(process: forked.Started, timeout: float = 200) -> str:
    """What launch.py shows, to its end."""
    return "".join(process.communicate(timeout))


def shared(tensor: int, pipeline: int, logs: Path, command: list[str], replicas: int = 1) -> str:
    """What launch.py shows of a run that succeeds."""
    process = launched(tensor, pipeline, logs, command, replicas)
    text = said(process)
    assert process.returncode == 0, text
    return text


@pytest.mark.parametrize(
    ("tensor", "pipeline", "copies", "saved"),
    [(2, 1, 2, None), (1, 2, 1, Layout(1, 2, (2, 1))), (2, 2, 1, Layout(3, 1))],
)
def test_greedy_tokens_of_a_mixed_batch_equal_transformers(
    odd, prompts, tmp_path, tensor, pipeline, copies, saved
):
    """From a Hugging Face directory on two copies of two ranks, from MCore weights in the same layout, and in another."""
    load = odd
    if saved is not None:
        load = tmp_path / "mcore"
        ranks = [
            (t, p) for t in range(saved.tensor_parallel_size) for p in range(saved.pipeline_parallel_size)
        ]
        parts = {rank: states.load_state(odd, saved, *rank) for rank in ranks}
        states.save(load, parts, states.make_args(read(odd), "fp32", saved), 1)
    output = tmp_path / "o.jsonl"
    command = flags(
        load, odd, prompts, output, "--task", "greedy", "--micro-batch-size", 4, "--log-interval", 5
    )
    text = shared(tensor, pipeline, tmp_path / "logs", command, copies)
    share = len(LENGTHS) // copies  # a copy counts its own
    assert f"{len(LENGTHS)} answers" in text and f"5/{share} answers" in text
    others = [tmp_path / f"logs/worker_{tensor * pipeline * copy}.log" for copy in range(1, copies)]
    assert not any("answers" in log.read_text() for log in others)
    oracle = transformers.AutoModelForCausalLM.from_pretrained(odd, dtype=torch.float32)
    renderer = rendering.load(odd, "qwen_math_r1")
    for row in answers(output):
        ids = torch.tensor([renderer.prompt([{"role": "user", "content": row["prompt"]}])])
        stops = renderer.stop_token_ids
        out = oracle.generate(ids, max_new_tokens=NEW, do_sample=False, eos_token_id=stops, pad_token_id=0)
        assert row["tokens"] == out[0, ids.shape[1] :].tolist()
    assert sorted(path.name for path in tmp_path.glob("o.*")) == ["o.jsonl", "o.timings.json"]


@pytest.mark.parametrize(
    ("tensor", "pipeline"),
    [(2, 1), pytest.param(2, 2, marks=pytest.mark.whole)],
)
def test_beams_on_ranks_equal_one_process(odd, prompts, tmp_path, tensor, pipeline):
    """Slots change places on all ranks; composed ops, which other devices use.

    All ids stay in the draw: at the edge of top-k, rows of 513 ids 0.01 apart meet sums that ranks add in another
    order (1e-6), and a changed member of the set moves each later id's noise: of 960 rows, 1 run in 10 would differ.
    """
    beams = "--task beam_search_with_sampling --num-beams 3 --num-samples 2 --top-k 0 --top-p 1".split()
    beams += ["--kernels", "composed", "--max-new-tokens", 12]
    one, many = tmp_path / "one.jsonl", tmp_path / "many.jsonl"
    alone = inference(*flags(odd, odd, prompts, one, *beams, "--micro-batch-size", 2))
    assert alone.returncode == 0, alone.stderr
    command = flags(odd, odd, prompts, many, *beams, "--micro-batch-size", 3)
    shared(tensor, pipeline, tmp_path / "logs", command)
    assert many.read_bytes() == one.read_bytes() and len(answers(many)) == 2 * len(LENGTHS)


def reached(journal: Path, count: int, process: forked.Started) -> None:
    while not journal.is_file() or journal.read_bytes().count(b"\n") < count:
        assert process.poll() is None, said(process)
        time.sleep(0.005)


def first_rank(process: forked.Started) -> psutil.Process:
    for child in psutil.Process(process.pid).children(recursive=True):
        found = child.environ()
        if (
            found.get("MS_ROLE") == "MS_WORKER"
            and found.get("RANK_ID") == "0"
            and os.getsid(child.pid) == child.pid
        ):
            return child
    raise AssertionError("rank 0 is not there")


SAMPLES = 8
DRAWN = ["--task", "do_sample", "--num-samples", SAMPLES, "--temperature", 1.0]


@pytest.fixture(scope="module")
def straight(odd, prompts, tmp_path_factory) -> Path:
    """The answers of DRAWN by one process, never interrupted; to be looked at only."""
    output = tmp_path_factory.mktemp("straight") / "straight.jsonl"
    alone = inference(*flags(odd, odd, prompts, output, *DRAWN, "--micro-batch-size", 16))
    assert alone.returncode == 0, alone.stderr
    return output


@pytest.fixture(scope="module")
def killed(odd, prompts, tmp_path_factory) -> Path:
    """What two ranks leave of DRAWN, as `broken.jsonl`, when the first is killed; to be copied."""
    folder = tmp_path_factory.mktemp("killed")
    process = launched(1, 2, folder / "logs", flags(odd, odd, prompts, folder / "broken.jsonl", *DRAWN))
    reached(folder / ".broken.jsonl.journal", 20, process)
    first_rank(process).kill()
    text = said(process)
    assert process.returncode == 1 and "rank" in text, text
    return folder


@pytest.mark.whole
def test_a_killed_run_on_two_ranks_continues_and_leaves_the_same_file(
    odd, prompts, straight, killed, tmp_path
):
    """Once to be asked to stop, and then to the end."""
    broken = shutil.copytree(killed, tmp_path / "run") / "broken.jsonl"
    journal = broken.with_name(".broken.jsonl.journal")
    command = flags(odd, odd, prompts, broken, *DRAWN)

    process = launched(1, 2, tmp_path / "asked", command)
    reached(journal, journal.read_bytes().count(b"\n") + 20, process)
    process.send_signal(signal.SIGTERM)
    text = said(process)
    assert process.returncode == 3 and "saved" in text, text
    assert not broken.exists()

    text = shared(1, 2, tmp_path / "again", [*command, "--micro-batch-size", "5"])
    kept = int(text.split("continuing after ")[1].split(" of ")[0])
    assert 38 <= kept < SAMPLES * len(LENGTHS)
    assert broken.read_bytes() == straight.read_bytes()


@pytest.mark.whole
def test_copies_of_the_model_share_the_prompts_and_leave_the_file_of_one(odd, prompts, straight, tmp_path):
    """Three copies are killed amid their work; two of two ranks each take over what all three had answered."""
    many = tmp_path / "many.jsonl"
    command = flags(odd, odd, prompts, many, *DRAWN)
    process = launched(1, 1, tmp_path / "killed", [*command, "--micro-batch-size", "1"], replicas=3)
    journals = [tmp_path / f".many.jsonl.journal{part}" for part in ("", ".1", ".2")]
    for journal in journals:
        reached(journal, 4, process)
    first_rank(process).kill()
    text = said(process)
    assert process.returncode == 1 and not many.exists(), text
    ids = [
        {(row["id"], row["sample"]) for row in map(json.loads, lines[1:]) if "id" in row}
        for lines in (journal.read_bytes().splitlines() for journal in journals)
    ]
    assert all(ids) and len(set.union(*ids)) == sum(map(len, ids))  # no prompt twice

    text = shared(1, 2, tmp_path / "again", [*command, "--micro-batch-size", "5"], replicas=2)
    assert many.read_bytes() == straight.read_bytes() and len(answers(many)) == SAMPLES * len(LENGTHS)
    timings = json.loads((tmp_path / "many.timings.json").read_text())
    assert timings["answers"] == SAMPLES * len(LENGTHS) and timings["resumed"] >= sum(map(len, ids)) - 1
    answered = {(row["id"], row["sample"]): len(row["tokens"]) for row in answers(many)}
    assert timings["tokens"] <= sum(size for name, size in answered.items() if name not in set.union(*ids))
    assert f"{many}: {SAMPLES * len(LENGTHS)} answers" in text
    assert [path.name for path in tmp_path.glob(".many*")] == [".many.jsonl.sha256"]


def test_a_score_that_is_no_number_stops_all_ranks_and_names_the_prompt(odd, prompts, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(odd, broken)
    tensors = load_file(odd / "model.safetensors")
    tensors["lm_head.weight"][500, 0] = np.nan  # the second rank's
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    asked = flags(broken, odd, prompts, tmp_path / "o.jsonl", "--task", "greedy")
    process = launched(2, 1, tmp_path / "logs", asked)
    text = said(process)
    assert process.returncode == 1, text
    assert "no numbers" in text and "prompt p90, token 1" in text
    assert not (tmp_path / "o.jsonl").exists()
