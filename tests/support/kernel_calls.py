"""Call every kernel of a compiled library once per shape, from memory of exactly its size; run under the sanitizers.

    LD_PRELOAD=libasan.so:libubsan.so python kernel_calls.py native.so decoding.so

Buffers come from malloc, one each, so that a sanitizer sees a single element read or written beside them. numpy
alone is imported: no MindSpore. Prints the number of calls; a kernel that returns another code than it should ends it.
"""

import ctypes
import sys

import numpy as np

LIBC = ctypes.CDLL(None)
LIBC.malloc.restype = ctypes.c_void_p
LIBC.malloc.argtypes = [ctypes.c_size_t]
LIBC.free.argtypes = [ctypes.c_void_p]
NAMES = {np.dtype(name): name.encode() for name in ("float32", "int32", "uint16", "float16", "int8")}
LANES, SPAN, KEYS, PAD, SCALED = 32, 64, 16, 16, 64  # of decoding.cpp
calls = 0


def call(library, name, *arrays, returns=0):
    """Run a kernel on copies of these arrays and return the copies as it left them."""
    global calls
    calls += 1
    places = [LIBC.malloc(max(1, array.nbytes)) for array in arrays]
    for place, array in zip(places, arrays, strict=True):
        ctypes.memmove(place, np.ascontiguousarray(array).ctypes.data, array.nbytes)
    count = len(arrays)
    shapes = [(ctypes.c_int64 * max(1, array.ndim))(*array.shape) for array in arrays]
    pointers = (ctypes.POINTER(ctypes.c_int64) * count)(
        *(ctypes.cast(shape, ctypes.POINTER(ctypes.c_int64)) for shape in shapes)
    )
    code = getattr(library, name)(
        count,
        (ctypes.c_void_p * count)(*places),
        (ctypes.c_int * count)(*(array.ndim for array in arrays)),
        pointers,
        (ctypes.c_char_p * count)(*(NAMES[array.dtype] for array in arrays)),
        None,
        None,
    )
    assert code == returns, f"{name} returned {code}, wanted {returns}"
    left = [np.empty_like(array) for array in arrays]
    for place, array in zip(places, left, strict=True):
        ctypes.memmove(array.ctypes.data, place, array.nbytes)
        LIBC.free(place)
    return left


def floats(*shape):
    return np.random.RandomState(sum(shape) + 1).standard_normal(shape).astype(np.float32)


def ints(*values):
    return np.array(values, np.int32)


def native(library):
    """The kernels of training."""
    for batch, seq, groups, repeats, dim in [
        (2, 5, 1, 3, 10),
        (1, 70, 2, 1, 16),
        (1, 129, 1, 2, 64),
        (1, 1, 1, 1, 2),
    ]:
        heads = groups * repeats
        qkv, out = floats(batch, seq, (heads + 2 * groups) * dim), floats(batch, seq, heads * dim)
        cos, sin = floats(batch, seq, dim // 2), floats(batch, seq, dim // 2)
        segments = np.sort(np.random.RandomState(seq).randint(0, 3, (batch, seq)).astype(np.int32), 1)
        lse = np.zeros((batch, heads, seq), np.float32)
        made = call(library, "attention_forward", qkv, cos, sin, segments, np.zeros_like(out), lse)
        call(
            library, "attention_backward", out, qkv, cos, sin, segments, made[4], made[5], np.zeros_like(qkv)
        )
    for tokens, size in [(7, 24), (1, 1), (33, 130)]:
        x, weight, eps = floats(tokens, size), floats(size), np.array([1e-6], np.float32)
        made = call(library, "rms_forward", x, weight, eps, np.zeros_like(x), np.zeros(tokens, np.float32))
        call(library, "rms_backward", x, x, weight, made[4], np.zeros_like(x), np.zeros_like(weight))
        both = floats(tokens, 2 * size)
        call(library, "swiglu_forward", both, np.zeros_like(x))
        call(library, "swiglu_backward", x, both, np.zeros_like(both))
        labels = ints(*(token % size if token % 3 else -100 for token in range(tokens)))
        entropy(library, x, labels)
        for bad in (500_000_000, 20_000_000, size, size + 5, 2**31 - 1, -1, -5, -(2**31)):
            entropy(
                library,
                x,
                np.where(np.arange(tokens) == tokens // 2, bad, labels).astype(np.int32),
                returns=1,
            )
    gradients = [floats(3, 5), floats(40_000), floats(1)]
    call(library, "gradient_norm", *gradients, np.zeros(1, np.float32))
    state = [[floats(*one.shape) ** 2 for one in gradients] for _ in range(3)]
    constants, hyper, clip = floats(5), floats(5) ** 2, np.ones(1, np.float32)
    call(
        library,
        "adamw",
        *state[0],
        *state[1],
        *state[2],
        *gradients,
        constants,
        hyper,
        clip,
        np.zeros(1, np.float32),
    )


def entropy(library, logits, labels, returns=0):
    """Both directions; a label without a column is told by each of them and leaves all memory alone."""
    tokens = len(labels)
    zeros = np.zeros(tokens, np.float32)
    made = call(library, "entropy_forward", logits, labels, zeros, zeros, returns=returns)
    call(
        library,
        "entropy_backward",
        floats(tokens),
        logits,
        labels,
        made[3],
        np.zeros_like(logits),
        returns=returns,
    )


def panels(outputs, inputs, dtype):
    if dtype == np.int8:  # numbers, and the bytes of a scale a lane before each SCALED inputs
        blocks = [
            part
            for first in range(0, inputs, SCALED)
            for part in (
                np.abs(floats(-(-outputs // LANES), LANES)).view(np.int8).reshape(-1, 4, LANES),
                np.full((-(-outputs // LANES), min(SCALED, inputs - first), LANES), 3 - first % 7, np.int8),
            )
        ]
        return np.concatenate(blocks, 1)
    made = floats(-(-outputs // LANES), inputs, LANES)
    return (made.view(np.uint32) >> 16).astype(np.uint16) if dtype == np.uint16 else made.astype(dtype)


def decoding(library):
    """The kernels of generation, with weights of each type; bad ids, slots and positions return 1."""
    for dtype in (np.float32, np.uint16, np.float16, np.int8):
        for groups, repeats, dim, ffn, vocab in [(1, 3, 10, 20, 45), (2, 2, 32, 48, 64)]:
            heads, slots, capacity, width = groups * repeats, 3, SPAN, 5
            hidden, fused = heads * dim, (heads + 2 * groups) * dim
            x, eps, out = (
                floats(width, hidden),
                np.array([1e-6], np.float32),
                np.zeros((width, hidden), np.float32),
            )
            keys = floats(slots, groups, capacity // KEYS, dim, KEYS)
            values = floats(slots, groups, capacity, -(-dim // PAD) * PAD)
            angles = floats(capacity, dim // 2), floats(capacity, dim // 2)
            norm, live = floats(hidden), ints(4, 2)
            normed = floats(2 * dim if groups == 2 else 1)  # weights of the heads' norms, or none
            attention = (
                norm,
                panels(fused, hidden, dtype),
                floats(fused),
                panels(hidden, hidden, dtype),
                normed,
            )
            # a panel of fc1 holds the gates and the ups of LANES / 2 features
            halves = -(-ffn // (LANES // 2)) * LANES
            fc2 = panels(hidden, ffn, dtype)
            mlp = (norm, panels(halves, hidden, dtype), fc2)

            if dtype == np.uint16:  # and a cache of bfloat16 numbers
                keys, values = ((one.view(np.uint32) >> 16).astype(np.uint16) for one in (keys, values))

            def layer(at, where, count, returns=0):
                first = (*attention, keys, values)  # noqa: B023
                shared = (x, eps, *angles, at, where, count)  # noqa: B023
                call(library, "decode_layers", *shared, *first, *mlp, *first, *mlp, out, returns=returns)  # noqa: B023
                call(library, "decode_attention", *shared, *first, out, returns=returns)  # noqa: B023

            at, where = ints(0, 0, 2, 1, 0), ints(0, 1, 63, 20, 0)
            layer(at, where, live)
            for bad in (-1, slots, 2**31 - 1):
                layer(ints(0, bad, 2, 1, 0), where, live, returns=1)
            for bad in (-1, capacity, 2**31 - 1):
                layer(at, ints(0, bad, 63, 20, 0), live, returns=1)
            layer(ints(0, 0, 2, 1, -7), where, live)  # beyond the live tokens anything may stand
            for bad in (-1, width + 1):
                layer(at, where, ints(bad, 2), returns=1)
            call(library, "decode_mlp", x, eps, *mlp, live, out)
            call(library, "decode_mlp", x, eps, *mlp, ints(width + 1, 2), out, returns=1)
            table = panels(vocab, hidden, dtype)
            ids = ints(0, vocab - 1, 3, 1, -9)
            made = call(library, "decode_embed", ids, table, live, out)[3]
            assert np.array_equal(made[0], table[0, :, 0].astype(np.float32)) or dtype in (
                np.uint16,
                np.int8,
            )
            for bad in (-5, len(table) * LANES, 20_000_000, 2**31 - 1):
                call(library, "decode_embed", ints(0, bad, 3, 1, 0), table, live, out, returns=1)
                made = call(library, "decode_embed_part", ints(0, bad, 3, 1, 0), table, live, out)[3]
                assert not made[1].any(), "ids of other ranks are zeros"
            rows = ints(3, 0, 0)
            logits = np.zeros((3, vocab), np.float32)
            call(library, "decode_head", x, eps, norm, table, rows, live, logits)
            call(library, "decode_head", x, eps, norm, table, ints(width, 0, 0), live, logits, returns=1)
            call(library, "decode_head", x, eps, norm, table, rows, ints(4, 4), logits, returns=1)
            call(library, "decode_best", floats(3, vocab), live, ints(0, 0, 0))
            call(library, "decode_best", floats(3, vocab), ints(4, 4), ints(0, 0, 0), returns=1)


if __name__ == "__main__":
    native(ctypes.CDLL(sys.argv[1]))
    decoding(ctypes.CDLL(sys.argv[2]))
    print(f"{calls} calls")
