"""Parsers of files that others wrote, fed with damaged ones: python fuzz_worker.py FOLDER EXAMPLES SEED PARSER...

In a process of its own: its address space is limited to what it has plus four times the input plus 300 MB, an example gets ten
seconds, and whatever Python itself opens for writing, makes, renames or starts outside FOLDER ends the example as a fault.
Prints a line for each parser, `PARSER examples problems`, and fails with hypothesis's smallest example.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from fuzz_parsers import PARSERS
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from distillery.problems import Problem

SPARE = 300 << 20  # bytes, whatever the input's size
SECONDS = 10
TASTY = (
    b"\x00",
    b"\xff" * 8,
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"NaN",
    b"1" * 5000,
    b"[" * 3000,
    b"\xed\xa0\x80",
)
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=5)
    | st.just("../x"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, above: tuple = ()) -> list[tuple]:
    """Where something stands in a JSON value."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [above, *(place for key, one in below for place in places(one, (*above, key)))]


def replaced(value: Any, place: tuple, other: Any) -> Any:
    if not place:
        return other
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = replaced(copy[place[0]], place[1:], other)
    return copy


def parsed(data: bytes, name: str) -> Any:
    """The tree that a file holds, if it is of JSON or YAML."""
    if name.endswith(".yaml"):
        return yaml.safe_load(data)
    return json.loads(data) if name.endswith(".json") else None


@st.composite
def damaged(draw: st.DrawFn, whole: bytes, tree: Any, name: str) -> bytes:
    """The file with another value somewhere in its tree, or with bytes that are others, more or fewer."""
    if tree is not None and draw(st.booleans()):
        value = replaced(tree, draw(st.sampled_from(places(tree))), draw(ANYTHING))
        return (yaml.safe_dump(value) if name.endswith(".yaml") else json.dumps(value)).encode(
            "utf-8", "surrogatepass"
        )
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(whole)) | st.integers(0, min(len(whole), 400)))
        gone = draw(st.sampled_from([0, 0, 1, 4, 8, 100]))
        put = draw(st.binary(max_size=9) | st.sampled_from(TASTY) | st.just(whole[at : at + 60]))
        whole = whole[:at] + put + whole[at + (len(put) if draw(st.booleans()) else gone) :]
    return whole[: draw(st.integers(0, len(whole)))] if draw(st.integers(0, 9)) == 0 else whole


reading: list[bool] = []  # while a parser has the word


class Outside(BaseException):
    """Something was written or started that is none of the target's."""


def watched(folder: Path) -> None:
    """From now on, say what this process writes outside of a folder, or starts."""
    allowed = (f"{folder}{os.sep}", "/dev/null", "/proc/self/")

    def hook(event: str, words: tuple) -> None:
        if not reading:
            return
        if event == "open" and isinstance(words[0], str | bytes):
            written = words[2] is not None and words[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            names = [words[0]] if written else []
        elif event in ("os.mkdir", "os.remove", "os.rmdir", "os.truncate"):
            names = [words[0]]
        elif event in ("os.rename", "os.link", "os.symlink"):
            names = [words[1]]
        elif event in ("os.system", "os.exec", "ctypes.dlopen") or (event == "pickle.find_class"):
            raise Outside(event, words)
        else:
            return
        for name in map(os.fsdecode, names):
            if "__pycache__" not in name and not os.path.abspath(name).startswith(allowed):
                raise Outside(event, name)

    sys.addaudithook(hook)


def late(*_: object) -> None:
    raise TimeoutError(f"more than {SECONDS} seconds")


def address_space() -> int:
    """Bytes that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def whole(name: str, folder: Path) -> tuple[Path, bytes]:
    """(the file of a parser, whole, in a folder of its own; its bytes), once it was read and what that takes is imported."""
    file, make, read = PARSERS[name]
    (folder / name).mkdir()
    path = folder / name / file
    make(path)
    read(path)
    return path, path.read_bytes()


def attempt(read: Callable[[Path], object], path: Path, data: bytes) -> bool:
    """Whether a parser made a Problem of these bytes; what else it raises, or takes, is a fault."""
    path.write_bytes(data)
    limit = address_space() + 4 * len(data) + SPARE
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    signal.alarm(SECONDS)
    reading.append(True)
    try:
        read(path)
    except Problem:
        return True
    finally:
        reading.clear()
        signal.alarm(0)
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return False


def fuzz(name: str, folder: Path, examples: int, start: int) -> str:
    path, data = whole(name, folder)
    outcomes = []

    @seed(start)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(damaged(data, parsed(data, path.name), path.name))
    def tried(data: bytes) -> None:
        outcomes.append(None)
        outcomes[-1] = attempt(PARSERS[name][2], path, data)

    tried()
    return f"{name}: {len(outcomes)} examples, {outcomes.count(True)} problems"


def begin(folder: Path) -> None:
    """From now on this process works in a folder of its own, and says what it does outside of it."""
    signal.signal(signal.SIGALRM, late)
    folder.mkdir(parents=True)
    os.chdir(folder)
    watched(folder)


if __name__ == "__main__":
    target, count, start, *names = (
        Path(sys.argv[1]).resolve(),
        int(sys.argv[2]),
        int(sys.argv[3]),
        *sys.argv[4:],
    )
    begin(target)
    for one in names:
        print(fuzz(one, target, count, start), flush=True)
