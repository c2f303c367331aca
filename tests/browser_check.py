"""Open a report in a real browser: the verdict is seen, nothing is fetched, the console stays silent.

    python tests/browser_check.py                 a small report made for the purpose
    python tests/browser_check.py report.html     a given one

Wants Debian's chromium; not part of pytest, because not every machine that tests has a browser.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parent
sys.path[:0] = [str(TESTS.parent / "workflow/scripts"), str(TESTS)]


def make(folder: Path) -> Path:
    import report_files

    flags = report_files.write(folder)
    subprocess.run(
        [sys.executable, str(TESTS.parent / "workflow/scripts/report.py"), *flags], cwd=folder, check=True
    )
    return folder / "report.html"


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


def main() -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("browser_check: no chromium here; apt-get install --no-install-recommends chromium")
    with tempfile.TemporaryDirectory() as name:
        page = Path(sys.argv[1]) if len(sys.argv) > 1 else make(Path(name))
        dom, asked, console = open_page(browser, page, Path(name))
    verdicts = ("The tuned model is better", "The tuned model is worse", "No clear difference")
    assert any(f'<h1 id="verdict">{verdict}</h1>' in dom for verdict in verdicts), "no verdict on the page"
    assert not asked, f"the page asked for {asked}"
    assert not console, "\n".join(console)
    print(f"{page.name}: verdict seen, nothing requested, console silent")


if __name__ == "__main__":
    main()
