"""Many files of a lock: those that are missing, in parallel, with room checked first and nothing asked offline."""

from __future__ import annotations

import shutil
import sys
import threading
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path

from distillery import progress
from distillery.fetch import clients, transfer
from distillery.fetch.listing import Listing, RemoteFile
from distillery.fetch.transfer import Policy, Progress, Source
from distillery.problems import Problem

RESERVE = 64 << 20  # bytes of the disk that stay free


def fetch(
    listing: Listing,
    targets: dict[str, Path],
    *,
    endpoints: list[str],
    policy: Policy,
    workers: int = 4,
    offline: bool = False,
) -> int:
    """Bring files of a lock to their targets (name -> path); returns how many came over the network.

    Raises:
        Problem: offline with files missing, too little room, or a file that no address has.
    """
    wanted = {name: listing.file(name) for name in targets}
    missing = [name for name in targets if not transfer.is_there(wanted[name], targets[name])]
    if not missing:
        return 0
    if offline:
        raise Problem(
            "offline, and files are missing",
            found="\n          ".join(
                f"no {targets[name]} ({_size(wanted[name].bytes)})" for name in missing
            ),
            fix="fetch once without --offline, or put the files there",
        )
    _check_room([(wanted[name], targets[name]) for name in missing])
    for name in missing:
        if not wanted[name].is_verifiable:
            print(
                f"WARNING: nobody tells a digest of {name}; size and format are all that is checked",
                file=sys.stderr,
            )
    addresses = list(listing.urls) or clients.endpoints(listing.host, endpoints)
    jobs = [(wanted[name], _sources(listing, name, addresses), targets[name]) for name in missing]
    progress.begin(progress.BYTES, sum(one.bytes or 0 for one, _, _ in jobs) or None)
    _run(jobs, policy, Progress(add=progress.add), workers)
    return len(missing)


def _sources(listing: Listing, name: str, addresses: list[str]) -> list[Source]:
    return [
        Source(clients.address(listing, name, one), clients.token(listing.host, one), listing.revision)
        for one in addresses
    ]


def _check_room(jobs: list[tuple[RemoteFile, Path]]) -> None:
    needed: dict[int, int] = {}
    folders: dict[int, Path] = {}
    for wanted, target in jobs:
        folder = next(parent for parent in target.absolute().parents if parent.exists())
        device = folder.stat().st_dev
        folders[device] = folder
        needed[device] = needed.get(device, 0) + transfer.missing_bytes(wanted, target)
    for device, count in needed.items():
        free = shutil.disk_usage(folders[device]).free
        if count + RESERVE > free:
            raise Problem(
                "not enough room on the disk",
                where=folders[device],
                found=f"{_size(free)} free",
                wanted=f"{_size(count)} to fetch and {_size(RESERVE)} to spare",
                fix="make room, or move resources/ to a larger disk",
            )


def _run(
    jobs: list[tuple[RemoteFile, list[Source], Path]], policy: Policy, arrivals: Progress, workers: int
) -> None:
    stopped = threading.Event()
    arrivals.stop = stopped.is_set
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures = [
            pool.submit(transfer.fetch, one, sources, to, policy, arrivals) for one, sources, to in jobs
        ]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:  # the others keep their parts; those not begun are not begun
            stopped.set()
            for future in futures:
                future.cancel()
    failures = [future.exception() for future in futures if not future.cancelled() and future.exception()]
    told = [failure for failure in failures if not isinstance(failure, transfer.Stopped)]
    if told:
        raise told[0]


def _size(count: int | None) -> str:
    if count is None:
        return "size unknown"
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.4g} {unit}"
        count /= 1000
    return f"{count:.4g} GB"
