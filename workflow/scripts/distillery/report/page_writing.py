"""The page as HTML, and its parts as files: every text is escaped, what a terminal would obey is spelled out."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup, escape

from distillery import files
from distillery.provenance import SCRIPTS
from distillery.report import answer_texts, contents, figures, readable
from distillery.terminal_text import printable

TEMPLATES = SCRIPTS.parent / "report"
TEMPLATE, SCRIPT, MATHEMATICS = "page.html.j2", "page.js", "temml.min.js"
TABLES = (
    "families",
    "chances",
    "groups",
    "budgets",
    "published",
    "behaviour",
    "examples",
    "flips",
    "digests",
    "plan",
    "quality",
    "mixed_quality",
    "selection",
    "resources",
    "sweep",
)
LABELS = {
    "loss": "training loss by step",
    "accuracy": "accuracy by problem family, base and tuned",
    "budgets": "accuracy by tokens that an answer may take, base and tuned",
    "lengths": "histogram of answer lengths",
    "rows": "histogram of the training rows' lengths",
    "rulegraph": "graph of the workflow's rules",
    "resources": "memory, processor and device use of the jobs over time",
}


def environment() -> jinja2.Environment:
    """That of the templates: every value is escaped, control characters are spelled out, and numbers have filters."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: (
            printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
        ),
    )
    made.filters |= {
        "percent": lambda value: f"{value:.1%}",
        "measure": lambda value, unit: (
            "–" if value is None else f"{value:.1%}" if unit == "share" else readable.amount(value)
        ),
        "amount": readable.amount,
        "small": readable.small,
        "exact": lambda value: (
            readable.exact(value) if isinstance(value, float) else "–" if value in (None, "") else value
        ),
        "shown": lambda value: (
            readable.number(value) if isinstance(value, float) else "–" if value in (None, "") else value
        ),
        "breakable": lambda name: Markup(
            re.sub(r"([._])(?=.)", r"\1<wbr>", str(escape(printable(str(name)))))
        ),
        "parted": answer_texts.parted,
        "ending": contents.end,
    }
    return made


def render(report: dict[str, Any], links: Mapping[str, str]) -> str:
    """The page. Every value is escaped; figures are our own SVG, and the only script that runs is ours.

    Args:
        links: `parts`, the folder of the parts, as the page's links reach it; so may be `overview`, the page over all experiments, the
            page's `manifest`, the export's `card`, and the page's inputs by their roles.
    """
    script = (TEMPLATES / SCRIPT).read_text(encoding="utf-8")
    drawn = {name: Markup(figures.inline(svg, name, LABELS[name])) for name, svg in report["figures"].items()}
    more = {
        "drawn": drawn,
        "colours": figures.COLOURS,
        "script": Markup(script),
        "script_digest": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "links": {role.replace("_", " "): quote(path) for role, path in links.items()},
        "mathematics": MATHEMATICS,
        "part_files": [
            *sorted(f"{name}.svg" for name in report["figures"]),
            *sorted(f"{name}.json" for name in TABLES),
        ],
    }
    return environment().get_template(TEMPLATE).render(report | more)


def write_parts(report: dict[str, Any], directory: Path) -> list[Path]:
    """Each figure as SVG, each table as JSON, all answers and what renders their mathematics as scripts; returns the files."""
    parts = []
    for name, svg in report["figures"].items():
        parts.append(directory / f"{name}.svg")
        files.write_text(parts[-1], svg)
    for name in TABLES:
        parts.append(directory / f"{name}.json")
        files.write_text(parts[-1], _json(report[name]))
    parts.append(directory / MATHEMATICS)
    with files.atomic(parts[-1]) as partial:
        shutil.copyfile(TEMPLATES / MATHEMATICS, partial)
    return [*parts, *answer_texts.write(report["problems"], *report["texts"], directory / "answers")]


def _json(value: Any) -> str:
    """As `files.write_json`; halves of characters, which are none in UTF-8, stay escaped."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
