"""What a training by MindSpeed-LLM's stand-in starts from, and its line."""

import json
import sys
import time

import ml_dtypes
import numpy as np
import pytest
from places import ROOT, SUPPORT

from distillery import model_config
from distillery.convert import slices, states
from distillery.convert.mcore_layout import Layout

STANDIN = SUPPORT / "standin_mindspeed"
CONFIG = {
    "model_type": "qwen2",
    "hidden_size": 96,
    "intermediate_size": 256,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "rope_theta": 500000.0,
    "vocab_size": 512,
}
FLAGS = (
    "--use-mcore-models --tensor-model-parallel-size 1 --pipeline-model-parallel-size 2 --seq-length 128 "
    "--max-position-embeddings 128 --micro-batch-size 1 --global-batch-size 8 --train-iters 30 --lr 1e-3 "
    "--save-interval 10 --prompt-type qwen_math_r1 --bf16 --ai-framework mindspore"
).split()


def prepare(folder):
    """A model and tokenized data as far as the command looks at them, and weights for two pipeline stages."""
    (folder / "model").mkdir()
    (folder / "model/config.json").write_text(json.dumps(CONFIG))
    (folder / "data_manifest.json").write_text(json.dumps({"template": {"prompt_type": "qwen_math_r1"}}))
    numbers = np.random.default_rng(5)
    model = model_config.read(folder / "model")
    layout = Layout(1, 2)
    parts = {
        (0, stage): {
            name: numbers.standard_normal(piece.shape).astype(ml_dtypes.bfloat16)
            for name, piece in slices.rank_slices(model, layout.grid(model), 0, stage)[0].items()
        }
        for stage in range(2)
    }
    states.save(folder / "weights", parts, states.make_args(model, "bf16", layout), 1)


def command(*flags, directory=STANDIN, workers=2, flags_first=False):
    """The line with `flags` for the reference, or with `flags_first` for the launch."""
    script = str(ROOT / "workflow/scripts/train_mindspeed.py")
    paths = "--load weights --save out --data-path data --tokenizer-name-or-path model --log-dir logs".split()
    return [
        sys.executable,
        script,
        *paths,
        "--workers",
        str(workers),
        "--directory",
        str(directory),
        *(flags if flags_first else ()),
        "--",
        *FLAGS,
        *(() if flags_first else flags),
    ]


def reached(folder):
    """How many steps are recorded."""
    trackers = list(folder.glob("out/work/*/metrics.jsonl"))
    return len(trackers[0].read_text().splitlines()) if trackers else 0


def wait_for_steps(folder, count, alive):
    """Until `count` are recorded by what `alive()` says of."""
    while reached(folder) < count:
        assert alive()
        time.sleep(0.1)


def whole(folder):
    """One run of thirty steps, whoever made them."""
    done = json.loads((folder / "out/done.json").read_text())
    records = [json.loads(line) for line in (folder / "out" / done["metrics"]).read_text().splitlines()]
    assert [one["iteration"] for one in records] == list(range(1, 31))
    assert done["loss"] == pytest.approx(1 / 30)
