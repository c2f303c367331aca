"""The folder that goes to a hub: an export's files beside its card, and licences as their sources state them."""

import errno
import json
import os

import pytest
import report_page
from lazy import Lazy

from distillery import digests, files
from distillery.problems import Problem, UsageProblem
from distillery.report import licences, model_card, upload

huggingface_hub, page = Lazy("huggingface_hub"), Lazy("distillery.report.page")


def export(folder, contents):
    """An export with these files."""
    folder.mkdir(exist_ok=True)
    for name, text in contents.items():
        files.write_text(folder / name, text)
    digests.write_json(folder / "manifest.json", {"files": digests.entries(folder, contents)})
    return folder / "manifest.json"


def names(folder):
    return {path.name: path.read_text() for path in folder.glob("[!.]*")}


FIRST = {
    "config.json": "{}",
    "model-1-of-2.safetensors": "a",
    "model-2-of-2.safetensors": "b",
    "chat_template.jinja": "x",
}


def test_a_later_export_takes_the_place_of_a_former_one_and_nothing_else(tmp_path):
    target = tmp_path / "upload/manifest.json"
    upload.fill(target, export(tmp_path / "hf", FIRST))
    assert names(target.parent).items() > FIRST.items()
    assert all((target.parent / name).samefile(tmp_path / "hf" / name) for name in FIRST)
    # an input of the job whose output the other is: Snakemake touches that one, and the first must not become newer by it
    assert not target.samefile(tmp_path / "hf/manifest.json")
    assert target.read_bytes() == (tmp_path / "hf/manifest.json").read_bytes()
    (target.parent / "figure.svg").write_text("mine")
    (target.parent / "README.md").write_text("the card")
    second = {"config.json": "{ }", "model.safetensors": "c"}
    manifest = export(tmp_path / "next", second)
    assert names(target.parent)["config.json"] == "{}"  # an export alone changes nothing beside the card
    for _ in range(2):
        (target.parent / ".config.json.lock").touch()  # of a run that was killed
        upload.fill(target, manifest)
        assert names(target.parent) == {
            **second,
            "manifest.json": manifest.read_text(),
            "figure.svg": "mine",
            "README.md": "the card",
        }
    assert [path.name for path in target.parent.glob(".*")] == [".manifest.json.sha256"]


def test_a_disk_without_hard_links_has_symbolic_ones(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    target = tmp_path / "upload/manifest.json"
    upload.fill(target, export(tmp_path / "hf", FIRST))
    upload.fill(target, tmp_path / "hf/manifest.json")
    assert names(target.parent).items() > FIRST.items()
    assert os.readlink(target.parent / "config.json") == "../hf/config.json"


# ten to the power of thirty letters
BOMB = "---\na0: &a0 [x]\n"
BOMB += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 31))
BOMB += "license: *a30\n---\n"
STATED = "`apache-2.0`, as the original's `README.md` states"


@pytest.mark.parametrize(
    "readme, exported, header, said",
    [
        ("---\nlicense: apache-2.0\nlanguage: [en]\n---\n# Q\n", [], {"license": "apache-2.0"}, STATED),
        (
            "\ufeff---\r\nlicense: apache-2.0\r\n---\r\n",
            ["LICENSE"],
            {"license": "apache-2.0"},
            f"{STATED}; its text is `LICENSE`",
        ),
        (
            "---\nlicense: other\nlicense_name: own\nlicense_link: LICENSE\n---\n",
            ["LICENSE"],
            {"license": "other", "license_name": "own", "license_link": "LICENSE"},
            "`own`, as",
        ),
        (
            "---\nlicense: other\nlicense_name: own\nlicense_link: TERMS.md\n---\n",
            [],
            {"license": "other", "license_name": "own"},
            "`own`, as",
        ),
        ("---\nlicense: [mit, apache-2.0]\n---\n", [], {"license": "mit, apache-2.0"}, "`mit, apache-2.0`"),
        (
            "---\ntags: [a]\n---\nlicense: mit\n",
            ["LICENSE"],
            {"license": "other", "license_name": "of-the-original", "license_link": "LICENSE"},
            "see `LICENSE`",
        ),
        ("# no header\nlicense: mit\n", [], {"license": "unknown"}, "without a LICENSE file"),
        ("---\nlicense: {a: b}\n---\n", [], {"license": "unknown"}, "without a LICENSE file"),
        (BOMB, [], {"license": "unknown"}, "without a LICENSE file"),
        ("---\nlicense: [\n---\n", [], {"license": "unknown"}, "without a LICENSE file"),
        ("---\n" + "[" * 1000 + "\n---\n", [], {"license": "unknown"}, "without a LICENSE file"),
        ("---\n" + "[{" * 49_000 + "\n---\n", [], {"license": "unknown"}, "without a LICENSE file"),
        (None, [], {"license": "unknown"}, "without a LICENSE file"),
    ],
)
def test_a_licence_is_what_the_original_states(tmp_path, readme, exported, header, said):
    manifest = export(tmp_path / "model", {"config.json": "{}"} | ({"README.md": readme} if readme else {}))
    found = licences.of_model(manifest, exported)
    assert found.header == header
    assert said in found.said


def test_a_card_of_no_export_is_refused_before_anything_is_read(tmp_path):
    """The files that are named are not there: a check that came later would speak of them."""
    roles = [*report_page.INPUTS, "name", "config_json", "output", "parts_dir"]
    line = [word for one in roles for word in (f"--{one.replace('_', '-')}", "{}")]
    args = report_page.parser().parse_args([*line, "--card", str(tmp_path / "README.md")])
    with pytest.raises(UsageProblem, match="of no export"):
        page.run(args)


def test_a_changed_readme_states_nothing(tmp_path):
    manifest = export(tmp_path / "model", {"README.md": "---\nlicense: mit\n---\n"})
    (tmp_path / "model/README.md").write_text("---\nlicense: cc0-1.0\n---\n")
    with pytest.raises(Problem, match="not the one whose digest"):
        licences.of_model(manifest, [])


def test_the_header_names_what_lies_on_the_hub_and_the_text_all_stages(tmp_path):
    side = {"accuracy": 0.5, "interval": [0.25, 0.75]}
    summary = {
        "sentence": "better",
        "model-index": [],
        "problems": 4,
        "samples": 1,
        "base": side,
        "tuned": side,
    }
    read = {
        "summary": summary,
        "done": {"key": "k", "payload_digest": "d", "iteration": 3},
        "exported": {"files": []},
    }
    rows = {"rows": 2, "kept": 2, "tokens": 9, "inputs": []}
    model = {"name": "qwen", "source": "huggingface: Qwen/Q, revision 1", "hub_id": "Qwen/Q", "license": ""}
    math = {
        "source": "huggingface: o/math",
        "hub_id": "o/math",
        "license": "mit",
        "stated": "datasets.math.license",
    }
    mine = {"source": "local files: mine", "hub_id": "", "license": "", "stated": ""}
    origins = {"model": model, "stages": ["first"], "datasets": {"math": math, "mine": mine}}
    licence = licences.Licence({"license": "apache-2.0"}, STATED)
    told = model_card.Told("second", {"problems": "p"}, read, {"mine": rows}, origins, licence)
    text = model_card.card(told)
    header = huggingface_hub.ModelCard(text).data.to_dict()
    assert (header["license"], header["base_model"], header["datasets"]) == (
        "apache-2.0",
        "Qwen/Q",
        ["o/math"],
    )
    for words in (
        "fine-tuned on `mine`, after `first`.",
        f"- weights, which began as `qwen` (`huggingface: Qwen/Q, revision 1`): {STATED}",
        "- rows of `math` (`huggingface: o/math`): `mit`, as `datasets.math.license` of the configuration states",
        "- rows of `mine` (`local files: mine`): not stated in the configuration; ask the source",
    ):
        assert words in text
    assert json.dumps(header["base_model_relation"]) == '"finetune"'
