"""One question over HTTP to one of a server's addresses, and what came back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from distillery import json_files
from distillery.problems import Problem
from distillery.serving import api_key, replies
from distillery.serving.api_key import ApiKey
from distillery.serving.replies import Again, Exchange, Reply

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS = 10.0
LOOK_SECONDS = 30.0  # for what a server says of itself
MOST_BYTES = 64 << 20  # of one answer
AWAY = (502, 504)  # of a proxy that does not reach the server


class Connection:
    """A pool of connections, inside an `async with`."""

    def __init__(self, url: str, key: ApiKey, timeout: float, most: int) -> None:
        """Nothing is opened yet.

        Args:
            url: of the server, with or without its `/v1`.
            timeout: seconds that a whole answer may take.
            most: questions at once.
        """
        import httpx2  # a fifth of a second

        self.url = url.rstrip("/").removesuffix("/v1")
        self.key, self.timeout, self.out = key, timeout, 0
        self._errors = httpx2.RequestError
        self._unheard = (httpx2.ConnectError, httpx2.ConnectTimeout)
        self._client = httpx2.AsyncClient(
            timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=most),
            # a proxy of the environment is for what lies beyond this machine; ~/.netrc is not the server's key
            trust_env=not api_key.loopback(url),
            headers={"Content-Type": "application/json", **key.headers},
        )

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.aclose()

    async def ask(self, path: str, body: bytes, exchange: Exchange) -> Reply:
        """Post a question and read its answer.

        Raises:
            Again, Problem: as `replies.read`, and Again for connections that break and answers that take too long.
        """
        self.out += 1
        try:
            response, data = await self._post(path, body, self.timeout)
        finally:
            self.out -= 1
        return replies.read(exchange, response.status_code, response.headers, data)

    async def look(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """What a server says at a path, as JSON; None where it has no such path, or says nothing of use.

        Raises:
            Again: it cannot be reached.
        """
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        response, found = await self._post(path, data, min(LOOK_SECONDS, self.timeout))
        if response.status_code in (*replies.BUSY, *AWAY):
            raise Again(f"status {response.status_code} at {path}", busy=True)
        try:
            return json_files.loads(found) if response.status_code == 200 else None
        except ValueError:
            return None

    async def _post(self, path: str, body: bytes | None, timeout: float) -> tuple[httpx2.Response, bytes]:
        method = "GET" if body is None else "POST"
        try:
            # of the whole: a server that sends a byte now and then would never be silent for long
            async with (
                asyncio.timeout(timeout),
                self._client.stream(method, f"{self.url}{path}", content=body) as response,
            ):
                data = bytearray()
                async for block in response.aiter_bytes():
                    data += block
                    if len(data) > MOST_BYTES:
                        raise Problem(
                            "an answer without end",
                            where=f"{self.url}{path}",
                            found=f"more than {MOST_BYTES >> 20} MB",
                        )
                return response, bytes(data)
        except TimeoutError:
            raise Again(f"no whole answer within {timeout:g} s", busy=True) from None
        except self._errors as error:
            said = self.key.hidden(str(error)) or type(error).__name__
            # nobody listens: it may be on its way back. What breaks off later may be the question's fault
            raise Again(f"the connection failed: {said}", busy=isinstance(error, self._unheard)) from None
