"""What a training by MindSpeed-LLM's stand-in starts from, and its line."""

import json
import sys

from places import ROOT, SUPPORT

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
    "--save-interval 10 --prompt-type qwen_math_r1 --bf16"
).split()


def prepare(folder):
    """A model, tokenized data and weights for two pipeline stages, as far as the command looks at them."""
    (folder / "model").mkdir()
    (folder / "model/config.json").write_text(json.dumps(CONFIG))
    (folder / "data_manifest.json").write_text(json.dumps({"template": {"prompt_type": "qwen_math_r1"}}))
    for stage in range(2):
        rank = folder / f"weights/iter_0000001/mp_rank_00_{stage:03d}"
        rank.mkdir(parents=True)
        (rank / "model_optim_rng.pt").write_bytes(b"stage %d" % stage)
    (folder / "weights/latest_checkpointed_iteration.txt").write_text("1")
    (folder / "weights/manifest.json").write_text('{"payload_digest": "a"}')


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
