"""A process that trains two steps and prints its peak memory in bytes: engine_memory_worker.py 0|1 (recompute)."""

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

ROWS, LENGTH, LAYERS = 16, 256, 4


def main() -> None:
    recompute = sys.argv[1] == "1"
    settings = replace(
        SETTINGS, seq_length=LENGTH, micro_batch_size=ROWS, global_batch_size=ROWS, recompute=recompute
    )
    arch = Architecture(
        num_layers=LAYERS,
        hidden_size=128,
        ffn_hidden_size=384,
        num_attention_heads=4,
        num_query_groups=2,
        kv_channels=32,
        vocab_size=64,
        untie_embeddings_and_output_weights=False,
        add_qkv_bias=True,
        max_position_embeddings=LENGTH,
    )
    model = Decoder(arch, native)
    step = PipelineStep(model, settings, native, Mesh()) if recompute else Step(model, settings, native)
    ids = [np.random.RandomState(i).randint(0, 64, LENGTH).astype(np.int32) for i in range(ROWS)]
    for number in (1, 2):
        step.run(number, [assemble(Rows(ids, ids, ids), range(ROWS), settings)])
    # ru_maxrss would count the parent's memory at the time of the fork
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(int(status["VmHWM"].split()[0]) * 1024)


if __name__ == "__main__":
    main()
