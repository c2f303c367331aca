"""Where things lie: every path of the tests starts from one of these."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "workflow/scripts"
FIXTURES = ROOT / "tests/fixtures"
SUPPORT = ROOT / "tests/support"
