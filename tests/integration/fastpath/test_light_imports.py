from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_importing_the_fast_path_stays_light():
    heavy = {"re", "json", "typing", "dataclasses", "pathlib", "enum", "ctypes", "threading", "subprocess"}
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); before = set(sys.modules)\n"
        "import jettison.fastpath.ignore, jettison.fastpath.walk, jettison.fastpath.statcache\n"
        "print(*(set(sys.modules) - before))"
    )
    source = Path(__file__).parents[3] / "src"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(source)], capture_output=True, text=True, check=True
    )
    assert not heavy & set(done.stdout.split())
