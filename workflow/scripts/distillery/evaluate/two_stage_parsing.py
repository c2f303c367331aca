"""Lets math-verify's grammar predict without context first, which takes a third of the time, and with it where that fails.

ANTLR's own advice (`PredictionMode.SLL` in its documentation): a parse that succeeds in this mode gives the tree that the
full mode gives; one that fails is repeated. So nothing that math-verify says changes; a test compares both.
"""

from __future__ import annotations

from typing import Any


def install() -> None:
    """Make latex2sympy2's converter parse in two stages, in this process."""
    from antlr4 import PredictionMode
    from latex2sympy2_extended import latex2sympy2

    converter = latex2sympy2._Latex2Sympy
    if hasattr(converter, "prediction"):
        return
    parse, create_parser = converter.parse, converter.create_parser

    def in_two_stages(self: Any, text: str) -> Any:
        self.prediction = PredictionMode.SLL
        try:
            return parse(self, text)
        except Exception:  # the listener raises it, and so do conversions
            self.prediction = PredictionMode.LL
            return parse(self, text)

    def created(self: Any, text: str) -> Any:
        parser = create_parser(self, text)
        parser._interp.predictionMode = self.prediction
        return parser

    converter.prediction, converter.parse, converter.create_parser = PredictionMode.LL, in_two_stages, created
