"""A small real HTTP server that speaks Hugging Face's and ModelScope's download protocols, and misbehaves on demand.

    with HubServer() as server:
        repo = server.repo("owner/name", "dataset", {"data/a.parquet": bytes})
        server.fault(kind="cut", at=1000)          # the next body breaks off
        ... fetch from server.url ...
        server.log                                  # [Request(method, path, start, sent, status, token)]

What the endpoints answer was read off the requests of the installed clients (huggingface_hub 2.4, modelscope-hub 0.5);
tests/fetch/test_fetch_clients.py lets those clients fetch from it.
"""

import gzip
import hashlib
import json
import re
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

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


@dataclass
class Request:
    method: str
    path: str
    start: int
    token: str | None
    sent: int = 0
    status: int = 0
    is_body: bool = False


class HubServer:
    """Serves on a free port of this machine while the context is open."""

    def __init__(self) -> None:
        self.repos: dict[tuple[str, str], Repo] = {}
        self.faults: list[Fault] = []
        self.log: list[Request] = []
        self.pace: float = 0.0  # seconds between blocks of 16 KiB
        self.lock = threading.Lock()
        handler = type("BoundHandler", (Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # clients that hang up, killed ones among them
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.store = self.url.replace(
            "127.0.0.1", "localhost"
        )  # LFS objects live on another host, as on the hubs

    def __enter__(self) -> "HubServer":
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def repo(self, name: str, kind: str, files: dict[str, bytes], **more) -> Repo:
        made = Repo(kind, files, **more)
        self.repos[f"{kind}s", name] = made
        return made

    def fault(self, kind: str, **more) -> None:
        self.faults.append(Fault(kind, **more))

    def bodies(self) -> list[Request]:
        """Requests for the bytes of files, not those for metadata or redirects."""
        return [request for request in self.log if request.method == "GET" and request.is_body]

    def due(self, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.path in path and fault.times > 0:
                    if fault.skip:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    return fault
        return None


class Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        path = unquote(address.path)
        query = {key: values[0] for key, values in parse_qs(address.query).items()}
        start = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        token = self.headers.get("Authorization")
        self.request_log = Request(self.command, self.path, int(start[1]) if start else 0, token)
        self.hub.log.append(self.request_log)
        for pattern, answer in ROUTES:
            if match := re.fullmatch(pattern, path):
                try:
                    return answer(self, query, **match.groupdict())
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True
                    return None
        return self.reply(404, b'{"error": "no such page"}')

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.request_log.status = status
        self.send_response(status)
        for key, value in ({"Content_Length": str(len(body))} | headers).items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.send_body(body)

    def send_body(self, body: bytes) -> None:
        for at in range(0, len(body), 1 << 14):
            block = body[at : at + (1 << 14)]
            self.wfile.write(block)
            self.request_log.sent += len(block)
            if self.hub.pace:
                time.sleep(self.hub.pace)

    def json(self, value: object) -> None:
        if fault := self.hub.due("metadata " + self.path):
            return self.reply(fault.status, fault.body, Content_Type="text/html")
        return self.reply(200, json.dumps(value).encode(), Content_Type="application/json")

    def found(self, kind: str, repo: str, revision: str) -> Repo | None:
        made = self.hub.repos.get((kind, repo))
        if made is None or revision not in (made.commit, "main", "master"):
            self.reply(404, b'{"error": "Repository not found"}', X_Error_Code="RepoNotFound")
            return None
        return made

    # Hugging Face

    def hf_info(self, query, kind, repo, revision="main") -> None:
        if made := self.found(kind, repo, revision):
            siblings = [{"rfilename": name} | hf_entry(body) for name, body in made.entries().items()]
            self.json(
                {"id": repo, "sha": made.commit, "lastModified": DATE, "private": False, "siblings": siblings}
            )

    def hf_commits(self, query, kind, repo, revision) -> None:
        if made := self.found(kind, repo, revision):
            self.json(
                [{"id": made.commit, "authors": [{"user": "a"}], "date": DATE, "title": "t", "message": ""}]
            )

    def hf_tree(self, query, kind, repo, revision) -> None:
        if made := self.found(kind, repo, revision):
            entries = []
            for name, body in made.entries().items():
                entry = hf_entry(body)
                lfs = {"oid": entry["lfs"]["sha256"], **entry["lfs"]} if "lfs" in entry else None
                entry = {"type": "file", "path": name, "size": len(body), "oid": entry["blobId"]}
                entries.append(entry | ({"lfs": lfs} if lfs else {}))
            self.json(entries)

    def hf_file(self, query, repo, revision, name, kind="models") -> None:
        made = self.found(kind, repo, revision)
        if made is None:
            return None
        if name not in made.files:
            return self.reply(404, b"", X_Error_Code="EntryNotFound")
        return self.serve(made.files[name], made.commit)

    # ModelScope

    def ms_files(self, query, kind, repo) -> None:
        if made := self.found(kind, repo, query.get("Revision", "master")):
            entries = [
                {"Path": name, "Name": name.rpartition("/")[2], "Size": len(body), "Type": "blob",
                 "Sha256": hashlib.sha256(body).hexdigest(), "Revision": made.commit, "CommittedDate": SECONDS}
                for name, body in made.entries().items()
            ]  # fmt: skip
            size = int(query.get("PageSize", 10**6))
            first = (int(query.get("PageNumber", 1)) - 1) * size
            self.json({"Code": 200, "Success": True, "Data": {"Files": entries[first : first + size]}})

    def ms_file(self, query, kind, repo) -> None:
        made = self.found(kind, repo, query.get("Revision", "master"))
        if made is not None:
            body = made.files.get(query["FilePath"])
            self.serve(body, made.commit) if body is not None else self.reply(404, b"{}")

    def ms_region(self, query) -> None:
        """Whether the client is in a cloud region with a faster way: it is not."""
        self.reply(200, b'{"Code": 200, "Data": {}}', Content_Type="application/json")

    def plain(self, query, name) -> None:
        for made in self.hub.repos.values():
            if name in made.files:
                return self.body(made.files[name])
        return self.reply(404, b"")

    # bytes

    def serve(self, body: bytes, commit: str) -> None:
        """A small file at once; a large one by way of its LFS object, as both hubs do."""
        fault = self.hub.due("resolve " + self.path)
        if fault and fault.kind == "commit":
            commit = fault.body.decode()
        elif fault and fault.kind in ("loop", "scheme"):
            return self.reply(302, b"", Location=self.path if fault.kind == "loop" else "file:///etc/passwd")
        if len(body) < LFS_FROM:
            return self.body(body, X_Repo_Commit=commit)
        digest = hashlib.sha256(body).hexdigest()
        linked = {"X_Linked_ETag": f'"{digest}"', "X_Linked_Size": str(len(body)), "X_Repo_Commit": commit}
        return self.reply(302, b"", Location=f"{self.hub.store}/lfs/{digest}", **linked)

    def lfs(self, query, digest) -> None:
        bodies = [body for made in self.hub.repos.values() for body in made.files.values()]
        self.body(next(body for body in bodies if hashlib.sha256(body).hexdigest() == digest))

    def body(self, body: bytes, **headers: str) -> None:
        self.request_log.is_body = True
        fault = self.hub.due("body " + self.path) or Fault("none")
        if fault.kind in ("other", "tag", "mixed"):
            body = fault.body
        tag = f'"{fault.headers.get("ETag") or hashlib.md5(body).hexdigest()}"'
        if fault.kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return self.connection.close()
        if fault.kind == "silent":
            time.sleep(fault.at)
            self.close_connection = True
            return None
        if fault.kind == "status":
            return self.reply(fault.status, b"busy", **fault.headers)
        if fault.kind == "html":
            return self.reply(200, b"<html>please log in</html>", Content_Type="text/html; charset=utf-8")
        start = self.request_log.start
        if start and (fault.kind == "unsatisfiable" or start >= len(body)):
            return self.reply(416, b"", Content_Range=f"bytes */{len(body)}")
        fresh = self.headers.get("If-Range", tag) != tag and fault.kind != "mixed"
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
        if self.command == "HEAD":
            return self.reply(status, part, **headers)
        return self.send(fault, status, part, headers)

    def send(self, fault: Fault, status: int, part: bytes, headers: dict[str, str]) -> None:
        if fault.kind == "longer":  # chunked, so that no header tells the size
            self.request_log.status = status
            self.send_response(status)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            part += b"x" * 100
            self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(part), part))
        elif fault.kind == "cut":
            self.reply(status, part[: max(0, fault.at - self.request_log.start)],
                       **(headers | {"Content_Length": str(len(part))}))  # fmt: skip
            self.close_connection = True
        elif fault.kind == "unframed":  # HTTP/1.0 style: the body ends when the connection does
            self.request_log.status = status
            self.send_response(status)
            self.send_header("Connection", "close")
            self.end_headers()
            self.send_body(part[: fault.at])
            self.close_connection = True
        elif fault.kind == "drip":
            self.reply(status, b"", **(headers | {"Content_Length": str(len(part))}))
            for at in range(len(part)):
                self.wfile.write(part[at : at + 1])
                self.request_log.sent += 1
                time.sleep(0.02)
        else:
            self.reply(status, part, **headers)


def hf_entry(body: bytes) -> dict:
    blob = hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
    if len(body) < LFS_FROM:
        return {"size": len(body), "blobId": blob}
    lfs = {"size": len(body), "sha256": hashlib.sha256(body).hexdigest(), "pointerSize": 134}
    return {"size": len(body), "blobId": blob, "lfs": lfs}


REPO = r"(?P<repo>[^/]+/[^/]+)"
ROUTES = [
    (rf"/api/(?P<kind>models|datasets)/{REPO}", Handler.hf_info),
    (rf"/api/(?P<kind>models|datasets)/{REPO}/revision/(?P<revision>[^/]+)", Handler.hf_info),
    (rf"/api/(?P<kind>models|datasets)/{REPO}/commits/(?P<revision>[^/]+)", Handler.hf_commits),
    (rf"/api/(?P<kind>models|datasets)/{REPO}/tree/(?P<revision>[^/]+)", Handler.hf_tree),
    (rf"/(?P<kind>datasets)/{REPO}/resolve/(?P<revision>[^/]+)/(?P<name>.+)", Handler.hf_file),
    (rf"/{REPO}/resolve/(?P<revision>[^/]+)/(?P<name>.+)", Handler.hf_file),
    (rf"/api/v1/(?P<kind>models)/{REPO}/repo/files", Handler.ms_files),
    (rf"/api/v1/(?P<kind>datasets)/{REPO}/repo/tree", Handler.ms_files),
    (rf"/api/v1/(?P<kind>models|datasets)/{REPO}/repo", Handler.ms_file),
    (r"/api/v1/repos/internalAccelerationInfo", Handler.ms_region),
    (r"/lfs/(?P<digest>[0-9a-f]{64})", Handler.lfs),
    (r"/plain/(?P<name>.+)", Handler.plain),
]
