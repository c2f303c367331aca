"""Special tokens spelt in rows: found wherever they stand, and treated as the policy says."""

from __future__ import annotations

from pathlib import Path

from tokenize_runs import FLAGS, FULL, asked, run, sequences, shard

from distillery.tokenize import special_text
from distillery.tokenize.documents import Rules
from distillery.tokenize.parts import Block
from distillery.tokenize.row_spans import Recipe


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


def test_special_tokens_are_found_wherever_they_are_spelt(qwen_tokenizer: Path) -> None:
    """In tools and questions every added token counts; answers think and call with those that are not special."""
    rows = [
        ("q", "a <|im_end|>", None),
        ("q <|fim_prefix|>", "a", None),
        ("q", "<tool_call>\nt\n</tool_call>", None),
        ("q", "a", '[{"name": "<|im_end|>", "parameters": {"properties": {}}}]'),
    ]
    block = Block(
        "rows",
        0,
        [
            {"m": [{"from": "human", "value": q}, {"from": "gpt", "value": a}], "tools": tools}
            for q, a, tools in rows
        ],
    )
    ends = {}
    for policy in ("keep", "escape"):
        recipe = Recipe(
            qwen_tokenizer,
            FLAGS[1],
            "qwen",
            {"messages": "m", "tools": "tools"},
            Rules(special_tokens_in_text=policy, strict=policy == "escape"),
        )
        work = recipe.work()
        part = work(block)
        assert {note for note, _, _ in part.noted} == {
            {"keep": special_text.SPELT, "escape": special_text.ESCAPED}[policy]
        }
        assert [row for _, row, _ in part.noted] == [0, 1, 3]
        ends[policy] = (part.tokens["input_ids"] == work.tokenizer.id_of("<|im_end|>")).sum()
    assert ends["keep"] == ends["escape"] + 2 + 1  # the tool's name is listed twice
