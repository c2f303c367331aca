"""What Snakemake's own command line says of the configuration: values of `--config`, files, the default, in what order."""

from __future__ import annotations

import copy
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import forked
import hostile
import pytest
import yaml
from house import HOSTILE_NAME, House
from lazy import Lazy
from places import FIXTURES, ROOT
from readme import BOTH

from distillery import config, provenance, snakemake_options
from distillery.problems import Problem, UsageProblem

cli = Lazy("snakemake.cli")

SMALL = FIXTURES / "workflow/small.yaml"
SHIPPED = [
    SMALL,
    *sorted((ROOT / "config").glob("*.yaml")),
    *sorted((ROOT / "config/examples").glob("*.yaml")),
]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_whole_configuration_as_config_is_the_file(path: Path):
    """Snakemake makes text of every value in it."""
    raw = yaml.safe_load(path.read_text())
    given = cli.parse_config([f"{key}={provenance.canonical(value)}" for key, value in raw.items()])
    assert given != raw
    assert snakemake_options.typed(given, given) == raw


@pytest.mark.parametrize(
    ("keys", "value", "read"),
    [
        (("train", "lr"), "3e-3", 0.003),
        (("train", "lr"), "1", 1),
        (("train", "use_distributed_optimizer"), "true", True),
        (("train", "seed"), "0", 0),
        (("generate", "stop_words"), ["5", "Answer:"], ["5", "Answer:"]),
        (("layout", "num_layer_list"), ["1", "1"], [1, 1]),
        (("sweep", "train.lr"), ["1e-3", "0.01"], [0.001, 0.01]),
        (("prompt_type",), "5", "5"),
    ],
)
def test_a_value_has_the_type_of_its_key(keys, value, read):
    given: dict = value
    for key in reversed(keys):
        given = {key: given}
    found = snakemake_options.typed(
        {"experiments": {"small": given, "other": {"model": "a"}}}, {"experiments": {"small": given}}
    )
    assert found["experiments"]["other"] == {"model": "a"}
    found = found["experiments"]["small"]
    for key in keys:
        found = found[key]
    assert found == read and type(found) is type(read)


def test_text_of_a_file_stays_text_and_no_number_is_made_up():
    raw = yaml.safe_load(SMALL.read_text())
    raw["experiments"]["small"]["train"]["lr"] = "3e-3"  # quoted in the file
    assert snakemake_options.typed(raw, {"offline": "true"}) == raw
    given = {"experiments": {"small": {"train": {"lr": "fast", "train_iters": "2.5", "seed": "true"}}}}
    changed = copy.deepcopy(raw)
    changed["experiments"]["small"]["train"] |= given["experiments"]["small"]["train"]
    with pytest.raises(Problem) as caught:
        config.load(snakemake_options.typed(changed, given))
    assert all(f"'{one}'" in str(caught.value) for one in ("fast", "2.5", "true"))


def test_config_is_typed_in_the_lines_of_jobs_and_reaches_the_graph(tmp_path):
    house = House(tmp_path, SMALL)
    value = "experiments={small: {train: {lr: 3e-3, save_interval: 4}}}"
    dry = house.snakemake("--dry-run", "-p", "--config", value, "offline=true")
    said = dry.stdout + dry.stderr
    assert dry.returncode == 0, said
    assert " --lr 0.003 " in said and " --save-interval 4 " in said
    (line,) = re.findall(r"^Shell command: (.*report_rulegraph.py .*)$", said, re.MULTILINE)
    words = shlex.split(line)
    again = cli.parse_config(words[words.index("--config") + 1 : words.index("--target")])
    assert again == cli.parse_config([value, "offline=true"])


def test_a_second_configfile_option_is_refused_and_files_after_one_are_merged(tmp_path):
    with pytest.raises(UsageProblem, match="a.yaml b.yaml"):
        snakemake_options.refuse_repeated(["snakemake", "--configfile=a.yaml", "--configfiles", "b.yaml"])
    house = House(tmp_path, SMALL)
    second = tmp_path / "second.yaml"
    second.write_text("experiments: {small: {train: {lr: 0.005}}}\n")
    twice = house.snakemake("--dry-run", "--configfile", str(second))
    assert twice.returncode != 0 and "--configfile stands twice" in twice.stdout + twice.stderr
    merged = house.snakemake(str(second), "--dry-run", "-p")  # the first stands before it
    assert " --lr 0.005 " in merged.stdout + merged.stderr


def test_the_default_lies_in_the_directory_or_beside_the_snakefile(tmp_path):
    house = House(tmp_path / "clone", SMALL)
    (house.path / "config/config.yaml").write_bytes(SMALL.read_bytes())
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "config").mkdir(parents=True)
    first = house.default("--dry-run", "--directory", str(elsewhere))
    assert "results/experiments/small/" in first
    own = SMALL.read_text().replace("  small:", "  mine:")
    (elsewhere / "config/config.yaml").write_text(own)
    second = house.default("--dry-run", "--directory", str(elsewhere))
    assert "results/experiments/mine/" in second and "results/experiments/small/" not in second


def test_the_readmes_say_the_order_that_works():
    for text in BOTH:
        assert ".venv/bin/snakemake --cores all tokenize --configfile config/smollm2-135m.yaml" in text


def test_lines_of_a_run_in_another_directory_can_be_pasted_there(tmp_path):
    """Both folders have names that shells would expand."""
    house = House(tmp_path / HOSTILE_NAME, SMALL)
    elsewhere, empty = tmp_path / f"o {HOSTILE_NAME}", tmp_path / "empty"
    empty.mkdir()
    dry = house.snakemake("--dry-run", "-p", "--directory", str(elsewhere))
    assert dry.returncode == 0, dry.stderr
    lines = hostile.printed(f"{dry.stdout}\n{dry.stderr}")
    words = hostile.read_by_bash(lines, empty)
    assert len(words) > 20 and all(Path(line[1]).is_file() for line in words)
    line = next(one for one in lines if "fetch_generated_shard.py" in one)
    subprocess.run(["bash", "-c", line], cwd=elsewhere, check=True)
    assert list(elsewhere.glob("resources/datasets/sums/*.parquet"))
    assert not (house.path / "resources").exists() and not list(tmp_path.rglob("CANARY*"))


MODULE = """
import yaml
module distillery:
    snakefile: {source}
    config: yaml.safe_load(open({config!r}))
{prefix}
use rule * from distillery as d_*
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "prefix", "words"),
    [
        ("clone/workflow/Snakefile", "", "d_report_page"),
        ("clone/workflow/Snakefile", '    prefix: "sub"', "leave prefix: out"),
        ("git", "", "git clone the repository, and write snakefile:"),
    ],
)
def test_a_workflow_imports_it_with_a_dictionary(tmp_path, source, prefix, words):
    House(tmp_path / "clone", SMALL)
    named = repr(str(tmp_path / source))
    if source == "git":
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tmp_path / "clone")]
        for line in (["init", "-q"], ["add", "Snakefile", "workflow"], ["commit", "-qm", "a"]):
            subprocess.run([*git, *line], check=True)
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        named = f'gitfile({str(tmp_path / "clone")!r}, path="workflow/Snakefile", commit="{commit.stdout.strip()}")'
    (tmp_path / "Snakefile").write_text(MODULE.format(source=named, config=str(SMALL), prefix=prefix))
    dry = forked.run(forked.SNAKEMAKE, "--dry-run", cwd=tmp_path)
    said = dry.stdout + dry.stderr
    assert words in said and (dry.returncode == 0) is (words == "d_report_page"), said


# what snakedeploy 0.17.1 wrote of a clone at `workflow/Snakefile`, but for the clone's path
DEPLOYED = """from snakemake.utils import min_version


min_version("6.10.0")


configfile: "config/config.yaml"


# declare {clone} as a module
module clone:
    snakefile: 
        "workflow/Snakefile"
    config:
        config


# use all rules from {clone}
use rule * from clone
"""


def test_what_snakedeploy_leaves_of_a_clone_runs_once_its_module_names_the_clone(tmp_path):
    """It copies config/ and profiles/ and writes a Snakefile, whose path of a local clone is not the clone's."""
    clone, here = House(tmp_path / "clone", SMALL).path, tmp_path / "deployed"
    for part in ("config", "profiles"):
        shutil.copytree(clone / part, here / part)
    (here / "workflow").mkdir()
    named = DEPLOYED.replace('"workflow/Snakefile"', f'"{clone}/workflow/Snakefile"').format(clone=clone)
    (here / "workflow/Snakefile").write_text(named)
    text = (ROOT / "profiles/README.md").read_text()
    assert "snakedeploy deploy-workflow" in text and 'snakefile: "CLONE/workflow/Snakefile"' in text
    said = House(here).default("--dry-run")
    own = House(clone).default("--dry-run")
    tables = [text.partition("Job stats:")[2].partition("total")[0].split() for text in (said, own)]
    assert sorted(tables[0]) == sorted(tables[1]) and "report_page" in tables[0]
