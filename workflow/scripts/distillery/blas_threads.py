"""numpy's BLAS on one thread: nothing here multiplies anything large by it.

OpenBLAS starts a thread a core when numpy is imported, and threads that have nothing to do wait in a loop: 0.1 of the
0.2 CPU seconds that a command's import of numpy takes on two cores, a quarter of a report's, whose figures invert matrices
of three rows. Programs of others that a command starts, whose BLAS may have more to do, do not inherit it.
"""

from __future__ import annotations

import os

VARIABLE = "OPENBLAS_NUM_THREADS"
_set_here: set[str] = set()


def limit() -> None:
    """Before numpy is imported; what the user has set, holds."""
    if VARIABLE not in os.environ:
        os.environ[VARIABLE] = "1"
        _set_here.add(VARIABLE)


def environment_as_found() -> dict[str, str]:
    """This process's environment for programs of others: without what `limit` set."""
    return {name: value for name, value in os.environ.items() if name not in _set_here}
