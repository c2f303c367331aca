"""Which settings of `generate` each task reads; the others change none of its answers."""

from __future__ import annotations

DRAWN = ("temperature", "top_k", "top_p")
SEARCHED = ("num_beams", "length_penalty")
READS = {
    "greedy": (),
    "do_sample": DRAWN,
    "beam_search": SEARCHED,
    "beam_search_with_sampling": (*DRAWN, *SEARCHED),
    "chat": DRAWN,
}


def unread(task: str | None) -> list[str]:
    """Settings that a task leaves aside; all of them where there is no task."""
    return [key for key in (*DRAWN, *SEARCHED) if key not in READS.get(task or "", ())]
