"""A small real HTTP server that speaks Hugging Face's and ModelScope's download protocols, and misbehaves on demand.

    with HubServer() as server:
        repo = server.repo("owner/name", "dataset", {"data/a.parquet": bytes})
        server.fault(kind="cut", at=1000)          # the next body breaks off
        ... fetch from server.url ...
        server.log                                  # [Request(method, path, start, sent, status, token)]

What the endpoints answer was read off the requests of the installed clients (huggingface_hub 2.4, modelscope-hub 0.5);
tests/fetch/test_fetch_clients.py lets those clients fetch from it.
"""

import hashlib
import json
import re
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import hub_faults
import hub_listings
from hub_faults import Fault
from hub_listings import LFS_FROM, Repo


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
            self.json(hub_listings.hf_info(repo, made))

    def hf_commits(self, query, kind, repo, revision) -> None:
        if made := self.found(kind, repo, revision):
            self.json(hub_listings.hf_commits(made))

    def hf_tree(self, query, kind, repo, revision) -> None:
        if made := self.found(kind, repo, revision):
            self.json(hub_listings.hf_tree(made))

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
            self.json(hub_listings.ms_files(made, query))

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
        """These bytes, or what a fault makes of them."""
        self.request_log.is_body = True
        hub_faults.answer(self, body, self.hub.due("body " + self.path) or Fault("none"), headers)


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
