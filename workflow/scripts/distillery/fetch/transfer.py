"""One file from one of several addresses, whole and right, or not at all.

Bytes of two revisions never meet: an address whose entity tag changed starts again, an address that takes
over in the middle does so only if a digest will judge the mixture, and a digest that does not match in the
end condemns the addresses that contributed, one by one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from distillery.fetch import arrived_files, part
from distillery.fetch.http_answers import Answer, Later, Refused, Unsatisfiable, request
from distillery.fetch.listing import RemoteFile
from distillery.fetch.part import Part
from distillery.problems import Problem

CHUNK = 1 << 17


class Stopped(Exception):
    """Asked to stop between two chunks; what arrived is kept."""


@dataclass(frozen=True)
class Policy:
    """How patient a fetch is.

    Attributes:
        retries: tries in a row without a new byte before an address counts as dead.
        backoff: seconds before the first retry; doubled each time, at most 60.
        timeout: seconds of silence, and the span over which `min_speed` is measured.
        min_speed: bytes a second below which an address is left.
    """

    retries: int = 5
    backoff: float = 1.0
    timeout: float = 30.0
    min_speed: int = 1024


@dataclass(frozen=True)
class Source:
    """An address of a file, the token it may see, and the commit it must speak for."""

    url: str
    token: str | None = None
    commit: str | None = None


@dataclass
class Progress:
    """Called with bytes that arrived (negative: discarded); `stop` is looked at after every chunk."""

    add: Callable[[int], None] = lambda count: None
    stop: Callable[[], bool] = lambda: False


def fetch(
    wanted: RemoteFile, sources: list[Source], output: Path, policy: Policy, progress: Progress
) -> None:
    """Bring one file to `output`, read-only and verified.

    Raises:
        Problem: no address has the right file, the disk is full, or another process fetches it.
    """
    with part.opened(wanted, output, progress.add) as begun:
        _Attempts(begun, sources, policy, progress).run()
        begun.finish()


def is_there(wanted: RemoteFile, output: Path) -> bool:
    """Whether `output` already is the wanted file: size and digest, where they are known."""
    return output.is_file() and arrived_files.mismatch(wanted, output) is None


def missing_bytes(wanted: RemoteFile, output: Path) -> int:
    """Bytes still to come, the part of an earlier run counted; 0 if the size is unknown."""
    begun = part.beside(output)[0]
    return max(0, (wanted.bytes or 0) - (begun.stat().st_size if begun.is_file() else 0))


class _Attempts:
    """Which address is asked next, until the part is whole and right or no address is left."""

    def __init__(self, begun: Part, sources: list[Source], policy: Policy, progress: Progress) -> None:
        self.part, self.alive, self.policy, self.progress = begun, list(sources), policy, progress
        self.reasons: dict[str, str] = {}
        self.idle = 0  # tries in a row that brought no byte
        self.alone = (
            False  # after a wrong digest of several contributors, each must deliver the file by itself
        )

    def run(self) -> None:
        wanted = self.part.wanted
        complete = wanted.bytes is not None and self.part.size() == wanted.bytes
        while True:
            if complete:
                wrong = arrived_files.mismatch(wanted, self.part.path) or arrived_files.malformed(
                    wanted.name, self.part.path
                )
                if wrong is None:
                    return
                self._condemn(wrong)
            if not self.alive:
                raise Problem(
                    "no address has the right file",
                    where=wanted.name,
                    found="\n          ".join(f"{url}: {reason}" for url, reason in self.reasons.items()),
                    wanted=_described(wanted),
                    fix="try again later, or name another mirror (--endpoint)",
                )
            complete = self._ask(self.alive[0])

    def _condemn(self, wrong: str) -> None:
        """The whole part is wrong: its only contributor is dead; of several, nobody knows who is to blame."""
        if len(self.part.used) > 1:
            self.alone = True
        else:
            self.reasons |= dict.fromkeys(self.part.used, f"has a file of {wrong}")
            self.alive = [source for source in self.alive if source.url not in self.part.used]
        self.part.discard()

    def _ask(self, source: Source) -> bool:
        before = self.part.size()
        try:
            complete = self._stream(source)
            self.idle = 0
            return complete
        except Refused as refusal:
            dead, wait = True, 0.0
            self.reasons[source.url] = str(refusal)
        except Later as later:
            self.idle = 0 if self.part.size() > before else self.idle + 1
            dead = self.idle >= self.policy.retries * len(self.alive)
            backoff = min(60.0, self.policy.backoff * 2 ** max(0, self.idle - 1))
            wait = backoff if later.wait is None else later.wait
            self.reasons[source.url] = str(later)
        self.alive.remove(source)
        if dead:
            self.idle = 0
            if self.alone:
                self.part.discard()
        else:
            self.alive.insert(0 if self.alone else len(self.alive), source)
            time.sleep(wait)
        return False

    def _stream(self, source: Source) -> bool:
        """Read one response into the part; True if it brought the last byte.

        Raises:
            Refused: this address will not give the right bytes.
            Later: it may, another time; what arrived is kept.
        """
        wanted, offset = self.part.wanted, self.part.size()
        try:
            with request(
                source.url, source.token, offset, self.part.tags.get(source.url), self.policy.timeout
            ) as answer:
                answer.check(wanted, source.commit)
                return self._take(source, answer, offset)
        except Unsatisfiable as answer:
            if wanted.bytes is None and offset and answer.total == offset:
                return True  # a killed run had received everything, of a size nobody told
            self.part.discard()
            raise Later("has no such range, begun again", wait=0.0) from None

    def _take(self, source: Source, answer: Answer, offset: int) -> bool:
        wanted = self.part.wanted
        if offset and (answer.start == 0 or self._is_another(source, answer)):
            self.part.discard()
            offset = 0
            if answer.start:
                raise Later("the file changed on the server meanwhile", wait=0.0)
        total = wanted.bytes if wanted.bytes is not None else answer.total
        if total is None and not answer.is_framed:
            raise Refused("neither hub nor server tells the size: a short body would pass for a whole one")
        if answer.tag:
            self.part.tags[source.url] = answer.tag
        if source.url not in self.part.used:
            self.part.used.append(source.url)
        self.part.remember()
        received = self._copy(answer, None if total is None else total - offset)
        if total is not None and offset + received < total:
            raise Later(f"the body ended after {offset + received} of {total} bytes")
        return True

    def _is_another(self, source: Source, answer: Answer) -> bool:
        """Begun here under another tag, or begun where no tag or digest could tell a mixture."""
        if source.url in self.part.tags:
            return answer.tag is not None and answer.tag != self.part.tags[source.url]
        return not self.part.wanted.is_verifiable

    def _copy(self, answer: Answer, room: int | None) -> int:
        received, mark, since = 0, 0, time.monotonic()
        for chunk in answer.chunks(CHUNK):
            received += len(chunk)
            if room is not None and received > room:
                self.part.discard()
                raise Refused(f"sends more than {_described(self.part.wanted)}")
            self.part.write(chunk)
            if self.progress.stop():
                raise Stopped
            now = time.monotonic()
            if now - since > self.policy.timeout:
                if received - mark < self.policy.min_speed * (now - since):
                    raise Later(f"is slower than {self.policy.min_speed} bytes a second", wait=0.0)
                since, mark = now, received
        return received


def _described(wanted: RemoteFile) -> str:
    size = "a file" if wanted.bytes is None else f"{wanted.bytes} bytes"
    digest = wanted.sha256 or wanted.git_sha1
    return f"{size} with digest {digest}" if digest else size
