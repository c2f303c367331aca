"""Resource samples: real npu-smi tables, this machine's processes, and never a failed job."""

import json
import os
import socket
import subprocess
import sys
import time

from places import FIXTURES, ROOT

from distillery import npu_smi, processes, resource_samples

DATA = FIXTURES / "launch"


def test_one_chip_a_card():
    chips = npu_smi.parse((DATA / "npu-smi-25.2.0.txt").read_text())
    assert [(one.npu, one.chip, one.name, one.power, one.temperature) for one in chips] == [
        (0, 0, "910B4-1", 91.3, 33.0),
        (1, 0, "910B4-1", 88.1, 32.0),
    ]
    assert (chips[0].health, chips[0].aicore, chips[0].hbm_used, chips[0].hbm_total) == (
        "OK",
        0.0,
        3197,
        65536,
    )


def test_two_chips_a_card_and_physical_ids():
    chips = npu_smi.parse((DATA / "npu-smi-26.0.rc2.txt").read_text())
    assert [(one.npu, one.chip, one.power, one.hbm_used) for one in chips] == [
        (0, 0, 162.6, 3419),
        (0, 1, None, 2874),
    ]


def test_other_text_has_no_chips():
    assert (
        npu_smi.parse("DrvMngGetConsoleLogLevel failed. (g_conLogLevel=3)\nnpu-smi: command failed\n") == []
    )


def sampled(path, seconds=0.5, least=0):
    """What is sampled within `seconds`, or within a minute until there are `least` records."""
    with resource_samples.Sampler(path, interval=0.1):
        start = time.monotonic()
        while (
            (passed := time.monotonic() - start) < seconds
            or passed < 60
            and len(resource_samples.read(path)) < least
        ):
            sum(range(1000))
    return resource_samples.read(path)


def test_processes_are_sampled_without_npus(tmp_path):
    began = time.monotonic(), time.process_time()
    records = sampled(tmp_path / "deep" / "samples.jsonl", least=3)
    share = (time.process_time() - began[1]) / (
        time.monotonic() - began[0]
    )  # all of a CPU, where nobody else is busy
    assert len(records) > 2
    assert max(one["memory_megabytes"] for one in records) > 10
    assert max(one["cpu_percent"] for one in records) > 50 * share
    assert all(one["chips"] == [] for one in records)


def test_a_job_of_a_moment_has_a_first_and_a_last_sample(tmp_path):
    with resource_samples.Sampler(tmp_path / "samples.jsonl"):
        pass
    assert 1 <= len(resource_samples.read(tmp_path / "samples.jsonl")) <= 2
    with resource_samples.Sampler(tmp_path / "samples.jsonl"):
        time.sleep(0.2)
    assert [one["seconds"] >= 0.2 for one in resource_samples.read(tmp_path / "samples.jsonl")] == [
        False,
        True,
    ]


def fake_npu_smi(folder, text):
    tool = folder / "npu-smi"
    tool.write_text(f"#!{sys.executable}\n{text}\n")
    tool.chmod(0o755)


def test_npus_are_sampled_through_npu_smi(tmp_path, monkeypatch):
    fake_npu_smi(tmp_path, f"print(open({str(DATA / 'npu-smi-25.2.0.txt')!r}).read())")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (first, second) = sampled(tmp_path / "samples.jsonl", least=2)[0]["chips"]
    assert (first["hbm_used"], first["power"], first["temperature"]) == (3197, 91.3, 33.0)
    with resource_samples.Sampler(
        tmp_path / "one.jsonl", resource_samples.visible({"ASCEND_RT_VISIBLE_DEVICES": "1"})
    ):
        time.sleep(0.2)
    assert all(one["chips"] == [second] for one in resource_samples.read(tmp_path / "one.jsonl"))
    assert resource_samples.visible({}) is None


def test_a_broken_npu_smi_ends_the_samples_not_the_job(tmp_path, monkeypatch):
    fake_npu_smi(tmp_path, "raise SystemExit('driver is gone')")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert sampled(tmp_path / "samples.jsonl") == []
    assert "CalledProcessError" in json.loads((tmp_path / "samples.jsonl").read_text())["stopped"]


def test_an_unwritable_path_is_no_failure(tmp_path):
    (tmp_path / "file").touch()
    assert sampled(tmp_path / "file" / "samples.jsonl", 0.1) == []


def test_watch_shows_devices_and_the_last_loss_of_each_job(tmp_path, monkeypatch):
    fake_npu_smi(tmp_path, f"print(open({str(DATA / 'npu-smi-25.2.0.txt')!r}).read())")
    logs = tmp_path / "logs" / "e"
    (logs / "msrun_train").mkdir(parents=True)
    (logs / "train.log").write_text(
        "plan\nstep 9/40  loss 2.5000  lr 1e-3\nstep 10/40  loss 1.2500  lr 1e-3\nok\n"
    )
    (logs / "train.samples.jsonl").write_text(
        '{"seconds": 60.1, "memory_megabytes": 4321, "cpu_percent": 99.5, "chips": []}\n{"seco'
    )
    (logs / "generate_tuned.log").write_text("50 of 400 answers\n")
    (logs / "generate_tuned.samples.jsonl").write_text(
        '{"seconds": 2.0, "memory_megabytes": 12, "cpu_percent": 1.5, "chips": []}\n'
    )
    (logs / "merge.log").write_text("nothing to watch\n")
    line = " iteration        7/    2000 | consumed samples: 64 | lm loss: 3.250000E+00 | loss scale: 1.0 |"
    (logs / "other.log").write_text(line + "\n")
    (logs / "msrun_train" / "worker_0.log").write_text(line + "\n")
    command = [sys.executable, str(ROOT / "workflow/scripts/watch.py"), "--once", "--logs", "logs"]
    here = {"process": os.getpid(), "began": processes.began(os.getpid()), "host": socket.gethostname()}
    states = {
        "long_running": here | {"line": "12/400 answers  310 tokens/s  0:40 left"},
        "killed": here | {"began": "1", "line": "3/400 answers"},
        "wrong": here | {"ended": 1, "line": ""},
        "saved": here | {"ended": 3, "line": ""},
        "elsewhere": here | {"host": "another", "line": ""},
    }
    for name, said in states.items():
        (logs / f"{name}.log").write_text("")
        (logs / f"{name}.progress.json").write_text(json.dumps(said))
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "80"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    rows = [line.replace("│", " ").split() for line in done.stdout.splitlines()]
    assert ["0", "0", "OK", "0.0", "3197", "/", "65536", "91.3", "33.0"] in rows
    assert ["e/train", "finished", "10/40", "steps", "loss", "1.2500", "4321", "99.5"] in rows
    assert ["e/generate_tuned", "finished", "12", "1.5"] in rows
    wrapped = ["e/other", "finished", "7/2000", "steps", "loss", "-", "-"]
    assert rows[rows.index(wrapped) + 1] == ["3.250000E+00"]
    assert ["e/killed", "died", "3/400", "answers", "-", "-"] in rows
    assert ["e/wrong", "failed", "-", "-"] in rows and ["e/saved", "stopped", "-", "-"] in rows
    # those that run stand first
    running = [row for row in rows if "running" in row]
    assert {row[0] for row in running} == {"e/elsewhere", "e/long_running"}
    assert "12/400 answers" in done.stdout and "0:40 left" in done.stdout
    assert rows.index(running[-1]) < rows.index(["e/killed", "died", "3/400", "answers", "-", "-"])
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "worker_0" not in done.stdout and "merge" not in done.stdout
