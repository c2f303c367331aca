"""MindSpeed-LLM's trainer under our command, played by a stand-in with its real parser's options: interrupted, resumed, done.

Where a run is not the fixture `first`, msrun and its ranks are forked (tests/support/forking_msrun.py).
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile

import forked
import pytest
import standin_train
from places import FIXTURES, ROOT
from standin_train import FLAGS, STANDIN, command, prepare

from distillery import live

pytestmark = pytest.mark.msrun


@pytest.fixture
def experiment(tmp_path):
    prepare(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A folder with a run to its end by an interpreter named by a relative path, and what the run said: to be looked at only."""
    folder = tmp_path_factory.mktemp("first")
    prepare(folder)
    (folder / "venv").symlink_to(sys.prefix)
    line = command("--python", "venv/bin/python", flags_first=True)
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.fixture
def trained(first, tmp_path):
    """A copy of that folder, to be changed."""
    return shutil.copytree(first[0], tmp_path, symlinks=True, dirs_exist_ok=True)


def run(experiment, *flags, **more):
    return forked.run("train_mindspeed.py", *command(*flags, **more)[2:], cwd=experiment, timeout=120)


def done_of(experiment):
    return json.loads((experiment / "out/done.json").read_text())


def test_a_run_ends_as_an_mcore_checkpoint_with_its_metrics(trained):
    experiment, done = trained, done_of(trained)
    assert done["iteration"] == 30
    assert done["loss"] == pytest.approx(1 / 30)
    assert done["template"] == {"prompt_type": "qwen_math_r1"}
    assert (experiment / "out/latest_checkpointed_iteration.txt").read_text() == "30"
    # the stand-in's training leaves the weights as they were; their files are MSAdapter's now
    weights = json.loads((experiment / "weights/manifest.json").read_text())
    assert done["payload_digest"] == weights["payload_digest"]
    with zipfile.ZipFile(experiment / "out/iter_0000030/mp_rank_00_001/model_optim_rng.pt") as archive:
        assert b"mindspore.common.tensor" in archive.read("archive/data.pkl")
    steps = [
        json.loads(line)["iteration"]
        for line in (experiment / "out" / done["metrics"]).read_text().splitlines()
    ]
    assert steps == list(range(1, 31))
    # once more does nothing, and says the same
    before = (experiment / "out/done.json").read_bytes()
    again = run(experiment)
    assert again.returncode == 0
    assert "msrun" not in again.stdout
    assert (experiment / "out/done.json").read_bytes() == before


def test_an_interrupted_run_goes_on_with_its_own_checkpoint(experiment):
    environment = {**os.environ, "STEP_SECONDS": "0.3"}
    log = experiment / "train.log"
    environment[live.VARIABLE] = str(live.beside(log))
    process = forked.start("train_mindspeed.py", *command()[2:], cwd=experiment, env=environment)
    process.until("iteration        3/")
    process.send_signal(signal.SIGTERM)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 3, error
    # 8 rows of 128 tokens in the 10 ms that each line of the stand-in's says
    assert re.match(r"[3-9]/30 steps  loss 0\.\d{4}  102400 tokens/s  0:\d\d left", live.read(log)["line"])
    assert not (experiment / "out/done.json").exists()
    finished = run(experiment)
    assert finished.returncode == 0, finished.stderr
    assert "iteration        1/" not in finished.stdout
    line = next(line for line in finished.stdout.splitlines() if "posttrain_gpt.py" in line)
    assert "--finetune" not in line and "--no-load-optim" not in line
    records = (experiment / "out" / done_of(experiment)["metrics"]).read_text().splitlines()
    assert [json.loads(record)["iteration"] for record in records] == list(range(1, 31))


def test_other_data_or_flags_are_another_run(trained):
    first = done_of(trained)["key"]
    assert run(trained, "--seed", "7").returncode == 0
    second = done_of(trained)["key"]
    (trained / "data_manifest.json").write_text('{"template": null, "rows": 2}')
    assert run(trained, "--seed", "7").returncode == 0
    assert len({first, second, done_of(trained)["key"]}) == 3


@pytest.mark.parametrize("order", ["as it was", "another"])
def test_a_run_that_was_stopped_by_an_earlier_version_goes_on(tmp_path, order, monkeypatch):
    """Its key.json holds flags in the order in which they were made; see the fixture's README."""
    unfinished = shutil.copytree(FIXTURES / "launch/unfinished_mindspeed", tmp_path / "unfinished")
    if order == "another":
        monkeypatch.setattr(
            standin_train, "FLAGS", [FLAGS[0], "--bf16", *(f for f in FLAGS[1:] if f != "--bf16")]
        )
    finished = run(unfinished)
    assert finished.returncode == 0, finished.stderr
    assert "iteration        5/" in finished.stdout and "iteration        4/" not in finished.stdout
    assert done_of(unfinished)["key"] == "a129a5e7e334a979"
    records = (unfinished / "out" / done_of(unfinished)["metrics"]).read_text().splitlines()
    assert [json.loads(record)["iteration"] for record in records] == list(range(1, 31))


def test_a_line_that_the_reference_rejects_is_not_started(experiment):
    finished = run(experiment, "--lr-decay-style", "wavy", "--no-such-option")
    assert finished.returncode == 1
    assert "--lr-decay-style: found 'wavy', wanted one of constant" in finished.stderr
    assert "--no-such-option: MindSpeed-LLM 2.2.0's posttrain_gpt.py has no such option" in finished.stderr
    assert not (experiment / "logs").exists()


def test_a_line_that_is_only_printed_leaves_nothing(experiment):
    finished = run(experiment, "--print-only", flags_first=True)
    assert finished.returncode == 0, finished.stderr
    assert "posttrain_gpt.py" in finished.stdout
    assert not (experiment / "out").exists() and not (experiment / "logs").exists()


def test_a_relative_interpreter_is_found_from_the_references_folder(first):
    folder, said = first
    assert f"{folder}/venv/bin/msrun" in said


def changed(experiment, old, new):
    """The stand-ins with one of its trainer's lines replaced; where they lie."""
    folder = experiment / "changed/tests/support/standin"
    shutil.copytree(STANDIN, folder)
    script = folder / "posttrain_gpt.py"
    text = script.read_text()
    assert text.count(old) == 1
    script.write_text(text.replace(old, new))
    return folder


def test_status_zero_without_the_last_checkpoint_is_a_failure(experiment, monkeypatch):
    """The reference's exit interval, for one, ends with status 0 long before the end."""
    monkeypatch.setenv("DISTILLERY", str(ROOT))
    early = "    if step == 12:\n        sys.exit(0)\n    if stop:\n"
    finished = run(experiment, directory=changed(experiment, "    if stop:\n", early))
    assert finished.returncode == 1
    assert "every rank ended with status 0, but training did not reach its end" in finished.stderr
    assert "iteration 12 of 30" in finished.stderr
    assert not (experiment / "out/done.json").exists()


def test_a_first_checkpoint_that_cannot_be_read_ends_the_job_there(experiment, monkeypatch):
    """A dialect that nobody here has seen, as MSAdapter's own was once: known at step 10, not after the last."""
    monkeypatch.setenv("DISTILLERY", str(ROOT))
    monkeypatch.setenv("STEP_SECONDS", "1")  # it is looked at again for five seconds
    saving = "msadapter.save_rank(folder, state, args, step)"
    broken = changed(experiment, saving, saving.replace("step)", 'step, "newtorch")'))
    finished = run(experiment, directory=broken)
    assert finished.returncode == 1
    assert "the checkpoint that training saved first could not be read after it" in finished.stderr
    assert "newtorch._tensor._rebuild_from_type_v2" in finished.stderr
    assert "iter_0000010/mp_rank_00_000/model_optim_rng.pt" in finished.stderr
    assert "iteration       10/" in finished.stdout
    assert "iteration       20/" not in finished.stdout
    assert not (experiment / "out/done.json").exists()
    # the same command goes on from it, and ends as soon as it has looked
    again = run(experiment, directory=broken)
    assert again.returncode == 1
    assert "iteration       20/" not in again.stdout


def test_the_last_checkpoints_weights_are_read_before_it_is_done(trained):
    """Of a record that changed on the disk, the weights' count and the optimizer's do not."""
    experiment = trained
    (last,) = experiment.glob("out/work/*/iter_0000030/mp_rank_00_001")
    whole = (last / "model_optim_rng.pt").read_bytes()
    with zipfile.ZipFile(last / "model_optim_rng.pt") as archive:
        sizes = {info.filename: info for info in archive.infolist()}
        model = sizes["archive/data/0"]
        moments = max(sizes.values(), key=lambda info: info.file_size)
    assert moments.file_size > 10 * model.file_size
    for info, status in ((moments, 0), (model, 1)):
        (experiment / "out/done.json").unlink(missing_ok=True)
        broken = bytearray(whole)
        broken[info.header_offset + 1000] ^= 1
        (last / "model_optim_rng.pt").write_bytes(broken)
        finished = run(experiment)
        assert finished.returncode == status, finished.stderr
        assert (experiment / "out/done.json").exists() == (status == 0)
    assert "bytes changed since the file was written" in finished.stderr
    (last / "model_optim_rng.pt").unlink()
    finished = run(experiment)
    assert finished.returncode == 1
    assert "the set of rank files is incomplete" in finished.stderr
