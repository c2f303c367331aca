"""A password in an address reaches the server it is for, and no file, line or error besides."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from house import House
from hub_server import HubServer
from hypothesis import given
from hypothesis import strategies as st
from places import FIXTURES, ROOT, SCRIPTS

from distillery import addresses, config
from distillery.fetch import source_flags

SECRET = "s3cret%21"
BASIC = "Basic " + base64.b64encode(b"me:s3cret!").decode()


@pytest.fixture
def hub():
    with HubServer() as server:
        server.repo("o/m", "model", {"a file.json": b'{"a": 1}\n'})
        yield server


def run(folder: Path, script: str, *words: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, SCRIPTS / script, *words]
    return subprocess.run(list(map(str, line)), cwd=folder, capture_output=True, text=True, check=False)


def holders(folder: Path) -> list[Path]:
    """Files below a folder that hold the password, as it is written or as it is meant."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if b"s3cret" in path.read_bytes()]


@pytest.mark.slow
def test_a_password_is_sent_and_stands_nowhere(hub, tmp_path):
    address = hub.url.replace("://", f"://me:{SECRET}@")
    asked = ["--host", "huggingface", "--repo", "o/m", "--repo-type", "model", "--revision", "main"]
    made = run(
        tmp_path, "fetch_lock.py", *asked, "--files", "*.json", "--endpoint", address, "--output", "lock.json"
    )
    assert made.returncode == 0, made.stderr
    words = ["--lock", "lock.json", "--file", "a file.json", "--store", "store", "--endpoint", address]
    done = run(tmp_path, "fetch_shard.py", *words, "--output", "out.json", "--log", "log.txt")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.json").read_bytes() == b'{"a": 1}\n'
    assert {one.token for one in hub.log if one.status == 200} == {BASIC}
    assert not holders(tmp_path) and "s3cret" not in made.stdout + made.stderr + done.stdout + done.stderr


def test_an_error_tells_no_password(hub, tmp_path):
    address = hub.url.replace("://", f"://me:{SECRET}@")
    asked = ["--host", "huggingface", "--repo", "o/none", "--repo-type", "model", "--endpoint", address]
    failed = run(tmp_path, "fetch_lock.py", *asked, "--output", "lock.json", "--log", "log.txt")
    assert failed.returncode == 1 and "://me:***@127.0.0.1" in failed.stderr
    assert "s3cret" not in failed.stdout + failed.stderr and not holders(tmp_path)


def test_a_plain_addresss_password_is_not_in_its_lock(tmp_path):
    words = [
        "--host",
        "url",
        "--repo",
        "x",
        "--repo-type",
        "dataset",
        "--files",
        "a.parquet",
        "--output",
        "lock.json",
    ]
    made = run(tmp_path, "fetch_lock.py", *words, "--url", f"https://me:{SECRET}@h.example/{{name}}")
    assert made.returncode == 0, made.stderr
    assert "https://me:***@h.example/{name}" in (tmp_path / "lock.json").read_text() and not holders(tmp_path)


@pytest.mark.slow
def test_a_workflows_lines_and_records_hold_no_password(hub, tmp_path):
    raw = yaml.safe_load((FIXTURES / "workflow/small.yaml").read_text())
    address = hub.url.replace("://", f"://me:{SECRET}@")
    raw["models"]["theirs"] = {
        "hub": {
            "host": "huggingface",
            "repo": "o/m",
            "revision": "main",
            "files": ["*.json"],
            "endpoints": [address],
        }
    }
    house = House(tmp_path / "a house", ROOT / "config" / "config.yaml")
    house.configfile.write_text(yaml.safe_dump(raw))
    done = house.snakemake("-p", "--cores", "1", "resources/locks/models/theirs.json", own=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert BASIC in {one.token for one in hub.log}
    said = done.stdout + done.stderr
    assert "--endpoint 'http://me:***@" in said and "s3cret" not in said
    assert holders(house.path) == [house.configfile]


def test_a_configuration_forgets_passwords_and_requests_find_them():
    raw = yaml.safe_load((FIXTURES / "workflow/small.yaml").read_text())
    hub = {
        "host": "huggingface",
        "repo": "o/m",
        "revision": "main",
        "endpoints": ["https://me:pw@h.example/x"],
    }
    raw["models"]["theirs"] = {"hub": hub}
    line = source_flags.hubs(config.load(raw).models["theirs"], offline=False)
    assert line == "--endpoint 'https://me:***@h.example/x'"
    assert addresses.revealed("https://me:***@h.example/x/y?z") == "https://me:pw@h.example/x/y?z"


def test_without_its_password_a_request_is_left_to_netrc():
    assert addresses.revealed("https://you:***@h.example/x") == "https://h.example/x"


PARTS = st.text(
    st.characters(categories=["L", "N"], include_characters="%-._~!$&()*+,;="), min_size=1, max_size=9
)


@pytest.mark.slow
@given(PARTS, PARTS, st.text(st.sampled_from("abc.:09"), min_size=1, max_size=9), st.text(max_size=9))
def test_any_password_is_masked_and_found_again(user, password, host, rest):
    address = f"https://{user}:{password}@{host}/{rest}"
    masked = addresses.kept(address)
    assert masked.startswith(f"https://{user}:***@{host}/")
    assert addresses.revealed(masked).startswith(f"https://{user}:{password}@{host}/")
    assert addresses.masked(masked) == masked


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("https://ghp_abc@h.example/x.csv", "https://***@h.example/x.csv"),
        ("https://me:pa/ss@h.example/x.csv", "https://me:***@h.example/x.csv"),
        ("https://h.example/x.csv?token=abc", "https://h.example/x.csv?token=***"),
        ("https://h.example/x?a=1&api_key=abc#top", "https://h.example/x?a=1&api_key=***#top"),
        ("https://b.example/x?sv=2024&sig=a%2Bb%3D", "https://b.example/x?sv=2024&sig=***"),
        (
            "https://s3.example/x?X-Amz-Signature=0f&X-Amz-Date=1",
            "https://s3.example/x?X-Amz-Signature=***&X-Amz-Date=1",
        ),
        ("https://me:pw@h.example/x?accessToken=q", "https://me:***@h.example/x?accessToken=***"),
    ],
)
def test_every_kind_of_secret_is_masked_and_found_again(address, told):
    assert addresses.kept(address) == addresses.kept(told) == told
    assert addresses.revealed(told) == address
    assert addresses.masked(f"no connection to {address} today") == f"no connection to {told} today"


@pytest.mark.parametrize(
    "address",
    [
        "http://h.example:8080/x@y",
        "https://h.example/x?keyword=a&design=b&monkey=c",
        "hf://datasets/a@main/b",
    ],
)
def test_what_is_no_secret_stays(address):
    assert addresses.kept(address) == address and addresses.revealed(address) == address


def test_a_token_of_a_pattern_is_sent_for_each_of_its_files_and_a_files_own_before():
    addresses.kept(["https://p.example/a-{0..9}.csv?token=all", "https://p.example/own.csv?token=one"])
    addresses.kept("https://p.example/a-{0..9}.csv?token=all")
    assert addresses.revealed("https://p.example/a-3.csv?token=***") == "https://p.example/a-3.csv?token=all"
    assert addresses.revealed("https://p.example/own.csv?token=***") == "https://p.example/own.csv?token=one"


def test_without_its_token_a_request_has_none():
    assert addresses.revealed("https://***@none.example/x") == "https://none.example/x"
    assert addresses.revealed("https://none.example/x?token=***&a=1") == "https://none.example/x?&a=1"
