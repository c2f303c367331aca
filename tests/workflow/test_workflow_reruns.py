"""What reruns after an edit: exactly what depends on it, and after no edit nothing."""

from __future__ import annotations

import io
from collections import Counter
from contextlib import ExitStack

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

AFTER_TRAIN = ["convert_mcore_to_hf", "convert_prove_export", "plan_outcome"]
AFTER_TRAIN += ["generate_tuned_answers", "evaluate_tuned", "evaluate_compare", "report_page"]

# with the rules: new times, the same bytes of code, of what was made and of the configuration
TOUCHED = [
    "Snakefile",
    "workflow/scripts/posttrain_gpt.py",
    "workflow/scripts/distillery/provenance.py",
    "resources/datasets/sums/train-00000-of-00002.parquet",
    "resources/models/tiny/manifest.json",
    "experiment.yaml",
]

# what follows from other scores; the outcome of the plan measures them
SCORED = ("evaluate_base", "evaluate_tuned", "evaluate_compare", "plan_outcome", "report_page")


def test_a_finished_run_has_nothing_to_do(finished):
    assert finished.planned() == Counter()


def test_touching_files_reruns_nothing(finished):
    with ExitStack() as touched:
        for name in [*TOUCHED, *finished.path.glob("workflow/rules/*.smk")]:
            touched.enter_context(finished.edited(name))
        assert finished.planned() == Counter()


def test_editing_a_comment_or_a_docstring_reruns_nothing(finished):
    name = "workflow/scripts/distillery/provenance.py"
    text = (finished.path / name).read_text()
    commented = '"""Another docstring."""\n# and a comment\n' + text.partition('"""\n')[2]
    with finished.edited(name, commented.encode()):
        assert finished.planned() == Counter()


def test_reordering_the_configuration_reruns_nothing(finished):
    def backwards(value):
        if isinstance(value, dict):
            return {key: backwards(one) for key, one in reversed(value.items())}
        return value

    config = backwards(yaml.safe_load(finished.configfile.read_text()))
    with finished.edited("experiment.yaml", yaml.safe_dump(config, sort_keys=False).encode()):
        assert finished.planned() == Counter()


def test_a_copied_configuration_reruns_nothing(finished):
    copy = finished.path / "a copy.yaml"
    copy.write_bytes(finished.configfile.read_bytes())
    dry = finished.snakemake("--dry-run", configfile=copy)
    assert "Nothing to be done" in dry.stdout + dry.stderr


def test_a_decision_by_hand_scores_again_and_reruns_nothing_before(finished):
    path = finished.path / "config/overrules/sums-heldout.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    try:
        planned = finished.planned()
    finally:
        path.unlink()
    assert planned == Counter(SCORED)


def test_editing_a_helper_module_reruns_the_commands_that_import_it(finished):
    name = "workflow/scripts/distillery/evaluate/comparison.py"
    text = (finished.path / name).read_text()
    with finished.edited(name, (text + "\nEXTRA = 1\n").encode()):
        assert finished.planned() == Counter({"evaluate_compare": 1, "report_page": 1})


def test_editing_a_command_reruns_it_and_what_follows(finished):
    name = "workflow/scripts/score.py"
    text = (finished.path / name).read_text()
    with finished.edited(name, text.replace("def main(", "EXTRA = 1\n\n\ndef main(").encode()):
        assert finished.planned() == Counter(SCORED)


def test_editing_a_template_reruns_what_renders_it(finished):
    name = "workflow/scripts/distillery/tokenize/templates.json"
    text = (finished.path / name).read_bytes()
    with finished.edited(name, text + b" "):
        rerun = finished.planned()
    # answers of the original weights are asked in the same template; nothing is fetched, made or converted for one
    expected = [
        "plan_sources",
        *["tokenize_shard"] * 2,
        "tokenize_merge",
        "tokenize_quality",
        "train",
        *AFTER_TRAIN,
    ]
    assert rerun == Counter([*expected, "generate_base_answers", "evaluate_base"])


def test_editing_a_kernel_reruns_what_computes_with_it(finished):
    name = "workflow/scripts/distillery/engine/native.cpp"
    text = (finished.path / name).read_bytes()
    with finished.edited(name, text + b"\nint extra;\n"):
        rerun = set(finished.planned())
    assert {"train", "generate_base_answers", "generate_tuned_answers"} <= rerun
    assert not {"tokenize_shard", "fetch_generated_model", "convert_hf_to_mcore"} & rerun


def test_a_training_leaf_reruns_training_and_what_follows(finished):
    with finished.replaced("experiment.yaml", "lr: 0.001", "lr: 0.002"):
        assert finished.planned() == Counter(["train", *AFTER_TRAIN])


def test_a_generation_leaf_reruns_both_sides_of_generation(finished):
    with finished.replaced("experiment.yaml", "max_new_tokens: 8", "max_new_tokens: 9"):
        # the early checks read it too; were they an input of training, Snakemake would look no further below them.
        # The estimate of the answers is part of the plan
        sides = ["generate_base_answers", "evaluate_base", "generate_tuned_answers", "evaluate_tuned"]
        expected = ["plan_sources", *sides, "evaluate_compare", "plan_outcome", "report_page"]
        assert finished.planned() == Counter(expected)


def test_one_row_of_one_shard_reruns_what_depends_on_that_shard(finished):
    # the tokenizer was trained on the first shard's rows; the second shard feeds only training
    name = "resources/datasets/sums/train-00001-of-00002.parquet"
    table = pq.read_table(finished.path / name)
    messages = table["messages"].to_pylist()
    messages[7][1]["content"] += " "
    position = table.column_names.index("messages")
    table = table.set_column(
        position, table.schema.field("messages"), pa.array(messages, table["messages"].type)
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    with finished.edited(name, buffer.getvalue()):
        expected = [
            "fetch_digest",
            "tokenize_shard",
            "tokenize_merge",
            "tokenize_quality",
            "train",
            *AFTER_TRAIN,
        ]
        assert finished.planned() == Counter(expected)


def test_a_second_experiment_shares_what_it_can(finished):
    """One that differs in the learning rate only starts at training."""
    config = yaml.safe_load(finished.configfile.read_text())
    config["experiments"]["second"] = {**config["experiments"]["small"]}
    config["experiments"]["second"]["train"] = {**config["experiments"]["small"]["train"], "lr": 0.01}
    with finished.edited("experiment.yaml", yaml.safe_dump(config).encode()):
        # the page over both is linked from the first one's report, which is drawn once more
        pages = ["report_rulegraph", "report_overview", "report_page"]
        assert finished.planned() == Counter(["plan_sources", "train", *AFTER_TRAIN, *pages])
