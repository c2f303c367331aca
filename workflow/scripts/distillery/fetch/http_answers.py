"""HTTP answers to a request for (the rest of) a file: what they mean before their bytes are believed."""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from distillery.addresses import revealed
from distillery.fetch.listing import RemoteFile

if TYPE_CHECKING:
    import requests

LONGEST_WAIT = 120.0  # seconds that a server's Retry-After may ask for
CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
SHA256 = re.compile(r"[0-9a-f]{64}")


class Refused(Exception):
    """This address will not give the right file."""


class Later(Exception):
    """It did not now, and may another time; `wait` in seconds if the server said so or no wait is due."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class Unsatisfiable(Exception):
    """416: the file has no bytes from the offset on; `total` is its size if the server says so."""

    def __init__(self, total: int | None) -> None:
        super().__init__("has no such range")
        self.total = total


@dataclass(frozen=True)
class Answer:
    """A response with a body to read.

    Attributes:
        start: offset of the body's first byte in the file.
        total: size of the file according to this answer, None if it does not say.
        tag: strong entity tag, without quotes, None if there is none.
        is_framed: whether a body that ends early would be noticed.
    """

    response: requests.Response
    start: int
    total: int | None
    tag: str | None
    is_framed: bool

    def check(self, wanted: RemoteFile, commit: str | None) -> None:
        """Compare the headers with what is wanted, before a byte is written.

        Raises:
            Refused: another size, digest or commit, compressed bytes, or a web page instead of the file.
        """
        headers = self.response.headers
        if headers.get("Content-Encoding", "identity") != "identity":
            raise Refused(f"sends the file compressed ({headers['Content-Encoding']}) though asked not to")
        if headers.get("Content-Type", "").startswith("text/html") and not wanted.name.endswith(
            (".html", ".htm")
        ):
            raise Refused("answers with a web page")
        if wanted.bytes is not None and self.total is not None and self.total != wanted.bytes:
            raise Refused(f"has a file of {self.total} bytes")
        for hop in (*self.response.history, self.response):  # Hugging Face says it where it redirects from
            linked = hop.headers.get("X-Linked-ETag", "").strip('"').lower()
            if wanted.sha256 and SHA256.fullmatch(linked) and linked != wanted.sha256:
                raise Refused(f"has a file with sha256 {linked}")
            if commit and hop.headers.get("X-Repo-Commit", commit) != commit:
                raise Refused(f"speaks for commit {hop.headers['X-Repo-Commit']}")

    def chunks(self, size: int) -> Iterator[bytes]:
        """The body as it arrives; a slow server's bytes are not held back.

        Raises:
            Later: the connection broke or fell silent.
        """
        import urllib3

        try:
            while chunk := self.response.raw.read1(size, decode_content=False):
                yield chunk
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Later(f"the connection broke: {type(error).__name__}") from None


@contextmanager
def request(url: str, token: str | None, offset: int, tag: str | None, timeout: float) -> Iterator[Answer]:
    """Ask for a file from `offset` on and classify the answer.

    Raises:
        Refused, Later, Unsatisfiable: the answer has no usable body.
    """
    import requests

    headers = {"Accept-Encoding": "identity", "User-Agent": "distillery"}
    if token:
        headers["Authorization"] = f"Bearer {token}"  # requests drops it when it is sent to another host
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if tag:
            headers["If-Range"] = f'"{tag}"'  # a changed file comes whole instead
    try:
        response = requests.get(
            revealed(url), headers=headers, stream=True, timeout=(min(timeout, 10.0), timeout)
        )
    except requests.TooManyRedirects:
        raise Refused("redirects in a circle") from None
    except (
        requests.exceptions.InvalidSchema,
        requests.exceptions.InvalidURL,
        requests.exceptions.MissingSchema,
    ) as error:
        raise Refused(f"is or leads to no web address: {error}") from None
    except requests.RequestException as error:
        raise Later(f"no connection: {type(error).__name__}") from None
    with response:
        yield _classified(response, offset)


def _classified(response: requests.Response, offset: int) -> Answer:
    status, headers = response.status_code, response.headers
    if status in (408, 425, 429) or status >= 500:
        raise Later(f"answers {status}", _retry_after(headers.get("Retry-After")))
    if status == 416:
        match = re.fullmatch(r"bytes \*/(\d+)", headers.get("Content-Range", ""))
        raise Unsatisfiable(int(match[1]) if match else None)
    if status in (401, 403):
        raise Refused(
            f"answers {status}: the repository is private or gated (HF_TOKEN, MODELSCOPE_API_TOKEN)"
        )
    if status not in (200, 206):
        raise Refused(f"answers {status}")
    length = headers.get("Content-Length")
    length = int(length) if length and length.isdigit() else None
    framed = length is not None or headers.get("Transfer-Encoding", "") == "chunked"
    tag = headers.get("ETag", "")
    tag = None if tag.startswith("W/") or not tag.strip('"') else tag.strip('"')
    if status == 200:
        return Answer(response, 0, length, tag, framed)
    match = CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    if not offset or match is None or int(match[1]) != offset:
        raise Refused(f"answers a range that was not asked for ({headers.get('Content-Range')!r})")
    return Answer(response, offset, None if match[3] == "*" else int(match[3]), tag, framed)


def _retry_after(value: str | None) -> float | None:
    """Seconds from a Retry-After header: a number or an HTTP date."""
    if value is None:
        return None
    if value.strip().isdigit():
        return min(LONGEST_WAIT, float(value))
    moment = email.utils.parsedate_tz(value)
    if moment is None:
        return None
    return min(LONGEST_WAIT, max(0.0, email.utils.mktime_tz(moment) - time.time()))
