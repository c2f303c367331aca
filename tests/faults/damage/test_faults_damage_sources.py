"""The damage matrix of what comes from elsewhere, and of what a stopped run leaves: locks, wheels, metrics, configurations.

Kernel, graph and code caches are in test_sealed_caches.py and test_generate_graphs.py, journals in test_generate_journal.py:
each is tried there byte by byte or in each of its parts.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import finished_runs
import pytest
from commands import here
from damages import DAMAGES, FINE, Case, flipped, outcome
from fetched_file import NAME, OTHER, RIGHT, lock
from finished_runs import Job
from hub_server import HubServer
from wheels import make_wheel

from distillery import digests
from distillery.fetch import listing

pytestmark = [pytest.mark.mindspore, pytest.mark.faults]
NAMES, READERS = ["locks/known.json", "locks/made.json", "a.whl"], ["plan_outcome", "report_page"]
QUESTIONS = '{"problem": "1 + 1", "answer": "2"}\n{"problem": "2 + 2", "answer": "4"}\n'
IMPORT = "import_problems.py --input a.whl --files texts/a.jsonl --name mine --output mine.parquet"


@pytest.fixture(scope="module")
def hub():
    with HubServer() as one:
        one.repo("lab/math", "dataset", {NAME: RIGHT})
        yield one


def files_of(folder: Path, other: bool) -> None:
    """What the jobs read, whole; or whole and another's."""
    (folder / "locks").mkdir(parents=True)
    made = lock()
    if other:
        made = lock(sha256="0" * 64, bytes=len(OTHER) + 1)
    for name in ("known", "made"):  # a user's own, and the workflow's, which has a digest
        listing.write(folder / f"locks/{name}.json", made)
    digests.record(folder / "locks/made.json")
    texts = QUESTIONS.replace("4", "5") if other else QUESTIONS
    (folder / "packed").mkdir()
    shutil.move(make_wheel(folder / "packed", "texts", {"texts/a.jsonl": texts.encode()}), folder / "a.whl")
    digests.record(folder / "a.whl")


def jobs_of(hub: HubServer) -> dict[str, Job]:
    """{file: the job that reads it}."""
    fetch = f"fetch_shard.py --file {NAME} --endpoint {hub.url} --output out/train.parquet --lock locks"
    return {
        f"locks/{name}.json": Job(
            "fetch_shard", (*f"{fetch}/{name}.json".split(),), (), ("out/train.parquet",)
        )
        for name in ("known", "made")
    } | {"a.whl": Job("import_problems", (*IMPORT.split(),), (), ("mine.parquet",))}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory, hub: HubServer) -> tuple[Path, Path]:
    """Folders of whole files with what each job makes of them, and of others'."""
    base = tmp_path_factory.mktemp("sources")
    for name in ("mine", "other"):
        files_of(base / name, other=name == "other")
    for job in jobs_of(hub).values():
        for name in job.wrote:
            (base / "mine" / name).unlink(missing_ok=True)
        end = finished_runs.run(job, base / "mine")
        assert end.returncode == 0, end
    return base / "mine", base / "other"


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_source_is_taught_or_harmless(sources, hub, whole, name, tmp_path):
    """Each damage in turn of one of the files; all of each with --whole."""
    mine, other = sources
    for damage in list(DAMAGES) if whole else list(DAMAGES)[NAMES.index(name) :: len(NAMES)]:
        came, said = outcome(Case(name, damage, jobs_of(hub)[name]), mine, other, tmp_path / "copy")
        assert came in FINE or (came == "unnamed" and NAME.rpartition("/")[2] in said), (
            name,
            damage,
            came,
            said,
        )


@pytest.mark.parametrize("reader", READERS)
def test_damaged_metrics_are_taught(run, jobs, whole, reader, tmp_path):
    """Each damage in turn before one of the readers; before both with --whole."""
    (metrics,) = (run / "run").glob("results/experiments/*/train/work/*/metrics.jsonl")
    name = str(metrics.relative_to(run / "run"))
    (job,) = [one for one in jobs if one.rule == reader]
    damages = [one for one in DAMAGES if one != "swap"]
    for damage in damages if whole else damages[READERS.index(reader) :: len(READERS)]:
        came, said = outcome(Case(name, damage, job), run / "run", None, tmp_path / "copy")
        assert came == "taught", (damage, came, said)


def test_a_damaged_configuration_is_another_or_taught(tmp_path):
    """A digit that became another is another experiment, and nobody knows better: but nothing is a defect of the command."""
    whole = finished_runs.SMALL.read_bytes()
    path = tmp_path / "experiment.yaml"
    damaged = [flipped(whole, at / 12) for at in range(13)] + [
        whole[: len(whole) * at // 4] for at in range(4)
    ]
    for data in damaged:
        path.write_bytes(data)
        end = here("plan.py", "--configfile", path)
        said = end.stdout + end.stderr
        assert "Traceback" not in said and "defect" not in said, (data, said)
        assert end.returncode == 0 or "error" in said, (data, said)


def test_the_other_experiments_files_differ(sources):
    mine, other = sources
    for name in ("locks/known.json", "a.whl"):
        assert (mine / name).read_bytes() != (other / name).read_bytes()
    assert json.loads((mine / "locks/made.json").read_text())["files"][0]["name"] == NAME
