"""A build without RUN makes no directory tree, no mount and no namespace."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from tests.fakes.product import needs, write

CALLS = "mount,umount2,unshare,setns,clone,clone3,fsopen,fsmount,move_mount,open_tree,pivot_root,chroot,mount_setattr"
NAMESPACES = re.compile(r"CLONE_NEW(NS|USER|PID|NET|IPC|UTS|CGROUP|TIME)")
DOCKERFILE = """\
FROM busybox:test AS files
WORKDIR /app
COPY src src
FROM busybox:test
COPY --from=files --chown=3:4 /app /app
ADD src/file /added
WORKDIR /new/place
ENV A=1
USER app
COPY --chown=app:tools src /owned
CMD ["sh"]
"""


def _trace(product, tmp_path, *argv):
    strace = needs("strace")
    log = tmp_path / "calls"
    words = [strace, "-f", "-qq", "-s", "200", "-e", f"trace={CALLS}", "-o", str(log), *product.words(*argv)]
    done = subprocess.run(
        words,
        env={
            **product.environment,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "JETTISON_MEMO": "0",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if "newuidmap" in done.stderr and argv[0] == "build" and os.geteuid() != 0:
        pytest.skip("a traced process gains no rights from newuidmap (userns)")
    if "Operation not permitted" in done.stderr and "ptrace" in done.stderr:
        pytest.skip("no right to trace processes (ptrace)")
    assert done.returncode == 0, done.stderr
    return [line.split(" ", 1)[1].strip() for line in log.read_text().splitlines() if "(" in line]


def test_no_mount_no_namespace_no_tree(product, context, tmp_path):
    write(context, {"Dockerfile": DOCKERFILE, "src/file": "x", "src/deep/file": "y"})
    for flags in (
        ["-t", "app"],
        ["-o", f"type=oci,dest={tmp_path}/a.tar"],
        ["-o", f"type=docker,dest={tmp_path}/b.tar"],
    ):
        calls = _trace(product, tmp_path, "build", *flags, context)
        processes = [line for line in calls if line.startswith(("clone", "clone3"))]
        others = [line for line in calls if not line.startswith(("clone", "clone3"))]
        assert others == []
        assert [line for line in processes if NAMESPACES.search(line)] == []
        assert all("CLONE_THREAD" in line or "resumed" in line for line in processes), "no other process is started"
    assert [str(path) for path in (product.root / "layers").glob("*/fs")] == []


def test_run_does_make_them(product, context, tmp_path):
    """The other way round: the test above can see what it looks for."""
    write(context, {"Dockerfile": "FROM busybox:test\nRUN true\n"})
    calls = _trace(product, tmp_path, "build", context)
    assert any(NAMESPACES.search(line) for line in calls)
    assert any(line.startswith(("mount", "fsmount", "move_mount")) for line in calls)
    assert list((product.root / "layers").glob("*/fs"))
