"""Ranks started under a tree as MindSpeed-Core-MS r0.4.0 leaves it: what they get of its set_path.sh, and of a configuration."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ascend_tree import lay
from places import SCRIPTS

pytestmark = pytest.mark.mindspore

RANK = """
import json, os, sys
import torch, msadapter, mindspeed, megatron.core, mindspeed_llm
names = ("ATB_HOME_PATH", "ASCEND_TOOLKIT_HOME", "PYTHONPATH", "HCCL_IF_IP")
said = {name: os.environ[name] for name in names} | {"torch": torch.__file__, "python": sys.executable}
open(f"rank{os.environ.get('RANK_ID', 0)}.json", "w").write(json.dumps(said | {"words": sys.argv[1:]}))
"""


def test_both_ranks_import_from_the_trees_checkouts_and_from_what_the_configuration_adds(tmp_path):
    core = lay(tmp_path)
    directory, mine = core / "MindSpeed-LLM", tmp_path / "mine"
    (directory / "posttrain_gpt.py").write_text(RANK)
    (core / "bin/msrun").symlink_to(Path(sys.executable).parent / "msrun")
    line = [sys.executable, SCRIPTS / "launch.py", "--workers", 2, "--log-dir", tmp_path / "logs"]
    line += ["--set-env", core / "tests/scripts/set_path.sh", "--python", core / "bin/python"]
    line += ["--env", f"PYTHONPATH={mine}", "--env", "HCCL_IF_IP=10.0.0.1", "--directory", directory]
    line += ["--expect", directory / "rank0.json", "--expect", directory / "rank1.json"]
    line += ["--", directory / "posttrain_gpt.py", "--lr", "1e-5"]
    done = subprocess.run(list(map(str, line)), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for rank in range(2):
        said = json.loads((directory / f"rank{rank}.json").read_text())
        assert said["torch"] == f"{core}/MSAdapter/torch/__init__.py"
        assert said["ATB_HOME_PATH"].endswith("cxx_abi_0") and said["ASCEND_TOOLKIT_HOME"] == "/toolkit"
        places = said["PYTHONPATH"].split(":")
        assert places[:2] == [str(mine), f"{directory}/"] and "/toolkit/python" in places
        assert (said["HCCL_IF_IP"], said["words"]) == ("10.0.0.1", ["--lr", "1e-5"])
