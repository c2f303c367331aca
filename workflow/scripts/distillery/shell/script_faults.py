"""What in a script bash or MindSpeed-LLM would not take, what is not known, and what no stage of ours does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from distillery import schema
from distillery.launch.mindspeed import accepted_flags
from distillery.planning.finding import Finding
from distillery.shell.model_flags import RUNNING
from distillery.shell.programs import Flag, Program
from distillery.shell.script_set import DOING, Scripts, error, is_blank, warning
from distillery.shell.shell_words import Place
from distillery.shell.stage_values import Misread

PARSERS = {
    ("tokenize", "preprocess_data.py"): "preprocess_data.py",
    ("convert", "convert_ckpt.py"): "convert_ckpt.py hf",
    ("export", "convert_ckpt.py"): "convert_ckpt.py mg",
    ("reshard", "convert_ckpt.py"): "convert_ckpt.py mg",
}
MASTER = "master"  # the other version that an installation may be
PATHS = (
    "--load --save --data-path --tokenizer-name-or-path --tokenizer-model --lora-load --load-dir --save-dir --input "
    "--output-prefix --hf-dir --mg-dir --task-data-path --ref-model --reward-model --cache-dir --tensorboard-dir "
    "--model-index-file --model-config-file --prompt-type-path"
).split()
# which weights training has besides all of them, and which lessons besides supervised ones
PARTIAL = ("--lora-r", "--lora-load", "--lora-target-modules", "--qlora")
HANDLERS = schema.schema()["$defs"]["dataset"]["properties"]["handler_name"]["enum"]
# what reading a script noted: the id, and what the note comes to
NOTES = {
    "branch": (
        warning,
        "script-branch",
        "whose turn only the running shell knows: all of it is read in its order",
        "plain lines",
        "import the script without it",
    ),
    "carriage-return": (
        error,
        "script-syntax",
        "which bash takes for a part of each last word",
        "lines that end in \\n",
        "sed -i 's/\\r$//' on the script",
    ),
    "blank": (error, "script-syntax", "which bash takes for redirections", "a value", "fill it in"),
}


def find(s: Scripts, misread: Sequence[Misread]) -> Iterator[Finding]:
    """Everything odd in the scripts, and in values that no key takes."""
    for check in (programs, training, flags, unknown, notes):
        yield from check(s)
    for one in dict.fromkeys(misread):
        if one.flag.known:
            yield warning(
                "script-value",
                [one.flag.place],
                str(one.flag),
                one.wanted,
                f"write it, or set {one.key}",
            )


def programs(s: Scripts) -> Iterator[Finding]:
    """Each stage has one program, which MindSpeed-LLM has too."""
    for one in s.programs:
        name = one.called.rpartition("/")[2]
        if name != one.entry:
            yield error("script-program", [one.place], name, one.entry, f"write {one.entry}: read as that")
    for stage in ("train", "tokenize", "convert", "export"):
        places = [one.place for one in s.programs if one.stage == stage]
        if len(places) > 1:
            yield error(
                "script-twice",
                places,
                f"{len(places)} lines for {DOING[stage]}, of which the first is imported",
                "one",
                "import the scripts of one experiment at a time",
            )
    if "train" not in s.chosen:
        yield error(
            "script-missing",
            [s.programs[0].place],
            "no script that trains: its steps and rate are invented",
            "a line that starts posttrain_gpt.py",
            "import the tune script with the others, or edit train",
        )
    if "tokenize" not in s.chosen:
        yield warning(
            "script-missing",
            [s.programs[0].place],
            "no script that tokenizes: which rows is not known",
            "a line that runs preprocess_data.py",
            "import the data script with the others, or edit datasets",
        )


def training(s: Scripts) -> Iterator[Finding]:
    """What is planned is supervised fine-tuning of all weights."""
    for one in s.programs:
        handler = one.flags.get("--handler-name")
        if handler and handler.text not in HANDLERS:
            yield _other_training([handler.place], f"{handler.text}, whose rows are for another")
        if one.stage != "train":
            continue
        stage, partial = one.flags.get("--stage"), [flag for flag in PARTIAL if flag in one.flags]
        if one.entry == "pretrain_gpt.py" and "--is-instruction-dataset" not in one.flags:
            yield _other_training([one.place], "pretrain_gpt.py, which continues plain text")
        elif stage and stage.text != "sft":
            yield _other_training([stage.place], f"--stage {stage.text}")
        if partial:
            yield _other_training(
                [one.flags[flag].place for flag in partial],
                f"{' '.join(partial)}: adapters beside the weights",
            )


def _other_training(places: Sequence[Place], found: str) -> Finding:
    return error(
        "script-training",
        places,
        found,
        "supervised fine-tuning of all weights, which is what is written",
        "run that script as it is, or import one that fine-tunes",
    )


def flags(s: Scripts) -> Iterator[Finding]:
    """Each line is one that MindSpeed-LLM 2.2.0's parsers take."""
    for one in s.programs:
        for flag in one.repeated:
            yield warning(
                "flag-twice",
                [flag.place, one.flags[flag.name].place],
                f"{flag}, then {one.flags[flag.name]}",
                "one of them",
                "leave the first out: the last one counts",
            )
        if one.stray:
            yield error(
                "mindspeed-flag",
                [word.place for word in one.stray],
                " ".join(word.text for word in one.stray),
                "flags that begin with --",
                "quote the value that it belongs to",
            )
        parser = "posttrain_gpt.py" if one.stage in RUNNING else PARSERS.get((one.stage, one.entry))
        for flag in one.flags.values() if parser and not _another(one) else ():
            if flag.known and not (flag.name in PATHS and is_blank(flag.text)):  # left to be filled in
                yield from _faults(parser, flag, one.framework or s.framework)


def _another(program: Program) -> bool:
    """Whether it trains as a stage whose further flags are not recorded."""
    return program.text("--stage", "sft") != "sft" or program.stage == "evaluate"


def _faults(parser: str, flag: Flag, framework: str) -> Iterator[Finding]:
    required = {
        option for option, fact in accepted_flags.options(parser, framework).items() if fact.get("required")
    }
    words = [flag.name, *(value.text for value in flag.values)]
    later = (
        ""
        if accepted_flags.faults(parser, words, framework, MASTER)
        else f", or set version: {MASTER}, which takes it"
    )
    for fault in accepted_flags.faults(parser, words, framework):
        if fault.partition(":")[0] not in required - {flag.name}:
            yield error(
                "mindspeed-flag",
                [flag.place],
                fault,
                f"a line that {parser} takes",
                f"change that value{later}",
            )


def unknown(s: Scripts) -> Iterator[Finding]:
    """Words of a program that only the running shell would know: `$1`, a variable that nobody sets."""
    seen = set()
    for one in s.programs:
        for piece in (piece for word in one.command.words for piece in word.pieces if not piece.known):
            if piece not in seen and not piece.text.startswith("<"):
                what = (
                    "which nobody runs here"
                    if piece.text.startswith("$(")
                    else "which no line of the script sets"
                )
                yield warning(
                    "script-value",
                    [piece.place],
                    f"{piece.text}, {what}",
                    "a value in the script",
                    "write it there, or into the configuration",
                )
            seen.add(piece)


def notes(s: Scripts) -> Iterator[Finding]:
    """What the reader could not decide, or bash would stumble over."""
    for script in s.scripts:
        for note in script.notes:
            severity, kind, what, expected, fix = NOTES[note.kind]
            yield severity(kind, [note.place], f"{note.found}, {what}", expected, fix)
