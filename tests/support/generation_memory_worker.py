"""How much memory loading a model for generation takes: what the process held at most, before and after, in bytes.

python generation_memory_worker.py HF_DIRECTORY SLOTS LENGTH
"""

import os
import resource
import sys
from pathlib import Path

os.environ.setdefault("GLOG_v", "3")
sys.path.insert(0, str(Path(__file__).parents[2] / "workflow" / "scripts"))

from distillery import model_config  # noqa: E402
from distillery.convert import states  # noqa: E402
from distillery.engine import runner_choice  # noqa: E402


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


directory, slots, length = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
runner_choice._verify()  # a model of its own, after which all libraries are loaded and a graph has run
before = peak()
arch = model_config.read(directory)
runner = runner_choice.build(arch, states.load_state(directory), slots, length, kernels="native")
loaded = peak()
runner.extend({0: [1, 2, 3]}, greedy=True)
runner.extend({0: [4]}, greedy=True)
print(before, loaded, peak())
