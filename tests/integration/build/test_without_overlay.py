"""A store whose file system can't be the upper layer of an overlay (inside another container, say): steps get copies."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from tests.fakes.product import SOURCE

DOCKERFILE = """\
FROM busybox:test AS made
RUN mkdir /q && echo hi > /q/f && ln /q/f /q/g && rm -r /home
FROM busybox:test
COPY --from=made /q /q
RUN --mount=from=made,source=/q,target=/m --mount=type=cache,target=/c cat /m/f /q/g && echo kept > /c/y && rm /q/f
"""

SCRIPT = """\
set -e
mkdir lower upper work on
mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work on
j() { "$PYTHON" -m jettison --root "$PWD/on/root" "$@"; }
j import "$TAR" busybox:test > id
j build -q -t made --target made -f Dockerfile context > id
j build -t last --progress plain -f Dockerfile context 2> log
j run --rm made sh -c 'ls -d /home; cat /q/f' > made 2>&1 || true
j run --rm last ls /q > last
j prune > pruned
ls on/root/tmp on/root/trash > left
"""


@pytest.mark.overlay
@pytest.mark.userns
def test_steps_work_on_copies_where_the_store_takes_no_overlay(tmp_path, busybox_tar):
    if os.geteuid() != 0:
        pytest.skip("mounting an overlay for the store needs root")
    (tmp_path / "context").mkdir()
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHON": sys.executable,
        "PYTHONPATH": str(SOURCE),
        "TAR": str(busybox_tar),
        "HOME": str(tmp_path),
    }
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", SCRIPT],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr + (tmp_path / "log").read_text()
    log = (tmp_path / "log").read_text()
    assert [line.rpartition(" ")[2] for line in log.splitlines() if line.endswith(" hi")] == ["hi", "hi"]
    assert (tmp_path / "made").read_text() == "ls: /home: No such file or directory\nhi\n"
    assert (tmp_path / "last").read_text() == "g\n"
    assert (tmp_path / "left").read_text().split() == ["on/root/tmp:", "on/root/trash:"]
