"""What two experiments of a sweep leave of answers and scores, where a configuration says they lie."""

import json
from pathlib import Path

import report_files
import yaml
from places import FIXTURES

from distillery import artefacts, config, digests
from distillery.fetch import openr1, synthetic

PROBLEMS = 12


def write(folder: Path) -> None:
    """c.yaml with a sweep of two, `small-seed1` as good as the model both started from, `small-seed2` better; and their problems."""
    raw = yaml.safe_load((FIXTURES / "workflow/small.yaml").read_text())
    raw["experiments"]["small"]["sweep"] = {"train.seed": [1, 2]}
    (folder / "c.yaml").write_text(yaml.safe_dump(raw))
    first, second = config.load(raw).experiments.values()
    places = [
        ("base", artefacts.base_answers(first, "sums-heldout"), artefacts.base_scores(first, "sums-heldout")),
        *(
            (kind, *(one.of(experiment=e.name) for one in (artefacts.TUNED_ANSWERS, artefacts.TUNED_SCORES)))
            for kind, e in (("base", first), ("tuned", second))
        ),
    ]
    for kind, answers, scores in places:
        for place, rows in zip((answers, scores), report_files.judged(kind, PROBLEMS), strict=True):
            path = folder / place.path
            path.parent.mkdir(parents=True, exist_ok=True)
            digests.write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
    problems = folder / artefacts.PROBLEMS.at(problems="sums-heldout")
    problems.parent.mkdir(parents=True)
    openr1.write(list(synthetic.problem_rows(0, PROBLEMS)), openr1.PROBLEM_SCHEMA, problems)
