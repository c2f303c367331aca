"""inference.py as a command: its file of answers, resuming, weights of every form, and its refusals."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import forked
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from convert_parts import trained
from generate_models import answers, inference, refused
from lazy import Lazy
from places import SCRIPTS

from distillery.convert import states
from distillery.convert.mcore_layout import Layout
from distillery.fetch import synthetic
from distillery.generate import prompter
from distillery.model_config import read
from distillery.problems import UsageProblem
from distillery.tokenize import rendering

torch = Lazy("torch")
transformers = Lazy("transformers")

pytestmark = pytest.mark.mindspore

NEW = 32


@pytest.fixture(scope="module")
def problems(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("problems") / "held-out.parquet"
    rows = list(synthetic.problem_rows(77000, 40))
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def flags(model: Path, problems: Path, *more: object) -> list[object]:
    ask = ["--load", model, "--prompt-file", problems, "--prompt-type", "qwen_math_r1", "--threads", 2]
    return [*ask, "--max-new-tokens", NEW, *more]


def test_greedy_answers_equal_transformers_for_weights_of_every_form(tiny, problems, tmp_path):
    mcore = tmp_path / "mcore"
    layout = Layout(2, 2)
    parts = {(t, p): states.load_state(tiny, layout, t, p) for t in range(2) for p in range(2)}
    states.save(mcore, parts, states.make_args(read(tiny), "fp32", layout), 1)
    options = ["--task", "greedy", "--micro-batch-size", 7]
    left = trained(mcore, tmp_path / "left")
    for name, load in (("hf", tiny), ("mcore", mcore), ("left", left)):
        command = flags(load, problems, *options, "--output", tmp_path / f"{name}.jsonl")
        done = inference(*command, "--tokenizer-name-or-path", tiny)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / f"{name}.jsonl").read_bytes() == (tmp_path / "hf.jsonl").read_bytes()

    rows = answers(tmp_path / "hf.jsonl")
    wanted = pq.read_table(problems).to_pylist()
    assert [(row["id"], row["prompt"]) for row in rows] == [(row["uuid"], row["problem"]) for row in wanted]
    keys = ["id", "sample", "prompt", "text", "tokens", "stop", "seed", "rendered_prompt"]
    assert list(rows[0]) == keys
    oracle = transformers.AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    renderer = rendering.load(tiny, "qwen_math_r1")
    for row in rows[:8]:
        prompt = renderer.prompt([{"role": "user", "content": row["prompt"]}])
        assert row["rendered_prompt"] == renderer.tokenizer.backend.decode(prompt, skip_special_tokens=False)
        ids = torch.tensor([prompt])
        out = oracle.generate(
            ids, max_new_tokens=NEW, do_sample=False, eos_token_id=renderer.stop_token_ids, pad_token_id=0
        )
        assert row["tokens"] == out[0, ids.shape[1] :].tolist()
        assert row["text"] == renderer.tokenizer.backend.decode(row["tokens"], skip_special_tokens=True)
    times = json.loads((tmp_path / "hf.timings.json").read_text())
    assert times["answers"] == 40 and times["tokens"] == sum(len(row["tokens"]) for row in rows)


def test_rounded_weights_give_answers_of_their_own_whose_records_say_so(tiny, tmp_path):
    output = tmp_path / "answer.jsonl"
    ask = ["--load", tiny, "--prompt-type", "qwen_math_r1", "--task", "greedy", "--max-new-tokens", 8]
    for kind, said in (("int8", {"weights": "int8"}), ("stored", {})):
        done = inference(*ask, "--prompt", "1 + 1?", "--weights", kind, "--output", output)
        assert done.returncode == 0, done.stderr
        (row,) = answers(output)
        assert len(row["tokens"]) == 8 and {key: row[key] for key in row if key == "weights"} == said


def lines_of(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.is_file() else 0


def stopped(command: list[object], journal: Path, more: int, number: signal.Signals) -> tuple[int, str]:
    """Start the command, send the signal once `more` answers have come, and return how it ended."""
    goal = max(lines_of(journal), 1) + more
    process = forked.start("inference.py", *command)
    while lines_of(journal) < goal:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.005)
    process.send_signal(number)
    return process.wait(600), process.stderr.read()


def test_a_killed_run_continues_and_leaves_the_same_file(tiny, problems, tmp_path):
    drawn = ["--task", "do_sample", "--num-samples", 8, "--temperature", 1.0, "--seed", 3]
    straight, broken = tmp_path / "straight.jsonl", tmp_path / "broken.jsonl"
    assert (
        inference(*flags(tiny, problems, *drawn, "--micro-batch-size", 16, "--output", straight)).returncode
        == 0
    )
    journal = tmp_path / ".broken.jsonl.journal"
    one_by_one = flags(tiny, problems, *drawn, "--output", broken)
    assert stopped(one_by_one, journal, 20, signal.SIGKILL)[0] == -signal.SIGKILL
    after_kill = lines_of(journal)
    code, words = stopped(one_by_one, journal, 20, signal.SIGTERM)
    assert code == 3 and "SIGTERM" in words and "same command again" in words
    after_term = lines_of(journal)
    assert after_kill - 1 < after_term < 320, "the second run kept what the first had"
    code, words = stopped(
        one_by_one, journal, 1, signal.SIGUSR1
    )  # a scheduler's warning, passed on by launch.py
    assert code == 3 and "SIGUSR1" in words
    after_term = lines_of(journal)
    assert not broken.exists()
    done = inference(*flags(tiny, problems, *drawn, "--micro-batch-size", 5, "--output", broken))
    assert done.returncode == 0 and f"continuing after {after_term - 1} of 320" in done.stderr, done.stderr
    assert broken.read_bytes() == straight.read_bytes()
    rows = answers(broken)
    assert [row["sample"] for row in rows[:9]] == [*range(8), 0]
    assert len({tuple(row["tokens"]) for row in rows}) > 300, "samples differ"


def test_an_answer_does_not_depend_on_the_other_prompts(tiny, problems, tmp_path):
    rows = [
        {"id": "x", "prompt": "first"},
        {"id": "y", "prompt": "second one"},
        {"id": "z", "prompt": "3", "seed": 9},
    ]
    found = []
    for name, order in (("a", rows), ("b", rows[::-1]), ("c", rows[2:])):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in order))
        output = tmp_path / f"{name}.out.jsonl"
        beams = [
            "--task",
            "beam_search_with_sampling",
            "--num-samples",
            2,
            "--num-beams",
            3,
            "--output",
            output,
        ]
        done = inference(*flags(tiny, path, *beams, "--micro-batch-size", len(order)))
        assert done.returncode == 0, done.stderr
        found.append({(row["id"], row["sample"]): row["tokens"] for row in answers(output)})
    assert found[0] == found[1] and len(found[0]) == 6
    assert found[2].items() <= found[0].items()


def test_refusals_come_before_the_weights_are_read(tiny, problems, tmp_path):
    """Every one of them on a copy without weights, so that reading them would fail in another way."""
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (bare / name).write_bytes((tiny / name).read_bytes())
    output = ["--output", tmp_path / "o.jsonl"]
    greedy = ["--task", "greedy", *output]
    assert "all five" in refused(2, *flags(bare, problems, *output))
    assert "write greedy" in refused(2, *flags(bare, problems, "--task", "greedy_search", *output))
    assert "terminal" in refused(2, *flags(bare, problems, "--task", "chat"), "--fold-thoughts")
    assert "--output" in refused(2, *flags(bare, problems, "--task", "greedy"))
    text = refused(1, *flags(bare, problems, *greedy, "--seq-length", 60))
    assert "40 of 40 prompts" in text and text.count(" tokens), ") == 5 and "--seq-length " in text
    longest = int(text.split("the longest: ")[1].split()[0])
    assert f"fix:    --seq-length {longest + NEW}, or --max-new-tokens" in text
    long = bare / "long.jsonl"
    long.write_text('{"id": "a", "prompt": "1"}\n{"id": "b", "prompt": "' + "7 " * 600 + '"}\n')
    text = refused(1, *flags(bare, long, *greedy))
    assert "1 of 2 prompts" in text and "; b (" in text
    assert "fix:    take these prompts out of the file; the model's context is 512" in text
    assert "config.json" in refused(1, *flags(bare, problems, *greedy, "--seq-length", 513))
    assert "--rotary-base" in refused(2, *flags(bare, problems, *greedy, "--rotary-base", 1000000))
    assert "prompt type" in refused(2, "--load", bare, "--prompt", "hi", *greedy)
    text = refused(2, *flags(bare, problems, *greedy, "--pipeline-model-parallel-size", 2))
    assert "TP 1 x PP 2 on 1 process" in text and "--workers 2" in text
    assert "empty stop word" in refused(2, *flags(bare, problems, *greedy, "--stop-word", ""))
    assert "two ways" in refused(2, *flags(bare, problems, *greedy, "--hf-chat-template"))
    assert "safetensors" in refused(1, *flags(tmp_path, problems, *greedy))
    assert not list(tmp_path.glob("*.jsonl*")) and not list(tmp_path.glob(".*"))


def test_special_tokens_end_answers_by_their_ids(tiny):
    plain = prompter.by_prompt_type(tiny, "qwen_math_r1", None)
    found = plain.stopping_at(["<|im_start|>", "x"], ["<|endoftext|>", "so"])
    ids = [plain.tokenizer.id_of(token) for token in ("<|im_start|>", "x", "<|endoftext|>")]
    assert found.stop_ids == plain.stop_ids | {*ids} and None not in ids
    with pytest.raises(UsageProblem, match="no such token(?s:.)*<nope>"):
        plain.stopping_at(["<nope>"], [])


def test_a_thought_that_the_prompt_opens_is_noticed(tiny):
    asked = prompter.by_prompt_type(tiny, "qwen_math_r1", None)
    assert asked.opens(asked.tokenizer.encode("say<think>\n"), "<think>")
    assert not asked.opens(asked.ids([{"role": "user", "content": "<think>"}]), "<think>")


def test_a_line_of_the_guides_script_runs(tiny, tmp_path):
    """The flags of the reference's generate script, with this model's sizes; it asks "how are you?"."""
    line = f"""--use-mcore-models --tensor-model-parallel-size 1 --pipeline-model-parallel-size 2 --num-layers 2
        --hidden-size 48 --ffn-hidden-size 64 --num-attention-heads 4 --group-query-attention --num-query-groups 2
        --disable-bias-linear --add-qkv-bias --swiglu --normalization RMSNorm --norm-epsilon 1e-6
        --position-embedding-type rope --rotary-base 500 --make-vocab-size-divisible-by 1 --padded-vocab-size 512
        --max-position-embeddings 512 --seq-length 512 --use-fused-swiglu --use-fused-rmsnorm
        --use-fused-rotary-pos-emb --prompt-type qwen_math_r1 --micro-batch-size 1 --max-new-tokens 8
        --tokenizer-type PretrainedFromHF --tokenizer-name-or-path {tiny} --tokenizer-not-use-fast
        --hidden-dropout 0 --attention-dropout 0 --no-gradient-accumulation-fusion --attention-softmax-in-fp32
        --exit-on-missing-checkpoint --load {tiny} --task greedy"""
    line = ["--log-dir", tmp_path / "logs", "--", SCRIPTS / "inference.py", *line.split()]
    line = [sys.executable, SCRIPTS / "launch.py", "--workers", 2, *line, "--output", tmp_path / "o.jsonl"]
    done = subprocess.run(list(map(str, line)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = answers(tmp_path / "o.jsonl")
    assert row["prompt"] == "how are you?" and len(row["tokens"]) <= 8
    alone = inference(
        "--load", tiny, "--prompt-type", "qwen_math_r1", "--max-new-tokens", 8, "--task", "greedy"
    )
    assert alone.stdout == row["text"] + "\n" and alone.stdout in done.stdout
