"""How a lock comes about: from a complete one that is known, or from a hub, with the wanted files chosen."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from distillery import digests, source_files
from distillery.fetch import clients, listing, names
from distillery.fetch.listing import COMMIT, Listing, RemoteFile
from distillery.problems import Problem, UsageProblem


def run(args: argparse.Namespace) -> Listing:
    """Write the lock that fetch_lock.py's flags ask for, and return it.

    Raises:
        UsageProblem: addresses for a host that has its own, or none for one that has not.
        Problem: as `lock`.
    """
    if (args.host == "url") != bool(args.url) or (args.host == "url" and not args.files):
        raise UsageProblem("--host url needs --url and --files, other hosts take no --url")
    asked = Listing(
        args.host, args.repo, args.repo_type, args.revision, None, None, (), tuple(args.url), args.rows
    )
    known = listing.read(args.known) if args.known else None
    made = lock(asked, patterns=args.files, endpoints=args.endpoint, known=known, offline=args.offline)
    with digests.recorded(args.output):
        listing.write(args.output, made)
    return made


def lock(
    asked: Listing, *, patterns: list[str] | None, endpoints: list[str], known: Listing | None, offline: bool
) -> Listing:
    """The listing of the wanted files at a fixed revision.

    Args:
        asked: host, repo, type, requested revision, urls and rows; no files yet.
        patterns: of file names; None chooses what a model needs.
        endpoints: addresses of the hub to ask, in order.
        known: an earlier lock of the same repository.

    Raises:
        Problem: offline without a complete lock, no answer, an unsafe name, or a file that has changed.
    """
    where = f"{asked.repo_type} {asked.repo}"
    if known is not None:
        _same_repository(known, asked)
    if known is not None and known.is_complete and asked.requested in (None, known.requested, known.revision):
        found = known
    elif asked.host == "url":
        found = replace(asked, files=tuple(RemoteFile(names.safe(name)) for name in _named(patterns, where)))
    elif offline:
        raise Problem(
            "offline, and the lock does not say everything",
            where=where,
            found="no known lock" if known is None else _gaps(known),
            fix="write a lock with fetch_lock.py while there is a network",
        )
    else:
        requested = asked.requested or (known.revision or known.requested if known else None)
        addresses = clients.endpoints(asked.host, endpoints)
        found = clients.ask(asked.host, asked.repo, asked.repo_type, requested, addresses)
    for one in found.files:
        names.safe(one.name)
    listed = {one.name: one for one in found.files}
    chosen = source_files.chosen(listed, patterns, where) if patterns else names.of_model(list(listed))
    found = replace(found, files=tuple(listed[name] for name in chosen), rows=asked.rows or found.rows)
    if known is not None:
        found = listing.agree(known, found, where)
    _warn(found)
    return found


def _named(patterns: list[str] | None, where: str) -> list[str]:
    """The files at plain addresses, which nobody lists."""
    found = source_files.written(patterns or [])
    if unsaid := [name for name in found if source_files.has_wildcard(name)]:
        raise Problem(
            "plain addresses list no files, so a wildcard finds none",
            where=where,
            found=unsaid[0],
            wanted="names, or ranges such as {00000..00009}",
        )
    return found


def _same_repository(known: Listing, asked: Listing) -> None:
    if (known.host, known.repo, known.repo_type) != (asked.host, asked.repo, asked.repo_type):
        raise Problem(
            "the known lock is of another repository",
            found=f"{known.host} {known.repo_type} {known.repo}",
            wanted=f"{asked.host} {asked.repo_type} {asked.repo}",
        )


def _gaps(known: Listing) -> str:
    lacking = [one.name for one in known.files if one.bytes is None or not one.is_verifiable]
    return (
        f"size or digest of {', '.join(lacking[:5])} unknown"
        if lacking
        else f"revision {known.revision} is no commit"
    )


def _warn(found: Listing) -> None:
    """Say loudly what cannot be checked later."""
    unsure = [one.name for one in found.files if not one.is_verifiable]
    if unsure:
        print(
            f"WARNING: nobody tells a digest of {len(unsure)} files, {unsure[0]} among them", file=sys.stderr
        )
    if found.host != "url" and not COMMIT.fullmatch(found.revision or ""):
        print(
            f"WARNING: revision {found.requested} may move: the hub names no commit for it", file=sys.stderr
        )
