"""A real headless Chromium, driven over its debugging pipe: pages at a width, in a colour scheme, on paper; what they say and ask for."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from places import FIXTURES

SECONDS = 120
AXE = FIXTURES / "report/axe.min.js"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
]
# an element that ends right of the window, and in nothing that scrolls or clips
BEYOND = """[...document.querySelectorAll('body *')].filter(element => {
  if (element.getBoundingClientRect().right <= innerWidth + 0.5 || !element.checkVisibility()) return false;
  for (let at = element.parentElement; at; at = at.parentElement) if (getComputedStyle(at).overflowX !== 'visible') return false;
  return true; }).map(element => `${element.tagName} ${element.textContent.trim().slice(0, 40)}`)"""
CUT = "[...document.querySelectorAll('main *')].filter(one => one.checkVisibility() && ['auto', 'scroll', 'hidden'].includes(getComputedStyle(one).overflowX) && one.scrollWidth > one.clientWidth + 1 && !one.closest('svg, math'))"


class Page:
    """A tab. `console` has what it complained of, `asked` every address that it asked for."""

    def __init__(self, process: subprocess.Popen, writer: int, reader: Any) -> None:
        self._process, self._writer, self._reader = process, writer, reader
        self._number, self._session = 0, None
        self.console: list[str] = []
        self.asked: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One call of the browser's protocol, and its result; events before it are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._writer, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            pass
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        data = bytearray()
        while (byte := self._reader.read(1)) != b"\0":
            assert byte, "the browser has ended"
            data += byte
        message = json.loads(data)
        params = message.get("params", {})
        match message.get("method"):
            case "Runtime.consoleAPICalled":
                self.console.append(" ".join(str(one.get("value")) for one in params["args"]))
            case "Runtime.exceptionThrown":
                self.console.append(str(params["exceptionDetails"]))
            case "Log.entryAdded":
                self.console.append(params["entry"]["text"])
            case "Network.requestWillBeSent":
                self.asked.append(params["request"]["url"])
        return message

    def open(
        self, address: str | Path, width: int = 1280, scheme: str = "light", medium: str = "screen"
    ) -> Page:
        """Go to a page and wait until it is loaded."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=medium, features=features)
        self.call("Page.navigate", url=address.resolve().as_uri() if isinstance(address, Path) else address)
        while self._next().get("method") != "Page.loadEventFired":
            pass
        return self

    def run(self, script: str) -> Any:
        """The value of an expression, or of the promise that it is."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str) -> Any:
        """The value of an expression as soon as it is a true one."""
        return self.run(
            f"new Promise((done, fail) => {{ const end = Date.now() + {SECONDS}000; const look = () => {{ const value = {condition};"
            f" if (value) done(value); else if (Date.now() > end) fail(new Error('never')); else setTimeout(look, 20); }}; look(); }})"
        )

    def beyond(self) -> list[str]:
        """What ends right of the window, every fold opened."""
        self.run("document.querySelectorAll('details').forEach(fold => { fold.open = true; })")
        wide = self.run("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        return self.run(BEYOND) + ["the page scrolls"] * wide

    def cut(self) -> list[str]:
        """What is wider than the box that it would scroll in: on paper it is lost."""
        return self.run(f"{CUT}.map(one => one.outerHTML.slice(0, 80))")

    def faults(self) -> list[dict[str, Any]]:
        """What axe-core calls serious or critical, of all its rules for WCAG 2 A and AA."""
        self.run(AXE.read_text(encoding="utf-8") + "; 0")
        found = self.run(
            "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']}).then(all => all.violations)"
        )
        return [
            {"rule": one["id"], "help": one["help"], "at": [node["html"][:200] for node in one["nodes"][:3]]}
            for one in found
            if one["impact"] in ("serious", "critical")
        ]

    def picture(self, target: Path, whole: bool = True) -> None:
        """A screenshot as PNG."""
        made = self.call(
            "Page.captureScreenshot", captureBeyondViewport=whole, **({"clip": self._size()} if whole else {})
        )
        target.write_bytes(base64.b64decode(made["data"]))

    def _size(self) -> dict[str, Any]:
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 16000), "scale": 1}

    def paper(self) -> bytes:
        """The page as PDF."""
        return base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"])


@contextmanager
def opened(folder: Path) -> Iterator[Page]:
    """A browser with one tab; its profile lies in `folder`."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    assert browser, "no browser here; tests/support/system_packages installs one"
    (theirs, writer), (reader, ours) = os.pipe(), os.pipe()
    # the browser reads from descriptor 3 and writes to 4: a shell puts them there, from above both
    lifted = [fcntl.fcntl(one, fcntl.F_DUPFD, 10) for one in (theirs, ours)]
    words = [
        browser,
        *FLAGS,
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        f"--user-data-dir={folder}/profile",
        "--remote-debugging-pipe",
    ]
    shell = ["bash", "-c", f'exec "$@" 3<&{lifted[0]} 4>&{lifted[1]}', "bash", *words]
    process = subprocess.Popen(shell, pass_fds=lifted, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for one in (theirs, ours, *lifted):
        os.close(one)
    with os.fdopen(reader, "rb") as stream:
        try:
            yield Page(process, writer, stream)
        finally:
            process.kill()
            process.wait()
            os.close(writer)
