"""What results take, and removing those that no configuration needs: said before, never more than that, and nothing is to be made again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from commands import here
from house import House

REPORT = "results/experiments/small/report.html"
SIZE = 5_000_000


@pytest.fixture
def cluttered(finished, tmp_path) -> House:
    """The finished small experiment, beside what others left, and files of one's own."""
    house = finished.copied(tmp_path / "house")
    top = house.path / "results"
    for pattern in ("experiments/small", "datasets/sums/*", "checkpoints/tiny/*"):
        for path in sorted(top.glob(pattern)):
            if path.is_dir():
                shutil.copytree(path, path.with_name("old"), symlinks=True, dirs_exist_ok=True)
    for path in list((top / "generations/tiny").glob("*.json*")):
        hidden = "." * path.name.startswith(".")  # a digest
        shutil.copy(path, path.with_name(f"{hidden}old-{path.name.removeprefix('.')}"))
    (top / "experiments/small/train/work/other").mkdir()
    (top / "experiments/small/train/work/other/state").write_bytes(bytes(SIZE))
    (top / "experiments/old/notes.md").write_text("mine")
    (top / "mine.txt").write_text("mine")
    (top / "experiments/mine").mkdir()
    (top / "experiments/mine/thesis.tex").write_text("mine")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/weights").write_text("mine")
    (top / "checkpoints/tiny/linked").symlink_to(tmp_path / "precious")
    return house


def there(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()
    }


def test_what_nothing_needs_is_said_and_removed_and_nothing_else(cluttered, finished, tmp_path):
    before, kept = there(cluttered.path), there(finished.path)
    sizes = here("sizes.py", "--keep", cluttered.configfile, cwd=cluttered.path)
    assert sizes.returncode == 0, sizes.stderr
    assert there(cluttered.path) == before
    idle = [line for line in sizes.stdout.splitlines() if line.endswith("needed by nothing")]
    assert (
        "5.000 MB  other settings  results/experiments/small/train/work/other  needed by nothing"
        in sizes.stdout
    )
    assert any("results/experiments/small  needed by small" in line for line in sizes.stdout.splitlines())
    done = here("clean.py", "--keep", cluttered.configfile, cwd=cluttered.path)
    assert done.returncode == 0, done.stderr
    assert (
        sum(line.startswith("removing ") for line in done.stdout.splitlines()) == len(idle) - 1
    )  # the last line is the sum
    assert "left as it is: results/experiments/old/notes.md, which no command wrote" in done.stdout
    own = {"experiments/old/notes.md", "mine.txt", "experiments/mine/thesis.tex", "checkpoints/tiny/linked"}
    after = {name for name in there(cluttered.path) if name.startswith("results/")}
    assert after == {name for name in kept if name.startswith("results/")} | {
        f"results/{name}" for name in own
    }
    assert (tmp_path / "precious/weights").read_text() == "mine"
    assert {name for name in before if name.startswith("resources/")} <= there(cluttered.path)
    assert not cluttered.planned("--", REPORT)
    again = here("clean.py", "--keep", cluttered.configfile, cwd=cluttered.path)
    assert "0.000 MB removed, in 0 pieces" in again.stdout


def test_nothing_is_removed_where_it_is_not_known_what_is_needed(cluttered):
    before = there(cluttered.path)
    wrong = cluttered.path / "wrong.yaml"
    wrong.write_text("experiments: {}\n")
    for keep in ([cluttered.configfile, wrong], [cluttered.path / "nowhere.yaml"]):
        done = here("clean.py", "--keep", *keep, cwd=cluttered.path)
        assert done.returncode == 1 and "removing" not in done.stdout
    (cluttered.path / ".snakemake/locks").mkdir(exist_ok=True)
    (cluttered.path / ".snakemake/locks/0.input.lock").write_text("a")
    done = here("clean.py", "--keep", cluttered.configfile, cwd=cluttered.path)
    assert done.returncode == 1 and "a run goes on in this folder, or was killed" in done.stderr
    assert here("clean.py", cwd=cluttered.path).returncode == 2
    (cluttered.path / ".snakemake/locks/0.input.lock").unlink()
    assert there(cluttered.path) - {"wrong.yaml"} == before
