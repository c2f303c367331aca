"""How many questions are out at once: more while answers come, half as many when the server has too much to do."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque

FIRST_WAIT, LONGEST_WAIT = 0.25, 60.0  # seconds between two attempts; doubled each time


class Pace:
    """Places for questions, taken and given back by the tasks of one event loop.

    Additive increase, multiplicative decrease, as TCP does it: what a storm of refusals halves grows by one for each
    round of answers.
    """

    def __init__(self, most: int) -> None:
        """Begin with all places.

        Args:
            most: places that there may be.
        """
        self.most, self.limit, self.out = most, float(most), 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._cut_at = self.progress = time.monotonic()
        self.lowest = most

    async def enter(self) -> float:
        """Wait for a place; the time at which it was given."""
        while self.out >= int(self.limit):
            place = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            await place
        self.out += 1
        return time.monotonic()

    def leave(self) -> None:
        """Give a place back."""
        self.out -= 1
        free = int(self.limit) - self.out
        while self._waiting and free > 0:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                free -= 1

    def answered(self) -> None:
        """An answer has come: a little more may be asked."""
        self.progress = time.monotonic()
        self.limit = min(self.most, self.limit + 1 / self.limit)

    def refused(self, begun: float) -> None:
        """The server has too much to do. Questions that went out together are one sign, not many.

        Args:
            begun: when the refused question went out.
        """
        if begun >= self._cut_at:
            self._cut_at = time.monotonic()
            self.limit = max(1.0, self.limit / 2)
            self.lowest = min(self.lowest, int(self.limit))

    @property
    def quiet(self) -> float:
        """Seconds without any answer."""
        return time.monotonic() - self.progress


def wait(attempt: int, asked: float | None) -> float:
    """Seconds before the next attempt: what the server asks for, or ever more, so that questions do not come in waves."""
    if asked is not None:
        return asked + random.uniform(0, FIRST_WAIT)
    return min(LONGEST_WAIT, FIRST_WAIT * 2**attempt) * random.uniform(0.5, 1.0)
