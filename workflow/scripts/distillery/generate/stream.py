"""Tokens to text while they come: whole characters only, thoughts dimmed or folded away."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from distillery.marks import END_THINK, THINK

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


class Until:
    """Text in, text out up to the first of some words; what may be the beginning of one is held back."""

    def __init__(self, words: Sequence[str]):
        self.words, self.held, self.over = words, "", False

    def feed(self, text: str) -> str:
        if self.over:
            return ""
        self.held += text
        ends = [self.held.find(word) for word in self.words if word in self.held]
        self.over = bool(ends)
        if ends:
            return self.held[: min(ends)]
        return self._out(max((_begun(self.held, word) for word in self.words), default=0))

    def end(self) -> str:
        """What was held back, if no word came of it."""
        return "" if self.over else self._out(0)

    def _out(self, keep: int) -> str:
        ready, self.held = self.held[: len(self.held) - keep], self.held[len(self.held) - keep :]
        return ready


class Thoughts:
    """Text in, text for the terminal out: what stands between <think> and </think> is dimmed.

    With `fold` a note replaces it. A tag may come in pieces.
    """

    def __init__(self, fold: bool):
        self.fold, self.inside, self.held = fold, False, ""

    def opened(self) -> str:
        """The prompt has opened a thought already: what shows it."""
        return self._turn()

    def feed(self, text: str) -> str:
        self.held += text
        out = ""
        while True:
            tag = END_THINK if self.inside else THINK
            before, found, rest = self.held.partition(tag)
            if not found:
                break
            out += self._show(before) + self._turn()
            self.held = rest
        keep = _begun(self.held, tag)
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
        return DIM + THINK if self.inside else END_THINK + RESET


def _begun(text: str, word: str) -> int:
    """How many characters at the text's end may be the beginning of `word`."""
    return next((n for n in range(len(word) - 1, 0, -1) if text.endswith(word[:n])), 0)
