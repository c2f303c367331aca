"""The crate's entities, and commands without this machine's paths."""

from pathlib import Path

from distillery.trace import provenance_records, research_crate

RECORDS = {
    f"results/{name}": {
        "path": f"results/{name}",
        "bytes": 4,
        "sha256": name,
        "rule": "train",
        "command": ["python", "workflow/scripts/x.py", "--lr", "1"],
        "code": "0123456789abcdef",
        "inputs": {"resources/a.parquet": "aa", "config/b.yaml": "bb", "gone": None},
        "versions": None,
    }
    for name in ("one", "two")
}


def test_each_file_is_described_once_and_each_command_is_one_action():
    made = research_crate.crate(RECORDS, "a run", "2026-11-30")
    graph = {one["@id"]: one for one in made["@graph"]}
    assert len(graph) == len(made["@graph"])
    whole, action = [one for one in graph.values() if one["@type"] == "CreateAction"]
    assert whole["instrument"] == graph["./"]["mainEntity"] and whole["object"] == sorted(
        action["object"], key=lambda one: one["@id"]
    )
    assert [one["@id"] for one in action["result"]] == ["results/one", "results/two"]
    assert {one["@id"] for one in action["object"]} == {"resources/a.parquet", "config/b.yaml", "gone"}
    # whatever is named is described
    named = [one["@id"] for key in ("object", "result") for one in action[key]]
    named += [one["@id"] for one in graph["./"]["hasPart"] + graph["./"]["mentions"]] + [
        action["instrument"]["@id"]
    ]
    assert set(named) <= graph.keys()
    assert graph["results/one"]["sha256"] == "one" and graph["config/b.yaml"]["sha256"] == "bb"
    assert "sha256" not in graph["gone"]


# what a crate says, all of it defined by RO-Crate 1.1's context (https://w3id.org/ro/crate/1.1/context); look a new word up there
TERMS = """about actionStatus conformsTo contentSize datePublished description hasPart instrument license mainEntity mentions name
object programmingLanguage result url version""".split()


def test_every_word_is_defined_by_ro_crate_or_the_crate_itself():
    """roc-validator 0.13 refused a crate of an undefined one, and passes one of these by workflow-run-crate 0.5."""
    made = research_crate.crate(RECORDS, "a run", "2026-11-30")
    used = {key for one in made["@graph"] for key in one}
    standard, ours = made["@context"]
    assert standard == "https://w3id.org/ro/crate/1.1/context"
    assert used - {"@id", "@type"} <= {*TERMS, *ours}
    assert set(ours) <= used  # and none that is not used


def test_commands_are_those_of_any_clone():
    shell = "srun -N2 /opt/v/bin/python '/home/me/it'\"'\"'s/workflow/scripts/score.py' --problems /work/here/p.parquet --data a=/data/rows.csv --n 3"
    assert provenance_records.command(shell, Path("/work/here")) == [
        "python",
        "workflow/scripts/score.py",
        "--problems",
        "p.parquet",
        "--data",
        "a=…/rows.csv",
        "--n",
        "3",
    ]


def test_settings_are_what_of_a_line_was_chosen():
    line = [
        "python",
        "workflow/scripts/x.py",
        "--lr",
        "1",
        "--data",
        "mine.csv",
        "--shards",
        "a=resources/a",
        "b=resources/b",
        "--strict",
    ]
    assert provenance_records.settings(line, {"mine.csv"}) == {"--lr": ["1"], "--strict": []}


def test_paths_in_json_and_secrets_are_not_told():
    words = ["--settings-json", '{"path": "/home/me/data", "url": "https://me:secret@host.example/a"}']
    shell = f"python /x/workflow/scripts/plan_sources.py {words[0]} '{words[1]}'"
    told = provenance_records.command(shell, Path("/work/here"))[3]
    assert told == '{"path":"…/data","url":"https://me:***@host.example/a"}'
