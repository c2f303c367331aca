"""The kernels that a training trusts: held against composed operations, and named where they are wrong or cannot be built."""

import pytest

from distillery.engine import compiling, composed, kernels, native
from distillery.engine.kernels import choose, mark

pytestmark = pytest.mark.mindspore


def test_native_kernels_equal_the_composed_ones():
    kernels.check(native, composed)


@pytest.mark.parametrize("narrower", [["-mavx2", "-mfma"], ["-msse4.2"]], ids=["avx2", "sse"], indirect=True)
def test_kernels_of_narrower_vectors_equal_the_composed_ones(narrower):
    """The 4-wide code is NEON's, too."""
    kernels.check(native, composed)
    assert list((narrower / "distillery").glob("native-*.so"))


def test_without_a_compiler_composed_ops_run_and_say_so(monkeypatch, tmp_path, capfd):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    compiling.library.cache_clear()
    try:
        assert choose("CPU") is composed
        assert "no C++ compiler" in capfd.readouterr().err
        with pytest.raises(kernels.Problem, match="--kernels composed"):
            choose("CPU", "native")
    finally:
        compiling.library.cache_clear()


def test_another_mindspore_is_held_against_the_kernels_anew(monkeypatch, tmp_path):
    library = tmp_path / "native.so"
    former = mark(library)
    assert former == mark(library)
    (tmp_path / "mindspore-9.9.dist-info").mkdir()
    (tmp_path / "mindspore-9.9.dist-info/METADATA").write_text("Name: mindspore\nVersion: 9.9\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert mark(library) != former


def test_a_wrong_kernel_is_named():
    class Wrong:
        RmsNorm, CrossEntropy, Attention = composed.RmsNorm, composed.CrossEntropy, composed.Attention

        class SwiGlu(composed.SwiGlu):
            def construct(self, gate_up):
                return composed.SwiGlu.construct(self, gate_up) * 1.001

    with pytest.raises(kernels.Problem, match=r"SwiGlu.*output"):
        kernels.check(Wrong, composed)
