"""What the stand-ins for MindSpeed-LLM's scripts share: its real parsers, rebuilt from the facts about them.

A line that these take is one that the reference takes.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(os.environ.get("DISTILLERY", Path(__file__).parents[3]))
sys.path.insert(0, str(ROOT / "workflow/scripts"))

from distillery.launch.mindspeed import accepted_flags  # noqa: E402


def arguments(parser, framework="mindspore"):
    """The command line, as that parser of the reference reads it."""
    made = argparse.ArgumentParser(allow_abbrev=False)
    types = {"int": int, "float": float}
    known = accepted_flags.options(parser, framework)
    for option, fact in known.items():
        if fact["type"] == "switch":
            made.add_argument(option, action="store_true")
        else:
            kept = {key: fact[key] for key in ("choices", "nargs", "default", "required") if key in fact}
            made.add_argument(option, type=types.get(fact["type"], str), **kept)
    args = made.parse_args()
    if "--ai-framework" in known:
        assert args.ai_framework == framework
    return args


def ours(script, *words):
    """Run a command of this project; its files are the reference's byte for byte."""
    subprocess.run([sys.executable, ROOT / "workflow/scripts" / script, *map(str, words)], check=True)
