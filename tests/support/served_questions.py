"""Questions to the server of `llm_server`, by the command: what tests of the room serving start from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from commands import here
from llm_server import LlmServer
from places import ROOT

from distillery.tokenize import rendering
from distillery.tokenize import tokenizer as tokenizers

MODEL = ROOT / "config/examples/data/model"
TOKENIZER = tokenizers.load(MODEL)
STOP = TOKENIZER.id_of("<|im_end|>")


def served(**how: Any) -> LlmServer:
    """A server of that model's tokenizer, not yet open."""
    return LlmServer(TOKENIZER.backend, stop=STOP, **how)


def first_ids() -> list[int]:
    """The ids of the first prompt that `ask` asks."""
    return rendering.load(MODEL, "qwen_math_r1").prompt([{"role": "user", "content": "What is 0 plus 0?"}])


def ask(
    folder: Path, server: LlmServer, *words: object, count: int = 3, name: str = "answers", code: int = 0
) -> tuple[str, list[dict[str, Any]]]:
    """Ask `count` prompts of a server by generate_served.py, which ends with `code`; what it printed, and the answers."""
    rows = [{"id": f"p{i}", "prompt": f"What is {i} plus {i}?"} for i in range(count)]
    prompts, output = folder / "prompts.jsonl", folder / f"{name}.jsonl"
    prompts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    line = ["--load", MODEL, "--url", server.url, "--served-model", "tuned", "--prompt-type", "qwen_math_r1"]
    line += ["--max-new-tokens", 200, "--prompt-file", prompts, "--output", output, *words]
    done = here("generate_served.py", *line)
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    lines = output.read_text().splitlines() if output.is_file() else []
    return said, [json.loads(one) for one in lines]
