"""What a run must reach: the hubs of its sources, and ports of this machine that nobody else holds."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Iterable
from urllib.parse import urlsplit

from distillery.addresses import bare
from distillery.doctor import Result, fail, good
from distillery.experiment import Config
from distillery.fetch import clients, source_flags
from distillery.hardware import Hardware


def hubs(config: Config) -> dict[str, tuple[str, ...]]:
    """The hubs that a configuration's sources ask, each with the addresses that fetching would try; none offline."""
    found: dict[str, tuple[str, ...]] = {}
    for source in [] if config.offline else source_flags.locked(config).values():
        host, given = source.settings.get("host", "url"), source.settings.get("endpoints", [])
        if host == "url":
            places = (urlsplit(url) for url in source.settings["urls"])
            addresses = tuple(dict.fromkeys(f"{place.scheme}://{place.netloc}" for place in places))
        else:
            addresses = tuple(clients.endpoints(host, given))
        found[f"{host} at {addresses[0]}"] = addresses
    return found


def hub(name: str, addresses: Iterable[str], seconds: float = 5) -> Result:
    """One of the addresses answers anything at all."""
    silent = []
    for address in addresses:
        try:
            with urllib.request.urlopen(
                urllib.request.Request(bare(address), method="HEAD"), timeout=seconds
            ) as answer:
                return good(name, f"{address} answers {answer.status}")
        except urllib.error.HTTPError as error:
            return good(name, f"{address} answers {error.code}")
        except (OSError, ValueError) as error:
            silent.append(f"{address}: {error}")
    cure = (
        "check the network or proxy, name a mirror in `endpoints`, or fetch elsewhere and set offline: true"
    )
    return fail(name, "; ".join(silent), cure)


def port(machine: Hardware) -> Result:
    """The scheduler's port can be opened here."""
    name = f"port {machine.master_port}"
    if free(machine.master_port):
        return good(name, "free")
    return fail(
        name, "in use", f"set hardware.{machine.name}.master_port to a free one, or wait for its user"
    )


def free(number: int) -> bool:
    """Whether a port can be opened here."""
    with socket.socket() as one:
        try:
            one.bind(("", number))
        except OSError:
            return False
    return True
