"""When an answer ends: at a stop id, at a stop word in its text, or at its length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

EOS, LENGTH, STOP_WORD = "eos", "length", "stop_word"
SLACK = (
    8  # tokens decoded before the longest stop word: some decoders treat the first token of a text specially
)


@dataclass(frozen=True)
class Stopping:
    """When an answer ends.

    Args:
        max_new_tokens: at least 1.
        stop_ids: ids that end an answer; the id itself is the answer's last token.
        stop_words: texts that end an answer as soon as they appear in it.
        text_of: decodes ids; needed with stop_words only.
    """

    max_new_tokens: int
    stop_ids: frozenset[int] = frozenset()
    stop_words: tuple[str, ...] = ()
    text_of: Callable[[Sequence[int]], str] | None = field(default=None, compare=False)

    def reason(self, tokens: Sequence[int]) -> str | None:
        """Why the answer `tokens` ends with its last token, or None if it goes on."""
        if tokens[-1] in self.stop_ids:
            return EOS
        if self.stop_words:
            # a token is at least one byte, so a word that just ended began at most this many tokens ago
            reach = SLACK + max(len(word.encode()) for word in self.stop_words)
            tail = self.text_of(tokens[-reach:])
            if any(word in tail for word in self.stop_words):
                return STOP_WORD
        return LENGTH if len(tokens) >= self.max_new_tokens else None

    def trim(self, text: str) -> str:
        """`text` up to the first stop word."""
        ends = [text.find(word) for word in self.stop_words]
        return text[: min((end for end in ends if end >= 0), default=len(text))]
