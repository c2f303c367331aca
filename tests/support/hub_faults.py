"""How the hubs' server misbehaves when it sends the bytes of a file."""

from __future__ import annotations

import gzip
import hashlib
import socket
import struct
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hub_server import Handler


@dataclass
class Fault:
    """One misbehaviour of the byte endpoints.

    kind: cut, status, html, other, longer, silent, drip, reset, no-range, wrong-range, gzip, loop, scheme,
        commit, unframed, tag, mixed (other bytes, If-Range unheard), unsatisfiable; `times` requests have it, after `skip` that do not.
    """

    kind: str
    times: int = 10**9
    skip: int = 0
    at: int = 0
    status: int = 503
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    path: str = "body "  # part of "metadata /api/...", "resolve /..." or "body /..."


def answer(request: Handler, body: bytes, fault: Fault, headers: dict[str, str]) -> None:
    """Send the bytes of a file from where the request asks for, as the fault has it; "none" of them as they are."""
    if fault.kind in ("other", "tag", "mixed"):
        body = fault.body
    tag = f'"{fault.headers.get("ETag") or hashlib.md5(body).hexdigest()}"'
    if fault.kind == "reset":
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.close_connection = True
        request.connection.close()
        return
    if fault.kind == "silent":
        time.sleep(fault.at)
        request.close_connection = True
        return
    if fault.kind == "status":
        request.reply(fault.status, b"busy", **fault.headers)
        return
    if fault.kind == "html":
        request.reply(200, b"<html>please log in</html>", Content_Type="text/html; charset=utf-8")
        return
    start = request.request_log.start
    if start and (fault.kind == "unsatisfiable" or start >= len(body)):
        request.reply(416, b"", Content_Range=f"bytes */{len(body)}")
        return
    fresh = request.headers.get("If-Range", tag) != tag and fault.kind != "mixed"
    status, part = 200, body
    if start and fault.kind != "no-range" and not fresh:
        status, part = 206, body[start:]
        shown = start - 1 if fault.kind == "wrong-range" else start
        headers["Content_Range"] = f"bytes {shown}-{len(body) - 1}/{len(body)}"
    headers = {
        "ETag": tag,
        "Accept_Ranges": "bytes",
        "Content_Type": "application/octet-stream",
    } | headers
    if fault.kind == "gzip":
        part = gzip.compress(part)
        headers["Content_Encoding"] = "gzip"
    if request.command == "HEAD":
        request.reply(status, part, **headers)
        return
    _send(request, fault, status, part, headers)


def _send(request: Handler, fault: Fault, status: int, part: bytes, headers: dict[str, str]) -> None:
    if fault.kind == "longer":  # chunked, so that no header tells the size
        request.request_log.status = status
        request.send_response(status)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        part += b"x" * 100
        request.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(part), part))
    elif fault.kind == "cut":
        left = part[: max(0, fault.at - request.request_log.start)]
        request.reply(status, left, **(headers | {"Content_Length": str(len(part))}))
        request.close_connection = True
    elif fault.kind == "unframed":  # HTTP/1.0 style: the body ends when the connection does
        request.request_log.status = status
        request.send_response(status)
        request.send_header("Connection", "close")
        request.end_headers()
        request.send_body(part[: fault.at])
        request.close_connection = True
    elif fault.kind == "drip":
        request.reply(status, b"", **(headers | {"Content_Length": str(len(part))}))
        for at in range(len(part)):
            request.wfile.write(part[at : at + 1])
            request.request_log.sent += 1
            time.sleep(0.02)
    else:
        request.reply(status, part, **headers)
