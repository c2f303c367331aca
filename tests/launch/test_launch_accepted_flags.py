"""MindSpeed-LLM's parsers as facts: what they would reject is named, and what argparse takes is taken."""

import argparse
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shipped_lines import CONVERT

from distillery.launch.mindspeed import accepted_flags
from distillery.problems import Problem


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("--lr abc", "--lr: found 'abc', wanted a float"),
        ("--train-iters 1.5", "--train-iters: found '1.5', wanted an int"),
        ("--stage finetune", "--stage: found 'finetune', wanted one of sft"),
        ("--prompt-type qwen_math", "wanted one of default"),
        ("--learning-rate 1", "no such option"),
        ("--bf16 true", "a switch takes no value"),
        ("--lr", "found 0 values"),
        ("--seed 1 --seed 2", "given twice"),
    ],
)
def test_what_the_reference_would_reject_is_named(words, fault):
    assert any(fault in one for one in accepted_flags.faults("posttrain_gpt.py", words.split()))


def test_the_guides_wrong_hints_are_rejected():
    line = CONVERT.replace("--load-model-type hf", "--load-model-type megatron").split()
    assert "--load-model-type: found 'megatron', wanted one of hf, mg, optim" in accepted_flags.faults(
        "convert_ckpt.py hf", line
    )
    assert (
        accepted_flags.faults("convert_ckpt.py hf", ["--use-mcore-models"]) != []
    )  # required ones are missing


def test_each_back_end_has_its_converter_and_its_options():
    """Facts of branch 2.2.0's parsers; a line for the one is not a line for the other."""
    assert accepted_flags.script("convert_ckpt.py") == "mindspeed_llm/mindspore/convert_ckpt.py"
    assert accepted_flags.script("convert_ckpt.py", "pytorch") == "convert_ckpt.py"
    for framework in ("mindspore", "pytorch"):
        assert accepted_flags.script("posttrain_gpt.py", framework) == "posttrain_gpt.py"
        counts = [
            len(accepted_flags.options(parser, framework))
            for parser in ("posttrain_gpt.py", "inference.py", "convert_ckpt.py hf", "convert_ckpt.py mg")
        ]
        assert counts == {"mindspore": [695, 695, 39, 44], "pytorch": [693, 693, 39, 43]}[framework]
    own = "--enable-a2avc 2 --enable-share-memory".split()
    assert accepted_flags.faults("posttrain_gpt.py", own) == []
    assert len(accepted_flags.faults("posttrain_gpt.py", own, "pytorch")) == 2
    assert accepted_flags.faults("posttrain_gpt.py", ["--enable-a2avc", "3"]) != []
    line = CONVERT.split()
    for framework, takes in (("mindspore", True), ("pytorch", False)):
        named = [*line, "--ai-framework", "mindspore"]
        assert (accepted_flags.faults("convert_ckpt.py hf", named, framework) == []) == takes
        assert accepted_flags.faults("convert_ckpt.py hf", line, framework) == []


def test_master_has_options_of_its_own():
    """Dumped from branch master at 2026-08-21 in the way that gives 2.2.0's 693 and 695."""
    versions = accepted_flags.VERSION, "master"
    assert [accepted_flags.engine(one) for one in (None, *versions)] == [
        "mindspeed-llm-2.2.0",
        "mindspeed-llm-2.2.0",
        "mindspeed-llm-master",
    ]
    for framework, count in (("pytorch", 800), ("mindspore", 805)):
        assert len(accepted_flags.options("posttrain_gpt.py", framework, "master")) == count
        for words, wanted in (
            ("--swap-layer-input", [False, True]),
            ("--optimizer muon", [False, True]),
            ("--qlora", [True, False]),
            ("--mtp-after-norm", [True, False]),
            ("--stage orm", [True, False]),
        ):
            line = words.split()
            taken = [accepted_flags.faults("inference.py", line, framework, one) == [] for one in versions]
            assert (words, taken) == (words, wanted)
    (fault,) = accepted_flags.faults("posttrain_gpt.py", ["--qlora"], "pytorch", "master")
    assert fault == "--qlora: MindSpeed-LLM master's posttrain_gpt.py has no such option"
    with pytest.raises(Problem, match="MindSpeed-LLM master would reject this line"):
        accepted_flags.refuse("posttrain_gpt.py", ["--qlora"], "pytorch", "master")
    # only one back end has these, and an option that master declares anew has no default of 2.2.0's
    assert accepted_flags.faults("posttrain_gpt.py", ["--enable-seq1f1b"], "mindspore", "master") == []
    assert accepted_flags.faults("posttrain_gpt.py", ["--enable-seq1f1b"], "pytorch", "master") != []
    assert "default" not in accepted_flags.options("preprocess_data.py", version="master")["--prompt-type"]
    assert accepted_flags.options("convert_ckpt.py hf", "mindspore", "master") == {}
    assert accepted_flags.converter("master") == "convert_ckpt_v2.py"


def argparse_of(parser):
    """An argparse parser as the facts describe it: Python's own word on what is accepted."""
    made = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False, add_help=False)
    types = {"int": int, "float": float, "str": str, "json": json.loads}
    for option, fact in accepted_flags.options(parser).items():
        if fact["type"] == "switch":
            made.add_argument(option, action="store_true")
        else:
            rest = {key: fact[key] for key in ("choices", "nargs", "required") if key in fact}
            made.add_argument(option, type=types.get(fact["type"], str), **rest)
    return made


PREPROCESS = argparse_of("preprocess_data.py")


VALUES = st.sampled_from(["1", "1.5", "x", "qwen", "mmap", "true", "{}", "PretrainedFromHF"])


@given(st.data())
def test_accepts_what_argparse_accepts(data):
    options = data.draw(
        st.lists(
            st.sampled_from([*accepted_flags.options("preprocess_data.py"), "--unknown"]),
            unique=True,
            max_size=3,
        )
    )
    words = ["--input", "i", "--output-prefix", "o"]
    for option in options:
        if option not in words:
            words += [option, *data.draw(st.lists(VALUES, max_size=2))]
    try:
        accepted = not PREPROCESS.parse_known_args(words)[1]
    except (argparse.ArgumentError, SystemExit):
        accepted = False
    assert (accepted_flags.faults("preprocess_data.py", words) == []) == accepted
