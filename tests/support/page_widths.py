"""How a page lies in frames of several widths, measured by a real browser: with every fold open."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

# an element that ends right of its frame, and in nothing that scrolls or clips
SCRIPT = """
const found = [];
const frames = WIDTHS.map(width => {
  const frame = document.createElement('iframe');
  frame.style.cssText = `width:${width}px;height:900px;border:0`;
  frame.onload = () => {
    const page = frame.contentDocument;
    page.querySelectorAll('details').forEach(fold => { fold.open = true; });
    const clipped = element => { for (let at = element.parentElement; at; at = at.parentElement)
      if (frame.contentWindow.getComputedStyle(at).overflowX !== 'visible') return true;
      return false; };
    const beyond = [...page.querySelectorAll('body *')].filter(
      element => element.getBoundingClientRect().right > width + 0.5 && !clipped(element));
    const root = page.documentElement;
    found.push({width, visible: root.clientWidth, needed: root.scrollWidth,
                beyond: beyond.map(element => `${element.tagName} ${element.textContent.trim().slice(0, 40)}`)});
    document.getElementById('found').textContent = JSON.stringify(found);
  };
  frame.src = PAGE;
  document.body.appendChild(frame);
});
"""


def measured(page: Path, widths: tuple[int, ...], folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """(a measurement for each width, console messages): `needed` pixels, of which so many are `visible`, and what lies beyond."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    assert browser, "no browser here; tests/support/system_packages installs one"
    script = SCRIPT.replace("WIDTHS", json.dumps(widths)).replace("PAGE", json.dumps(page.resolve().as_uri()))
    outer = folder / "frames.html"
    outer.write_text(f'<body><pre id="found"></pre><script>{script}</script></body>')
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command += ["--allow-file-access-from-files", "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder}/profile"]  # fmt: skip
    command += [
        "--virtual-time-budget=20000",
        "--enable-logging=stderr",
        "--dump-dom",
        outer.resolve().as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found and found[1], done.stderr
    rows = sorted(json.loads(unescape(found[1])), key=lambda row: row["width"])
    assert [row["width"] for row in rows] == sorted(widths)
    return rows, [line for line in done.stderr.splitlines() if "CONSOLE" in line]
