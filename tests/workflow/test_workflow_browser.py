"""A finished run's report opened in a real browser: the verdict is seen, nothing is fetched, the console stays silent."""

from pathlib import Path
from urllib.parse import unquote

import browser

VERDICTS = ("The tuned model is better", "The tuned model is worse", "No clear difference")


def test_the_page_stands_alone(finished, tmp_path):
    page = finished.path / "results/experiments/small/report.html"
    with browser.opened(tmp_path) as tab:
        tab.open(page)
        tab.run("document.querySelectorAll('.problem').forEach(one => { one.open = true; })")
        tab.wait("document.querySelectorAll('.problem .answer').length === 16")
        assert tab.run("document.getElementById('verdict').textContent") in VERDICTS
        top = tab.run("document.querySelector('header').innerText")
        assert all(name in top for name in ("machine", "versions", "mindspore 2.", "cores"))
        folder = page.parent.as_uri()
        assert all(one.startswith(folder) for one in tab.asked), tab.asked
        assert not tab.console, tab.console
        # what it was made of is linked, from the page and from its second name among kept runs
        (kept,) = page.parent.glob("runs/*/report.html")
        found = []
        for place in (page, kept):
            tab.open(place)
            links = tab.run("[...document.querySelectorAll('a[data-outside]')].map(link => link.pathname)")
            found.append({Path(unquote(link)) for link in links})
            assert all(path.is_file() for path in found[-1]), place
        assert (
            found[0] == found[1]
            and {page.parent / one for one in ("tuned.jsonl", "upload/README.md")} <= found[0]
        )
        assert finished.path / "results/provenance/results/experiments/small/report.html.json" in found[0]
