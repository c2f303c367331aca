"""One process of msrun: train some steps of a model on every layout given, and let rank 0 write each curve to a file.

msrun --worker_num 4 ... engine_parallel_worker.py MODELS OUTPUT_DIRECTORY MODEL:TP,PP,ZERO,RECOMPUTE ...

MODELS has a Hugging Face directory for each name.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

from places import SCRIPTS

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(SCRIPTS))

from distillery.engine import mindspore_import  # noqa: E402

mindspore_import.load("CPU")  # as the commands do, before any module of the engine imports all of it

import numpy as np  # noqa: E402
from engine_settings import MICRO_BATCHES, SETTINGS, STEPS  # noqa: E402

from distillery import files, model_config  # noqa: E402
from distillery.convert import states  # noqa: E402
from distillery.convert.mcore_layout import Layout  # noqa: E402
from distillery.engine import native  # noqa: E402
from distillery.engine.batches import Batch, Rows, assemble  # noqa: E402
from distillery.engine.decoder import Decoder, load_state  # noqa: E402
from distillery.engine.mesh import Mesh, mesh  # noqa: E402
from distillery.marks import IGNORED  # noqa: E402


def step_batches(vocab: int) -> list[list[Batch]]:
    """The same rows for everyone."""
    rng = np.random.RandomState(3)
    count = STEPS * SETTINGS.global_batch_size
    ids = [rng.randint(0, vocab, rng.randint(5, 13)).astype(np.int32) for _ in range(count)]
    labels = [np.where(np.arange(len(row)) < 2, IGNORED, row).astype(np.int32) for row in ids]
    rows = Rows(ids, labels, ids)
    batches = [assemble(rows, [at, at + 1], SETTINGS) for at in range(0, count, 2)]
    return [batches[at : at + MICRO_BATCHES] for at in range(0, len(batches), MICRO_BATCHES)]


def curve(hf: Path, place: Mesh, zero: bool, recompute: bool = False) -> list[tuple[float, float]]:
    """[(loss, gradient norm)] of each step, the evaluation loss last."""
    from distillery.engine.pipeline_step import PipelineStep
    from distillery.engine.train_step import Step

    arch = model_config.read(hf)
    layout = Layout(place.tensor, place.pipeline)
    state = states.load_state(hf, layout, place.tensor_rank, place.pipeline_rank)
    layers = arch.num_layers // place.pipeline
    padded = -(-arch.vocab_size // place.tensor) * place.tensor
    model = Decoder(arch, native, padded, place, layers)
    load_state(model, state)
    kind = PipelineStep if place.pipeline > 1 or recompute else Step
    made = kind(model, replace(SETTINGS, recompute=recompute), native, place, zero)
    everything = step_batches(arch.vocab_size)
    found = [made.run(number, batches) for number, batches in enumerate(everything, 1)]
    return [*found, (made.evaluate(everything[0]), 0.0)]


def main() -> None:
    from mindspore.communication import get_group_size, get_rank, init

    from distillery.engine import collectives

    init()
    models, output = Path(sys.argv[1]), Path(sys.argv[2])
    output.mkdir(exist_ok=True)
    for name in sys.argv[3:]:
        model, _, layout = name.partition(":")
        tensor, pipeline, zero, recompute = map(int, layout.split(","))
        place = mesh(tensor, pipeline, get_group_size(), get_rank())
        collectives.prepare(place)
        found = curve(models / model, place, bool(zero), bool(recompute))
        if get_rank() == 0:
            files.write_json(output / f"{name}.json", found)


if __name__ == "__main__":
    main()
