"""A process that trains two steps and prints its peak memory in bytes: engine_memory_worker.py kept|recomputed|adapters.

With adapters the model is of 101 MB of weights, its rows are short, and the bytes are those beside the model that was made.
"""

import sys
from dataclasses import replace
from pathlib import Path

from places import SCRIPTS, SUPPORT

sys.path[:0] = [str(SCRIPTS), str(SUPPORT)]

import numpy as np  # noqa: E402
from engine_settings import SETTINGS  # noqa: E402

from distillery.architecture import Architecture  # noqa: E402
from distillery.engine import native  # noqa: E402
from distillery.engine.batches import Rows, assemble  # noqa: E402
from distillery.engine.decoder import Decoder  # noqa: E402
from distillery.engine.mesh import Mesh  # noqa: E402
from distillery.engine.pipeline_step import PipelineStep  # noqa: E402
from distillery.engine.train_step import Step  # noqa: E402
from distillery.lora import TARGETS, Lora  # noqa: E402

HEAD = 32


def architecture(layers: int, hidden: int, length: int) -> Architecture:
    return Architecture(
        num_layers=layers,
        hidden_size=hidden,
        ffn_hidden_size=3 * hidden,
        num_attention_heads=hidden // HEAD,
        num_query_groups=hidden // HEAD // 2,
        kv_channels=HEAD,
        vocab_size=64,
        untie_embeddings_and_output_weights=False,
        add_qkv_bias=True,
        max_position_embeddings=length,
    )


def memory(key: str) -> int:
    """Bytes; ru_maxrss would count the parent's memory at the time of the fork."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status[key].split()[0]) * 1024


def main() -> None:
    adapted, recompute = sys.argv[1] == "adapters", sys.argv[1] != "kept"
    rows, length = (1, 32) if adapted else (16, 256)
    lora = Lora(4, 8, TARGETS) if adapted else None
    settings = replace(
        SETTINGS,
        seq_length=length,
        micro_batch_size=rows,
        global_batch_size=rows,
        recompute=recompute,
        lora=lora,
    )
    model = Decoder(architecture(*((8, 512) if adapted else (4, 128)), length), native, lora=lora)
    made = memory("VmRSS")
    step = PipelineStep(model, settings, native, Mesh()) if recompute else Step(model, settings, native)
    ids = [np.random.RandomState(i).randint(0, 64, length).astype(np.int32) for i in range(rows)]
    for number in (1, 2):
        step.run(number, [assemble(Rows(ids, ids, ids), range(rows), settings)])
    print(memory("VmHWM") - adapted * made)


if __name__ == "__main__":
    main()
