r"""A second look at what math-verify calls equal: expressions with other values are not.

math-verify takes the difference of two expressions for zero when it is small, so that `2^{-98}` equals `2^{-99}` and
`\frac{1}{2004!}` equals `\frac{1}{2006!}`. Here values are compared relative to their size, in 30 digits; expressions
with variables at a few points.
"""

from __future__ import annotations

from typing import Any

DIGITS = 30
RELATIVE = 1e-12  # beyond it two exact expressions differ
ROUNDED = 1e-5  # where decimals may be rounded
GREATEST = 200  # nodes of an expression; greater ones are left to math-verify, whose verdict took long enough
POINTS = (
    ("1.3719", 0.2113),
    ("0.6127", 0.1409),
)  # (of the first variable, step to the next), as decimal text and float


def differ(gold: Any, answer: Any) -> bool:
    """Whether two parsed expressions, or lists of them, surely have other values; False where it cannot be said."""
    import sympy

    if isinstance(gold, sympy.Tuple) and isinstance(answer, sympy.Tuple):
        return len(gold) == len(answer) and any(differ(a, b) for a, b in zip(gold, answer, strict=True))
    if isinstance(gold, sympy.FiniteSet) and isinstance(answer, sympy.FiniteSet):
        return any(all(differ(a, b) for b in answer) for a in gold)
    if isinstance(gold, sympy.Interval) and isinstance(answer, sympy.Interval):
        return differ(gold.start, answer.start) or differ(gold.end, answer.end)
    if isinstance(gold, sympy.Eq) and isinstance(answer, sympy.Eq):
        return _other_equation(gold, answer)
    if isinstance(gold, sympy.Eq) != isinstance(answer, sympy.Eq):  # x = 5 to the gold 5
        gold, answer = (side.rhs if isinstance(side, sympy.Eq) else side for side in (gold, answer))
    if not all(isinstance(side, sympy.Expr) and _simple(side) for side in (gold, answer)):
        return False
    names = [{str(symbol) for symbol in side.free_symbols} for side in (gold, answer)]
    if names[0] != names[1]:
        return False
    return any(_differ_at(gold, answer, point) for point in (POINTS if names[0] else POINTS[:1]))


def _other_equation(gold: Any, answer: Any) -> bool:
    """Whether two equations have other variables, or sides whose differences are not the same but for one factor.

    math-verify calls any two equal that are true or false of themselves (`2+3=5`, `1+1=2`), any two of the imaginary unit, which is
    how it reads a current (`I=t+1`, `I=t+2`), and any two with derivatives, which are zero to it.
    """
    import sympy

    if {str(symbol) for symbol in gold.atoms(sympy.Symbol)} != {
        str(symbol) for symbol in answer.atoms(sympy.Symbol)
    }:
        return True
    if not gold.free_symbols and not answer.free_symbols:
        return _differ_at(gold.rhs, answer.rhs, POINTS[0], ROUNDED)
    sides = []
    for equation in (gold, answer):
        names = {one: sympy.Symbol(str(one)) for one in equation.atoms(sympy.Derivative)}
        sides.append((equation.lhs - equation.rhs).xreplace(names))
    if any(nodes > GREATEST for side in sides for nodes, _ in enumerate(sympy.preorder_traversal(side))):
        return False
    near = ROUNDED if any(side.atoms(sympy.Float) for side in sides) else RELATIVE
    try:
        first, second = (_at(sides[0], point) / _at(sides[1], point) for point in POINTS)
        return bool(abs(first - second) > near * abs(first))
    except Exception:  # sympy raises what it likes, and no number is compared
        return False


def _simple(expression: Any) -> bool:
    import sympy

    unsafe = (sympy.Integral, sympy.Sum, sympy.Product, sympy.Limit, sympy.Float, sympy.UnevaluatedExpr)
    for nodes, node in enumerate(sympy.preorder_traversal(expression)):
        if nodes > GREATEST or isinstance(node, unsafe):
            return False
    return not isinstance(expression, sympy.Symbol)


def _at(expression: Any, point: tuple[str, str]) -> Any:
    """The value where the variables, in the order of their names, are the point's first number and steps from it."""
    import sympy

    first, step = map(sympy.Rational, point)
    names = sorted({str(symbol) for symbol in expression.free_symbols})
    places = {symbol: first + step * names.index(str(symbol)) for symbol in expression.free_symbols}
    return expression.doit().subs(places).evalf(DIGITS)


def _differ_at(gold: Any, answer: Any, point: tuple[str, str], near: float = RELATIVE) -> bool:
    import sympy

    values = []
    for side in (gold, answer):
        try:
            value = _at(side, point)
        except Exception:  # sympy raises what it likes
            return False
        if (
            not value.is_number
            or not value.is_finite
            or any(part._prec == 1 for part in value.atoms(sympy.Float))
        ):
            return False
        values.append(value)
    larger = max(abs(value) for value in values)
    return bool(abs(values[0] - values[1]) > near * larger)
