"""Whole runs: any number of workers, merged shards, bad rows, limits, damaged files, kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import merge_datasets
import numpy as np
import preprocess_data
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillery import files
from distillery.data import indexed
from distillery.data.layout import PACKED_STEMS, DatasetFiles
from distillery.data.tokenizing import Block, Recipe
from distillery.problems import Problem

DATA = Path(__file__).parent / "data" / "data"
FULL = DATA / "tokenizers" / "full"
SCRIPTS = Path(preprocess_data.__file__).parent
TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}
FLAGS = ["--handler-name", "SharegptStyleInstructionHandler", "--prompt-type", "qwen_math_r1"]
FLAGS += ["--map-keys", json.dumps({"messages": "messages", "tags": TAGS})]


def shard(path: Path, conversations: list[list[tuple[str, str | None]]], first: int = 0) -> Path:
    message = pa.struct([("content", pa.string()), ("role", pa.string())])
    schema = pa.schema({"uuid": pa.string(), "messages": pa.list_(message)})
    rows = [
        {"uuid": f"u{first + n}", "messages": [{"role": role, "content": content} for role, content in turns]}
        for n, turns in enumerate(conversations)
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema), path, row_group_size=50)
    return path


def asked(question: str, answer: str | None) -> list[tuple[str, str | None]]:
    return [("user", question), ("assistant", answer)]


def run(source: Path, prefix: Path, *more: str, tokenizer: Path = FULL) -> dict:
    flags = [
        "--input",
        str(source),
        "--output-prefix",
        str(prefix),
        "--tokenizer-name-or-path",
        str(tokenizer),
    ]
    preprocess_data.main(preprocess_data.parser().parse_args([*flags, *FLAGS, *more]))
    return files.read_json(DatasetFiles(prefix).manifest)


def merge(prefixes: list[Path], target: Path) -> dict:
    flags = ["--input-prefixes", *map(str, prefixes), "--output-prefix", str(target)]
    merge_datasets.main(merge_datasets.parser().parse_args(flags))
    return files.read_json(DatasetFiles(target).manifest)


def contents(prefix: Path) -> dict[str, bytes]:
    """All files of a prefix, by the rest of their names."""
    return {
        path.name.removeprefix(prefix.name): path.read_bytes()
        for path in prefix.parent.glob(f"{prefix.name}_*")
    }


def sequences(prefix: Path, stem: str) -> list[list[int]]:
    made = DatasetFiles(prefix)
    index = indexed.read(made.bin(stem), made.idx(stem))
    values = np.fromfile(made.bin(stem), "<i4")
    return [part.tolist() for part in np.split(values, np.cumsum(index.lengths)[:-1])]


MANY = [
    asked(f"{n} + {n}?" * (1 + n % 7), f"<think>\n{n}\n</think>\n\n\\boxed{{{2 * n}}}") for n in range(330)
]
MANY[7] = [("user", "alone")]
MANY[200] = asked("q", None)


@pytest.mark.parametrize("more", [[], ["--seq-length", "300", "--pack"]])
def test_the_same_bytes_for_any_number_of_workers(more: list[str], tmp_path: Path) -> None:
    source = shard(tmp_path / "rows.parquet", MANY)
    outputs = []
    for workers in ("1", "2", "4"):
        prefix = tmp_path / f"w{workers}" / "d"
        prefix.parent.mkdir()
        run(source, prefix, "--workers", workers, *more)
        outputs.append(contents(prefix))
    assert outputs[0] == outputs[1] == outputs[2]
    assert sorted(outputs[0]) == sorted(
        [f"_{stem}_document.{kind}" for stem in PACKED_STEMS for kind in ("bin", "idx")]
        + ["_manifest.json", "_rows.parquet", "_rejected.jsonl"]
    )


def test_ten_shards_merged_are_one(tmp_path: Path) -> None:
    whole = run(shard(tmp_path / "all.parquet", MANY), tmp_path / "whole", "--seq-length", "150")
    prefixes = []
    for number in range(10):
        part = shard(tmp_path / f"s{number}.parquet", MANY[33 * number : 33 * number + 33], 33 * number)
        prefixes.append(tmp_path / f"part{number}")
        run(part, prefixes[-1], "--seq-length", "150")
    merged = merge(prefixes[::-1], tmp_path / "merged")
    data = [f"_{stem}_document.{kind}" for stem in PACKED_STEMS for kind in ("bin", "idx")]
    one, ten = contents(tmp_path / "whole"), contents(tmp_path / "merged")
    assert [one[name] for name in data] == [ten[name] for name in data]
    for key in (
        "rows",
        "kept",
        "tokens",
        "supervised_tokens",
        "documents",
        "rejected",
        "roles",
        "template",
        "tokenizer",
    ):
        assert merged[key] == whole[key], key
    assert [entry["name"] for entry in merged["inputs"]] == [f"s{number}.parquet" for number in range(10)]
    uuids = [
        pq.read_table(DatasetFiles(tmp_path / name).rows)["uuid"].to_pylist() for name in ("whole", "merged")
    ]
    assert uuids[0] == uuids[1]
    assert ten["_rejected.jsonl"].count(b"\n") == 2
    assert whole["dropped"]["overlong"]["count"] == merged["dropped"]["overlong"]["count"] > 0


def test_directories_are_merged_inputs(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in (1, 0):
        shard(tmp_path / "in" / f"s{number}.parquet", MANY[33 * number : 33 * number + 33], 33 * number)
    manifest = run(tmp_path / "in", tmp_path / "d")
    assert [(entry["name"], entry["rows"]) for entry in manifest["inputs"]] == [
        ("s0.parquet", 33),
        ("s1.parquet", 33),
    ]
    rows = pq.read_table(DatasetFiles(tmp_path / "d").rows).to_pylist()
    assert rows[0] == {"shard": "s0.parquet", "row": 0, "uuid": "u0"}
    assert rows[-1] == {"shard": "s1.parquet", "row": 32, "uuid": "u65"}


def test_merging_what_does_not_belong_together(tmp_path: Path) -> None:
    source = shard(tmp_path / "a.parquet", MANY[:5])
    run(source, tmp_path / "a")
    run(source, tmp_path / "b", "--append-eod")
    with pytest.raises(Problem, match="differ in options"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "m")
    with pytest.raises(Problem, match="with itself"):
        merge([tmp_path / "a", tmp_path / "a"], tmp_path / "m")
    with pytest.raises(Problem, match="without a manifest"):
        merge([tmp_path / "a", tmp_path / "c"], tmp_path / "m")
    DatasetFiles(tmp_path / "a").bin("packed_labels").write_bytes(b"1234")
    with pytest.raises(Problem, match="does not fit its index"):
        merge([tmp_path / "a"], tmp_path / "m")
    assert not list(tmp_path.glob("*m_*"))


ODD = [
    asked("plain", "a"),
    [("user", "q"), ("assistant", "a"), ("user", None), ("assistant", None)],
    asked("say <|im_end|>", "a"),
    [("user", "q"), ("user", "q2")],
    [],
    asked("q", ""),
]


def test_bad_rows_are_quarantined_and_odd_ones_named(tmp_path: Path) -> None:
    source = shard(tmp_path / "odd.parquet", ODD)
    manifest = run(source, tmp_path / "d")
    assert (manifest["rows"], manifest["kept"]) == (6, 4)
    assert manifest["rejected"] == {"count": 2, "reasons": {"a role out of turn": 1, "no messages": 1}}
    lines = DatasetFiles(tmp_path / "d").rejected.read_text("utf-8").splitlines()
    first = {"file": "odd.parquet", "row": 3, "uuid": "u3", "reason": "a role out of turn"}
    assert json.loads(lines[0]) == first | {"detail": "message 1: found 'user', wanted assistant"}
    named = {note: [row["uuid"] for row in entry["rows"]] for note, entry in manifest["noted"].items()}
    assert named == {
        "messages without content were left out": ["u1"],
        "text that spells a special token": ["u2"],
    }
    strict = run(source, tmp_path / "s", "--strict")
    assert (strict["kept"], strict["noted"]) == (2, {})
    assert strict["rejected"]["count"] == 4
    clean = run(shard(tmp_path / "clean.parquet", ODD[:1]), tmp_path / "d")
    assert clean["rejected"]["count"] == 0
    assert not DatasetFiles(tmp_path / "d").rejected.exists()


def test_too_many_rejected_rows(tmp_path: Path) -> None:
    source = shard(tmp_path / "odd.parquet", ODD)
    with pytest.raises(
        Problem, match=r"(?s)2 of 6 rows \(33.33%\): a role out of turn \(1\); no messages \(1\)"
    ):
        run(source, tmp_path / "d", "--max-rejected-share", "0.3")
    assert run(source, tmp_path / "e", "--max-rejected-share", "0.34")["kept"] == 4
    with pytest.raises(Problem, match="no row is left"):
        run(shard(tmp_path / "none.parquet", [[], []]), tmp_path / "d")
    with pytest.raises(Problem, match="no rows"):
        run(shard(tmp_path / "void.parquet", []), tmp_path / "d")
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(("d_", ".d_"))]


def test_special_tokens_in_text(tmp_path: Path) -> None:
    source = shard(tmp_path / "rows.parquet", [asked("say <|im_end|>!", "ok"), asked("b", "c")])
    decoded = {}
    for policy in ("keep", "escape"):
        run(source, tmp_path / policy, "--special-tokens-in-text", policy)
        ids = sequences(tmp_path / policy, "packed_input_ids")[0]
        tokenizer = Recipe(FULL, FLAGS[1], "qwen_math_r1").renderer().tokenizer
        decoded[policy] = tokenizer.backend.decode(ids, skip_special_tokens=False)
        assert ids.count(tokenizer.id_of("<|im_end|>")) == (4 if policy == "keep" else 3)
    assert "say <|im_end|>!" in decoded["keep"] and "say < |im_end|>!" in decoded["escape"]
    assert run(source, tmp_path / "reject", "--special-tokens-in-text", "reject")["kept"] == 1


def test_overlong_rows(tmp_path: Path) -> None:
    rows = [asked("a", "b"), asked("a", "long " * 300), asked("long " * 300, "b")]
    source = shard(tmp_path / "rows.parquet", rows)
    limit = ["--seq-length", "200"]
    assert run(source, tmp_path / "d", *limit, "--overlong", "drop")["kept"] == 1
    assert contents(tmp_path / "d")["_packed_labels_document.bin"] == _after(
        run(source, tmp_path / "r", *limit), tmp_path / "r", "_packed_labels_document.bin"
    )
    with pytest.raises(Problem, match=r"rows\.parquet, row 1 \(uuid u1\)"):
        run(source, tmp_path / "e", *limit, "--overlong", "error")
    cut = run(source, tmp_path / "t", *limit, "--overlong", "truncate-keep-eos")
    assert (cut["kept"], cut["truncated"], cut["dropped"]["overlong"]["count"]) == (2, 1, 1)
    ids, labels = (sequences(tmp_path / "t", f"packed_{field}")[1] for field in ("input_ids", "labels"))
    assert len(ids) == len(labels) == 199
    assert ids[-1] == labels[-1] == cut["template"]["eos_token_id"]
    packed = run(source, tmp_path / "n", *limit, "--pack", "--neat-pack")
    assert (packed["kept"], packed["truncated"]) == (3, 2)


def _after(_: dict, prefix: Path, name: str) -> bytes:
    return contents(prefix)[name]


def test_packed_rows_are_lists(tmp_path: Path) -> None:
    run(shard(tmp_path / "rows.parquet", MANY[:30]), tmp_path / "d", "--seq-length", "400", "--pack")
    rows = pq.read_table(DatasetFiles(tmp_path / "d").rows).to_pylist()
    assert len(rows) == len(sequences(tmp_path / "d", "packed_input_ids"))
    assert sorted(number for row in rows for number in row["row"]) == [n for n in range(30) if n != 7]
    assert all(row["uuid"] == [f"u{number}" for number in row["row"]] for row in rows)


def test_max_samples(tmp_path: Path) -> None:
    source = shard(tmp_path / "rows.parquet", MANY)
    manifest = run(source, tmp_path / "d", "--max-samples", "101", "--workers", "2")
    assert (manifest["rows"], manifest["kept"]) == (101, 100)


@pytest.mark.parametrize("damage", ["truncated", "empty", "schema", "other"])
def test_damaged_shards_leave_nothing(damage: str, tmp_path: Path) -> None:
    source = shard(tmp_path / "rows.parquet", MANY)
    words = {"truncated": "footer", "empty": "0 bytes", "schema": "column messages", "other": "footer"}[
        damage
    ]
    if damage == "schema":
        pq.write_table(pa.table({"text": ["a"]}), source)
    else:
        whole = source.read_bytes()
        source.write_bytes({"truncated": whole[:-900], "empty": b"", "other": b"not parquet" * 99}[damage])
    (tmp_path / "out").mkdir()
    with pytest.raises(Problem, match=rf"(?s)rows\.parquet.*{words}"):
        run(source, tmp_path / "out" / "d")
    assert not list((tmp_path / "out").iterdir())


def test_a_damaged_row_group_leaves_nothing(tmp_path: Path) -> None:
    source = shard(tmp_path / "rows.parquet", MANY)
    start = pq.ParquetFile(source).metadata.row_group(3).column(1).data_page_offset
    content = bytearray(source.read_bytes())
    content[start : start + 40] = b"\xff" * 40
    source.write_bytes(bytes(content))
    (tmp_path / "out").mkdir()
    for workers in ("1", "2"):
        with pytest.raises(Problem, match=r"rows\.parquet, row group 3 of 7"):
            run(source, tmp_path / "out" / "d", "--workers", workers)
        assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_kill_leaves_nothing_that_a_rerun_trips_over(workers: str, tmp_path: Path) -> None:
    source = shard(tmp_path / "rows.parquet", MANY * 60)
    (tmp_path / "out").mkdir()
    prefix = tmp_path / "out" / "d"
    flags = [
        "--input",
        source,
        "--output-prefix",
        prefix,
        "--tokenizer-name-or-path",
        FULL,
        *FLAGS,
        "--workers",
        workers,
    ]
    command = [sys.executable, SCRIPTS / "preprocess_data.py", *flags, "--encoder", "exact"]
    with subprocess.Popen(
        list(map(str, command)), stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        spool = prefix.with_name(".d_packed_input_ids_document.bin.partial")
        while not (spool.exists() and spool.stat().st_size):
            time.sleep(0.002)
            assert process.poll() is None, "ended before it could be killed"
        os.kill(process.pid, signal.SIGKILL)
    assert not [path.name for path in prefix.parent.iterdir() if path.name[0] != "."]
    deadline = time.monotonic() + 10
    while _alive(process.pid):  # its workers notice and end
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run(source, prefix, "--workers", workers)
    run(source, tmp_path / "d", "--workers", workers)
    assert contents(prefix) == contents(tmp_path / "d")
    assert not [path.name for path in prefix.parent.iterdir() if path.name[0] == "."]


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_worker_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from distillery.data import tokenizing

    source = shard(tmp_path / "rows.parquet", MANY)
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(
        tokenizing.ConversationWork, "__call__", lambda self, block: os.kill(os.getpid(), signal.SIGKILL)
    )
    with pytest.raises(Problem, match="fewer --workers"):
        run(source, tmp_path / "out" / "d", "--workers", "2")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--hf-chat-template"], "--prompt-type and --hf-chat-template"),
        (["--overlong", "drop"], "--seq-length"),
        (["--workers", "0"], "at least 1"),
        (["--prompt-type", "qwen9"], "qwen3"),
        (["--handler-name", "GeneralPretrainHandler"], "plain text"),
    ],
)
def test_flags_that_do_not_go_together(more: list[str], words: str, tmp_path: Path) -> None:
    source = shard(tmp_path / "rows.parquet", MANY[:3])
    with pytest.raises(Problem, match=words) as caught:
        run(source, tmp_path / "d", *more)
    assert caught.value.exit_code == 2


def test_strays_and_stale_orders(tmp_path: Path) -> None:
    """Training globs for fields, and keeps sample orders that a new dataset of the same name must not inherit."""
    source = shard(tmp_path / "rows.parquet", MANY[:5])
    order, other = (
        tmp_path / "d_train_indexmap_9ns_1234s_decoder_packed_idx.npy",
        tmp_path / "e_train_indexmap_1.npy",
    )
    order.touch()
    other.touch()
    run(source, tmp_path / "d")
    assert other.exists() and not order.exists()
    stray = tmp_path / "d_packed_foo_document.bin"
    stray.touch()
    with pytest.raises(Problem, match="d_packed_foo_document"):
        run(source, tmp_path / "d")
    run(source, tmp_path / "part")
    with pytest.raises(Problem, match="d_packed_foo_document"):
        merge([tmp_path / "part"], tmp_path / "d")


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from distillery.data import outputs

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(outputs.Outputs, "_write", full)
    source = shard(tmp_path / "rows.parquet", MANY[:5])
    with pytest.raises(Problem, match="disk is full"):
        run(source, tmp_path / "d")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.parquet"]


@pytest.mark.parametrize("text", ["{messages: messages}", "[1]"])
def test_map_keys_must_be_a_json_object(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [
        "--input",
        "a",
        "--output-prefix",
        "b",
        "--tokenizer-name-or-path",
        "c",
        *FLAGS,
        "--map-keys",
        text,
    ]
    with pytest.raises(SystemExit) as caught:
        preprocess_data.parser().parse_args(flags)
    assert caught.value.code == 2
    assert "not" in capsys.readouterr().err.splitlines()[-1]


def test_plain_text_is_merged_too(tmp_path: Path) -> None:
    """Pre-training text has one dataset for each column, no `_packed` in its names and nothing masked."""
    for number, texts in enumerate((["a b", "", "c"], ["long " * 40, "d"])):
        rows = [{"text": text, "other": text + "!"} for text in texts]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"s{number}.parquet")
        flags = ["--input", tmp_path / f"s{number}.parquet", "--output-prefix", tmp_path / f"p{number}"]
        flags += [
            "--tokenizer-name-or-path",
            FULL,
            "--handler-name",
            "GeneralPretrainHandler",
            "--append-eod",
        ]
        flags += ["--json-keys", "text", "other", "--seq-length", "100"]
        preprocess_data.main(preprocess_data.parser().parse_args(list(map(str, flags))))
    manifest = merge([tmp_path / "p1", tmp_path / "p0"], tmp_path / "m")
    assert (manifest["rows"], manifest["kept"], manifest["dropped"]["overlong"]["count"]) == (5, 4, 1)
    assert manifest["noted"]["empty text"]["count"] == 1
    hub = Recipe(FULL, "GeneralPretrainHandler").work().tokenizer
    bos, eos = hub.special_id("bos"), hub.special_id("eos")
    expected = {"text": ["a b", "c", "d"], "other": ["a b!", "!", "c!", "d!"]}
    for stem, texts in expected.items():
        assert sequences(tmp_path / "m", stem) == [[bos, *hub.encode(text), eos, eos] for text in texts]
    assert not list(tmp_path.glob("*_packed_*"))


text = st.text(st.characters(codec="utf-8"), max_size=30)
WORK = Recipe(FULL, FLAGS[1], "qwen_math_r1", json.loads(FLAGS[-1])).work()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(text, text), min_size=1, max_size=4), st.one_of(st.none(), text))
def test_any_conversation_round_trips(turns: list[tuple[str, str]], system: str | None) -> None:
    """Ids decode to the rendered text; labels are the answers with one eos each and nothing else."""
    messages = [{"role": "system", "content": system}] if system is not None else []
    for question, answer in turns:
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    part = WORK(Block("rows", 0, [{"messages": messages}]))
    ids, labels = part.tokens["input_ids"], part.tokens["labels"]
    decode = WORK.tokenizer.backend.decode
    default = WORK.renderer.template.default_system
    rendered = f"<|im_start|>system\n{system or default}<|im_end|>\n" + "\n".join(
        f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n{answer}<|im_end|>"
        for question, answer in turns
    )
    # `{{idx}}` in a question becomes the number of the turn, as in the reference
    if not any("{{idx}}" in question for question, _ in turns):
        assert decode(ids.tolist(), skip_special_tokens=False) == rendered
    supervised = labels != -100
    assert (labels[supervised] == ids[supervised]).all()
    answers = "".join(f"{answer}<|im_end|>" for _, answer in turns)
    assert decode(labels[supervised].tolist(), skip_special_tokens=False) == answers


def test_progress_goes_to_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(shard(tmp_path / "rows.parquet", MANY), tmp_path / "d", "--log-interval", "100")
    shown = capsys.readouterr()
    assert [line.split(" (")[0] for line in shown.err.splitlines()[1:]] == [
        f"processed {n} rows" for n in (100, 200, 300)
    ]
    assert shown.err.startswith("encoder: exact (gigatoken was not verified")
    assert shown.out.startswith("330 rows: 328 kept, 2 rejected, 0 too long; 328 sequences, ")
