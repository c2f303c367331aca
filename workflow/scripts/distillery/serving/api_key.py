"""The key of a server: known by the name of an environment variable, sent in a header, and shown nowhere."""

from __future__ import annotations

import ipaddress
import os
import sys
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from distillery.problems import Problem

HIDDEN = "***"


@dataclass(frozen=True)
class ApiKey:
    """A key, or none; its value is part of no text that is made of it."""

    variable: str | None = None
    _value: str = field(default="", repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What a request carries."""
        return {"Authorization": f"Bearer {self._value}"} if self._value else {}

    def hidden(self, text: str) -> str:
        """A text, such as a server's complaint about the key, without it."""
        return text.replace(self._value, HIDDEN) if self._value else text


def read(variable: str | None, url: str) -> ApiKey:
    """The key that an environment variable holds; a note goes to standard error where it would travel in the clear.

    Args:
        variable: its name; None for a server without keys.
        url: of the server.

    Raises:
        Problem: the variable is not set, or its value cannot be sent in a header.
    """
    if variable is None:
        return ApiKey()
    value = os.environ.get(variable, "").strip()
    if not value:
        raise Problem(
            "the key of the server is not known",
            where=f"environment variable {variable}",
            found="nothing",
            fix=f"export {variable}=... in the shell that starts the run; the configuration holds its name only",
        )
    if not (value.isascii() and value.isprintable()):
        raise Problem(
            "the key of the server holds what no header can carry",
            where=f"environment variable {variable}",
            wanted="printable ASCII",
        )
    if exposed(url):
        print(
            f"warning: the key in {variable} goes to {urlsplit(url).hostname} without encryption; give an https address",
            file=sys.stderr,
        )
    return ApiKey(variable, value)


def exposed(url: str) -> bool:
    """Whether what is sent to this address can be read on its way: neither https nor this machine."""
    return urlsplit(url).scheme != "https" and not loopback(url)


def loopback(url: str) -> bool:
    """Whether an address is this machine's own."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
