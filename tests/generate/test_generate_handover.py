"""What others do with the same weights: transformers on an exported directory and on the real SmolLM2-135M."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from generate_models import answers, inference
from lazy import Lazy
from places import SCRIPTS

from distillery import files, model_config
from distillery.convert import states
from distillery.engine import panels, runner_choice
from distillery.engine.generation import Request, Sampled, Stopping, generate
from distillery.tokenize import rendering

torch = Lazy("torch")
transformers = Lazy("transformers")

pytestmark = pytest.mark.mindspore

NEW = 12
CONVERSATIONS = [
    [{"role": "user", "content": "How many cards do 3 shelves hold?"}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2?\n"}],
    [
        {"role": "user", "content": "Solve for x: 3x = 9"},
        {"role": "assistant", "content": "<think>\n9/3\n</think>\n\nThe answer is \\boxed{3}."},
        {"role": "user", "content": " naïve 你好 🙂?"},
    ],
]
QUESTIONS = [
    "What is the capital of France?",
    "Hi",
    "Write a short poem about the sea and the wind, and about the people who live by it.",
    "2+2?",
    "Explain in three sentences why the sky is blue, and why a sunset is red. " * 4,
    "Name five animals that can fly.",
    "What is 17 times 23? Think step by step and show every step of the multiplication.",
    "Translate to German: good morning",
] + [f"Count from {n} to {n * n} in steps of {n}." for n in range(2, 10)]


def convert(*arguments: object) -> None:
    command = [sys.executable, str(SCRIPTS / "convert_ckpt.py"), "--use-mcore-models", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_transformers_needs_nothing_but_the_exported_directory(tiny, tmp_path):
    mcore, exported = tmp_path / "mcore", tmp_path / "hf"
    convert("--load-model-type", "hf", "--save-model-type", "mg", "--load-dir", tiny, "--save-dir", mcore)
    renderer = rendering.load(tiny, "qwen_math_r1")
    files.write_json(mcore / "done.json", {"template": renderer.record()})  # as training leaves it
    back = ["--load-model-type", "mg", "--save-model-type", "hf", "--load-dir", mcore]
    convert(*back, "--save-dir", exported, "--hf-cfg-dir", tiny)

    hub = transformers.AutoTokenizer.from_pretrained(exported)
    for messages in CONVERSATIONS:
        ids = hub.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        assert ids == renderer.prompt(messages)
    model = transformers.AutoModelForCausalLM.from_pretrained(exported, dtype=torch.float32)
    assert model.generation_config.eos_token_id == renderer.stop_token_ids

    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in CONVERSATIONS))
    flags = ["--load", exported, "--prompt-file", prompts, "--task", "greedy", "--max-new-tokens", 40]
    texts = []
    for number, way in enumerate([[], ["--hf-chat-template"]]):
        output = tmp_path / f"{number}.jsonl"
        done = inference(*flags, *way, "--output", output)
        assert done.returncode == 0, done.stderr
        texts.append([row["text"] for row in answers(output)])
    assert texts[0] == texts[1]
    for messages, text in zip(CONVERSATIONS, texts[0], strict=True):
        ids = hub.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=False
        )
        out = model.generate(ids, max_new_tokens=40, do_sample=False)
        assert text == hub.decode(out[0, ids.shape[1] :], skip_special_tokens=True)


@pytest.fixture(scope="module")
def asked(smollm2) -> list[Request]:
    renderer = rendering.load(smollm2, "chatml")
    prompts = [renderer.prompt([{"role": "user", "content": question}]) for question in QUESTIONS]
    return [Request(i, tuple(prompt)) for i, prompt in enumerate(prompts)]


def answer(
    directory: Path, requests: list[Request], slots: int, new: int, state=None
) -> list[tuple[int, ...]]:
    """The tokens of each request; `state` holds other weights than the directory's."""
    longest = max(len(request.prompt) for request in requests)
    runner = runner_choice.build(
        model_config.read(directory), state or states.load_state(directory), slots, longest + new
    )
    found = generate(runner, requests, lambda request: Sampled(request, Stopping(new), None))
    return [one.tokens for one in sorted(found, key=lambda one: one.request.index)]


@pytest.fixture(scope="module")
def together(smollm2, asked) -> list[tuple[int, ...]]:
    """The answers of one batch of sixteen."""
    return answer(smollm2, asked, 16, NEW)


def test_smollm2_answers_sixteen_prompts_as_transformers_does(smollm2, asked, together):
    model = transformers.AutoModelForCausalLM.from_pretrained(smollm2, dtype=torch.float32)
    longest = max(len(request.prompt) for request in asked)
    pads = [longest - len(request.prompt) for request in asked]
    assert len(set(pads)) >= 8, "a batch of mixed lengths"
    ids = torch.tensor([[0] * pad + list(request.prompt) for pad, request in zip(pads, asked, strict=True)])
    mask = torch.tensor([[0] * pad + [1] * (longest - pad) for pad in pads])
    options = {"max_new_tokens": NEW, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    wanted = model.generate(ids, attention_mask=mask, **options)[:, longest:]
    assert [list(tokens) for tokens in together] == wanted.tolist()


def test_a_batch_of_sixteen_equals_sixteen_single_runs(smollm2, asked, together):
    assert together == answer(smollm2, asked, 1, NEW)


def test_weights_held_as_bf16_answer_as_their_float32_copy(smollm2, asked, monkeypatch):
    """test_engine_panels compares the scores of small Qwen2, Qwen3 and Llama models to the last bit."""
    rounded = {name: one.astype(ml_dtypes.bfloat16) for name, one in states.load_state(smollm2).items()}
    few, new = asked[:3], 8
    held = answer(smollm2, few, len(few), new, rounded)
    seen: list[np.dtype] = []
    monkeypatch.setattr(panels, "_narrowest", lambda weight: seen.append(weight.dtype) or np.float32)
    assert held == answer(smollm2, few, len(few), new, rounded)
    assert seen.count(np.dtype(ml_dtypes.bfloat16)) == 30 * 4 + 1, "each matrix was widened, and the table"
