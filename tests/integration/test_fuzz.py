"""The fuzzer itself: a short run ends well, and a run can be told apart from one that found something."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_short_run_finds_nothing():
    environment = os.environ | {"PYTHONPATH": str(TOP / "src")}
    command = [sys.executable, "tools/fuzz.py", "--seconds", "5", "--seed", "1"]
    done = subprocess.run(command, cwd=TOP, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "--seed 1" in done.stdout
    assert "no findings" in done.stdout
