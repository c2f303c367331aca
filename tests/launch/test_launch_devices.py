"""Jobs on one machine get distinct devices and ports, and a dead holder's are free again."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT, SCRIPTS, SUPPORT

from distillery.launch import devices, environment, slurm
from distillery.problems import Problem, UsageProblem

WORKER = str(SUPPORT / "standin_worker.py")
HOLD = """
import sys, time
from pathlib import Path
sys.path.insert(0, {scripts!r})
from distillery.launch import devices
with devices.hold({count}, [0, 1, 2, 3], Path({folder!r})) as held:
    print(*held.numbers, flush=True)
    time.sleep(60)
"""


def holder(folder, count):
    code = HOLD.format(scripts=str(SCRIPTS), count=count, folder=str(folder))
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def numbers(process):
    return set(map(int, process.stdout.readline().split()))


def test_holders_share_without_overlap_and_the_next_waits(tmp_path):
    with holder(tmp_path, 2) as first, holder(tmp_path, 2) as second:
        assert numbers(first) | numbers(second) == {0, 1, 2, 3}
        with holder(tmp_path, 1) as third:
            assert select.select([third.stdout], [], [], 1.5)[0] == []
            # killed, not asked: the kernel frees the lock
            first.send_signal(signal.SIGKILL)
            first.wait()
            assert len(numbers(third)) == 1
            third.kill()
        second.kill()


@pytest.mark.msrun
def test_concurrent_launches_get_distinct_devices_and_ports(tmp_path):
    common = [sys.executable, str(ROOT / "workflow/scripts/launch.py"), "--workers", "2", "--npus", "2"]
    variables = {**os.environ, "ASCEND_RT_VISIBLE_DEVICES": "4,5,6,7", "TMPDIR": str(tmp_path)}
    jobs = [
        subprocess.Popen(
            [*common, "--log-dir", str(tmp_path / name), "--", WORKER, "--pause", "0.6"],
            stdout=subprocess.PIPE,
            text=True,
            env=variables,
        )
        for name in "ab"
    ]
    outputs = [job.communicate(timeout=120)[0] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0]
    taken = [re.search(r"world size: 2, devices (\S+)", text)[1].split(",") for text in outputs]
    assert sorted(taken[0] + taken[1]) == ["4", "5", "6", "7"]
    ports = [re.search(r"--master_port=(\d+)", text)[1] for text in outputs]
    assert ports[0] != ports[1]


def test_too_few_devices_is_an_error_not_a_cut(tmp_path):
    words = [
        sys.executable,
        str(ROOT / "workflow/scripts/launch.py"),
        "--log-dir",
        str(tmp_path),
        "--npus",
        "3",
    ]
    variables = {**os.environ, "ASCEND_RT_VISIBLE_DEVICES": "0,1", "TMPDIR": str(tmp_path)}
    done = subprocess.run([*words, "--", WORKER], capture_output=True, text=True, env=variables, timeout=60)
    assert done.returncode == 2
    assert "the job needs more devices than this machine shows" in done.stderr


def test_what_is_visible():
    assert devices.visible({"ASCEND_RT_VISIBLE_DEVICES": "2,3"}, 8) == [2, 3]
    assert devices.visible({}, 2, [6, 7]) == [6, 7]
    # never another job's, whatever the submitting shell had set
    assert devices.visible({"ASCEND_RT_VISIBLE_DEVICES": "1,2,3"}, 8, [0, 1, 2]) == [1, 2]
    assert devices.visible({"ASCEND_RT_VISIBLE_DEVICES": "2,3"}, 8, [0, 1]) == []
    with pytest.raises(UsageProblem):
        devices.enough(1, [])


@pytest.mark.root
def test_another_users_lock_serves_all(tmp_path):
    """Kernels may refuse O_CREAT on another user's file in a folder that all may write (fs.protected_regular)."""
    tmp_path.chmod(0o1777)
    lock = tmp_path / "npu0.lock"
    lock.touch()
    lock.chmod(0o666)
    os.chown(lock, 65534, 65534)
    setting = Path("/proc/sys/fs/protected_regular")
    before = setting.read_text()
    setting.write_text("2")
    try:
        with pytest.raises(PermissionError):
            os.open(lock, os.O_RDWR | os.O_CREAT)
        descriptor = devices.try_lock(lock)
    finally:
        setting.write_text(before)
    assert descriptor is not None
    assert devices.try_lock(lock) is None
    os.close(descriptor)


@pytest.mark.root
def test_a_lock_that_is_closed_to_us_says_so(tmp_path):
    lock = tmp_path / "npu0.lock"
    lock.touch()
    lock.chmod(0o600)
    code = f"""
import os, sys
sys.path.insert(0, {str(SCRIPTS)!r})
from pathlib import Path
from distillery.launch import devices
here = os.open({str(tmp_path)!r}, os.O_RDONLY)
os.setuid(65534)
os.fchdir(here)
devices.try_lock(Path("npu0.lock"))
"""
    tmp_path.chmod(0o777)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "a lock cannot be opened" in done.stderr, done.stderr
    assert "chmod 666 npu0.lock" in done.stderr


def test_ports_of_slurm_jobs_stay_in_range():
    ports = [slurm.port({"SLURM_JOB_ID": str(job)}, 60000) for job in range(20000)]
    assert min(ports) == 60000 and max(ports) == 65535
    assert slurm.port({"SLURM_JOB_ID": "12345"}, 6000) == 8345


def test_without_slurms_commands_a_job_runs_without_a_limit(tmp_path):
    """In a container, say, that has the job's variables alone."""
    words = [sys.executable, str(ROOT / "workflow/scripts/launch.py"), "--log-dir", "logs", "--", WORKER]
    variables = {**os.environ, "SLURM_JOB_ID": "7", "PATH": str(tmp_path)}
    done = subprocess.run(words, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "no time limit is known" in done.stdout


def test_a_taken_port_is_passed_over(tmp_path):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        number = taken.getsockname()[1]
        with devices.port(number, tmp_path) as first, devices.port(number, tmp_path) as second:
            assert number < first.numbers[0] < second.numbers[0]


def test_an_interpreter_without_the_name_python_is_refused(tmp_path):
    (tmp_path / "python3.9").touch()
    with pytest.raises(Problem, match="another interpreter"):
        environment.prepared([], {}, str(tmp_path / "python3.9"))


def test_a_failing_set_env_is_an_error(tmp_path):
    script = tmp_path / "set_env.sh"
    script.write_text("export A=1\nfalse\n")
    with pytest.raises(Problem, match="sourcing the environment failed"):
        environment.prepared([str(script)], {}, sys.executable)
    script.write_text("export A=$(printf 'two\\nlines')\nexport PATH=/only/cann:$PATH\n")
    found = environment.prepared([str(script)], {"B": "2"}, sys.executable)
    assert (found["A"], found["B"]) == ("two\nlines", "2")
    assert found["PATH"].startswith(f"{Path(sys.executable).parent}{os.pathsep}/only/cann")
    json.dumps(found)
