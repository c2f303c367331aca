"""A training of adapters by the command: resumed to equal bytes, read by PEFT itself, merged as it says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import here
from lazy import Lazy
from train_parts import forget_the_end, result, train, work

from distillery import digests
from distillery.convert import states

peft = Lazy("peft")
torch = Lazy("torch")
transformers = Lazy("transformers")

pytestmark = pytest.mark.mindspore

LORA = ("--lora-r", 4, "--lora-alpha", 16, "--lora-target-modules", "linear_qkv", "linear_fc1", "linear_fc2")
IDS = np.arange(3, 43).reshape(2, 20)


@pytest.fixture(scope="module")
def adapted(parts, tmp_path_factory) -> Path:
    save = tmp_path_factory.mktemp("lora")
    done = train(parts, save, *LORA)
    assert done.returncode == 0, done.stderr
    return save


def logits(model) -> np.ndarray:
    with torch.no_grad():
        return model.float().eval()(torch.from_numpy(IDS)).logits.numpy()


def test_peft_loads_what_the_merged_export_says(adapted, parts, tmp_path):
    words = (
        "--use-mcore-models",
        "--model-type",
        "GPT",
        "--load-model-type",
        "mg",
        "--save-model-type",
        "hf",
    )
    words += ("--model-type-hf", "llama2", "--load-dir", adapted, "--hf-cfg-dir", parts / "hf")
    done = here("convert_ckpt.py", *words, "--save-dir", tmp_path / "merged")
    assert done.returncode == 0, done.stderr
    base = transformers.AutoModelForCausalLM.from_pretrained(parts / "hf")
    before = logits(base)
    tuned = peft.PeftModel.from_pretrained(base, str(adapted / "adapter"))
    found = logits(tuned)
    assert np.abs(found - before).max() > 0.1
    merged = logits(transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "merged"))
    np.testing.assert_allclose(found, merged, atol=2e-5, rtol=0)
    np.testing.assert_allclose(logits(tuned.merge_and_unload()), merged, atol=2e-5, rtol=0)
    assert digests.intact(adapted / "adapter")
    assert {path.name for path in (adapted / "adapter").iterdir()} - {".manifest.json.sha256"} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "manifest.json",
    }


def test_only_the_targets_change(adapted, parts):
    before, after = (states.load_rank(one)[0] for one in (parts / "mcore", adapted))
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    wanted = tuple(f"{one}.weight" for one in LORA[5:])
    assert changed == {name for name in before if name.endswith(wanted)}
    lines = (work(adapted) / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["loss"] < 0.9 * json.loads(lines[0])["loss"]


def test_a_killed_run_ends_with_the_same_bytes_and_a_rank_is_part_of_its_key(adapted, parts, tmp_path):
    again = Path(shutil.copytree(adapted, tmp_path / "again", symlinks=True))
    forget_the_end(again)
    shutil.rmtree(again / "adapter")
    done = train(parts, again, *LORA)
    assert done.returncode == 0 and "resuming after step 36" in done.stderr + done.stdout
    assert result(again) == result(adapted)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert (again / "adapter" / name).read_bytes() == (adapted / "adapter" / name).read_bytes()
    key = json.loads((work(adapted) / "key.json").read_text())
    assert key["settings"]["lora"] == {"rank": 4, "alpha": 16, "targets": list(LORA[5:])}
