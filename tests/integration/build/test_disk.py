"""A full disk is one clear error, and the store works again when there is room."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest
from tests.fakes.product import SOURCE, Product, a_context, needs, write

STEP = "FROM busybox:test\nRUN dd if=/dev/zero of=/big bs=1M count=40\n"
SCRIPT = """\
set -u
mount -t tmpfs -o size=14m,mode=0755 none "$ROOT" || exit 99
j() { "$PYTHON" -m jettison --root "$ROOT/store" "$@"; }
j import "$TAR" busybox:test -c 'CMD ["sh"]' || exit 98
echo "== copy" >&2; j build "$CONTEXT/copy"; echo "code $?" >&2
echo "== run" >&2; j build "$CONTEXT/run"; echo "code $?" >&2
echo "== export" >&2; j build -o "type=oci,dest=$ROOT/out.tar" "$CONTEXT/export"; echo "code $?" >&2
ls -A "$ROOT" >&2
echo "== after" >&2; j prune >/dev/null && j build -q "$CONTEXT/small" && j run busybox:test echo works
echo "code $?" >&2
"""


def test_full_disk_is_one_clear_error(tmp_path, busybox_tar):
    if os.geteuid() != 0:
        pytest.skip("needs the right to mount a tmpfs")
    unshare = needs("unshare")
    product = Product(tmp_path / "unused")
    for name, text in (
        ("copy", "FROM busybox:test\nCOPY big /\n"),
        ("run", STEP),
        ("export", "FROM busybox:test\nCOPY half /\n"),
        ("small", "FROM busybox:test\nRUN echo small > /small\n"),
    ):
        a_context(tmp_path / "contexts" / name, Dockerfile=text)
    write(tmp_path / "contexts", {"copy/big": os.urandom(20 << 20), "export/half": os.urandom(5 << 20)})
    (tmp_path / "disk").mkdir()
    done = subprocess.run(
        [unshare, "-m", "--propagation", "private", "sh", "-c", SCRIPT],
        env={
            **product.environment,
            "ROOT": str(tmp_path / "disk"),
            "TAR": str(busybox_tar),
            "CONTEXT": str(tmp_path / "contexts"),
            "PYTHON": sys.executable,
            "PYTHONPATH": str(SOURCE),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode == 99:
        pytest.skip("needs the right to mount a tmpfs")
    parts = {part.split("\n", 1)[0]: part for part in done.stderr.split("== ")[1:]}
    assert "code 3" in parts["copy"], done.stderr
    assert parts["copy"].count("error[") == 1
    assert "error[disk-full]" in parts["copy"]
    assert str(tmp_path / "disk") in parts["copy"]
    assert "Dockerfile:2" in parts["copy"]
    # the program may meet the full disk first, or we when its output goes to the log
    assert ("code 1" in parts["run"] and "No space left on device" in parts["run"]) or (
        "code 3" in parts["run"] and "error[disk-full]" in parts["run"]
    ), done.stderr
    assert parts["run"].count("error[") == 1
    assert "code 3" in parts["export"], done.stderr
    assert parts["export"].count("error[") == 1
    assert "No space left" in parts["export"] or "disk-full" in parts["export"]
    assert parts["export"].splitlines()[-1] == "store"
    assert "code 0" in parts["after"], done.stderr
    assert "works" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("dockerfile", "size"),
    [pytest.param("FROM busybox:test\nCOPY big /\n", 4 << 20, id="copy")],
)
def test_limit_on_file_sizes_is_one_clear_error(product, tmp_path, dockerfile, size):
    context = a_context(tmp_path / "context", Dockerfile=dockerfile, big=os.urandom(size))
    answer = product.command("build", context, limits=((resource.RLIMIT_FSIZE, 2 << 20),))
    assert answer.code == 3, answer.err
    assert answer.err.count("error[") == 1
    assert "disk-full" in answer.err
    assert "ulimit" in answer.err
    assert os.listdir(product.root / "tmp") == []
    product.command("build", context).check()
