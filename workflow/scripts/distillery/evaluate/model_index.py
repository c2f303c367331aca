"""Scores as Hugging Face's model cards have them: the `model-index` of a card's header, which leaderboards and the hub read.

The format: https://github.com/huggingface/hub-docs/blob/main/modelcard.md, as `huggingface_hub.repocard_data` reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def of(name: str, sets: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The tuned model's scores on each problem set, each with its 95 % interval under `args`.

    Args:
        name: of the model.
        sets: {problem set: summary}.
    """
    return [{"name": name, "results": [_result(problems, one) for problems, one in sets.items()]}]


def _result(problems: str, summary: Mapping[str, Any]) -> dict[str, Any]:
    asked = {"problems": summary["problems"], "samples": summary["samples"]}
    chances = {"pass@1": {"value": summary["tuned"]["accuracy"], "interval": summary["tuned"]["interval"]}}
    for key, kind in (("pass_at", "pass"), ("maj_at", "maj")):
        more = summary["measures"]["tuned"].get(key, {})
        chances |= {f"{kind}@{k}": one for k, one in more.items() if k != "1"}
    return {
        "task": {"type": "text-generation", "name": "mathematical reasoning"},
        "dataset": {"type": problems, "name": problems},
        "metrics": [
            {
                "type": kind,
                "name": f"{kind}, strictly read",
                "value": one["value"],
                "args": {**asked, "interval_95": one["interval"]},
            }
            for kind, one in chances.items()
        ],
    }
