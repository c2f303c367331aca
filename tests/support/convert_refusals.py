"""Conversions that must fail, of the tiny model."""

from convert_parts import HF, TO_MG, convert

TINY = HF / "tiny"


def refused(tmp_path, *words, code=1, load=TINY, base=TO_MG, **options) -> str:
    """A conversion that must fail; returns its message, having checked that no file was left."""
    out = tmp_path / "out"
    said = convert(*base, *words, "--load-dir", load, "--save-dir", out, code=code, **options)
    left = [path for path in out.rglob("*") if path.is_file()] if out.exists() else []
    assert left == []
    assert "Traceback" not in said
    return said


def has(said: str, *parts: str) -> None:
    for part in parts:
        assert part in said, said
