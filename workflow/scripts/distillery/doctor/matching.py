"""Which CANN and driver a MindSpore wants: the table that mindspore.cn publishes with MindSpore Transformers.

A MindSpore that is newer than the table is no fault: nothing is known of it, and the matmul on the device decides.
"""

from __future__ import annotations

import re

from distillery.doctor.result import Result, fail, good, nothing

# MindSpore: CANN, oldest driver. mindspore.cn/mindformers/docs/en/stable/installation.html
PUBLISHED = {
    "2.7.2": ("8.5.0", "25.5.0"),
    "2.7.1": ("8.3.RC1", "25.3.RC1"),
    "2.7.0": ("8.2.RC1", "25.2.0"),
    "2.6.0": ("8.1.RC1", "25.0.RC1"),
}


def match(name: str, mindspore: str, cann: str | None, driver: str | None) -> Result:
    """Whether the three fit together.

    Args:
        name: of the result.
        cann, driver: versions as their own files say them; None where they are not there.
    """
    found = f"MindSpore {mindspore}, CANN {cann or 'none'}, driver {driver or 'none'}"
    wanted = PUBLISHED.get(mindspore)
    if wanted is None:
        return nothing(name, f"{found}: no published match for this MindSpore")
    if cann is None or not cann.startswith(wanted[0]) or driver is None or _old(driver, wanted[1]):
        return fail(name, found, f"MindSpore {mindspore} goes with CANN {wanted[0]} and driver {wanted[1]}")
    return good(name, found)


def _old(driver: str, wanted: str) -> bool:
    """Drivers serve older CANNs too: only an older one is wrong."""
    one, other = ([int(part) for part in re.findall(r"\d+", text)[:2]] for text in (driver, wanted))
    return one < other
