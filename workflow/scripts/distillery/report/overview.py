"""What a reader asks in the first ten seconds: of what and where the run was, what it took, and what is worth a look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distillery.report.readable import amount, duration

Rows = list[dict[str, Any]]
NOTABLE = 0.05  # share of answers that is worth a word
GAP = 0.1  # held-out loss above the best of before, relative


def facts(
    settings: Mapping[str, Any],
    comparison: Mapping[str, Any],
    problems: str,
    machine: Mapping[str, Any] | None,
    plan: Mapping[str, Any] | None,
) -> list[tuple[str, str]]:
    """(what, value) of the run: model, data, problem sets, machine, versions, commit, measured time; what is unknown is left out.

    Args:
        settings: the experiment's resolved configuration.
        problems: the problem set of the page.
        machine: of `machine.described`, as the training's first sample has it.
        plan: of plan_outcome.py.
    """
    asked = settings.get("problems") or problems
    model = settings.get("model")
    said = [
        (
            "model",
            f"experiment {model['experiment']}, tuned"
            if isinstance(model, Mapping) and "experiment" in model
            else model,
        ),
        ("dataset", settings.get("dataset")),
        ("problem sets", ", ".join(map(str, asked)) if isinstance(asked, (list, Mapping)) else asked),
        ("answers", f"{amount(comparison['base']['n'])} of each model, {comparison['samples']} a problem"),
    ]
    if machine:
        said.append(
            (
                "machine",
                f"{machine['processor']}, {machine['cores']} cores, {amount(machine['memory_megabytes'], 'MB')}, {machine['system']}",
            )
        )
        said.append(
            ("versions", ", ".join(f"{name} {version}" for name, version in machine["versions"].items()))
        )
        said.append(("commit", machine["commit"]))
    if taken := seconds(plan):
        said.append(("time", f"{duration(taken)} of all jobs together"))
    return [(name, str(value)) for name, value in said if value]


def seconds(plan: Mapping[str, Any] | None) -> float:
    """Measured seconds of all jobs of the plan."""
    return sum(
        row["measured"] or 0.0
        for row in (plan or {"rows": []})["rows"]
        if row["quantity"].startswith("time of")
    )


def cost(comparison: Mapping[str, Any], plan: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """(what, value) of what was spent: tokens trained and generated, time of training, its memory."""
    measured = {row["quantity"]: row for row in (plan or {"rows": []})["rows"] if row["measured"]}
    named = {
        "tokens of train": "tokens trained",
        "time of train": "training",
        "memory of train": "memory of training",
    }
    said = [
        (name, amount(measured[key]["measured"], measured[key]["unit"]))
        for key, name in named.items()
        if key in measured
    ]
    spent = {side: comparison[side]["tokens"] for side in ("base", "tuned")}
    said += [
        (f"{side} answers", f"{amount(one['total'], 'tokens')}, {amount(one['mean'])} each")
        for side, one in spent.items()
        if "total" in one
    ]
    return said


def notices(
    comparison: Mapping[str, Any], plan: Mapping[str, Any] | None, quality: Rows, metrics: Rows
) -> Rows:
    """What is worth a look: `text` and the `part` of the page that shows it; those that question the verdict first."""
    paired, tuned = comparison["paired"], comparison["tuned"]
    found = [
        (f"the two models were not asked with the same {key}s", "accuracy")
        for key, same in comparison["same"].items()
        if same is False
    ]
    found += [
        (f"the {side} answers are those of {kind} weights, which lost precision", "accuracy")
        for side, kind in comparison.get("weights", {}).items()
    ]
    if missing := tuned["unscorable"]["problems"]:
        found.append((f"{missing} problems count nowhere, for their golds cannot be read", "accuracy"))
    if lost := len(paired["lost"]):
        found.append(
            (
                f"{lost} {'problem' if lost == 1 else 'problems'} that the base model had right {'was' if lost == 1 else 'were'} lost",
                "problems",
            )
        )
    for side in ("base", "tuned"):
        one = comparison[side]
        shares = {
            "were cut at the longest length": one["stops"].get("length", 0) / one["n"],
            "never closed their thinking": one["unfinished_think"],
            "ran out of the comparison's time": one["timed_out"],
            "crashed the comparison": one["crashed"],
        }
        found += [
            (f"{share:.1%} of the {side} answers {what}", "answers")
            for what, share in shares.items()
            if share >= NOTABLE
        ]
        if disputed := one.get("disputed"):
            found.append(
                (f"{disputed} verdicts on {side} answers are disputed: make audit lists them", "answers")
            )
    held_out = [row["evaluation_loss"] for row in metrics if "evaluation_loss" in row]
    if held_out and held_out[-1] > (1 + GAP) * min(held_out):
        found.append((f"the held-out loss rose from {min(held_out):.3g} to {held_out[-1]:.3g}", "training"))
    found += [
        (f"{amount(row['rows'])} training rows ({row['share']:.1%}) {_predicate(row['measure'])}", "data")
        for row in quality
        if row["rows"] and row["measure"].startswith(("rejected", "sharing")) and row["share"] >= NOTABLE / 5
    ]
    for severity, what in (("warning", "warned of"), ("accepted", "warned of, and it was accepted:")):
        ids = [row["id"] for row in (plan or {"findings": []})["findings"] if row["severity"] == severity]
        if ids:
            found.append((f"the plan {what} {', '.join(dict.fromkeys(ids))}", "plan"))
    return [{"text": text, "part": part} for text, part in found]


def _predicate(measure: str) -> str:
    return f"were {measure}" if measure.startswith("rejected") else f"share{measure.removeprefix('sharing')}"
