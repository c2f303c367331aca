"""The page in a real browser: at every width, in both schemes, on paper, by keyboard, from a disk, whatever the answers say."""

import json
import re

import browser
import commands
import pytest
import report_files
import report_page

from distillery.report import answer_texts

pytestmark = pytest.mark.slow

WIDTHS, SCHEMES = (1280, 390), ("light", "dark")
# each would end a script, an element or a line of a terminal, or is no character
TRICKS = "\u2028\u2029\x1b[31mred\x07\u202eback</script><script>window.stolen = 1</script><!-- \ud800 $x^2$ \\boxed{\\frac{1}{2}} $\\badmacro{$"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A page of several samples to a problem whose texts are hostile, where its files are."""
    folder = tmp_path_factory.mktemp("a page")
    flags = report_files.write(folder)
    for side in ("base", "tuned"):
        for name in (f"{side}.jsonl", f"{side}.scores.jsonl"):
            path = folder / name
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            for row in rows:
                if "text" in row:
                    row["text"] = (
                        f"<think>\nthoughts{TRICKS}\n</think>\n{row['text'].rpartition('</think>')[2]}{TRICKS}"
                    )
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    rows = [
        {"quantity": "time of train", "unit": "s", "estimate": 9000.0, "measured": 4800.0, "error": 0.875},
        {
            "quantity": "tokens of generate tuned, at most",
            "unit": "tokens",
            "estimate": 2e6,
            "measured": 1_638_000,
            "error": 0.2,
        },
        {"quantity": "time of merge", "unit": "s", "estimate": 2.6, "measured": 0.6, "error": None},
    ]
    finding = {
        "id": "epochs",
        "keys": ["experiments.e.train.train_iters"],
        "found": "9",
        "expected": "5",
        "severity": "accepted",
    }
    (folder / "plan.json").write_text(json.dumps({"rows": rows, "findings": [finding]}))
    settings = {
        "model": "tiny",
        "dataset": "sums",
        "problems": "sums-heldout",
        "train": {"lr": 0.00012345, "adam_eps": 1e-08, "seed": 5},
        "generate": {"max_new_tokens": 8, "note": "x" * 500},
    }
    flags[flags.index("--config-json") + 1] = json.dumps(settings)
    done = commands.here("report_page.py", *flags, "--plan", "plan.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "report.html"


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with browser.opened(tmp_path_factory.mktemp("browser")) as tab:
        yield tab


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_it_is_accessible_and_fits(made, tab, width, scheme):
    tab.open(made, width, scheme)
    tab.run("document.querySelectorAll('.problem').forEach(one => { one.open = true; })")
    tab.wait("document.querySelectorAll('.problem .answer').length === 24")
    assert tab.beyond() == []
    assert tab.faults() == []
    letters = "Math.min(...[...document.querySelectorAll('figure svg text')].map(one => one.getBoundingClientRect().height))"
    assert tab.run(letters) >= 8  # pixels: 4.8 where a figure is as wide as a telephone


def test_faults_are_noticed(tab, tmp_path):
    (tmp_path / "bad.html").write_text(
        '<html lang="en"><title>x</title><main><p style="width:900px;color:#999">pale<img src="http://elsewhere.invalid/x.png"><script>console.error("broken")</script>'
    )
    tab.open(tmp_path / "bad.html", 390)
    assert {"color-contrast", "image-alt"} <= {one["rule"] for one in tab.faults()}
    assert tab.beyond() and "broken" in tab.console and "http://elsewhere.invalid/x.png" in tab.asked
    tab.console.clear()
    tab.asked.clear()


def test_hostile_texts_stay_texts(made, tab):
    tab.open(made)
    tab.run("document.querySelector('.problem').open = true")
    tab.wait("document.querySelector('.problem .answer')")
    said = tab.run("document.querySelector('.problem').textContent")
    for words in (
        "\\x1b[31mred\\x07",
        "\\u202eback",
        "</script><script>window.stolen = 1</script><!-- \\ud800",
        "\u2028\u2029",
    ):
        assert said.count(words) == 4, words  # thoughts and answers of both
    assert tab.run("window.stolen") is None and not tab.console
    # what can be read is mathematics, what cannot stays as it was written
    assert tab.run("document.querySelectorAll('.problem .answer math msup').length") == 2
    assert tab.run("document.querySelectorAll('.problem .answer math mfrac').length") == 2
    assert said.count("$\\badmacro{$") == 4
    # nothing beyond the folder of the page
    folder = made.parent.as_uri()
    assert tab.asked and all(one.startswith(folder) for one in tab.asked), tab.asked


def test_problems_are_found(made, tab):
    tab.open(made)
    shown = "[...document.querySelectorAll('.problem')].filter(one => one.checkVisibility()).length"
    told = "document.getElementById('found').textContent"
    assert tab.run(shown) == 12 and tab.run(told) == "12 of 12 problems"
    for key in ("outcome", "family", "stops"):
        values = tab.run(
            f"[...document.querySelectorAll('[data-key={key}] option')].slice(1).map(one => one.value)"
        )
        counts = []
        for value in [*values, ""]:
            tab.run(
                f"{{ const one = document.querySelector('[data-key={key}]'); one.value = {json.dumps(value)}; one.dispatchEvent(new Event('input', {{bubbles: true}})); }}"
            )
            counts.append(tab.run(shown))
        assert sum(counts[:-1]) == counts[-1] == 12 and all(counts), key
    first = tab.run("document.querySelector('.problem').dataset.id")
    tab.run(
        f"{{ const one = document.getElementById('words'); one.value = {json.dumps(first.upper())}; one.dispatchEvent(new Event('input', {{bubbles: true}})); }}"
    )
    assert tab.run(shown) == 1


def test_the_curve_tells_its_values(made, tab):
    tab.open(made)
    told = "document.querySelector('#reader output').textContent"
    assert tab.run(told).startswith("step 100: loss 0.0404") and "held-out loss 0.05" in tab.run(told)
    tab.run("document.querySelector('#reader input').focus()")
    for _ in range(2):
        for kind in ("keyDown", "keyUp"):
            tab.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key="ArrowLeft",
                code="ArrowLeft",
                windowsVirtualKeyCode=37,
            )
    assert tab.run(told).startswith("step 98: ")
    box = tab.run(
        "(() => { document.getElementById('curve').scrollIntoView(); const box = document.getElementById('loss-patch_2').getBoundingClientRect(); return [box.left, box.top, box.width, box.height]; })()"
    )
    tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=box[0] + box[2] / 2, y=box[1] + box[3] / 2)
    step = int(re.match(r"step (\d+)", tab.run(told))[1])
    assert abs(step - 50) <= 1


def test_the_top_says_what_a_reader_asks_first(made, tab):
    tab.open(made)
    top = tab.run("document.querySelector('header').innerText")
    for words in (
        "The tuned model is better",
        "tiny",
        "sums-heldout",
        "1 h 20 min",
        "training 1 h 20 min",
        "the plan warned of, and it was accepted: epochs",
    ):
        assert words in top
    rows = tab.run(
        "[...document.querySelectorAll('[aria-label=\"plan and outcome\"] tr')].map(row => row.innerText.split('\\t').map(one => one.trim()))"
    )
    assert ["time of train", "2 h 30 min", "1 h 20 min", "+88 %"] in rows
    assert ["tokens of generate tuned, at most", "2 M tokens", "1.64 M tokens", "within"] in rows
    # less than a start of Python: an estimate beside it would say nothing
    assert "time of merge" not in [row[0] for row in rows]
    alone = tab.run("document.querySelector('[aria-label=\"measured alone\"]').textContent")
    assert "0.6 s" in alone and "2.6 s" not in alone
    assert not re.search(r"\de[+-]\d", tab.run("document.body.innerText"))


def test_paper_has_all_of_it(made, tab):
    tab.open(made, 720, "dark", "print")
    tab.run("dispatchEvent(new Event('beforeprint'))")
    words = tab.run("document.body.innerText")
    for wanted in ("train.lr", "1 × 10⁻⁸", "0.00012345", "generate.max_new_tokens", "x" * 500, "sha256"):
        assert wanted in words.replace("\u200b", "")
    assert tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert tab.cut() == []
    assert tab.run(
        "[...document.querySelectorAll('h2, h3')].every(one => getComputedStyle(one).breakAfter === 'avoid' && getComputedStyle(one.nextElementSibling).breakBefore === 'avoid')"
    )
    # a table whose rows all hold on to the next one is a block as long as it, and pushes headings from their figures
    rows = tab.run(
        "[...document.querySelectorAll('tr:has(.key)')].map(one => getComputedStyle(one).breakAfter)"
    )
    assert rows and set(rows) == {"auto"}
    # what is unfolded has the rows of the first look once more
    first = tab.run("document.querySelector('#training ~ .first-look').checkVisibility()")
    key = "[...document.querySelectorAll('th.key')].filter(one => one.textContent === 'loss' && one.checkVisibility()).length"
    # of all problems the list, and the answers of those that a reader has opened
    answers = "[...document.querySelectorAll('.problem .answer')].filter(one => one.checkVisibility()).length"
    assert not first and tab.run(key) == 1 and tab.run(answers) == 0
    tab.run("document.querySelector('.problem').open = true")
    tab.wait(f"{answers} === 2")
    assert tab.cut() == []
    assert tab.paper().startswith(b"%PDF")


def test_answers_that_are_not_there_are_named(made, tab, tmp_path):
    page = tmp_path / "alone.html"
    page.write_text(made.read_text())
    tab.open(page)
    tab.run("document.querySelector('.problem').open = true")
    assert "copy the folder with the page" in tab.wait(
        "document.querySelector('.problem .pair p')?.textContent"
    )
    tab.console.clear()
    tab.asked.clear()


def test_a_benchmark_of_long_answers_stays_light(tmp_path):
    problems = [
        {"uuid": f"p{n}", "problem": "word " * 60, "answer": "7", "problem_type": "algebra"}
        for n in range(500)
    ]
    score = {"strict": False, "lenient": False, "stop": "eos", "unfinished_think": False}
    text = f"<think>{'thought ' * 3500}</think>{'answer ' * 20}"  # some 7,000 tokens
    scores = {side: {one["uuid"]: [score] * 4 for one in problems} for side in answer_texts.SIDES}
    said = [{"text": text, "tokens": 7000}] * 4
    answers = {side: {one["uuid"]: said for one in problems} for side in answer_texts.SIDES}
    rows = answer_texts.index(problems, scores)
    sizes = [path.stat().st_size for path in answer_texts.write(rows, answers, scores, tmp_path)]
    assert sum(sizes) > 500 * 4 * 2 * 28_000 and max(sizes) < 1_400_000
    assert {row["texts"] for row in rows} == set(range(len(sizes)))
    # the page itself, all else of it as in a small experiment; the loss of 1,000 steps would add 0.1 MB
    from distillery.report import page, page_writing  # and matplotlib, which collecting does not need

    flags = report_page.parser().parse_args(report_files.write(tmp_path / "small"))
    inputs = {role: tmp_path / "small" / getattr(flags, role) for role in report_page.INPUTS}
    report = page.collect("small", inputs, {}) | {"problems": rows}
    assert len(page_writing.render(report, {"parts": "report"}).encode()) < 2_800_000
