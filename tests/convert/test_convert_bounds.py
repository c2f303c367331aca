"""Small .pt files that ask for gigabytes, for endless time or for more stack than there is: refused within bounds."""

from __future__ import annotations

import collections
import pickle
import zipfile
from pathlib import Path

import measured
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillery.convert import pickle_bounds, unpickling
from distillery.problems import Problem

TWICE = b"q\x00h\x00\x86"  # memo 0, the same once more, a tuple of both


def doubled(times: int, end: bytes) -> bytes:
    """A tuple of two equal tuples of two equal tuples ..., and what is done with it."""
    return b"\x80\x02" + b"}" + b")" + TWICE * times + end


PICKLES = {
    "a key that takes forever to hash": doubled(60, b"K\x01s."),
    "tuples too deep to hash": b"\x80\x02})" + b"\x85" * 100_000 + b"K\x01s.",
    "lists too deep to show": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "a memo of 2^31 places": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "an array of 2^40 bytes": b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b"abc.",
    "a text of 2^40 bytes": b"\x80\x04\x8d" + (1 << 40).to_bytes(8, "little") + b"abc.",
    "lists copied again and again": b"\x80\x02("
    + b"K\x01" * 20_000
    + b"tq\x01cbuiltins\nlist\nq\x020("
    + b"h\x02h\x01\x85R" * 20_000
    + b"t.",
}


def container(path: Path, data: bytes, packing: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("model_optim_rng/data.pkl", data)
        archive.writestr("model_optim_rng/byteorder", b"little")
    return path


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("name", PICKLES)
def test_a_small_pickle_grows_into_nothing_large(tmp_path, name):
    path = container(tmp_path / "model_optim_rng.pt", PICKLES[name])
    said = measured.refused(
        path.stat().st_size, "-c", measured.AS_COMMAND, "distillery.convert.torchfile", "read", path
    )
    assert str(path) in said


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("member", ["data.pkl", "byteorder"])
def test_a_packed_record_is_not_unpacked(tmp_path, member):
    path = tmp_path / "model_optim_rng.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data.pkl", b"\x80\x02}.", zipfile.ZIP_STORED)
        archive.writestr(f"m/{member}2", b"")
        with archive.open(
            f"m/{member}" if member != "data.pkl" else "n/data.pkl", "w", force_zip64=True
        ) as one:
            for _ in range(400):
                one.write(bytes(1 << 20))
    said = measured.refused(
        path.stat().st_size, "-c", measured.AS_COMMAND, "distillery.convert.torchfile", "read", path
    )
    assert str(path) in said


PLAIN = st.recursive(
    st.none() | st.integers() | st.text(max_size=9) | st.binary(max_size=9) | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=4), inner, max_size=4)
        | st.builds(
            lambda items: collections.OrderedDict(items),
            st.dictionaries(st.text(max_size=3), inner, max_size=3),
        )
    ),
    max_leaves=30,
)


@pytest.mark.slow
@settings(max_examples=50)
@given(value=PLAIN, protocol=st.integers(0, 5))
def test_what_pickle_writes_is_within_bounds(value, protocol):
    data = pickle.dumps(value, protocol)
    pickle_bounds.check(data, "x.pt")
    if protocol > 2:  # below, bytes have a constructor that is refused
        assert unpickling.load(data, "x.pt") == value


@given(
    st.binary(max_size=60)
    | st.lists(st.sampled_from(b"().}]eNtq\x00h\x85\x86\x87K\x01sauR0"), max_size=60).map(bytes)
)
def test_any_bytes_are_an_object_or_a_problem(data):
    try:
        unpickling.load(data, "x.pt")
    except Problem as problem:
        assert "x.pt" in str(problem)
