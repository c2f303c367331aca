"""Tokens to text while they come: whole characters only, thoughts dimmed or folded away."""

from __future__ import annotations

from collections.abc import Callable, Sequence

OPEN, CLOSE = "<think>", "</think>"
DIM, RESET = "\x1b[2m", "\x1b[0m"
FOLDED = "(thinking ...)"
UNFINISHED = "\N{REPLACEMENT CHARACTER}"  # what decoders give for the first bytes of a character


class Characters:
    """Ids in, text out as soon as its characters are whole."""

    def __init__(self, text_of: Callable[[Sequence[int]], str]):
        self.text_of = text_of
        self.ids: list[int] = []
        self.context = self.shown = (
            0  # text up to `shown` is out; `context` begins the tokens decoded with it
        )

    def feed(self, token: int) -> str:
        """The text that became whole with `token`; may be empty."""
        self.ids.append(token)
        return self._new(final=False)

    def end(self) -> str:
        """What is left, an unfinished character included."""
        return self._new(final=True)

    def _new(self, final: bool) -> str:
        # a token's text may depend on the one before it (a leading space), so decode a little more and compare
        before = self.text_of(self.ids[self.context : self.shown])
        after = self.text_of(self.ids[self.context :])
        if after.endswith(UNFINISHED) and not final:
            return ""
        self.context, self.shown = self.shown, len(self.ids)
        return after[len(before) :]


class Thoughts:
    """Text in, text for the terminal out: what stands between <think> and </think> is dimmed, or, with
    `fold`, replaced by a note. A tag may come in pieces."""

    def __init__(self, fold: bool):
        self.fold, self.inside, self.held = fold, False, ""

    def feed(self, text: str) -> str:
        self.held += text
        out = ""
        while True:
            tag = CLOSE if self.inside else OPEN
            before, found, rest = self.held.partition(tag)
            if not found:
                break
            out += self._show(before) + self._turn()
            self.held = rest
        keep = next((n for n in range(len(tag) - 1, 0, -1) if self.held.endswith(tag[:n])), 0)
        ready, self.held = self.held[: len(self.held) - keep], self.held[len(self.held) - keep :]
        return out + self._show(ready)

    def end(self) -> str:
        """What was held back, and the terminal's colours as they were."""
        out = self._show(self.held) + (RESET if self.inside and not self.fold else "")
        self.held, self.inside = "", False
        return out

    def _show(self, text: str) -> str:
        return "" if self.inside and self.fold else text

    def _turn(self) -> str:
        self.inside = not self.inside
        if self.fold:
            return FOLDED if self.inside else ""
        return DIM + OPEN if self.inside else CLOSE + RESET
