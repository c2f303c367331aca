"""What a fetch should bring, as a lock: each file's size and digest at one commit of a repository.

A lock is written once, by asking a hub (fetch_lock.py), and is all that fetching reads afterwards. So a moving
revision is resolved in one place, a committed lock makes a fetch repeatable, and with a complete lock the
only traffic is the bytes themselves.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from distillery import addresses, digests, files, json_files
from distillery.fetch import names
from distillery.problems import Problem

HOSTS = ("huggingface", "modelscope", "url")
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class RemoteFile:
    """One file of a repository.

    Attributes:
        name: its path in the repository.
        bytes: its size, None if the hub does not say.
        sha256: of its content; hubs keep it for LFS files.
        git_sha1: git's blob id, sha1 of "blob SIZE\\0" + content; all that Hugging Face has for small files.
        rows: of a parquet file, if known.
    """

    name: str
    bytes: int | None = None
    sha256: str | None = None
    git_sha1: str | None = None
    rows: int | None = None

    @property
    def is_verifiable(self) -> bool:
        return self.sha256 is not None or self.git_sha1 is not None


@dataclass(frozen=True)
class Listing:
    """Files of one revision.

    Attributes:
        host: huggingface, modelscope, or url for plain addresses.
        repo: owner/name, or for plain addresses a name of your own.
        repo_type: model or dataset.
        requested: the branch, tag or commit that was asked for.
        revision: the commit it meant, None where there is none.
        date: of that commit, ISO 8601, never of the fetch.
        urls: for plain addresses: templates with {name}, mirrors in order.
        rows: of all parquet files together, if known.
    """

    host: str
    repo: str
    repo_type: str
    requested: str | None
    revision: str | None
    date: str | None
    files: tuple[RemoteFile, ...]
    urls: tuple[str, ...] = ()
    rows: int | None = None

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to ask a hub: a fixed revision, and size and digest of every file."""
        fixed = self.host == "url" or (
            self.revision is not None and COMMIT.fullmatch(self.revision) is not None
        )
        return (
            fixed
            and bool(self.files)
            and all(one.bytes is not None and one.is_verifiable for one in self.files)
        )

    def file(self, name: str) -> RemoteFile:
        for one in self.files:
            if one.name == name:
                return one
        raise Problem(
            "the lock has no such file", found=f"{len(self.files)} files of {self.repo}", wanted=name
        )


def write(path: Path, listing: Listing) -> None:
    """Write a lock; absent facts are left out. A digest of the one before goes: people edit locks."""
    value = {key: item for key, item in asdict(listing).items() if item not in (None, ())}
    value["files"] = [
        {key: item for key, item in asdict(one).items() if item is not None} for one in listing.files
    ]
    files.remove(digests.beside(path))
    files.write_json(path, value)


def read(path: Path) -> Listing:
    """Read a lock and distrust it: it may have been written by hand.

    Raises:
        Problem: names the file and the key that is missing, unknown or of the wrong form.
    """
    if not path.is_file():
        raise Problem("no such lock", where=path, fix="write it with fetch_lock.py, or `make lock`")
    data = digests.read_bytes(path)
    try:
        value = json_files.parse(data, path)
        listed = tuple(_file(one, path) for one in value.pop("files"))
        listing = Listing(**{"requested": None, "revision": None, "date": None} | value, files=listed)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Problem("not a lock", where=path, found=error, wanted="what fetch_lock.py writes") from None
    except Problem as problem:
        raise Problem(
            "not a lock",
            where=problem.where,
            found=f"{problem.what}: {problem.found}",
            wanted="what fetch_lock.py writes",
        ) from None
    if listing.host not in HOSTS or listing.repo_type not in ("model", "dataset"):
        raise Problem(
            "not a lock", where=path, found=f"{listing.host}, {listing.repo_type}", wanted=", ".join(HOSTS)
        )
    return replace(listing, urls=tuple(addresses.kept(list(listing.urls))))


def _file(value: dict[str, Any], path: Path) -> RemoteFile:
    one = RemoteFile(**value)
    names.safe(one.name)
    for key, form in (("sha256", r"[0-9a-f]{64}"), ("git_sha1", r"[0-9a-f]{40}")):
        digest = getattr(one, key)
        if digest is not None and not re.fullmatch(form, digest):
            raise Problem("not a digest", where=f"{path}, {one.name}, {key}", found=digest, wanted=form)
    if one.bytes is not None and (type(one.bytes) is not int or one.bytes < 0):
        raise Problem("not a size", where=f"{path}, {one.name}, bytes", found=repr(one.bytes))
    return one


def agree(known: Listing, found: Listing, where: object) -> Listing:
    """What a hub says, completed by what we knew; a known size, digest or commit must be the same.

    Raises:
        Problem: the hub has another file under a known name, or another commit.
    """
    if known.revision and found.revision and known.revision != found.revision:
        raise Problem(
            "the revision is another commit than the lock's",
            where=where,
            found=f"{found.revision} for {found.requested}",
            wanted=known.revision,
            fix="pin the commit, or write the lock again if the change is meant",
        )
    before = {one.name: one for one in known.files}
    merged = []
    for one in found.files:
        old = before.get(one.name, one)
        for key in ("bytes", "sha256", "git_sha1", "rows"):
            is_, was = getattr(one, key), getattr(old, key)
            if None not in (is_, was) and is_ != was:
                raise Problem(
                    "the hub has another file than the lock",
                    where=f"{where}, {one.name}, {key}",
                    found=is_,
                    wanted=was,
                    fix="find out why it changed; write the lock again only if the change is meant",
                )
        merged.append(replace(one, **{k: v for k, v in asdict(old).items() if getattr(one, k) is None}))
    return replace(found, files=tuple(merged), rows=known.rows, date=found.date or known.date)
