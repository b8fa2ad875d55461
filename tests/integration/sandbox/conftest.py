"""Sandboxes in each id mode that this host and user allow; as root, other users are made or borrowed for the modes."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests.integration.sandbox import bridge_client

HERE = Path(__file__).parent
SOURCE = HERE.parents[2] / "src"
TEST_USER = "jetuser"
LONELY_ID = 54_321


def _python_for_others() -> str:
    for path in ("/usr/bin/python3", "/usr/local/bin/python3"):
        if Path(path).exists():
            code = "import sys; sys.exit(sys.version_info < (3, 11))"
            if subprocess.run([path, "-c", code], check=False).returncode == 0:
                return path
    pytest.skip("no Python 3.11 that other users can read")


def _test_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(TEST_USER)
    except KeyError:
        if not shutil.which("useradd"):
            pytest.skip("no useradd to make a user with subordinate ids")
        subprocess.run(["useradd", "--no-create-home", TEST_USER], check=True)
        return pwd.getpwnam(TEST_USER)


def _has_subordinate_ids(name: str, uid: int) -> bool:
    try:
        lines = Path("/etc/subuid").read_text().splitlines()
    except OSError:
        return False
    return any(line.split(":")[0] in {name, str(uid)} for line in lines) and bool(shutil.which("newuidmap"))


def _command(mode: str) -> tuple[list[str], int, int]:
    """Return the words before the program and the ids that it runs as."""
    if os.geteuid() != 0:
        if mode == "root":
            pytest.skip("the tests don't run as root")
        name = pwd.getpwuid(os.geteuid()).pw_name
        if mode == "subids" and not _has_subordinate_ids(name, os.geteuid()):
            pytest.skip("no subordinate ids (userns)")
        return [sys.executable], os.geteuid(), os.getegid()
    if mode == "root":
        return [sys.executable], 0, 0
    if not shutil.which("setpriv"):
        pytest.skip("no setpriv")
    uid = gid = LONELY_ID
    if mode == "subids":
        user = _test_user()
        uid, gid = user.pw_uid, user.pw_gid
        if not _has_subordinate_ids(TEST_USER, uid):
            pytest.skip("no subordinate ids (userns)")
    return ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", _python_for_others()], uid, gid


@pytest.fixture(scope="session")
def readable_source():
    """A copy of the source that every user can read."""
    place = tempfile.mkdtemp(prefix="jettison-test-")
    os.chmod(place, 0o755)
    shutil.copytree(SOURCE / "jettison", f"{place}/jettison", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HERE / "bridge.py", f"{place}/bridge.py")
    subprocess.run(["chmod", "-R", "a+rX", place], check=True)
    yield place
    shutil.rmtree(place)


def open_bridge(mode, source):
    if not Path("/bin/busybox").exists():
        pytest.skip("no /bin/busybox (busybox-static)")
    words, uid, gid = _command(mode)
    base = tempfile.mkdtemp(prefix="jettison-box-")
    os.chown(base, uid, gid)
    os.chmod(base, 0o755)
    return bridge_client.Bridge([*words, f"{source}/bridge.py", "front", source, base, mode], base, mode, (uid, gid))


@pytest.fixture(scope="module", params=["root", "subids", "single"])
def box(request, readable_source):
    with open_bridge(request.param, readable_source) as bridge:
        yield bridge


@pytest.fixture(params=["root", "subids", "single"])
def fresh_box(request, readable_source):
    """One for tests that kill it."""
    with open_bridge(request.param, readable_source) as bridge:
        yield bridge
