"""What the hubs' server tells of its repositories."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LFS_FROM = 2048  # bytes; smaller files are git blobs, as hubs keep them
SHA1 = hashlib.sha1(b"first commit").hexdigest()
DATE = "2025-02-10T12:00:00.000Z"
SECONDS = 1739188800  # the same moment


@dataclass
class Repo:
    """Files of one repository at one commit; `names` may be lies about the listing."""

    kind: str
    files: dict[str, bytes]
    commit: str = SHA1
    listed: dict[str, bytes] = field(default_factory=dict)

    def entries(self) -> dict[str, bytes]:
        return self.files | self.listed


def hf_info(name: str, repo: Repo) -> dict[str, Any]:
    siblings = [{"rfilename": name} | hf_entry(body) for name, body in repo.entries().items()]
    return {"id": name, "sha": repo.commit, "lastModified": DATE, "private": False, "siblings": siblings}


def hf_commits(repo: Repo) -> list[dict[str, Any]]:
    return [{"id": repo.commit, "authors": [{"user": "a"}], "date": DATE, "title": "t", "message": ""}]


def hf_tree(repo: Repo) -> list[dict[str, Any]]:
    entries = []
    for name, body in repo.entries().items():
        entry = hf_entry(body)
        lfs = {"oid": entry["lfs"]["sha256"], **entry["lfs"]} if "lfs" in entry else None
        entry = {"type": "file", "path": name, "size": len(body), "oid": entry["blobId"]}
        entries.append(entry | ({"lfs": lfs} if lfs else {}))
    return entries


def hf_entry(body: bytes) -> dict:
    blob = hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
    if len(body) < LFS_FROM:
        return {"size": len(body), "blobId": blob}
    lfs = {"size": len(body), "sha256": hashlib.sha256(body).hexdigest(), "pointerSize": 134}
    return {"size": len(body), "blobId": blob, "lfs": lfs}


def ms_files(repo: Repo, query: Mapping[str, str]) -> dict[str, Any]:
    entries = [
        {
            "Path": name,
            "Name": name.rpartition("/")[2],
            "Size": len(body),
            "Type": "blob",
            "Sha256": hashlib.sha256(body).hexdigest(),
            "Revision": repo.commit,
            "CommittedDate": SECONDS,
        }
        for name, body in repo.entries().items()
    ]
    size = int(query.get("PageSize", 10**6))
    first = (int(query.get("PageNumber", 1)) - 1) * size
    return {"Code": 200, "Success": True, "Data": {"Files": entries[first : first + size]}}
