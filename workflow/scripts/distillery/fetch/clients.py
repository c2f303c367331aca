"""What the hubs say about a repository, asked through their own clients: commit, date, files, digests.

huggingface_hub and modelscope know their hubs' endpoints, paging, retries and tokens. Bytes are not left
to them (see transfer.py): neither fails over to a mirror in the middle of a file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from distillery.addresses import kept, masked, revealed
from distillery.fetch.listing import Listing, RemoteFile
from distillery.problems import Problem

ENDPOINTS = {"huggingface": "https://huggingface.co", "modelscope": "https://www.modelscope.cn"}
# where the user's own settings may point a client; a token goes there and to the hub itself, to no mirror
ENDPOINT_VARIABLES = {
    "huggingface": ("HF_ENDPOINT",),
    "modelscope": ("MODELSCOPE_ENDPOINT", "MODELSCOPE_DOMAIN"),
}
DEFAULT_REVISIONS = {"huggingface": "main", "modelscope": "master"}


def endpoints(host: str, given: list[str]) -> list[str]:
    """Addresses to ask in order: the given ones, else the user's setting, else the hub itself."""
    if host == "url":
        return []
    return [kept(one.rstrip("/")) for one in given] or [_own_endpoint(host)]


def _own_endpoint(host: str) -> str:
    for variable in ENDPOINT_VARIABLES[host]:
        if value := os.environ.get(variable, "").strip().rstrip("/"):
            return kept(value if "://" in value else f"https://{value}")
    return ENDPOINTS[host]


def token(host: str, address: str) -> str | None:
    """The user's token for this hub, if the address is the hub's own or the one in the user's environment."""
    if host == "url" or urlsplit(address).netloc not in {
        urlsplit(ENDPOINTS[host]).netloc,
        urlsplit(_own_endpoint(host)).netloc,
    }:
        return None
    if host == "huggingface":
        from huggingface_hub import get_token

        return get_token()
    from modelscope_hub.config import get_default_config

    return get_default_config().token


def ask(host: str, repo: str, repo_type: str, revision: str | None, addresses: list[str]) -> Listing:
    """All files of a revision, from the first address that answers.

    Raises:
        Problem: no address knows the repository and revision; says what each answered.
    """
    question: Callable[..., Listing] = {"huggingface": _huggingface, "modelscope": _modelscope}[host]
    answers = []
    for address in addresses:
        try:
            return question(address, repo, repo_type, revision or DEFAULT_REVISIONS[host])
        except Problem:
            raise
        except Exception as error:  # the clients' errors share no base but this
            answers.append(f"{address}: {type(error).__name__}: {masked(_first_line(error))}")
    raise Problem(
        f"{host} does not tell what {repo} holds",
        where=f"{repo_type} {repo}, revision {revision or DEFAULT_REVISIONS[host]}",
        found="; ".join(answers),
        fix="check the names and the network; for gated repositories set a token (HF_TOKEN, MODELSCOPE_API_TOKEN)",
    )


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")[:200]


def _huggingface(address: str, repo: str, repo_type: str, revision: str) -> Listing:
    from huggingface_hub import HfApi

    api = HfApi(
        endpoint=revealed(address), token=token("huggingface", address) or False, library_name="distillery"
    )
    info = api.repo_info(repo, repo_type=repo_type, revision=revision, files_metadata=True, timeout=30)
    commits = api.list_repo_commits(repo, repo_type=repo_type, revision=info.sha)
    listed = tuple(
        RemoteFile(
            one.rfilename,
            one.lfs.size if one.lfs else one.size,
            sha256=one.lfs.sha256 if one.lfs else None,
            git_sha1=None if one.lfs else one.blob_id,
        )
        for one in sorted(info.siblings or [], key=lambda one: one.rfilename)
    )
    date = _iso(commits[0].created_at) if commits else None
    return Listing("huggingface", repo, repo_type, revision, info.sha, date, listed)


def _modelscope(address: str, repo: str, repo_type: str, revision: str) -> Listing:
    from modelscope_hub.api import HubApi

    # an empty token keeps the client from sending the stored one to a mirror
    api = HubApi(endpoint=revealed(address), token=token("modelscope", address) or "")
    entries = [
        entry
        for entry in api.legacy.list_repo_files(repo, repo_type, revision=revision)
        if entry.get("Type", "blob") != "tree"
    ]
    listed = tuple(
        RemoteFile(entry["Path"], entry.get("Size"), sha256=entry.get("Sha256") or None)
        for entry in sorted(entries, key=lambda entry: entry["Path"])
    )
    # ModelScope tells each file's last commit; the newest of them has this tree, and can be asked for by name
    newest: dict[str, Any] = max(entries, key=lambda entry: entry.get("CommittedDate") or 0, default={})
    date = _iso(datetime.fromtimestamp(newest["CommittedDate"], UTC)) if newest.get("CommittedDate") else None
    return Listing("modelscope", repo, repo_type, revision, newest.get("Revision"), date, listed)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def address(listing: Listing, name: str, endpoint: str) -> str:
    """Where one file of a listing can be downloaded; for plain addresses `endpoint` is the template."""
    revision = listing.revision or listing.requested or ""
    if listing.host == "huggingface":
        from huggingface_hub import hf_hub_url

        return hf_hub_url(
            listing.repo, name, repo_type=listing.repo_type, revision=revision, endpoint=endpoint
        )
    if listing.host == "modelscope":
        place = f"{endpoint}/api/v1/{listing.repo_type}s/{listing.repo}/repo"
        return f"{place}?Revision={quote(revision, safe='')}&FilePath={quote(name, safe='')}"
    return endpoint.replace("{name}", quote(name))
