"""A report opened in a real browser: the verdict is seen, nothing is fetched, the console stays silent."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path


def open_page(browser: str, page: Path, folder: Path) -> tuple[str, list[str], list[str]]:
    """(rendered DOM, requested URLs, console messages)."""
    log = folder / "net.json"
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command += [
        "--disable-component-update",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={folder}/profile",
        f"--log-net-log={log}",
    ]
    command += ["--enable-logging=stderr", "--dump-dom", page.resolve().as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    events = json.loads(log.read_text())["events"]
    # the browser asks for updates of its own; what a page asks for names the page's origin as initiator
    starts = [event["params"] for event in events if "initiator" in event.get("params", {})]
    urls = {start["url"] for start in starts if start["initiator"] != "not an origin"}
    asked = sorted(url for url in urls if url.startswith(("http", "ftp", "ws")))
    return done.stdout, asked, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


VERDICTS = ("The tuned model is better", "The tuned model is worse", "No clear difference")


def test_the_page_stands_alone(finished, tmp_path):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    assert browser, "no browser here; tests/support/system_packages installs one"
    page = finished.path / "results/experiments/small/report.html"
    dom, asked, console = open_page(browser, page, tmp_path)
    assert any(f'<h1 id="verdict">{verdict}</h1>' in dom for verdict in VERDICTS), "no verdict on the page"
    assert not asked, f"the page asked for {asked}"
    assert not console, "\n".join(console)


def test_a_page_that_fetches_and_complains_is_noticed(tmp_path):
    page = tmp_path / "bad.html"
    page.write_text('<img src="http://elsewhere.invalid/x.png"><script>console.error("broken")</script>')
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    _, asked, console = open_page(browser, page, tmp_path)
    assert asked == ["http://elsewhere.invalid/x.png"]
    assert any("broken" in line for line in console)
