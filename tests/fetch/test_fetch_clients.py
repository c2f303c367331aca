"""The test server is true to the hubs: their own clients fetch from it; and our locks say what they are told."""

import hashlib
import json
import os
import subprocess
import sys

import hub_listings
import pytest
from hub_listings import DATE, SHA1
from hub_server import HubServer
from places import FIXTURES, SCRIPTS

from distillery.fetch import clients, listing, locking
from distillery.fetch.listing import Listing
from distillery.problems import Problem

WEIGHTS = json.dumps({"w": {"dtype": "F32", "shape": [1024], "data_offsets": [0, 4096]}}).encode()
MODEL = {
    "config.json": b'{"model_type": "qwen2"}',
    "tokenizer_config.json": b"{}",
    "model.safetensors": len(WEIGHTS).to_bytes(8, "little") + WEIGHTS + bytes(4096),
    "pytorch_model.bin": b"\x80\x04pickle",
    "modeling_evil.py": b"import os",
}
SHARDS = {f"data/train-{i:05d}-of-00010.parquet": bytes([i]) * 5000 for i in range(10)}
PATTERN = "data/train-{00000..00009}-of-00010.parquet"


@pytest.fixture
def server(tmp_path, monkeypatch):
    for name in ("HF_HOME", "MODELSCOPE_CACHE", "MODELSCOPE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    for name in (
        "HF_ENDPOINT",
        "HF_TOKEN",
        "MODELSCOPE_API_TOKEN",
        "MODELSCOPE_ENDPOINT",
        "MODELSCOPE_DOMAIN",
    ):
        monkeypatch.delenv(name, raising=False)
    with HubServer() as one:
        one.repo("lab/tiny", "model", dict(MODEL))
        one.repo("lab/math", "dataset", dict(SHARDS))
        yield one


def ask(
    host: str, repo: str, kind: str, *addresses: str, patterns=None, known=None, offline=False, requested=None
):
    asked = Listing(host, repo, kind, requested, None, None, ())
    return locking.lock(asked, patterns=patterns, endpoints=list(addresses), known=known, offline=offline)


CLIENTS = """
import sys
host, url, kind, repo, folder = sys.argv[1:]
if host == "huggingface":
    from huggingface_hub import snapshot_download
    snapshot_download(repo, repo_type=kind, endpoint=url, local_dir=folder)
else:
    from modelscope_hub.compat.snapshot_download import snapshot_download
    snapshot_download(repo, repo_type=kind, endpoint=url, local_dir=folder)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind, repo, files", [("model", "lab/tiny", MODEL), ("dataset", "lab/math", SHARDS)])
@pytest.mark.parametrize("host", ["huggingface", "modelscope"])
def test_the_hubs_own_clients_fetch_from_the_server(server, tmp_path, host, kind, repo, files):
    # in a process of its own: the clients read their environment when they are imported
    command = [sys.executable, "-c", CLIENTS, host, server.url, kind, repo, str(tmp_path / "got")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ)
    assert done.returncode == 0, done.stderr
    for name, body in files.items():
        assert (tmp_path / "got" / name).read_bytes() == body
    assert {request.status for request in server.log} <= {200, 206, 302}


def test_a_hugging_face_lock_has_commit_date_sizes_and_digests(server):
    made = ask("huggingface", "lab/math", "dataset", server.url, patterns=[PATTERN], requested="main")
    assert (made.revision, made.requested, made.date) == (SHA1, "main", DATE.replace(".000", ""))
    assert [one.name for one in made.files] == sorted(SHARDS)
    for one in made.files:
        assert (one.bytes, one.sha256) == (5000, hashlib.sha256(SHARDS[one.name]).hexdigest())
    assert made.is_complete


def test_a_modelscope_lock_has_them_too(server):
    made = ask("modelscope", "lab/math", "dataset", server.url, patterns=["data/*.parquet"])
    assert (made.revision, made.date) == (SHA1, DATE.replace(".000", "")) and made.is_complete
    assert [one.sha256 for one in made.files] == [
        hashlib.sha256(SHARDS[name]).hexdigest() for name in sorted(SHARDS)
    ]


@pytest.mark.parametrize("host", ["huggingface", "modelscope"])
def test_of_a_model_no_pickles_and_no_code_are_taken(server, host):
    made = ask(host, "lab/tiny", "model", server.url)
    assert [one.name for one in made.files] == ["config.json", "model.safetensors", "tokenizer_config.json"]
    config = made.file("config.json")
    if host == "huggingface":  # a small file's only digest there is git's
        assert (
            config.sha256 is None and config.git_sha1 == hub_listings.hf_entry(MODEL["config.json"])["blobId"]
        )
    server.repos["models", "lab/tiny"].files.pop("model.safetensors")
    with pytest.raises(Problem, match="pickled weights can run code"):
        ask(host, "lab/tiny", "model", server.url)


def test_the_next_mirror_answers_when_the_first_is_dead_or_broken(server):
    server.fault(kind="metadata", path="metadata", times=1, status=200, body=b"<html>sorry</html>")
    made = ask(
        "huggingface", "lab/math", "dataset", "http://127.0.0.1:9", server.url, server.url, patterns=[PATTERN]
    )
    assert made.is_complete
    with pytest.raises(Problem, match="does not tell") as caught:
        ask("modelscope", "lab/absent", "model", server.url)
    assert "lab/absent" in str(caught.value) and server.url in str(caught.value)


def test_a_complete_lock_asks_nobody_and_an_incomplete_one_says_what_it_lacks(server, tmp_path):
    made = ask("huggingface", "lab/math", "dataset", server.url, patterns=[PATTERN])
    listing.write(tmp_path / "lock.json", made)
    assert listing.read(tmp_path / "lock.json") == made
    server.log.clear()
    assert ask("huggingface", "lab/math", "dataset", patterns=[PATTERN], known=made, offline=True) == made
    assert not server.log
    value = json.loads((tmp_path / "lock.json").read_text())
    del value["files"][3]["sha256"]
    (tmp_path / "lock.json").write_text(json.dumps(value))
    partial = listing.read(tmp_path / "lock.json")
    with pytest.raises(Problem, match="train-00003"):
        ask("huggingface", "lab/math", "dataset", patterns=[PATTERN], known=partial, offline=True)
    again = ask("huggingface", "lab/math", "dataset", server.url, patterns=[PATTERN], known=partial)
    assert again.files == made.files


@pytest.mark.parametrize("key, value", [("bytes", 4999), ("sha256", "0" * 64)])
def test_a_known_file_that_changed_on_the_hub_is_refused(server, key, value):
    from dataclasses import replace

    made = ask("huggingface", "lab/math", "dataset", server.url, patterns=[PATTERN])
    changed = replace(made.files[0], **{key: value})
    lacking = replace(made.files[1], sha256=None)
    known = replace(made, files=(changed, lacking, *made.files[2:]))
    with pytest.raises(Problem, match="another file than the lock"):
        ask("huggingface", "lab/math", "dataset", server.url, patterns=[PATTERN], known=known)
    moved = replace(made, revision="f" * 40, files=(lacking,))
    with pytest.raises(Problem, match="another commit"):
        ask(
            "huggingface",
            "lab/math",
            "dataset",
            server.url,
            patterns=[PATTERN],
            known=moved,
            requested="main",
        )


@pytest.mark.parametrize(
    "name",
    [
        "../../evil.json",
        "/etc/passwd",
        "a/../../b.json",
        "a\\..\\b.json",
        "C:evil.json",
        "a//b.json",
        "a\nb.json",
    ],
)
def test_names_that_leave_the_directory_are_refused(server, name):
    server.repos["models", "lab/tiny"].listed[name] = b"{}"
    for host in ("huggingface", "modelscope"):
        with pytest.raises(Problem, match="could leave its directory"):
            ask(host, "lab/tiny", "model", server.url)


def test_tokens_go_to_the_hub_and_to_no_mirror(server, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    ask("huggingface", "lab/math", "dataset", server.url, patterns=[PATTERN])
    assert all(request.token is None for request in server.log)
    monkeypatch.setenv("HF_ENDPOINT", server.url)  # the user's own setting: this is their hub
    made = ask("huggingface", "lab/math", "dataset", patterns=[PATTERN])
    assert server.log[-1].token == "Bearer hf_secret"
    assert "hf_secret" not in str(made)
    assert clients.token("huggingface", "https://hf-mirror.com") is None


def test_lock_command_writes_what_read_reads(server, tmp_path):
    command = [sys.executable, str(SCRIPTS / "fetch_lock.py"), "--host", "huggingface", "--repo", "lab/math"]
    command += ["--repo-type", "dataset", "--revision", "main", "--files", PATTERN, "--endpoint", server.url]
    command += ["--rows", "30", "--output", str(tmp_path / "lock.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "10 files" in done.stdout, done.stderr
    made = listing.read(tmp_path / "lock.json")
    assert made.is_complete and made.rows == 30
    first = (tmp_path / "lock.json").read_bytes()
    assert (
        subprocess.run([*command, "--known", str(tmp_path / "lock.json")], capture_output=True).returncode
        == 0
    )
    assert (tmp_path / "lock.json").read_bytes() == first


@pytest.mark.slow
def test_write_locks_writes_what_a_configuration_names_and_notices_changes(server, tmp_path):
    import yaml

    config = yaml.safe_load((FIXTURES / "workflow/small.yaml").read_text())
    hub = {"host": "huggingface", "revision": "main", "endpoints": [server.url], "lock": "locks/math.json"}
    config["datasets"]["math"] = {"source": {"hub": hub | {"repo": "lab/math", "files": PATTERN, "rows": 9}}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))

    def run(*flags: str) -> subprocess.CompletedProcess:
        command = [
            sys.executable,
            str(SCRIPTS / "fetch_write_locks.py"),
            "--configfile",
            "config.yaml",
            *flags,
        ]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert run().returncode == 0
    made = listing.read(tmp_path / "locks/math.json")
    assert made.is_complete and made.rows == 9 and made.requested == "main"
    repo = server.repos["datasets", "lab/math"]
    repo.files["data/train-00004-of-00010.parquet"] = b"changed" * 1000
    repo.commit = "b" * 40
    assert run().returncode == 0  # complete: nobody is asked
    assert listing.read(tmp_path / "locks/math.json") == made
    done = run("--anew")
    assert done.returncode == 0, done.stderr
    assert listing.read(tmp_path / "locks/math.json").file("data/train-00004-of-00010.parquet").bytes == 7000
