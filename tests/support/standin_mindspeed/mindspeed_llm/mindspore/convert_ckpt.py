"""A stand-in for the converter of MindSpeed-LLM's MindSpore back end.

It has its parsers, its places for files, and its files alone, without our manifest; MSAdapter's where they are rank files.
"""

import sys
from argparse import Namespace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # as PYTHONPATH does for the reference
import msadapter
from standin import arguments, ours

from distillery.convert import rank_files, states

loader = sys.argv[sys.argv.index("--load-model-type") + 1]
args = arguments(f"convert_ckpt.py {loader}")
common = "--use-mcore-models --model-type GPT --model-type-hf llama2 --load-model-type".split()
if loader == "hf":
    target = Path(args.save_dir)
    ours(
        "convert_ckpt.py",
        *(*common, "hf", "--save-model-type", "mg", "--load-dir", args.load_dir, "--save-dir", target),
        *(
            "--target-tensor-parallel-size",
            args.target_tensor_parallel_size,
            "--params-dtype",
            args.params_dtype,
        ),
        *("--target-pipeline-parallel-size", args.target_pipeline_parallel_size),
        *(("--num-layer-list", args.num_layer_list) if args.num_layer_list else ()),
    )
    for path in target.glob("iter_*/mp_rank_*/*.pt"):
        state, saved = states.load_file(path)
        kept = {name: array.copy() for name, array in state.items()}
        saved = Namespace(**vars(saved), no_save_optim=True, no_save_rng=True)
        msadapter.save_rank(path.parent, kept, saved, saved.iteration)
else:
    # the checkpoint names unequal stages too, but the reference does not ask it in time: keys are missing then
    (first, *_) = sorted(
        rank_files.iteration_directory(Path(args.load_dir)).glob("mp_rank_*/model_optim_rng.pt")
    )
    assert args.num_layer_list == getattr(rank_files.read_rank(first).args, "num_layer_list", None)
    original = Path(args.save_dir)  # the reference reads the model's settings where it writes
    target = original / "mg2hf"
    ours(
        "convert_ckpt.py",
        *(*common, "mg", "--save-model-type", "hf", "--load-dir", args.load_dir, "--save-dir", target),
        *("--hf-cfg-dir", original, "--params-dtype", args.params_dtype),
    )
    for left in [*target.glob("*.json"), *target.glob("*.jinja"), *target.glob("*.txt")]:
        if not left.name.endswith(".index.json"):
            left.unlink()
(target / "manifest.json").unlink(missing_ok=True)
