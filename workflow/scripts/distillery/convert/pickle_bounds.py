"""What a pickle would take in memory and time, found from its opcodes before anything of it is made.

A few hundred bytes can ask for gigabytes (a memo of 2^31 places, a byte array of 2^40), for endless time (tuples that hold
one another twice, as a key of a dict) or for more stack than there is (tuples a million deep). None is in a checkpoint.
Opcodes and what they take from the stack and give to it: pickletools, which is Python's own description of them.
"""

from __future__ import annotations

import pickletools

from distillery.problems import Problem

DEEPEST = 100  # levels of objects in objects; Megatron's files have about ten
EXPANSION = 16  # objects, counted wherever they stand, for each byte of the pickle


def check(data: bytes, where: object) -> None:
    """Refuse a pickle that would grow far beyond its own size, or that is nested beyond sense.

    Raises:
        Problem: naming the byte where it does.
        ValueError: no pickle, or one that ends early, in pickletools' words.
        IndexError: it takes from an empty stack.
    """
    marks: list[int] = []
    stack: list[list[int]] = []  # [objects in it, levels] of what lies there
    memo: dict[int, list[int]] = {}
    most = EXPANSION * len(data)
    for opcode, argument, at in pickletools.genops(data):
        name = opcode.name
        if name in GETS:
            stack.append(memo.get(argument, [1, 1]))
        elif name in PUTS:
            place = len(memo) if argument is None else argument
            if place > len(data):
                raise _refused(where, at, f"place {place} of a memo", f"at most {len(data)}, its bytes")
            memo[place] = stack[-1]
        elif name == "MARK":
            marks.append(len(stack))
        elif name == "DUP":
            stack.append(stack[-1])
        else:
            below = opcode.stack_before  # what lies under a mark, and the mark itself, or all that is taken
            marked = pickletools.markobject in below
            begin = marks.pop() - below.index(pickletools.markobject) if marked else len(stack) - len(below)
            if begin < 0:
                raise IndexError(f"the stack is empty at byte {at}")
            taken = stack[begin:]
            del stack[begin:]
            made = taken.pop(0) if name in FILLS else [1, 1]
            made[0] += sum(objects for objects, _ in taken)
            made[1] = max(made[1], 1 + max((levels for _, levels in taken), default=0))
            if made[0] > most:
                raise _refused(where, at, f"{made[0]} objects", f"at most {most}")
            if made[1] > DEEPEST:
                raise _refused(where, at, f"{made[1]} levels", f"at most {DEEPEST}")
            stack += [made] * len(opcode.stack_after)


GETS, PUTS = ("GET", "BINGET", "LONG_BINGET"), ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")
# they fill what lies lowest, wherever else it is known
FILLS = ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD")


def _refused(where: object, at: int, found: str, wanted: str) -> Problem:
    return Problem(
        "the checkpoint's pickle would grow far beyond its size, or is nested beyond sense: refused",
        where=f"{where}, byte {at} of its pickle",
        found=found,
        wanted=wanted,
        fix="do not trust this file; copy or convert it again from its source",
    )
