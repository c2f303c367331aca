"""Text of a configuration stays text: refused with its key's name, or one inert word of the lines that a shell gets."""

from __future__ import annotations

import copy
import importlib
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import hostile
import pytest
import yaml
from hostile import ANY, KEY
from house import HOSTILE_NAME, House
from places import ROOT

from distillery import artefacts, config, schema
from distillery.planning import checks, finding
from distillery.problems import Problem
from distillery.terminal_text import CONTROLS, printable

FILES = (
    "datasets",
    "problem_sets",
)  # of whose files a configuration names the first that cannot be read, and no key
SOURCES = {"models": "model", "datasets": "dataset", "problem_sets": "problems"}
NODE = {  # each stage by MindSpeed-LLM, on whose lines the most of a machine's settings stand
    "hardware": "node",
    "convert": {"engine": "mindspeed-llm"},
    "tokenize": {"engine": "mindspeed-llm"},
    "train": {"engine": "mindspeed-llm", "global_batch_size": 8},
    "generate": {"engine": "mindspeed-llm"},
}
MACHINE = {
    "device": "Ascend",
    "chip": "910B3",
    "npus_per_node": 2,
    "nodes": 2,
    "master_addr": "10.0.0.1",
    "mindspeed_llm": {"python": "python", "directory": "theirs"},
}


class Trial(NamedTuple):
    """A text at a place of the schema, and the name of the part of the configuration that holds it."""

    name: str
    place: hostile.Place
    text: str
    honest: bool

    @property
    def section(self) -> str:
        return str(self.place[0])

    @property
    def key(self) -> str:
        """The name that the text stands under."""
        return self.text if self.place[1] == KEY else self.name

    def is_refused(self, fault: str) -> bool:
        """Whether a line about what is wrong is about it."""
        if self.place[1] == KEY:
            told = (f"{self.section}: found the key {self.text!r},", f"{self.section}.{printable(self.text)}")
            return fault.startswith(told)
        return re.match(rf"{self.section}\.{self.name}\b", fault) is not None

    def is_stopped(self, found: finding.Finding) -> bool:
        """Whether the plan ends for it."""
        own = f"{self.section}.{self.key}"
        return any(key == own or key.startswith((f"{own}.", f"{own}-")) for key in found.keys)


def trials(share: int) -> list[Trial]:
    """Each place's honest text, and every `share`-th hostile one: at the next place the next."""
    made: list[Trial] = []
    for at, place in enumerate(hostile.places()):
        # the names of other parts are held against those, and CHAMP's problems want one of a kind
        if len(place) > 1 and place[1] in (ANY, KEY) and place[2:] != ("champ", "dataset"):
            made += (
                Trial(f"h{len(made):04d}x{number}", place, *one)
                for number, one in enumerate(hostile.texts(place))
                if one[1] or (number + at) % share == 0
            )
    return made


def configured(tried: list[Trial]) -> dict[str, Any]:
    """One configuration of all of them: sources in experiments of their own, several in one."""
    raw = copy.deepcopy(hostile.BASE)
    raw["hardware"], raw["servers"] = {}, {hostile.SERVER: {"url": "http://127.0.0.1:8000", "model": "any"}}
    raw["datasets"][hostile.OTHER] = raw["datasets"]["sums"]
    asking: dict[int, dict[str, str]] = {}
    met = dict.fromkeys(SOURCES, 0)
    for one in tried:
        alone = one.section in ("experiments", "hardware")  # what else they need is below
        made = hostile.holding(schema.schema(), one.place, one.text, one.name, alone)[one.section]
        small = hostile.BASE["experiments"]["small"]
        if one.section == "experiments":
            if isinstance(made.get(one.key, {}).get("dataset"), list):  # a mix is one of several
                made[one.key]["dataset"] = [
                    {"weight": 1, **part} for part in (*made[one.key]["dataset"], {"name": hostile.OTHER})
                ]
            made = {one.key: small if one.place[1] == KEY else hostile.merged(small, made[one.key])}
        elif one.section == "hardware":
            made = {one.key: hostile.merged(MACHINE, made[one.key])}
            raw["experiments"][f"{one.name}-runs"] = hostile.merged(small, NODE | {"hardware": one.key})
        elif one.section == "servers":
            asked = {"generate": {"engine": one.key}}
            raw["experiments"][f"{one.name}-asks"] = hostile.merged(small, asked)
        else:
            asking.setdefault(met[one.section], {})[SOURCES[one.section]] = one.key
            met[one.section] += 1
        raw[one.section] |= made
    for number, sources in asking.items():
        raw["experiments"][f"asks{number}"] = hostile.merged(hostile.BASE["experiments"]["small"], sources)
    return raw


def stands_alone(one: Trial) -> bool:
    """Whether a configuration of this trial only is one."""
    try:
        return config.load(configured([one])) is not None
    except Problem as problem:
        assert not CONTROLS.search(str(problem))
        return False


def accepted(tried: list[Trial]) -> Iterator[list[Trial]]:
    """Those that the configuration takes, then those of them that the plan takes too."""
    for _ in range(9):
        try:
            loaded = config.load(configured(tried))
        except Problem as problem:
            assert not CONTROLS.search(str(problem)), "an error would move the cursor"
            faults = [line.strip() for line in str(problem).splitlines()[1:]]
            kept = [one for one in tried if not any(map(one.is_refused, faults))]
            if len(kept) == len(tried):  # what is said of files ends at the first
                kept = [one for one in tried if one.section not in FILES or stands_alone(one)]
        else:
            yield tried
            errors = [one for one in checks.run(loaded) if one.severity == "error"]
            if not errors:
                return
            assert not any(CONTROLS.search(str(error)) for error in errors)
            kept = [one for one in tried if not any(map(one.is_stopped, errors))]
            faults = [str(error) for error in errors]
        assert len(kept) < len(tried), faults[:5]
        tried = kept
    raise AssertionError("there is no end of faults")


def parsed(words: list[str]) -> bool:
    """Whether the command that a line begins with takes the rest of it."""
    script, rest = words[1].rpartition("/")[2].removesuffix(".py"), words[2:]
    parser = importlib.import_module(script).parser()
    parser.add_argument("--log")  # `command.run` does
    try:
        return parser.parse_args(rest) is not None
    except SystemExit:
        return False


@pytest.mark.slow
@pytest.mark.faults
def test_no_text_of_a_configuration_is_run(tmp_path, monkeypatch, pytestconfig):
    """Every text at every place with --whole, as `make faults` has it; every fourth without."""
    house = House(tmp_path / "deep" / HOSTILE_NAME, ROOT / "config" / "config.yaml")
    monkeypatch.chdir(house.path)
    monkeypatch.syspath_prepend(ROOT / "workflow/scripts")
    tried = trials(1 if pytestconfig.getoption("whole") else 4)
    assert {one.text for one in tried} >= {*hostile.HOSTILE}
    for text in {one.text for one in tried}:
        hostile.put(house.path, text)
    before, *_, left = accepted(tried)
    # an honest text is taken at each place: else nothing would be tried there. Columns are too entangled to be made from the schema
    assert {one.place for one in tried if "columns" not in one.place} <= {
        one.place for one in before if one.honest
    }
    house.configfile.write_text(yaml.safe_dump(configured(left), allow_unicode=True), encoding="utf-8")
    targets = ["tokenize", "hf2mcore", "generate_base"]
    targets += [artefacts.REPORT.at(experiment=one.key) for one in left if one.section == "experiments"]
    targets += [
        artefacts.TRAINED.at(experiment=f"{one.name}-runs") for one in left if one.section == "hardware"
    ]
    targets += [
        artefacts.REPORT.at(experiment=f"{one.name}-asks") for one in left if one.section == "servers"
    ]
    of_data = [one for one in left if one.section == "datasets"]
    targets += [
        artefacts.REPORT.at(experiment=f"asks{number}")
        for number, one in enumerate(of_data)
        if one.place[-1] == "license"  # only the model card, which comes with the report, says it
    ]
    run = house.snakemake("-n", "-p", *targets)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert not CONTROLS.search(run.stdout + run.stderr)
    assert not list(tmp_path.rglob(f"{hostile.CANARY}*"))
    empty = tmp_path / "empty"
    empty.mkdir()
    lines = hostile.read_by_bash(hostile.printed(f"{run.stdout}\n{run.stderr}"), empty)
    assert [words for words in lines if not parsed(words)] == []
    # as it stands, or inside JSON
    told = "\0".join(word for words in lines for word in words)
    silent = [
        one
        for one in left
        if one.text not in told and json.dumps(one.text, ensure_ascii=False)[1:-1] not in told
    ]
    assert silent == []


def test_every_word_of_a_rules_line_is_quoted():
    """`:q` quotes words and lists of words; resources are text, quoted where they are made."""
    for path in ROOT.glob("workflow/rules/*.smk"):
        for shell in re.findall(r"^    shell:\n((?:        .*\n?)+)", path.read_text(), re.MULTILINE):
            fields = re.findall(r"\{([^{}]*)\}", shell)
            bare = [one for one in fields if not one.endswith(":q")]
            assert set(bare) <= {
                "resources.launch",
                "resources.configured",
                "resources.hubs",
                "resources.workers",
            }, (path, bare)
