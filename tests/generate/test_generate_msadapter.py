"""Our engine's answers where the ranks' environment is MindSpeed-Core-MS's: its `torch` is MSAdapter's, and none is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from places import SCRIPTS

pytestmark = [pytest.mark.mindspore, pytest.mark.slow]

# what set_path.sh puts before an interpreter's own packages; the checkout has scripts that are called as ours are
SHADOWS = {
    "MSAdapter": ("torch", "torch_npu", "msadapter"),
    "MSAdapter/msa_thirdparty": ("torchvision", "transformers", "accelerate", "peft"),
    "Megatron-LM": ("megatron",),
    "MindSpeed": ("mindspeed",),
    "MindSpeed-LLM": ("mindspeed_llm", "inference", "posttrain_gpt", "preprocess_data", "convert_ckpt"),
}


@pytest.fixture
def core(tmp_path) -> tuple[Path, Path]:
    """(set_path.sh, a file that names what was imported of the shadows): importing one notes it, and fails."""
    home, seen = tmp_path / "MindSpeed-Core-MS", tmp_path / "imported"
    for place, names in SHADOWS.items():
        for name in names:
            (home / place / name).mkdir(parents=True)
            text = f"open({str(seen)!r}, 'a').write({name + chr(10)!r})\nraise RuntimeError('a shadow of {name}')\n"
            (home / place / name / "__init__.py").write_text(text)
    script = home / "set_path.sh"
    script.write_text(f"export PYTHONPATH={':'.join(str(home / place) for place in SHADOWS)}:$PYTHONPATH\n")
    return script, seen


def answered(tiny: Path, output: Path, *launch: object) -> bytes:
    asked = output.with_name("asked.jsonl")
    asked.write_text('{"prompt": "how are you?", "id": "a"}\n')
    words = [SCRIPTS / "inference.py", "--load", tiny, "--prompt-type", "qwen_math_r1", "--task", "greedy"]
    words += ["--max-new-tokens", 8, "--prompt-file", asked]
    line = [SCRIPTS / "launch.py", "--workers", 1, "--log-dir", output.parent / "logs", *launch, "--", *words]
    line = [sys.executable, *line, "--output", output]
    done = subprocess.run(list(map(str, line)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return output.read_bytes()


def test_answers_under_msadapters_pythonpath_are_the_same_and_import_nothing_of_it(tiny, core, tmp_path):
    script, seen = core
    (tmp_path / "plain").mkdir()
    (tmp_path / "under").mkdir()
    plain = answered(tiny, tmp_path / "plain/answers.jsonl")
    assert answered(tiny, tmp_path / "under/answers.jsonl", "--set-env", script) == plain and plain
    assert not seen.exists(), seen.read_text()
    # and a rank there would have found it
    shell = f". {script}; {sys.executable} -c 'import torch'"
    assert (
        "a shadow of torch"
        in subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=False).stderr
    )
    assert seen.read_text() == "torch\n"
