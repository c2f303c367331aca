"""What scripts say against one another, beyond what the plan's checks see in a configuration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from distillery.planning.finding import Finding
from distillery.shell.script_set import DOING, Scripts, clean, error, is_blank, warning
from distillery.shell.stage_values import StageValues, Value

CONVERTING = ("convert", "export", "reshard")


def find(s: Scripts) -> Iterator[Finding]:
    """Everything that scripts contradict one another in."""
    for check in (frameworks, virtual_pipeline, packing, templates, lengths, types, paths, shards):
        yield from check(s)


def frameworks(s: Scripts) -> Iterator[Finding]:
    """One back end converts, trains and answers; its launcher and --ai-framework mean the same one."""
    known = [one for one in s.programs if one.framework]
    if known and (other := next((one for one in known if one.framework != known[0].framework), None)):
        yield error(
            "framework-agreement",
            [known[0].place, other.place],
            f"{known[0].framework} for {DOING[known[0].stage]}, {other.framework} for {DOING[other.stage]}",
            "one back end of MindSpeed-LLM",
            "take the scripts of one of its folders examples/mindspore and examples/mcore",
        )
    for one in s.programs:
        said = one.text("--ai-framework", "pytorch")
        if one.launcher != "python" and said != one.framework:
            yield error(
                "framework-agreement",
                [one.place, one.where("--ai-framework")],
                f"{one.launcher}, which starts {one.framework}, and --ai-framework {said}",
                f"--ai-framework {one.framework}",
                "say one of them",
            )


def virtual_pipeline(s: Scripts) -> Iterator[Finding]:
    """Weights are converted for plain stages: a trainer of interleaved ones would not find its layers in them."""
    for one in s.programs:
        chunks = one.flags.get("--num-layers-per-virtual-pipeline-stage")
        if chunks and one.stage in ("train", "convert"):
            yield error(
                "virtual-pipeline",
                [chunks.place],
                str(chunks),
                "plain stages, as convert cuts them here",
                "leave it out: what is written has plain stages",
            )


def packing(s: Scripts) -> Iterator[Finding]:
    """Trainer and data agree on packed rows."""
    made, trained = s.chosen.get("tokenize"), s.chosen.get("train")
    if not made or not trained:
        return
    for flag in ("--neat-pack", "--pack"):
        other = {"--pack": "--reset-position-ids"}.get(flag, flag)
        here, there = flag in made.program.flags, other in trained.program.flags
        if here != there:
            yield error(
                "pack-agreement",
                [made.program.where(flag), trained.program.where(other)],
                f"{flag if here else 'no ' + flag} in the data, {other if there else 'no ' + other} in training",
                "both or neither",
                f"say {other if here else flag} there too, or leave both out",
            )


def templates(s: Scripts) -> Iterator[Finding]:
    """What was trained with a template is asked with it."""
    taught = next(
        (one.values["prompt_type"] for one in _of(s, "train", "tokenize") if one.get("prompt_type")), None
    )
    for one in s.stages:
        flags = one.program.flags
        silent = one.stage == "generate" and not {"--prompt-type", "--hf-chat-template"} & set(flags)
        if taught and silent:
            yield warning(
                "prompt-type",
                [taught.place, one.program.place],
                f"{taught.words} in training, none in answers: questions go to the model as they are",
                "one prompt type",
                f"say {taught.words} there too",
            )


def lengths(s: Scripts) -> Iterator[Finding]:
    """Answers are given in the length that was trained."""
    trained = s.chosen.get("train")
    for one in s.stages if trained else ():
        if one.stage in ("generate", "evaluate") and None not in (
            one.get("seq_length"),
            trained.get("seq_length"),
        ):
            mine, theirs = trained.values["seq_length"], one.values["seq_length"]
            if mine.value != theirs.value:
                yield warning(
                    "length-agreement",
                    [mine.place, theirs.place],
                    f"{mine.value} tokens in training, {theirs.value} in {_does(one)}",
                    "one length",
                    "write one --seq-length in both",
                )


def types(s: Scripts) -> Iterator[Finding]:
    """Weights are converted, trained, asked and exported in one type."""
    trained = s.chosen.get("train") or s.chosen.get("convert")
    mine = trained.values.get("params_dtype") if trained else None
    for one in s.stages if mine else ():
        theirs = one.values.get("params_dtype")
        if theirs and one.stage != "train" and theirs.value != mine.value:
            flag = f"--params-dtype {mine.value}" if one.stage in CONVERTING else f"--{mine.value}"
            yield warning(
                "dtype-agreement",
                [mine.place, theirs.place],
                f"{mine.value} in {_does(trained)} ({mine.words}), {theirs.value} in {_does(one)} ({theirs.words})",
                "one type",
                f"say {flag} there too",
            )


def _does(stage: StageValues) -> str:
    return DOING[stage.stage]


def paths(s: Scripts) -> Iterator[Finding]:
    """A stage reads what the one before has written."""
    tokenizers = list(filter(None, map(_tokenizer, s.stages)))
    pairs = [(tokenizers[0], one) for one in tokenizers[1:]]
    convert, train, made = (s.chosen.get(stage) for stage in ("convert", "train", "tokenize"))
    written = [_path(convert, "--save-dir", "--mg-dir"), _path(train, "--save")]
    pairs += (
        [(written[0], _path(train, "--load"))] if train and "--lora-load" not in train.program.flags else []
    )
    pairs += [(_path(made, "--output-prefix"), _path(train, "--data-path"))]
    for one in s.stages:
        read = _path(one, "--load") if one.stage == "generate" else None
        if all(written) and read and read.value not in [each.value for each in written]:
            pairs.append((written[1], read))
    for first, other in pairs:
        if first and other and first.value != other.value:
            yield warning(
                "path-agreement",
                [first.place, other.place],
                f"{first.words}, then {other.words}",
                "one path",
                "write one of them in both; here paths are derived",
            )


def shards(s: Scripts) -> Iterator[Finding]:
    """Rows lie in files whose names say how they are read."""
    if s.rows.odd:
        found, name = s.rows.odd
        yield warning(
            "shard-name",
            [s.rows.place],
            found,
            f"files of rows such as {name}",
            f"name them in datasets.{s.rows.name}.source.path.files: names, wildcards or ranges",
        )


def _of(s: Scripts, *stages: str) -> list[StageValues]:
    return [s.chosen[stage] for stage in stages if stage in s.chosen]


def _tokenizer(stage: StageValues) -> Value | None:
    """The folder of a stage's tokenizer; a converter names its file."""
    if stage.stage != "convert":
        return _path(stage, "--tokenizer-name-or-path")
    file = _path(stage, "--tokenizer-model")
    return replace(file, value=file.value.rpartition("/")[0]) if file else None


def _path(stage: StageValues | None, *flags: str) -> Value | None:
    """A path that a script states, without its last slash; None for one that is left to be filled in."""
    flag = (
        next((stage.program.flags[one] for one in flags if one in stage.program.flags), None)
        if stage
        else None
    )
    if flag is None or not flag.known or not flag.text or is_blank(flag.text):
        return None
    return Value(clean(flag.text), flag.place, str(flag))
