"""Scripts become a configuration that loads and plans, and nothing that they say is dropped."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from places import ROOT, SCRIPTS
from shell_folders import (
    DATA,
    GENERATE,
    GUIDE,
    MATH,
    TORCHRUN,
    TUNE,
    changed,
    experiment,
    loaded,
    scripts,
)

from distillery.doctor import releases
from distillery.planning import checks
from distillery.problems import Problem
from distillery.shell import importing, programs, reading


def test_scripts_that_agree_are_imported_without_a_finding():
    imported = importing.together(scripts(MATH))
    assert imported.findings == ()
    found = yaml.safe_load(imported.text)
    assert found["models"] == {
        "qwen2.5-math-7b": {
            "hub": {"host": "modelscope", "repo": "Qwen/Qwen2.5-Math-7B", "revision": "master"}
        }
    }
    ((_, rows),) = found["datasets"].items()
    assert rows["source"]["hub"]["files"] == "data/train-{00000..00009}-of-00010.parquet"
    assert rows["source"]["hub"]["endpoints"] == ["https://hf-mirror.com"]
    assert found["hardware"]["ascend"]["environment"] == {"HCCL_CONNECT_TIMEOUT": 1800}
    assert found["hardware"]["ascend"]["msrun"] == {"cluster_time_out": 600, "bind_core": True}
    # what they source, and what no script of MindSpeed-LLM does: without it ranks know no torch
    assert found["hardware"]["ascend"]["set_env"] == [
        "/usr/local/Ascend/ascend-toolkit/set_env.sh",
        releases.of({"framework": "mindspore"}).set_env,
    ]
    assert "# no script sources /opt/MindSpeed-Core-MS/tests/scripts/set_path.sh" in imported.text
    one = experiment(imported)
    assert one["layout"] == {"tensor_parallel_size": 2, "pipeline_parallel_size": 1}
    assert (one["seq_length"], one["prompt_type"], one["params_dtype"]) == (4096, "qwen_math_r1", "bf16")
    assert "rope" not in one  # config.json's own
    assert one["train"]["lr"] == 5e-5 and one["train"]["save_interval"] == 500
    assert one["generate"]["task"] == "greedy" and one["generate"]["npus_per_node"] == 2
    assert "shards" not in one.get("tokenize", {})
    assert [one.id for one in checks.run(loaded(imported))] == ["device-unknown"]


def test_scripts_that_source_nothing_get_what_ranks_need(tmp_path: Path):
    for paths, framework in ((MATH, "mindspore"), (TORCHRUN, "pytorch")):
        bare = []
        for path in scripts(paths):
            bare.append(tmp_path / path.name)
            bare[-1].write_text(re.sub(r"(?m)^source .*\n", "", path.read_text()))
        found = yaml.safe_load(importing.together(bare).text)["hardware"]["ascend"]
        assert " and ".join(found["set_env"]) == releases.of({"framework": framework}).set_env


def test_a_back_end_that_no_script_tells_is_said_to_be_assumed(tmp_path: Path):
    (tmp_path / "convert.sh").write_text(
        "python convert_ckpt.py --load-model-type hf --target-tensor-parallel-size 2\n"
    )
    alone = importing.together([tmp_path / "convert.sh"])
    assert yaml.safe_load(alone.text)["hardware"]["ascend"]["mindspeed_llm"]["framework"] == "mindspore"
    assumed = "nor its back end"
    assert assumed in alone.text and "write framework: pytorch" in " ".join(alone.text.split())
    for told in (scripts(MATH), scripts(TORCHRUN)):
        assert assumed not in importing.together(told).text


def test_a_flag_that_only_master_has_names_that_version(tmp_path: Path):
    for flag, master in (("--swap-layer-input", True), ("--swap-layer-outputs", False)):
        (tmp_path / "tune.sh").write_text(
            f"torchrun --nproc_per_node 8 posttrain_gpt.py --stage sft {flag}\n"
        )
        (found,) = (
            one for one in importing.together([tmp_path / "tune.sh"]).findings if one.id == "mindspeed-flag"
        )
        assert found.found == f"{flag}: MindSpeed-LLM 2.2.0's posttrain_gpt.py has no such option"
        assert ("version: master" in found.fix) == master


@pytest.mark.parametrize(
    "paths",
    [
        scripts(GUIDE),
        scripts(MATH),
        *([path] for path in [*scripts(GUIDE), *scripts(MATH), *scripts(TORCHRUN)]),
    ],
    ids=lambda paths: "+".join(path.stem for path in paths)[:40],
)
def test_every_import_loads_and_is_checked(paths: list[Path]):
    """Alone or together, of a known model or not: at most `unknown-model` tells them apart."""
    imported = importing.together(paths)
    found = checks.run(loaded(imported))
    texts = "".join(path.read_text() for path in paths)
    unknown = "qwen2_7b" in texts or not re.search("--num-layers|modelscope download", texts)
    assert any(one.id == "unknown-model" for one in found) == unknown
    assert importing.together(paths).text == imported.text


@pytest.mark.slow
def test_imported_scripts_are_planned(tmp_path: Path):
    plan = tmp_path / "mine.yaml"
    plan.write_text(importing.together(scripts(MATH)).text)
    done = subprocess.run(
        [sys.executable, SCRIPTS / "plan.py", "--configfile", plan],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^  train +mindspeed-llm .* 41\.3 ", done.stdout, re.MULTILINE)


def test_nothing_that_scripts_say_is_dropped():
    """Each flag is a key, or listed with what our own line says in its place, or named as derived."""
    for folder in (GUIDE, MATH, TORCHRUN):
        imported = importing.together(scripts(folder)[:1] if folder == TORCHRUN else scripts(folder))
        paths = {path.name: path for path in scripts(folder)}
        keys = _leaves(experiment(imported)) | {"rotary_base", "target_tensor_parallel_size"}
        text = re.sub(r"\n *#   ", " ", imported.text)
        for name in re.findall(r"[\w.-]+\.sh", imported.text.partition("\n\n")[0]):
            for program in programs.find(reading.read(name, paths[name].read_text()))[0]:
                for flag in program.flags.values():
                    key = (
                        flag.name[2:]
                        .replace("-", "_")
                        .removeprefix("target_")
                        .replace("model_parallel", "parallel")
                    )
                    known = key in keys or flag.name in ("--handler-name", "--map-keys", "--input", "--bf16")
                    shared = key in ("seq_length", "prompt_type", "params_dtype")
                    assert known or shared or flag.name in text, f"{name}: {flag}"


def _leaves(tree: object) -> set[str]:
    if not isinstance(tree, dict):
        return set()
    return {*tree, *(leaf for value in tree.values() for leaf in _leaves(value))}


def test_what_has_no_key_is_listed_with_its_line(tmp_path: Path):
    edits = {
        TUNE: ("--bf16", "--swap-attention --recompute-method block --bf16"),
        GENERATE: ("mkdir -p logs", "mkdir -p logs; export PYTHONPATH=/opt:$PYTHONPATH; source env.sh"),
    }
    imported = importing.together(changed(tmp_path, edits))
    listed = [str(one) for one in imported.listing.lost]
    for one in (
        f"{TUNE}:35 --swap-attention",
        f"{TUNE}:35 --recompute-method block",
        f"{GENERATE}:3 export PYTHONPATH=/opt:$PYTHONPATH",
        f"{GENERATE}:3 source env.sh",
        f"{TUNE}:51 | tee logs/tune.log",
    ):
        assert one in listed
        assert f"#   {one}" in imported.text


def test_names_of_a_handler_that_is_not_known_are_not_held_against_another(tmp_path: Path):
    """Rows of pairs: the mapping was called wrong, as if it were of ShareGPT's parts."""
    text = (MATH / DATA).read_text().replace("SharegptStyleInstruction", "AlpacaStylePairwise")
    pairs = re.sub(r"--map-keys .*", """--map-keys '{"prompt":"question"}'""", text)
    imported = importing.together(changed(tmp_path, {DATA: pairs}))
    assert [one.id for one in imported.findings if one.severity == "error"] == ["script-training"]
    values = [one.found for one in imported.findings if one.id == "script-value"]
    assert values == ["--handler-name AlpacaStylePairwiseHandler", '--map-keys {"prompt":"question"}']
    assert "map_keys" not in imported.text


def test_defaults_of_mindspeed_are_written_where_ours_differ():
    imported = importing.together([TORCHRUN / "tune_llama31_8b_4k_full_ptd.sh"])
    train = experiment(imported)["train"]
    assert (
        train["weight_decay"] == 0.01 and train["adam_beta2"] == 0.999 and train["lr_decay_style"] == "linear"
    )
    assert train["use_distributed_optimizer"] is False and train["variable_seq_lengths"] is False
    assert train["global_batch_size"] == 2  # 16 devices of TP8, one micro-batch each
    assert "clip_grad" not in train  # one default
    assert loaded(imported).experiments["tune_llama31_8b_4k_full_ptd"].hardware.framework == "pytorch"
    assert "tune_llama31_8b_4k_full_ptd.sh:12 has no --weight-decay" in imported.text


ODD = st.sampled_from(
    [
        "0",
        "-1",
        "abc",
        "",
        "1e9",
        "$X",
        "${Y:-3}",
        '"a b"',
        "{1..3}",
        "$((1/0))",
        "$(ls)",
        "\\",
        "<fill in>",
        "#",
        "if",
        '"',
    ]
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_odd_words_end_in_a_configuration_or_a_taught_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    folder = tmp_path_factory.mktemp("odd")
    for path in scripts(data.draw(st.sampled_from([GUIDE, MATH, TORCHRUN]))):
        words = path.read_text().split(" ")
        for _ in range(data.draw(st.integers(0, 3))):
            words[data.draw(st.integers(0, len(words) - 1))] = data.draw(ODD)
        (folder / path.name).write_text(" ".join(words))
    try:
        loaded(importing.together(scripts(folder)))
    except Problem as problem:
        assert "not valid" not in problem.what  # of a configuration that was written


def test_names_of_experiments_are_names_of_folders(tmp_path: Path):
    path = tmp_path / "tune my model$(1).sh"
    path.write_text("msrun posttrain_gpt.py --lr 1e-5 --ai-framework mindspore\n")
    ((name, _),) = yaml.safe_load(importing.together([path]).text)["experiments"].items()
    assert re.fullmatch(r"[A-Za-z0-9._-]+", name) and os.sep not in name
