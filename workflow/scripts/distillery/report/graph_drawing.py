"""A graph of rules drawn as SVG: layers by longest path, long edges led around boxes, few crossings.

Sugiyama's scheme in small: a rule stands one layer below its lowest input; an edge over several layers
gets a waypoint in each; sweeps order every layer by the mean position of its neighbours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

from distillery.problems import Problem
from distillery.report.figures import COLOURS

CHARACTER, HEIGHT, LAYER, GAP, WAYPOINT = 7.3, 30, 62, 18, 10  # pixels
SWEEPS = 24

Node = str | tuple[str, str, int]  # a rule, or the waypoint of an edge in a layer


@dataclass(frozen=True)
class Graph:
    """Rules in the order of the file, and (from, to) edges between them."""

    rules: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]


def parse(dot: str) -> Graph:
    """Read `"rule";` and `"from" -> "to";` lines of a dot file."""
    edges = tuple(dict.fromkeys(re.findall(r'^\s*"([^"]+)" -> "([^"]+)"', dot, re.MULTILINE)))
    rules = re.findall(r'^\s*"([^"]+)"\s*(?:\[.*\])?;', dot, re.MULTILINE)
    rules = tuple(dict.fromkeys([*rules, *(name for edge in edges for name in edge)]))
    if not rules:
        raise Problem("no rules in the graph", found=dot[:60], wanted='lines such as "tokenize" -> "merge";')
    return Graph(rules, edges)


def layers(graph: Graph) -> list[list[Node]]:
    """Nodes of each layer from the top, waypoints included, ordered to cross little."""
    depth = _depths(graph)
    rows: list[list[Node]] = [[] for _ in range(max(depth.values()) + 1)]
    for rule in graph.rules:
        rows[depth[rule]].append(rule)
    above: dict[Node, list[Node]] = {}
    below: dict[Node, list[Node]] = {}
    for edge in graph.edges:
        path = _path(edge, depth)
        for waypoint in path[1:-1]:
            rows[waypoint[2]].append(waypoint)
        for upper, lower in zip(path, path[1:], strict=False):
            below.setdefault(upper, []).append(lower)
            above.setdefault(lower, []).append(upper)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            place = {node: i / max(1, len(other) - 1) for other in rows for i, node in enumerate(other)}
            neighbours = above if down else below
            row.sort(key=lambda node: _mean([place[n] for n in neighbours.get(node, [])], place[node]))  # noqa: B023
    return rows


def _depths(graph: Graph) -> dict[str, int]:
    depth = dict.fromkeys(graph.rules, 0)
    for _ in graph.rules:  # as many rounds as the longest path can have
        changed = False
        for upper, lower in graph.edges:
            if depth[lower] <= depth[upper]:
                depth[lower], changed = depth[upper] + 1, True
        if not changed:
            return depth
    raise Problem(
        "the rules form a circle",
        found=[edge for edge in graph.edges if depth[edge[1]] > len(graph.rules) // 2],
    )


def _path(edge: tuple[str, str], depth: dict[str, int]) -> list[Node]:
    upper, lower = edge
    return [upper, *((upper, lower, layer) for layer in range(depth[upper] + 1, depth[lower])), lower]


def _mean(values: list[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _width(node: Node) -> float:
    return len(node) * CHARACTER + 22 if isinstance(node, str) else WAYPOINT


def draw(dot: str) -> str:
    """The whole drawing as SVG text."""
    graph = parse(dot)
    rows, depth = layers(graph), _depths(graph)
    spans = [sum(map(_width, row)) + GAP * (len(row) - 1) for row in rows]
    width, height = max(spans) + 4, LAYER * (len(rows) - 1) + HEIGHT + 4
    centre: dict[Node, tuple[float, float]] = {}
    for number, (row, span) in enumerate(zip(rows, spans, strict=True)):
        at = (width - span) / 2
        for node in row:
            centre[node] = (at + _width(node) / 2, 2 + number * LAYER + HEIGHT / 2)
            at += _width(node) + GAP
    parts = [_curve([centre[node] for node in _path(edge, depth)]) for edge in graph.edges]
    parts += [_box(rule, *centre[rule]) for rule in graph.rules]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.1f} {height:.1f}">\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _curve(points: list[tuple[float, float]]) -> str:
    (x, y), *rest = points
    y += HEIGHT / 2
    path = f"M{x:.1f} {y:.1f}"
    for number, (to_x, to_y) in enumerate(rest, 1):
        to_y -= HEIGHT / 2 if number == len(rest) else 0
        middle = (y + to_y) / 2
        path += f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}"
        x, y = to_x, to_y
    return f'<path d="{path}" fill="none" style="stroke: {COLOURS["base"]}; stroke-width: 1.3"/>'


def _box(rule: str, x: float, y: float) -> str:
    width = _width(rule)
    return (
        f'<g><rect x="{x - width / 2:.1f}" y="{y - HEIGHT / 2:.1f}" width="{width:.1f}" height="{HEIGHT}" rx="7" '
        f'style="fill: {COLOURS["soft"]}; stroke: {COLOURS["tuned"]}"/><text x="{x:.1f}" y="{y + 4:.1f}" '
        f'text-anchor="middle" style="font: 12px ui-monospace, monospace; fill: {COLOURS["ink"]}">{escape(rule)}</text></g>'
    )
