"""Addresses with passwords: masked wherever they are shown or kept, whole only in a request.

    kept("https://me:secret@mirror.example/hub")      # 'https://me:***@mirror.example/hub'
    revealed("https://me:***@mirror.example/hub")     # with the password again, in this process and those it starts

A password goes into a variable of the environment, so that jobs have it and neither their lines, their logs nor the records
that they leave do. Where there is none, `~/.netrc` is asked by the library that requests.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import Any

# scheme, user; password; host
SECRET = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@\"'<>]*):([^\s/\"'<>]+)@([^\s/@\"'<>]*)")
MASK = "***"


def masked(text: str) -> str:
    """A text with the password of every address in it spelled as three stars."""
    return SECRET.sub(rf"\1:{MASK}@\3", text) if "://" in text else text


def kept(value: Any) -> Any:
    """An address, or whatever holds some, masked; passwords stay in this process's environment."""
    if isinstance(value, dict):
        return {key: kept(one) for key, one in value.items()}
    if isinstance(value, list):
        return [kept(one) for one in value]
    if isinstance(value, str) and "://" in value:
        for user, password, host in SECRET.findall(value):
            if password != MASK:
                os.environ[_variable(user, host)] = password
        return masked(value)
    return value


def revealed(address: str) -> str:
    """What to send a request to; without the user, where the password is not known, for the request then asks ~/.netrc."""
    match = SECRET.match(address)
    if match is None or match[2] != MASK:
        return address
    user, host = match[1], match[3]
    scheme = user.partition("://")[0]
    password = os.environ.get(_variable(user, host))
    told = f"{scheme}://{host}" if password is None else f"{user}:{password}@{host}"
    return told + address[match.end() :]


def bare(address: str) -> str:
    """An address without user and password."""
    return re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/@]*@", r"\1", address)


def _variable(user: str, host: str) -> str:
    return f"DISTILLERY_PASSWORD_{hashlib.sha256(f'{user}@{host}'.encode()).hexdigest()[:16].upper()}"
