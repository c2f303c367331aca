"""What MSAdapter's `torch.save` writes for Megatron, without MindSpore: the stand-ins for MindSpeed-LLM's scripts save so.

`tests/convert/test_convert_msadapter.py` holds it against three files that MSAdapter itself wrote, byte for byte.
"""

import copyreg
import io
import pickle
import random
import sys
import zipfile
from argparse import Namespace
from collections import OrderedDict
from types import ModuleType
from unittest.mock import patch

import ml_dtypes
import numpy as np

STORAGES = {
    np.dtype(np.float64): "DoubleStorage",
    np.dtype(np.float32): "FloatStorage",
    np.dtype(np.float16): "HalfStorage",
    np.dtype(ml_dtypes.bfloat16): "BFloat16Storage",
    np.dtype(np.int64): "LongStorage",
    np.dtype(np.int32): "IntStorage",
    np.dtype(np.uint8): "ByteStorage",
    np.dtype(np.bool_): "BoolStorage",
}


def _named(module, name, **content):
    """A class that is pickled as that name of that module."""
    return type(name, (), {"__module__": module, "__qualname__": name, **content})


BFloat, Float = (
    _named(
        "mindspore._c_expression.typing",
        name,
        __init__=lambda self, bits: setattr(self, "bits", bits),
        __reduce_ex__=lambda self, protocol: (copyreg.__newobj__, (type(self),), (self.bits,)),
    )
    for name in ("BFloat", "Float")
)
FLOAT32 = Float(32)
TYPES = {
    np.dtype(ml_dtypes.bfloat16): BFloat(16),
    np.dtype(np.float16): Float(16),
    np.dtype(np.float32): FLOAT32,
}
MS_TENSOR = _named("mindspore.common.tensor", "Tensor")


class Tensor:
    """Marks an array that is saved as a tensor; others, in random states, stay numpy's."""

    def __init__(self, array):
        self.array = array


class _Data(Tensor):
    """A tensor's own elements: what becomes a record."""


def save(objects, path, spelling="torch"):
    """Write objects with `Tensor` leaves.

    Args:
        spelling: "torch" or "msadapter": the package in which the rebuilding functions are named.
    """
    pickled, arrays = dump(objects, spelling)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", "3")
        archive.writestr("archive/byteorder", "little")
        for key in sorted(arrays):
            archive.writestr(f"archive/data/{key}", arrays[key].tobytes())


def dump(objects, spelling="torch"):
    """(data.pkl's bytes, {record's key: array})."""
    rebuild = _named(f"{spelling}._utils", "_rebuild_tensor_v2")
    coat = _named(f"{spelling}._tensor", "_rebuild_from_type_v2")
    keys, arrays = {}, {}

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            if not isinstance(value, _Data):
                return None
            key = keys.setdefault(id(value), str(len(keys)))
            arrays[key] = value.array
            return ("storage", STORAGES[value.array.dtype], key, "cpu", value.array.size)

        def reducer_override(self, value):
            if not isinstance(value, Tensor):
                return NotImplemented
            array = value.array
            # the strides of the memory it is a view of; the record has its elements in C order all the same
            strides = [step // array.itemsize for step in array.strides]
            return coat, (
                rebuild,
                MS_TENSOR,
                (_Data(array), 0, array.shape, strides, False, None, None),
                None,
            )

    stubs = {}  # pickle imports what it names, and the package around it
    for one in (rebuild, coat, MS_TENSOR, BFloat, Float):
        for name in (one.__module__.partition(".")[0], one.__module__):
            stubs.setdefault(name, ModuleType(name))
        setattr(stubs[one.__module__], one.__name__, one)
    out = io.BytesIO()
    with patch.dict(sys.modules, stubs):
        Pickler(out, protocol=2).dump(objects)
    return out.getvalue(), arrays


def save_rank(folder, state, args, step, spelling="torch"):
    """A rank's files as Megatron's save_checkpoint leaves them in a training.

    Args:
        state: {MCore name: array}.
        args: with no_save_optim, no_save_rng and use_distributed_optimizer, as its parser has them.
    """
    dtype = next(iter(state.values())).dtype
    objects = {
        "args": Namespace(**{**vars(args), "params_dtype": TYPES[dtype], "iteration": step}),
        "checkpoint_version": 3.0,
        "iteration": step,
        "model": OrderedDict((name, Tensor(array)) for name, array in state.items()),
    }
    folder.mkdir(parents=True, exist_ok=True)
    if not args.no_save_optim:
        flat = np.concatenate([array.reshape(-1) for array in state.values()]).astype(np.float32)
        moments = {"exp_avg": Tensor(0.1 * flat), "exp_avg_sq": Tensor(flat * flat)}
        group = {"lr": 1e-5, "weight_decay": 0.0, "step": step, "params": [0]}
        if args.use_distributed_optimizer:
            objects["optimizer"] = {"optimizer": {"param_groups": [group]}}
            world = {"param": Tensor(flat), **moments, "numel_unpadded": flat.size}
            # a buffer of gradients is known by the types of its parameters and gradients
            shared = {"buckets_coalesced": True, 0: {(TYPES[dtype], FLOAT32): world}}
            save(shared, folder / "distrib_optim.pt", spelling)
        else:
            inner = {"state": {0: moments}, "param_groups": [group]}
            objects["optimizer"] = {"optimizer": inner, "fp32_from_fp16_params": [[Tensor(flat)]]}
        objects["opt_param_scheduler"] = {"max_lr": 1e-5, "lr_decay_style": "cosine", "num_steps": step}
    if not args.no_save_rng:
        states = {"default-rng": Tensor(np.arange(16, dtype=np.uint8))}
        objects["rng_state"] = [
            {
                "random_rng_state": random.Random(step).getstate(),
                "np_rng_state": np.random.RandomState(step).get_state(),
                "torch_rng_state": Tensor(np.arange(3, dtype=np.uint8)),
                "cuda_rng_state": Tensor(np.arange(3, dtype=np.uint8)),
                "rng_tracker_states": states,
            }
        ]
    objects["num_floating_point_operations_so_far"] = 1.5e9
    save(objects, folder / "model_optim_rng.pt", spelling)
