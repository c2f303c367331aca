"""Tensors streamed from file to file, in parallel.

crcs = write(outputs, source, progress)
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from distillery.checksums import crc32
from distillery.convert.dtypes import DType
from distillery.convert.gather import Reader, chunks
from distillery.convert.slices import Slice
from distillery.convert.stored_bytes import NOTHING, Checks
from distillery.convert.torchfile import write_at
from distillery.convert.weight_sources import Source
from distillery.problems import NO_ROOM, Problem


@dataclass(frozen=True)
class Output:
    """A file to be written: tensors streamed to their offsets, then `finish(fd, crcs)` for the rest of it."""

    path: Path
    size: int
    dtype: DType
    tensors: list[tuple[int, Slice]]
    finish: Callable[[int, list[int]], None]


def write(
    outputs: list[Output],
    source: Source,
    progress: Callable[[int], None] = lambda count: None,
    checks: Checks = NOTHING,
) -> list[list[int]]:
    """Write all files, tensors in parallel; returns the CRC-32 of every tensor of every file.

    Args:
        progress: called with bytes written since its last call, from any thread.
        checks: of whole files beside the copying, of spans with what it has seen; what they raise ends it.

    Raises:
        Problem: a weight does not fit its type; what a check raises.
        OSError: the disk is full (see `taught`). What was written is the caller's to remove.
    """
    workers = min(8, len(os.sched_getaffinity(0)))
    with ExitStack() as stack, Reader() as reader:
        fds = []
        for output in outputs:
            output.path.parent.mkdir(parents=True, exist_ok=True)
            fds.append(os.open(output.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644))
            stack.callback(os.close, fds[-1])
            _reserve(fds[-1], output.size)
        pool = stack.enter_context(ThreadPoolExecutor(workers))
        done = threading.Event()
        flusher = stack.enter_context(ThreadPoolExecutor(1)).submit(_flush, fds, done)
        stack.callback(done.set)
        # threads of their own: while these compute, the copying must not leave the disk idle
        checkers = stack.enter_context(ThreadPoolExecutor(workers))
        asked = [checkers.submit(check) for check in checks.whole]
        # tensors of different files by turns: two writers of one file wait for each other in the kernel
        turns = sorted(
            (i, number) for number, output in enumerate(outputs) for i in range(len(output.tensors))
        )
        pending: list[list[Future[int]]] = [[] for _ in outputs]
        for i, number in turns:
            output = outputs[number]
            job = (fds[number], *output.tensors[i], source, reader, output.dtype, progress)
            pending[number].append(pool.submit(_copy, *job))
        try:
            crcs = []
            for fd, output, futures in zip(fds, outputs, pending, strict=True):
                crcs.append([future.result() for future in futures])
                output.finish(fd, crcs[-1])
            asked += [pool.submit(span, reader.seen) for span in checks.spans]
            for check in asked:
                check.result()
            done.set()
            flusher.result()
        except BaseException:
            for one in (pool, checkers):
                one.shutdown(wait=True, cancel_futures=True)
            raise
    return crcs


def _reserve(fd: int, size: int) -> None:
    """Allocate a file's blocks at once: a full disk shows before the first byte, and writing costs half the CPU.

    The system call itself, because posix_fallocate writes to every block where a file system has no such call.

    Raises:
        OSError: no space.
    """
    if ctypes.CDLL(None, use_errno=True).fallocate(fd, 0, ctypes.c_long(0), ctypes.c_long(size)):
        code = ctypes.get_errno()
        if code not in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINTR):
            raise OSError(code, os.strerror(code))


def _flush(fds: list[int], done: threading.Event) -> None:
    """Keep the disk busy while cores copy: the final fsync then finds little left to wait for."""
    while not done.wait(0.01):
        for fd in fds:
            os.fdatasync(fd)


@contextmanager
def taught(where: Path, needed: int) -> Iterator[None]:
    """Around writing: an OSError that says no space is left becomes a Problem.

    Args:
        needed: bytes of the whole output.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise Problem(
            "the disk (or quota, or limit of a file's size) is full; nothing half-written was left",
            where=where,
            found=os.strerror(error.errno),
            wanted=f"{needed:,} bytes",
            fix="free space, or choose another --save-dir",
        ) from None


def _copy(
    fd: int,
    offset: int,
    piece: Slice,
    source: Source,
    reader: Reader,
    dtype: DType,
    progress: Callable[[int], None],
) -> int:
    crc = 0
    for chunk in chunks(piece, source, reader, dtype):
        crc = crc32(chunk, crc)
        write_at(fd, chunk, offset)
        offset += chunk.size
        progress(chunk.size)
    return crc


def payload(source: Source, dtype: DType) -> int:
    """Bytes of the model's tensors as `dtype`, replicas not counted: what a progress bar can expect."""
    return source.architecture.num_parameters * dtype.itemsize
