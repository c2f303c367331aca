"""What JSON text would take in memory, told from its signs before anything of it is made: 15 MB of `{},{},` would take 2 GB."""

from __future__ import annotations

from distillery.problems import Problem

# bytes, at most, that parsing makes for a sign, measured with CPython 3.11: a json_files.Record, a list, a text, a place
COSTS = {"{": 480, "[": 72, '"': 40, ",": 40}
SMALL, SPARE = 1 << 20, 200_000_000  # bytes: of text that is not looked at, and that any text may take


def check(text: str | bytes, where: object) -> None:
    """Refuse text whose objects would take more than four times itself, and SPARE.

    Raises:
        Problem: naming `where`.
    """
    if len(text) <= SMALL:
        return
    made = sum(
        cost * (text.count(sign) if isinstance(text, str) else text.count(sign.encode()))
        for sign, cost in COSTS.items()
    )
    most = 4 * len(text) + SPARE
    if made > most:
        raise Problem(
            "JSON that would grow far beyond its size: refused",
            where=where,
            found=f"{len(text)} bytes, of which {made // 10**6} MB would be made",
            wanted=f"at most {most // 10**6} MB",
            fix="split it, or make it again",
        )
