"""Addresses with secrets: masked wherever they are shown or kept, whole only in a request.

    kept("https://me:secret@mirror.example/hub")      # 'https://me:***@mirror.example/hub'
    kept("https://mirror.example/a.csv?token=abc")    # 'https://mirror.example/a.csv?token=***'
    revealed("https://me:***@mirror.example/hub")     # with the password again, in this process and those it starts

A secret is a password, a token in the place of a user (`https://ghp_abc@host`), or a parameter whose name says that it is one:
token, api_key, sig, X-Amz-Signature. It goes into a variable of the environment, so that jobs have it and neither their lines,
their logs nor the records that they leave do. Where there is none, `~/.netrc` is asked by the library that requests.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import Any

MASK = "***"
# scheme and user; password, in which people leave a slash, but not one after digits alone: that is a port; host
PASSWORD = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@\"'<>]*):(?!\d+/)([^\s@\"'<>]+)@([^\s/@\"'<>]*)")
# scheme; what stands alone before the host
TOKEN = re.compile(r"(\bhttps?://)([^\s/:@\"'<>]+)@([^\s/@\"'<>]*)", re.I)
# the name of a parameter that holds a secret; its value
PARAMETER = re.compile(
    r"(?<=[?&])((?:[\w.-]*[-_.])?(?:(?:access|auth|api)?(?:key|token)|secret|sig|signature|passwd|password|pwd|credential))"
    r"=([^\s&#\"'<>]+)",
    re.I,
)


def masked(text: str) -> str:
    """A text with each secret of the addresses in it spelled as three stars."""
    if "://" not in text:
        return text
    text = TOKEN.sub(rf"\1{MASK}@\3", PASSWORD.sub(rf"\1:{MASK}@\3", text))
    return PARAMETER.sub(rf"\1={MASK}", text)


def kept(value: Any) -> Any:
    """An address, or whatever holds some, masked; secrets stay in this process's environment."""
    if isinstance(value, dict):
        return {key: kept(one) for key, one in value.items()}
    if isinstance(value, list):
        return [kept(one) for one in value]
    if isinstance(value, str) and "://" in value:
        told = masked(value)
        for user, password, host in PASSWORD.findall(value):
            _keep(f"{user}@{host}", password)
        for scheme, token, host in TOKEN.findall(value):
            _keep(f"{scheme}{MASK}@{host}", token)
        for name, secret in PARAMETER.findall(value):
            # for this address, and for those that differ in their path alone: one pattern stands for many files
            _keep(f"{told}#{name}", secret)
            _keep(f"{_site(told)}?{name}", secret)
        return told
    return value


def revealed(address: str) -> str:
    """What to send a request to; without user or parameter where the secret is not known: a request then asks ~/.netrc."""

    def parameter(match: re.Match[str]) -> str:
        found = _kept(f"{address}#{match[1]}") or _kept(f"{_site(address)}?{match[1]}")
        return f"{match[1]}={found}" if found else ""

    told = PARAMETER.sub(lambda one: parameter(one) if one[2] == MASK else one[0], address)
    if (match := PASSWORD.match(told)) and match[2] == MASK:
        user, host = match[1], match[3]
        password = _kept(f"{user}@{host}")
        before = f"{user}:{password}@" if password else f"{user.partition('://')[0]}://"
    elif (match := TOKEN.match(told)) and match[2] == MASK:
        scheme, host = match[1], match[3]
        token = _kept(f"{scheme}{MASK}@{host}")
        before = f"{scheme}{token}@" if token else scheme
    else:
        return told
    return before + host + told[match.end() :]


def bare(address: str) -> str:
    """An address without user and password."""
    return re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/@]*@", r"\1", address)


def _site(address: str) -> str:
    return "/".join(address.split("/")[:3]).partition("?")[0]


def _keep(place: str, secret: str) -> None:
    if secret != MASK:
        os.environ[_variable(place)] = secret


def _kept(place: str) -> str | None:
    return os.environ.get(_variable(place))


def _variable(place: str) -> str:
    return f"DISTILLERY_PASSWORD_{hashlib.sha256(place.encode()).hexdigest()[:16].upper()}"
