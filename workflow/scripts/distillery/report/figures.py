"""The report's plots as SVG text: the same data gives the same bytes, and text stays text.

Colours are named once in `COLOURS`. A figure on its own carries them as they are; inside the page they
become CSS variables, so that the figure follows the reader's light or dark setting.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402  after the choice of backend

COLOURS = {
    "ink": "#1c2128",
    "muted": "#59636e",
    "grid": "#dde1e6",
    "base": "#8b95a3",
    "tuned": "#2a6fdb",
    "soft": "#b9d0f5",
}
READ = 1000  # steps whose values the page tells
STYLE = {
    "svg.hashsalt": "distillery",  # element ids are random otherwise
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": COLOURS["ink"],
    "axes.edgecolor": COLOURS["grid"],
    "axes.labelcolor": COLOURS["muted"],
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": COLOURS["grid"],
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


def loss(metrics: Sequence[dict[str, Any]]) -> str:
    """Training loss per step with a running mean, held-out loss where there is one, learning rate below.

    Args:
        metrics: records of the trainer: {"iteration", "loss", "lr"} or {"iteration", "evaluation_loss"}.
    """
    steps = [record for record in metrics if "loss" in record]
    held_out = [record for record in metrics if "evaluation_loss" in record]
    x, y = (np.array([record[key] for record in steps], float) for key in ("iteration", "loss"))
    with matplotlib.rc_context(STYLE):
        figure, (top, below) = pyplot.subplots(2, sharex=True, figsize=(8, 4.2), height_ratios=[5, 1])
        top.plot(x, y, color=COLOURS["soft"], linewidth=0.8, label="each step")
        top.plot(x, running_mean(y), color=COLOURS["tuned"], linewidth=1.8, label="running mean")
        if held_out:
            points = [[record[key] for record in held_out] for key in ("iteration", "evaluation_loss")]
            top.plot(*points, "o", color=COLOURS["ink"], markersize=4, label="held-out")
        if len(x) > 1:
            top.set_xlim(x[0], x[-1])  # the page's reader of values counts on it
        positive = y[y > 0]
        if positive.size == y.size and y.max() > 20 * y.min():
            top.set_yscale("log")
            top.yaxis.set_major_formatter("{x:g}")
        top.set_ylabel("loss")
        top.legend(loc="upper right")
        below.plot(x, [record["lr"] for record in steps], color=COLOURS["base"], linewidth=1.4)
        below.set_ylim(bottom=0)
        below.set_yticks([0, max(record["lr"] for record in steps)])
        below.set_ylabel("lr")
        below.set_xlabel("step")
        return _svg(figure)


def course(metrics: Sequence[dict[str, Any]]) -> list[list[float | None]]:
    """[step, loss, its running mean, learning rate, held-out loss or None] of at most READ steps, the last one among them."""
    steps = [record for record in metrics if "loss" in record]
    held_out = {
        record["iteration"]: record["evaluation_loss"] for record in metrics if "evaluation_loss" in record
    }
    means = running_mean(np.array([record["loss"] for record in steps], float))
    stride = -(-len(steps) // READ)
    return [
        [
            one["iteration"],
            *(float(f"{value:.4g}") for value in (one["loss"], mean, one["lr"])),
            held_out.get(one["iteration"]),
        ]
        for place, (one, mean) in enumerate(zip(steps, means, strict=True))
        if (len(steps) - 1 - place) % stride == 0 or one["iteration"] in held_out
    ]


def running_mean(values: np.ndarray) -> np.ndarray:
    """Mean of the last 2 % of all steps, at least 5 where there are so many."""
    width = max(5, len(values) // 50)
    sums = np.cumsum(np.insert(values, 0, 0.0))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - width, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)


def accuracy(rows: Sequence[dict[str, Any]]) -> str:
    """Share of right answers for each family, base beside tuned, with 95 % intervals.

    Args:
        rows: [{"family", "base": {"accuracy", "interval"}, "tuned": ...}], "all" first.
    """
    with matplotlib.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(8, 0.9 + 0.62 * len(rows)))
        for number, row in enumerate(rows):
            for name, shift in (("base", 0.19), ("tuned", -0.19)):
                value, (low, high) = row[name]["accuracy"], row[name]["interval"]
                at = len(rows) - 1 - number + shift
                axes.barh(at, 100 * value, 0.34, color=COLOURS[name], label=name if number == 0 else None)
                axes.plot([100 * low, 100 * high], [at, at], color=COLOURS["ink"], linewidth=1.2)
                axes.annotate(
                    f"{value:.1%}",
                    (100 * high, at),
                    (5, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=10,
                )
        axes.set_yticks(range(len(rows) - 1, -1, -1), [row["family"] for row in rows])
        axes.tick_params(axis="y", length=0, labelcolor=COLOURS["ink"])
        axes.grid(axis="y", visible=False)
        axes.set_xlim(0, 112)
        axes.set_xticks(range(0, 101, 20))
        axes.set_xlabel("right answers, %  (lines: 95 % intervals)")
        figure.legend(loc="outside upper right", ncols=2)
        return _svg(figure)


def budgets(rows: Sequence[dict[str, Any]], names: Mapping[str, str]) -> str:
    """Share of right answers where each may take so many tokens, both models.

    Args:
        rows: [{"tokens", "base", "tuned"}], with rising budgets.
        names: what base and tuned are called.
    """
    with matplotlib.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(8, 2.8))
        at = [row["tokens"] for row in rows]
        for name in ("base", "tuned"):
            values = [100 * row[name] for row in rows]
            axes.plot(at, values, "o-", color=COLOURS[name], markersize=4, linewidth=1.6, label=names[name])
        axes.set_xscale("log", base=2)
        axes.set_xticks(at, [f"{tokens:,}" for tokens in at])
        axes.minorticks_off()
        axes.set_ylim(-3, 103)
        axes.set_xlabel("tokens that an answer may take; longer ones are wrong")
        axes.set_ylabel("right answers, %")
        axes.legend(loc="best")
        return _svg(figure)


def lengths(base: Sequence[int], tuned: Sequence[int]) -> str:
    """Histogram of generated tokens, both models over the same bins."""
    edges = np.histogram_bin_edges([*base, *tuned], bins=min(40, max(5, len(set(base) | set(tuned)))))
    with matplotlib.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(8, 2.8))
        axes.hist(base, edges, color=COLOURS["base"], label="base", alpha=0.75)
        axes.hist(tuned, edges, color=COLOURS["tuned"], label="tuned", alpha=0.75)
        axes.set_xlabel("generated tokens")
        axes.set_ylabel("answers")
        axes.grid(axis="x", visible=False)
        axes.legend(loc="best")
        return _svg(figure)


def rows(lengths: dict[str, Any]) -> str:
    """Histogram of the dataset's rows by their tokens, as the quality card has it, and where training cuts."""
    bins = lengths["histogram"]
    names = [f"below {one['below']}" for one in bins]
    with matplotlib.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(8, 2.4))
        kept = [lengths["seq_length"] is None or one["from"] < lengths["seq_length"] for one in bins]
        axes.bar(
            names, [one["rows"] for one in bins], color=[COLOURS["tuned" if k else "soft"] for k in kept]
        )
        axes.set_xlabel("tokens of a row")
        axes.set_ylabel("rows")
        axes.grid(axis="x", visible=False)
        return _svg(figure)


def resources(courses: Sequence[dict[str, Any]]) -> str:
    """What each job used over its time: a column for a job, a row for a measure.

    Args:
        courses: [{"job", "seconds": [...], "measures": {name: [...]}}], None where a sample lacks a value.
    """
    names = list(dict.fromkeys(name for course in courses for name in course["measures"]))
    with matplotlib.rc_context(STYLE):
        figure, panels = pyplot.subplots(
            len(names),
            len(courses),
            sharex="col",
            sharey="row",
            squeeze=False,
            figsize=(8, 0.6 + 1.3 * len(names)),
        )
        for column, course in enumerate(courses):
            for row, name in enumerate(names):
                axes = panels[row][column]
                values = [math.nan if value is None else value for value in course["measures"].get(name, [])]
                axes.plot(course["seconds"][: len(values)], values, color=COLOURS["tuned"], linewidth=1.4)
                axes.set_ylim(bottom=0)
                axes.tick_params(labelsize=9)
                if not column:
                    axes.set_title(name, fontsize=10, loc="left", color=COLOURS["muted"])
            panels[-1][column].set_xlabel(f"{course['job']}, s", fontsize=10)
        return _svg(figure)


def _svg(figure: Any) -> str:
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    return stream.getvalue()


def inline(svg: str, name: str, label: str) -> str:
    """The figure for a page: no XML prologue, ids of its own, CSS colours, and a text alternative."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r"url\(#", f"url(#{name}-", body)
    body = re.sub(r'href="#', f'href="#{name}-', body)
    for colour, value in COLOURS.items():
        body = body.replace(value, f"var(--{colour})")
    body = re.sub(r'(<svg[^>]*?) width="[^"]+"', r"\1", body, count=1)
    body = re.sub(r'(<svg[^>]*?) height="[^"]+"', r"\1", body, count=1)
    return body.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
