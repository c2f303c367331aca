"""A dress rehearsal of the guide's experiment on one workstation: real sizes, random weights, one step's data at a time.

    python benchmarks/rehearsal.py                    # Qwen2.5-Math-7B's shapes, OpenR1-Math-220k's rows; 60 GB of disk
    python benchmarks/rehearsal.py --model 1.5b --shards 2 --rows 18000 --disk 15
    python benchmarks/rehearsal.py --model tiny --shards 2 --rows 80 --disk 1     # in seconds

The experiment of config/qwen2.5-math-7b.yaml is planned. A model of random bf16 weights in hub-like shards is fetched from a
server on this machine. Shards of the corpus maker go through the plan's own commands with the real Qwen2.5 tokenizer: select,
tokenize (two at a time), merge, quality. The weights are converted to TP2 PP1 and TP1 PP2 and back, each beside `cp` and sync of the
same files, both from a cold cache, and proven tensor by tensor; they answer. Each command that would start ranks prints what it would start, and its
flags are held against MindSpeed-LLM's. What a step has read is removed when no later one needs it. A table, also in
--table as it grows: each step's time, memory of its largest process (with the pages of files that it has mapped), and disk, beside the plan's.
A part that fails is told, and the others go on.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "workflow/scripts"
sys.path[:0] = [str(SCRIPTS), str(ROOT / "tests/support"), str(Path(__file__).parent)]

import bench_convert  # noqa: E402
import bench_select  # noqa: E402
import corpus  # noqa: E402
from rehearsal_plan import DATASET, NAME, PROBLEMS, Plan, after, configuration  # noqa: E402
from rehearsal_steps import GB, Rehearsal, apart  # noqa: E402

from distillery.planning.planned_jobs import KEY  # noqa: E402

SIZES = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
SIZES += ("num_key_value_heads", "vocab_size", "max_position_embeddings", "rope_theta")
MODELS = {
    "7b": dict(zip(SIZES, (3584, 18944, 28, 28, 4, 152064, 4096, 10000), strict=True)),
    "1.5b": dict(zip(SIZES, (1536, 8960, 28, 12, 2, 151936, 4096, 10000), strict=True)),
    "tiny": dict(zip(SIZES, (32, 48, 2, 4, 2, 152064, 512, 10000), strict=True)),
}
ROWS, SHARDS = 93_733, 10  # OpenR1-Math-220k's default configuration
MODEL = f"resources/models/{NAME}"
CONVERSION, DATA_SECONDS, DATA_BYTES = (
    1.3,
    150,
    600e6,
)  # wanted: of `cp` and sync; of all shards; of a process


class Quiet(SimpleHTTPRequestHandler):
    """A server of files that does not say what it was asked."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def script(name: str, *words: object) -> list[str]:
    """A command of the project."""
    return [sys.executable, str(SCRIPTS / name), *map(str, words)]


def plan(run: Rehearsal, shards: int, rows: int) -> Plan:
    """The plan of the experiment, made as `make plan` makes it."""
    path = configuration(run.folder, shards, rows)
    _, said = run.step("plan", [script("plan.py", "--json", "--configfile", path)])
    return Plan.read(said)


def fetch(run: Rehearsal, planned: Plan, sizes: dict[str, int]) -> None:
    """Make a model as a hub holds it, and fetch it from a server on this machine."""
    import qwen

    hub = run.folder / "hub"
    apart(bench_convert.make, hub, sizes)
    for path in qwen.directory().glob("*.json"):
        shutil.copy(path, hub / path.name)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(hub))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/{{name}}"
        names = sorted(path.name for path in hub.iterdir())
        words = ("--host", "url", "--repo", "rehearsal", "--repo-type", "model", "--url", address)
        run.step("lock", [script("fetch_lock.py", *words, "--files", *names, "--output", "lock.json")])
        line = script("fetch_model.py", "--lock", "lock.json", "--output-dir", MODEL)
        run.step("fetch model", [line], planned.steps["fetch model"])
        server.shutdown()
    run.drop("hub")
    run.step("override rope", planned.lines("fetch_rotated_model"))


def data(run: Rehearsal, planned: Plan, shards: int, rows: int) -> None:
    """Shards are made; rows are left out, the others tokenized, merged, and looked at."""
    home = run.folder / f"resources/datasets/{DATASET}"
    home.mkdir(parents=True)
    with ThreadPoolExecutor(2) as pool:
        numbers = range(shards)
        for number, made in zip(
            numbers, pool.map(partial(_shard, run.folder, rows, shards), numbers), strict=True
        ):
            made.rename(home / f"train-{number:05d}-of-{shards:05d}.parquet")
    run.drop("raw")
    (run.folder / PROBLEMS).parent.mkdir(parents=True)
    apart(bench_select.problems, min(home.iterdir()), run.folder / PROBLEMS)
    lines, steps = planned.lines("tokenize_shard"), planned.steps
    select, _ = run.step("select", planned.lines("select_rows"), steps["select"])
    card = json.loads((run.folder / planned.flag("select_rows", "--card")).read_text())
    run.note(f"select: {card['kept']:,} of {card['rows']:,} rows are kept")
    tokenize, _ = run.step(f"tokenize {shards} shards, two at a time", lines, steps["tokenize"], at_once=2)
    merge, _ = run.step("merge", planned.lines("tokenize_merge"), steps["merge"])
    quality, _ = run.step("quality", planned.lines("tokenize_quality"), steps["quality"])
    made = run.folder / planned.flag("tokenize_merge", "--output-prefix")
    counts = json.loads(made.with_name(f"{made.name}_manifest.json").read_text())
    took = (select, tokenize, merge, quality)
    run.note(
        f"{shards} shards: {sum(row.seconds for row in took):.0f} s (wanted: at most {DATA_SECONDS}), largest process "
        f"{max(row.memory for row in took) / 1e6:.0f} MB (wanted: at most {DATA_BYTES / 1e6:.0f}); {counts['tokens']:,} tokens of {counts['rows']:,} rows"
    )
    shutil.rmtree(home)
    for path in [*made.parent.rglob("*.bin"), *made.parent.rglob("*.idx")]:
        path.unlink()


def convert(
    run: Rehearsal, planned: Plan, tensor: int, stages: int, mcore: str, then: Callable[[], None]
) -> None:
    """To MCore in a layout, the proof of it, `then` what needs it, and back."""
    layout, common = f"TP{tensor} PP{stages}", ("--use-mcore-models", "--model-type", "GPT")
    source = planned.flag("convert_hf_to_mcore", "--load-dir")
    sizes = ("--target-tensor-parallel-size", tensor, "--target-pipeline-parallel-size", stages)
    way = ("--load-model-type", "hf", "--save-model-type", "mg", "--load-dir", source, "--save-dir", mcore)
    line = script("convert_ckpt.py", *common, *way, *sizes, "--params-dtype", "bf16")
    _beside_copy(run, f"to {layout}", line, MODEL, planned.steps["convert"])
    both = ("--hf-dir", source, "--mcore-dir", mcore, "--output", "proof.json")
    run.step(f"prove {layout}", [script("convert_verify.py", *both)], planned.steps["prove conversion"])
    then()
    way = ("--load-model-type", "mg", "--save-model-type", "hf", "--load-dir", mcore, "--save-dir", "back")
    line = script("convert_ckpt.py", *common, *way, "--hf-cfg-dir", source)
    _beside_copy(run, f"from {layout}", line, mcore, planned.steps["export"])
    both = ("--hf-dir", "back", "--mcore-dir", mcore, "--output", "proof-back.json")
    run.step(f"prove {layout} back", [script("convert_verify.py", *both)], planned.steps["prove export"])


def _beside_copy(run: Rehearsal, name: str, line: list[str], source: str, wanted: dict) -> None:
    """A conversion after `cp` and sync of the files that it reads."""
    bench_convert.ready(run.folder / source, cold=True)
    copied, _ = run.step(
        f"cp and sync, as {name}", [bench_convert.copy(run.folder / source, run.folder / "copy")]
    )
    run.drop("copy")
    bench_convert.ready(run.folder / source, cold=True)
    ours, _ = run.step(name, [line], wanted)
    run.note(
        f"{name}: {ours.seconds / copied.seconds:.2f} x the time of cp and sync (wanted: at most {CONVERSION})"
    )


def launch(run: Rehearsal, planned: Plan) -> None:
    """Each command that starts ranks prints its line, with all files before it in place."""
    launches = planned.launches()
    run.step(f"{len(launches)} launch lines", [line for line, _ in launches])
    same = 0
    for line, started in launches:
        said = (run.folder / after(line, "--log")).read_text()
        print(said)
        same += bool(re.search(re.escape(started).replace(KEY, "[0-9a-f]{16}"), said))
    run.note(f"launch lines: {same} of {len(launches)} are the plan's, word for word")


def answer(run: Rehearsal, problems: int, tokens: int) -> None:
    """Answers of the engine from the bf16 weights as they were fetched."""
    lines = (json.dumps({"prompt": f"What is {n} + {n}?"}) for n in range(1, problems + 1))
    (run.folder / "questions.jsonl").write_text("".join(f"{line}\n" for line in lines))
    words = ("--load", MODEL, "--tokenizer-name-or-path", MODEL, "--prompt-file", "questions.jsonl")
    words += ("--prompt-type", "qwen_math_r1", "--task", "greedy", "--max-new-tokens", tokens)
    words += ("--micro-batch-size", problems, "--seq-length", 256, "--output", "answers.jsonl")
    run.step(f"{problems} answers of {tokens} tokens", [script("inference.py", *words)])


def _shard(folder: Path, rows: int, shards: int, number: int) -> Path:
    """A shard's even share of the rows, of a seed of its own."""
    count = rows * (number + 1) // shards - rows * number // shards
    (made,) = apart(corpus.make, folder / f"raw/{number}", 1, count, 7 + number)
    return made


def rehearse(run: Rehearsal, args: argparse.Namespace) -> None:
    """All parts; those that need what failed are left out."""
    made: list[Plan] = []
    if not run.part("the plan", lambda: made.append(plan(run, args.shards, args.rows))):
        return
    (planned,) = made
    if not run.part("fetching", lambda: fetch(run, planned, MODELS[args.model])):
        return
    tokenized = run.part("data", lambda: data(run, planned, args.shards, args.rows))
    mcore = planned.flag("convert_hf_to_mcore", "--save-dir")

    def lines() -> None:
        if tokenized:  # else there is no manifest of data to start a training with
            run.part("launch lines", partial(launch, run, planned))

    for tensor, stages, also in ((2, 1, lines), (1, 2, lambda: None)):
        run.part(f"TP{tensor} PP{stages}", partial(convert, run, planned, tensor, stages, mcore, also))
        run.drop(mcore, "back", "copy")
    run.part("answers", lambda: answer(run, args.problems, args.tokens))


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", choices=MODELS, default="7b")
    p.add_argument("--shards", type=int, default=SHARDS)
    p.add_argument("--rows", type=int, default=ROWS, help="of all shards together")
    p.add_argument("--problems", type=int, default=4)
    p.add_argument("--tokens", type=int, default=16)
    p.add_argument(
        "--disk", type=float, default=60, metavar="GB", help="free disk below which nothing begins"
    )
    p.add_argument("--directory", type=Path, help="where the temporary folder is made (default: TMPDIR)")
    p.add_argument("--table", type=Path, default=ROOT / "results/rehearsal.md", help="file for the table")
    args = p.parse_args()
    with tempfile.TemporaryDirectory(dir=args.directory, prefix="rehearsal-") as name:
        free = shutil.disk_usage(name).free / GB
        if free < args.disk:
            raise SystemExit(
                f"{Path(name).parent}: {free:.0f} GB free, wanted {args.disk:g} GB; free some, or name another --directory"
            )
        run = Rehearsal(Path(name).resolve(), args.table)
        rehearse(run, args)
        run.end()
    print(f"\n{args.table.read_text()}")
    raise SystemExit(1 if run.failed else 0)


if __name__ == "__main__":
    main()
