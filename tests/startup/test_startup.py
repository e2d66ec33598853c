"""Nothing heavy is loaded before a command needs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "pandas", "triton", "cv2", "torchvision", "scipy", "mediapipe", "lpips", "torchmetrics", "av", "PIL")

PROBE = """
import sys
sys.argv = ["synctalk-bench", *{arguments!r}]
from synctalk_bench.cli.app import main
try:
    main()
except SystemExit as stop:
    code = stop.code
print("HEAVY", sorted(m for m in {heavy!r} if m in sys.modules), "CODE", code)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["prepare", "--help"],
        ["doctor", "--help"],
        ["synthesize", "--help"],
        ["report", "--help"],
        ["checkpoint", "convert", "--help"],
        ["study", "make", "--help"],
        ["study", "questions"],
        ["serve", "--help"],
        ["plugins", "list"],
        ["config", "show"],
        ["config", "list"],
    ],
    ids=" ".join,
)
def test_listing_commands_load_nothing_heavy(arguments: list[str]) -> None:
    code = PROBE.format(arguments=arguments, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "HEAVY [] CODE 0" in done.stdout or "HEAVY [] CODE None" in done.stdout, done.stdout[-500:] + done.stderr
