"""What becomes of odd rows and over-long rows, and how many are too many."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import preprocess_data
import pytest
from tokenize_runs import FLAGS, FULL, MANY, TAGS, asked, contents, run, sequences, shard

from distillery.experiment import Dataset, Source, Tokenization
from distillery.launch import commandline
from distillery.problems import Problem
from distillery.tokenize.dataset_files import DatasetFiles
from distillery.tokenize.documents import DocumentMaker, Rules
from distillery.tokenize.parts import Block
from distillery.tokenize.row_spans import Recipe

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
        "an empty answer": ["u5"],
    }
    strict = run(source, tmp_path / "s", "--strict")
    assert (strict["kept"], strict["noted"]) == (1, {})
    assert strict["rejected"]["count"] == 5
    clean = run(shard(tmp_path / "clean.parquet", ODD[:1]), tmp_path / "d")
    assert clean["rejected"]["count"] == 0
    assert not DatasetFiles(tmp_path / "d").rejected.exists()


def test_what_the_reference_loses_is_noted() -> None:
    recipe = Recipe(FULL, FLAGS[1], "qwen", {"messages": "m", "tools": "tools"})
    lost = "not json", "[]", "", None, '[{"name": "x"}]'
    rows = [
        {"m": [{"from": "human", "value": "{{idx}}"}, {"from": "gpt", "value": "a"}], "tools": each}
        for each in lost
    ]
    rows += [{"m": [{"from": "human", "value": "q"}, {"from": "function_call", "value": "?"}], "tools": None}]
    part = recipe.work()(Block("rows", 0, rows))
    noted = {note: [row for each, row, _ in part.noted if each == note] for note, _, _ in part.noted}
    assert noted == {
        "{{idx}} in a question became the number of the turn": [0, 1, 2, 3, 4],
        "tools that could not be rendered were left out": [0, 4],
        "a function call that could not be read became an empty one": [5],
    }


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
    # why there is nothing else
    left = [path.name for path in tmp_path.iterdir() if path.name.startswith(("d_", ".d_"))]
    assert left == ["d_rejected.jsonl"]


def test_notes_are_counted_loudly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(shard(tmp_path / "odd.parquet", ODD), tmp_path / "d")
    assert capsys.readouterr().out.splitlines()[1:] == [
        "1 rows: an empty answer",
        "1 rows: messages without content were left out",
        "1 rows: text that spells a special token",
    ]


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


@pytest.mark.parametrize("prompt_type", ["qwen", "baichuan2"])
@pytest.mark.parametrize("more", [{}, {"append_eod": True}])
def test_a_cut_within_a_question_goes_back_to_the_answer_before(prompt_type: str, more: dict) -> None:
    """An end after half of a question would teach the model to end where the user speaks."""
    turns = [asked("one", "two " * 20), asked("long " * 30, "three " * 20)]
    row = {"conversations": [{"from": role, "value": value} for turn in turns for role, value in turn]}
    tags = {**TAGS, "role_tag": "from", "content_tag": "value"}
    keys = {"messages": "conversations", "tags": tags}
    work = Recipe(FULL, FLAGS[1], prompt_type, keys, Rules(**more)).work()
    whole = work(Block("rows", 0, [row])).size("input_ids")
    eos, ends, kept = work.renderer.eos_id, 1 + len(more), 0
    for limit in range(10, whole + 2):
        rules = Rules(seq_length=limit, overlong="truncate-keep-eos", **more)
        work.maker = DocumentMaker(work.renderer, work.encoder, rules)
        part = work(Block("rows", 0, [row]))
        if part.overlong:
            continue
        ids, labels = part.tokens["input_ids"], part.tokens["labels"]
        assert len(ids) < limit
        tail = ids[-ends - 1 :].tolist()
        assert tail[1:] == [eos] * ends and tail[0] != eos
        assert labels[-ends - 1] == ids[-ends - 1], "what is ended is an answer"
        kept += 1
    assert kept > 0.5 * whole and not part.truncated


def _after(_: dict, prefix: Path, name: str) -> bytes:
    return contents(prefix)[name]


def test_max_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """MindSpeed-LLM takes the flag and ignores it: that ours does not is said."""
    source = shard(tmp_path / "rows.parquet", MANY)
    manifest = run(source, tmp_path / "d", "--max-samples", "101", "--workers", "2")
    assert (manifest["rows"], manifest["kept"], manifest["max_samples"]) == (101, 100, 101)
    assert "rows beyond --max-samples were not read" in capsys.readouterr().out
    run(source, tmp_path / "d", "--max-samples", "1000")
    assert "--max-samples" not in capsys.readouterr().out


def test_two_files_of_one_name(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        shard(tmp_path / folder / "rows.parquet", MANY[:3])
    with pytest.raises(Problem, match=r"(?s)a/rows.parquet and .*b/rows.parquet") as caught:
        run(
            tmp_path / "a" / "rows.parquet",
            tmp_path / "d",
            "--input",
            str(tmp_path / "a"),
            str(tmp_path / "b"),
        )
    assert caught.value.exit_code == 2


def test_what_left_no_row_decides_the_advice(tmp_path: Path) -> None:
    long = asked("long " * 300, "a")
    for rows, words in (([[], long, long], "raise --seq-length"), ([[], [], long], "--map-keys")):
        with pytest.raises(Problem, match=f"(?s)no row is left.*fix:.*{words}"):
            run(shard(tmp_path / "rows.parquet", rows), tmp_path / "d", "--seq-length", "100")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--hf-chat-template"], "--prompt-type and --hf-chat-template"),
        (["--overlong", "drop"], "--seq-length"),
        (["--prompt-type", "qwen9"], "qwen3"),
        (["--handler-name", "GeneralPretrainHandler"], "plain text"),
    ],
)
def test_flags_that_do_not_go_together(more: list[str], words: str, tmp_path: Path) -> None:
    source = shard(tmp_path / "rows.parquet", MANY[:3])
    with pytest.raises(Problem, match=words) as caught:
        run(source, tmp_path / "d", *more)
    assert caught.value.exit_code == 2


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


def test_a_configuration_can_choose_every_policy() -> None:
    """And names of datasets that were made before there was a choice stay as they were."""
    rows = Dataset("d", Source("path", {}), "SharegptStyleInstructionHandler", {"messages": "messages"})
    plain = Tokenization("d", "m", "qwen3", 0.01, 64, neat_pack=True)
    assert plain.name == "m-qwen3-96623990"
    chosen = {
        "overlong": "truncate-keep-eos",
        "strict": True,
        "special_tokens_in_text": "escape",
        "enable_thinking": False,
        "n_subs": 3,
    }
    own = replace(plain, **chosen)
    assert len({plain.name, own.name, replace(plain, enable_thinking=True).name}) == 3
    where = ["--input", "i", "--output-prefix", "o", "--tokenizer-name-or-path", "t"]
    parse = preprocess_data.parser().parse_args
    before, after = (vars(parse([*where, *commandline.tokenize(rows, each)])) for each in (plain, own))
    assert {key: value for key, value in after.items() if before[key] != value} == chosen | {
        "enable_thinking": "false"
    }
