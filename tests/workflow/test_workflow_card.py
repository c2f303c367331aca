"""The card of a finished run's export, read by the library that the hub's clients read it with; the export stays what it was."""

import json
import subprocess
import sys

from huggingface_hub import ModelCard

from distillery import digests


def test_the_card_has_scores_data_recipe_and_digests(finished):
    line = [
        sys.executable,
        "workflow/scripts/report_card.py",
        "--configfile",
        "experiment.yaml",
        "--experiment",
    ]
    folder = finished.path / "results/experiments/small"
    card = folder / "hf/README.md"
    try:
        done = subprocess.run(
            [*line, "small"], cwd=finished.path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert not finished.planned()
        text, read = card.read_text(), ModelCard.load(card)
    finally:
        card.unlink(missing_ok=True)
    summary = json.loads((folder / "summary.json").read_text())
    (result,) = read.data.eval_results
    assert read.data.model_name == "small" and result.metric_value == summary["tuned"]["accuracy"]
    assert result.metric_args["interval_95"] == summary["tuned"]["interval"]
    assert (read.data.license, read.data.pipeline_tag) == ("unknown", "text-generation")
    shard = next((finished.path / "resources/datasets/sums").glob("*.parquet"))
    trained = digests.read_json(folder / "train/done.json")
    for words in (
        "train.lr",
        "0.001",
        digests.wanted(shard)[0],
        trained["key"],
        trained["payload_digest"],
        "sums-heldout",
    ):
        assert words in text
    refused = subprocess.run([*line, "none"], cwd=finished.path, capture_output=True, text=True, check=False)
    assert refused.returncode == 2 and "no such experiment" in refused.stderr
