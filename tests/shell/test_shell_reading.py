"""Scripts are cut into commands and words as bash cuts them: bash itself says how."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import FIXTURES, ROOT

from distillery.problems import Problem
from distillery.shell import programs, reading
from distillery.shell.shell_commands import Script

# every command says its words; nothing of a script runs, for PATH is empty, and no file is looked up. Each process
# says them into a file of its own: bash writes line by line, and the two sides of a pipe would cut each other's words
STUB = r"""
set -f
say() { local s; printf -v s '%s\1' "$@"; printf '%s\2' "$s" >> "$SAID.$BASHPID"; }
for each in python torchrun msrun mkdir source wget modelscope tee run; do
    eval "$each() { say $each \"\$@\"; }"
done
"""
WRITTEN = sorted([*FIXTURES.glob("shell/*/*.sh"), *ROOT.glob("config/guide-scripts/*.sh")])


def bash(text: str, tmp_path: Path) -> list[list[str]]:
    """The words of each command, as bash passes them on."""
    script = f"SAID={tmp_path}/said\n{STUB}\n{text}"
    done = subprocess.run(
        ["/usr/bin/env", "-i", "PATH=", "/bin/bash", "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "syntax error" not in done.stderr, done.stderr
    said = "".join(path.read_text() for path in tmp_path.glob("said.*"))
    return sorted(command.split("\1")[:-1] for command in said.split("\2")[:-1])


def read(text: str) -> Script:
    return reading.read("x.sh", text)


def words(script: Script) -> list[list[str]]:
    every = [one for command in script.commands for one in (command, *command.then)]
    found = [[word.text for word in one.words] for one in every]
    return sorted(found + [["source", path.text] for path in script.sourced])


PLAIN = st.text("ab/._-=:,", min_size=1, max_size=4)
NAMES = st.sampled_from(["A", "B", "LONG_NAME"])
QUOTABLE = st.text("ab '#*;|&<>()\\$", max_size=5)


@st.composite
def word(draw: st.DrawFn) -> str:
    """A word of bash: literals, quotes, variables, defaults, sums, braces."""
    parts = []
    for kind in draw(st.lists(st.integers(0, 8), min_size=1, max_size=3)):
        name, text = draw(NAMES), draw(QUOTABLE)
        parts.append(
            {
                0: draw(PLAIN),
                1: "'" + text.replace("'", "") + "'",
                2: '"' + text.replace("\\", "").replace("$", "") + '"',
                3: f"${{{name}}}",
                4: f'"${name} x"',
                5: f"${{{name}:-{draw(PLAIN)}}}",
                6: f"$(( {draw(st.integers(0, 20))} {draw(st.sampled_from('+-*'))} N ))",
                7: f"{{{draw(st.integers(0, 3)):03d}..{draw(st.integers(0, 12)):03d}}}",
                8: draw(st.sampled_from([r"\ ", r"\$", r"\"", r"\\"])),
            }[kind]
        )
    # `-` and `=` at the front would make options of echo's kind or assignments: not what is asked here
    return "w" + "".join(parts)


@st.composite
def lines(draw: st.DrawFn) -> str:
    """A script: assignments, commands over several lines, comments, arrays, loops, pipes."""
    found = ["A=a B='b c' LONG_NAME=\"d", "  e \\", 'f" N=7']
    for kind in draw(st.lists(st.integers(0, 6), min_size=1, max_size=5)):
        some = draw(st.lists(word(), min_size=1, max_size=3))
        name = draw(NAMES)
        found.append(
            {
                0: f"{name}={some[0]}",
                1: "run " + " \\\n    ".join(some) + "  # a comment \\",
                2: f'LIST=( {" ".join(some)} # inside\n {some[-1]} )\nrun "${{LIST[@]}}" ${{LIST[@]}}',
                3: f'for i in {" ".join(some)}; do\n  run $i; run "$i"\ndone',
                4: f"run {' '.join(some)} 2>&1 | tee {some[0]} > /dev/null",
                5: f"{name}+={some[0]}; run ${name} && run {some[0]}",
                6: f"export {name}={draw(PLAIN)}\nrun <<END ${name}\n it's open\nEND\n",
            }[kind]
        )
    return "\n".join(found) + "\n"


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(lines())
def test_words_are_those_of_bash(tmp_path_factory: pytest.TempPathFactory, text: str):
    assert words(read(text)) == bash(text, tmp_path_factory.mktemp("bash"))


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.stem)
def test_written_scripts_are_read_as_bash_reads_them(path: Path, tmp_path: Path):
    text = path.read_text()
    found = words(reading.read(path.name, text))
    # what bash makes of a variable that nobody sets is nothing
    found = [[one for one in each if one not in ("$PROFILE_ARGS", "$1", "$2")] for each in found]
    assert found == bash(text, tmp_path)


def test_values_have_the_line_that_they_were_written_on():
    text = 'TP=4\nARGS="\n  --tensor-model-parallel-size ${TP} \\\n  --bf16 \\\n"\ntorchrun posttrain_gpt.py $ARGS \\\n  --lr 1e-5'
    ((program,), _) = programs.find(read(text))
    assert {name: flag.place.line for name, flag in program.flags.items()} == {
        "--tensor-model-parallel-size": 1,
        "--bf16": 4,
        "--lr": 7,
    }


@pytest.mark.parametrize(
    ("launch", "launcher", "devices"),
    [
        ("msrun --worker_num=8 --local_worker_num 4", "msrun", "4"),
        ("torchrun --nproc-per-node=4 --standalone", "torchrun", "4"),
        ("/opt/bin/torchrun --nproc_per_node 4", "torchrun", "4"),
        ("python3 -m torch.distributed.launch --nproc_per_node 4", "torchrun", "4"),
        ("nohup python -u", "python", None),
    ],
)
def test_launchers(launch: str, launcher: str, devices: str | None):
    ((program,), _) = programs.find(read(f"{launch} ./inference.py --bf16"))
    assert (program.launcher, program.stage, list(program.flags)) == (launcher, "generate", ["--bf16"])
    each = program.options.get("local_worker_num") or program.options.get("nproc_per_node")
    assert (each.text if each else None) == devices


@pytest.mark.parametrize(
    ("line", "stage"),
    [
        ("preprocess_data.py", "tokenize"),
        ("pretrain_gpt.py", "train"),
        ("evaluation.py", "evaluate"),
        ("mindspeed_llm/mindspore/convert_ckpt.py --load-model-type hf --save-model-type mg", "convert"),
        ("convert_ckpt_v2.py --load-model-type mg --save-model-type hf", "export"),
        ("convert_ckpt.py --load-model-type mg --save-model-type mg", "reshard"),
        ("tasks/convert_param.py --cvt-type mg2hf", "export"),
        ("postrain_gpt.py", "train"),  # misspelt in one of MindSpeed-LLM's own
    ],
)
def test_stages(line: str, stage: str):
    ((program,), _) = programs.find(read(f"python {line}"))
    assert program.stage == stage


@pytest.mark.parametrize(
    "text", ["A='open\n", 'run "open', "A=( a\n", "run $(open", "for i in 1 2; do run\n", "case x in"]
)
def test_what_never_closes_is_named_with_its_line(text: str):
    with pytest.raises(Problem) as caught:
        read("\n\n" + text)
    assert str(caught.value.where) == "x.sh:3"


def test_nothing_is_run(tmp_path: Path):
    touched = tmp_path / "touched"
    script = read(
        f"A=$(touch {touched})\n`touch {touched}`\npython inference.py --load $A --seed $(touch {touched})\n"
    )
    assert not touched.exists()
    ((program,), _) = programs.find(script)
    assert not program.flags["--load"].known and not program.flags["--seed"].known


def test_branches_are_read_and_noted():
    script = read(
        "TP=1\nif [ $# -gt 0 ]; then\n  TP=2\nfi\nrun $TP\nf() {\n  run in f\n}\ncase $1 in\n a) run no;;\nesac\n"
    )
    assert [command.text for command in script.commands if command.name == "run"] == ["run 2", "run in f"]
    assert [(note.kind, note.place.line) for note in script.notes] == [
        ("branch", 2),
        ("branch", 6),
        ("branch", 9),
    ]


def test_a_loop_without_end_in_sight_is_refused():
    with pytest.raises(Problem, match="too many commands"):
        read("for i in {1..200}; do for j in {1..200}; do run $i $j; done; done")
