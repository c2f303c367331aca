"""What documents say of the house is so, and README says the same in both languages."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path

import pytest
from places import ROOT, SCRIPTS
from readme import BOTH, blocks, headings, spans, tables, tree, uncommented
from test_architecture import ROOMS

DOCUMENTS = sorted(
    {
        path
        for folder in (".", "*", "workflow/scripts")
        for path in ROOT.glob(f"{folder}/*.md")
        if ".venv" not in path.parts
    }
)
RULES = ROOT / "workflow/rules"
# files of the guide and of users, and what only a run makes
ELSEWHERE = re.compile(
    r"(results|resources|logs)/|\.\.\./|tune_|generate_distill|questions\.jsonl|answers\.jsonl|config/mine"
)
MADE = {"summary.json", "report.html", "done.json", "ro-crate-metadata.json"}
HOMES = [ROOT, ROOT / "workflow", SCRIPTS, ROOT / "benchmarks"]


def test_the_table_of_rooms_is_the_rule():
    """ARCHITECTURE.md's last column is what tests/architecture allows."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    (table,) = [rows for rows in tables(text) if rows[0][:2] == ["room", "holds"]]
    allowed = {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[2])) for row in table[1:]}
    assert allowed == {room: set(others.split()) for room, others in ROOMS.items() if room != "ground"}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path):
    links = re.findall(r"\]\(([^)#:\s]+)\)", path.read_text())
    assert not [link for link in links if not (path.parent / link).exists()]


def test_both_languages_have_the_same_sections():
    assert headings(BOTH[0]) == headings(BOTH[1])


def test_both_languages_have_the_same_tables():
    shapes = [[(len(rows), {len(row) for row in rows}) for rows in tables(text)] for text in BOTH]
    assert shapes[0] == shapes[1]


def test_both_languages_have_the_same_blocks():
    """Commands word for word; of the tree, what stands left of its remarks."""
    here, there = (
        [
            (kind, [re.split(r"\s{3,}", line.lstrip())[0] for line in uncommented(text)])
            for kind, text in blocks(one)
        ]
        for one in BOTH
    )
    assert here == there


@pytest.mark.parametrize("text", BOTH, ids=["README.md", "README.zh.md"])
def test_paths_exist(text: str):
    named = {
        word
        for span in spans(text)
        for word in re.split(r"[\s=]", span)
        if re.search(r"/|\.(py|smk|sh|yaml|md|json|html)$", word) and word != "/"
    }
    wanted = {
        word for word in named if not ELSEWHERE.match(word) and word not in MADE and ".venv" not in word
    }
    assert wanted and not [word for word in wanted if not any(_found(home, word) for home in HOMES)]


@pytest.mark.parametrize("text", BOTH, ids=["README.md", "README.zh.md"])
def test_the_tree_shows_what_is_there(text: str):
    """Each file of rules, of their rules only those that there are, and each folder."""
    shown, rules = tree(text), "\n".join(path.read_text() for path in RULES.glob("*.smk"))
    files = {
        path
        for pattern in re.findall(r"^    (\S+\.smk)", shown, re.MULTILINE)
        for path in RULES.glob(pattern)
    }
    assert files == {*RULES.glob("*.smk")}
    there = re.findall(r"^(?:rule|use rule \w+ as) (\w+)", rules, re.MULTILINE)
    named = re.findall(r"\b[a-z]+_\w*[*]?", shown, re.ASCII)
    assert named and not [name for name in named if not fnmatch.filter(there, name)]
    folders = re.findall(r"^(\w+)/", shown, re.MULTILINE)
    assert folders and all((ROOT / name).is_dir() for name in folders)
    rooms = re.search(r"distillery/ .*?[:：]\s*(.*)", shown)
    assert rooms and set(rooms[1].split()) == ROOMS.keys() - {"ground"}


@pytest.mark.parametrize("text", BOTH, ids=["README.md", "README.zh.md"])
def test_targets_of_make_exist(text: str):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE))
    assert named and named <= targets


def _found(home: Path, pattern: str) -> bool:
    """Whether a path is there, or each of `rules/{evaluate,report}.smk`, or any of `rules/fetch*.smk`."""
    if braces := re.search(r"\{([^}]+)\}", pattern):
        return all(_found(home, pattern.replace(braces[0], one)) for one in braces[1].split(","))
    return any(home.glob(pattern))


def test_the_way_from_a_bare_machine_has_the_same_commands_in_both_languages():
    def lines(name: str) -> list[str]:
        text = (ROOT / "docs" / name).read_text()
        return [
            line.split("  #")[0].rstrip() for line in re.findall(r"^    (\S.*|    \S.*)$", text, re.MULTILINE)
        ]

    here, there = lines("ascend.md"), lines("ascend.zh.md")
    assert here and here == there
    steps = [
        re.findall(r"^\*\*(\d+)\. ", (ROOT / "docs" / name).read_text(), re.MULTILINE)
        for name in ("ascend.md", "ascend.zh.md")
    ]
    assert steps[0] == steps[1] == [str(number + 1) for number in range(14)]


@pytest.mark.parametrize("name", ["ascend.md", "ascend.zh.md"])
def test_each_step_from_a_bare_machine_has_a_command_and_what_it_prints(name: str):
    text = (ROOT / "docs" / name).read_text()
    for step in re.split(r"^\*\*\d+\. ", text, flags=re.MULTILINE)[1:]:
        before, _, after = step.rpartition("\n    ")
        assert before, step
        assert after.partition("\n\n")[2].strip(), f"what is printed by {after}"
    locked = re.search(r"^snakemake==(\S+)", (ROOT / "envs/requirements.txt").read_text(), re.MULTILINE)
    assert f"`{locked[1]}`" in text


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_target_follows_the_options_of_configfile(path: Path):
    """Snakemake would take it for another file."""
    assert not re.findall(r"snakemake .*--configfile +\S+ +[a-z].*", path.read_text())
