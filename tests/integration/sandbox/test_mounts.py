"""Mounts of a step, and images that try to bend them."""

from __future__ import annotations

import dataclasses
import os

import pytest

from jettison.sandbox.keystore import render_bundle
from jettison.sandbox.trust import make_trust

pytestmark = [pytest.mark.userns, pytest.mark.overlay]


@pytest.fixture
def tree(box):
    """A host directory with a file and links that lead out of it, owned by the box's user."""
    place = f"{box.base}/tree"
    if not os.path.exists(place):
        os.makedirs(f"{place}/sub")
        for name in ("a", "sub/b"):
            with open(f"{place}/{name}", "w") as file:
                file.write(f"content of {name}\n")
        os.symlink("/", f"{place}/root")
        os.symlink("../../../../../../../..", f"{place}/up")
        os.symlink("/sub", f"{place}/inside")
        os.symlink("/proc/self/root", f"{place}/magic")
        with open(f"{box.base}/canary", "w") as file:
            file.write("canary\n")
        for name, _names, files in os.walk(place):
            os.chown(name, box.uid, box.gid)
            for file in files:
                os.chown(os.path.join(name, file), box.uid, box.gid, follow_symlinks=False)
    return place


def test_bind_is_visible_and_writable(box, tree):
    result = box.run("cat /mnt/a; echo x > /mnt/new", mounts=[{"kind": "bind", "source": tree, "target": "/mnt"}])
    assert result["output"] == "content of a\n"
    assert os.path.exists(f"{tree}/new")
    assert result["stubs"] == (b"mnt",)


def test_read_only_bind_refuses_writes(box, tree):
    mounts = [{"kind": "bind", "source": tree, "target": "/mnt", "is_read_only": True}]
    result = box.run("echo x > /mnt/other; echo y > /mnt/a; busybox mount -o remount,rw /mnt", mounts=mounts)
    assert result["output"].count("Read-only file system") == 2
    assert result["code"] != 0
    assert not os.path.exists(f"{tree}/other")


@pytest.mark.parametrize("source", ["root", "up", "root/../..", "../../..", "/"])
def test_bind_source_never_leaves_its_root(box, tree, source):
    mounts = [{"kind": "bind", "source": source, "source_root": tree, "target": "/mnt"}]
    assert box.run("cat /mnt/a", mounts=mounts)["output"] == "content of a\n"


def test_bind_source_follows_links_inside_its_root(box, tree):
    mounts = [{"kind": "bind", "source": "inside", "source_root": tree, "target": "/mnt"}]
    assert box.run("cat /mnt/b", mounts=mounts)["output"] == "content of sub/b\n"


@pytest.mark.parametrize("source", ["magic", "nonesuch", "magic/etc"])
def test_bind_source_that_is_not_there_is_an_error(box, tree, source):
    answer = box.run("ls /mnt", mounts=[{"kind": "bind", "source": source, "source_root": tree, "target": "/mnt"}])
    assert answer["error"] == "sandbox-mount-source"
    assert source in answer["message"]


def test_bind_source_that_is_swapped_meanwhile_never_shows_the_host(box):
    # a name that vanishes while ls lists it is ls's own complaint
    seen = {
        "".join(line for line in text.splitlines(True) if not line.startswith("ls: "))
        for text in box.ask("swap", count=25)
    }
    assert seen <= {"c\n", "a\n", "a\nx\n", "", "sandbox-mount-source"}


def test_trusted_authorities_are_there_and_leave_no_trace(box):
    bundle = render_bundle([b"one"])
    trust = make_trust(host_bundle=bundle, image_bundle=b"", step_env={})
    mounts = [dataclasses.asdict(mount) for mount in trust.mounts]
    result = box.run("cat $SSL_CERT_FILE; cat $APT_CONFIG", mounts=mounts, env=(("PATH", "/bin"), *trust.env))
    assert result["output"] == bundle.decode() + 'Acquire::https::CAInfo "/run/jettison-trust/ca-bundle.pem";\n'
    assert result["stubs"] == (b"run", b"run/jettison-trust")
    assert "run/jettison-trust" in result["upper"]
    assert not any("ca-bundle" in path for path in result["upper"])


def test_bind_of_a_single_file_makes_a_file_stub(box, tree):
    mounts = [{"kind": "bind", "source": "a", "source_root": tree, "target": "/deep/er/file"}]
    result = box.run("cat /deep/er/file", mounts=mounts)
    assert result["output"] == "content of a\n"
    assert result["stubs"] == (b"deep", b"deep/er", b"deep/er/file")


def test_bind_of_united_layers_shows_the_union_and_discards_writes(box, tree):
    mount = {"kind": "bind", "source": "/", "target": "/mnt", "source_lowers": (tree, f"{box.base}/empty/7")}
    result = box.run("cat /mnt/a; ls /mnt/opt; touch /mnt/x", mounts=[mount | {"is_read_only": True}])
    assert result["output"].split()[:4] == ["content", "of", "a", "7"]
    assert result["code"] != 0
    upper, work = (f"{box.base}/{name}-{os.urandom(4).hex()}" for name in ("mu", "mw"))
    for path in (upper, work):
        os.mkdir(path)
        os.chown(path, box.uid, box.gid)
    result = box.run("echo y > /mnt/a; cat /mnt/a", mounts=[mount | {"source_upper": upper, "source_work": work}])
    assert result["output"] == "y\n"
    with open(f"{tree}/a") as file:
        assert file.read() == "content of a\n"


def test_file_mount_has_content_mode_and_owner(box):
    mount = {"kind": "file", "target": "/run/secrets/s", "data": b"geheim", "mode": 0o400, "is_read_only": True}
    result = box.run("cat /run/secrets/s; ls -ln /run/secrets/s; echo x > /run/secrets/s", mounts=[mount])
    assert result["output"].startswith("geheim-r--------")
    assert "Read-only" in result["output"]
    assert result["stubs"] == (b"run", b"run/secrets", b"run/secrets/s")
    with open(f"{box.base}/images/plain/bin/sh", "rb") as file:
        assert b"geheim" not in file.read(100)


def test_tmpfs_has_its_size_and_mode(box):
    mount = {"kind": "tmpfs", "target": "/t", "size_bytes": 65536, "mode": 0o700}
    result = box.run("busybox stat -c %a /t; head -c 1000000 /dev/zero > /t/x", mounts=[mount])
    assert result["output"].startswith("700")
    assert result["code"] != 0


def test_stub_keeps_the_time_of_its_parent(box):
    before = os.stat(f"{box.base}/images/plain/etc").st_mtime
    mounts = [{"kind": "file", "target": "/etc/hosts", "data": b"x"}]
    assert float(box.run("busybox stat -c %Y /etc", mounts=mounts)["output"]) == int(before)


def test_mount_inside_a_mount_is_no_stub(box):
    mounts = [{"kind": "tmpfs", "target": "/run"}, {"kind": "file", "target": "/run/x/y", "data": b"x"}]
    assert box.run("cat /run/x/y", mounts=mounts)["stubs"] == (b"run",)


def test_etc_as_symlink_is_resolved_inside_the_image(box):
    box.ask("make_image", name="etc-link", without=("etc",), links=[("etc", "/../../../private/etc")])
    canary = os.listdir("/etc")
    result = box.run(
        "cat /etc/hosts; ls /private/etc",
        image="etc-link",
        mounts=[{"kind": "file", "target": "/etc/hosts", "data": b"x\n"}],
    )
    assert result["output"] == "x\nhosts\n"
    assert result["stubs"] == (b"private", b"private/etc", b"private/etc/hosts")
    assert os.listdir("/etc") == canary


def test_dangling_resolv_conf_is_made_where_it_points(box):
    box.ask("make_image", name="resolv", links=[("etc/resolv.conf", "../run/systemd/resolve/stub.conf")])
    result = box.run(
        "cat /etc/resolv.conf", image="resolv", mounts=[{"kind": "file", "target": "/etc/resolv.conf", "data": b"ns\n"}]
    )
    assert result["output"] == "ns\n"
    assert result["stubs"][-1] == b"run/systemd/resolve/stub.conf"


def test_link_loop_as_target_is_an_error(box):
    box.ask("make_image", name="loop", links=[("a", "b"), ("b", "a")])
    answer = box.run("true", image="loop", mounts=[{"kind": "file", "target": "/a", "data": b"x"}])
    assert answer["error"] == "sandbox-mount-target"


@pytest.mark.parametrize("name", ["dev", "proc", "sys"])
@pytest.mark.parametrize("kind", ["link", "file"])
def test_core_directory_of_another_kind_is_refused(box, name, kind):
    image = f"{kind}-{name}"
    links = [(name, "/etc")] if kind == "link" else []
    files = [(name, b"x", 0o644)] if kind == "file" else []
    box.ask("make_image", name=image, without=(name,), links=links, files=files)
    answer = box.run("true", image=image)
    assert answer["error"] == "sandbox-hostile-root"
    assert f"'/{name}'" in answer["message"]


def test_hostile_dev_content_is_never_used(box):
    links = [
        ("dev/null", "/etc/canary"),
        ("dev/console", "/proc/self/environ"),
        ("dev/pts", "/etc"),
        ("dev/ptmx", "/etc"),
    ]
    box.ask("make_image", name="dev-content", links=links, files=[("etc/canary", b"canary", 0o644)])
    result = box.run("echo gone > /dev/null; cat /etc/canary; ls /dev", image="dev-content")
    assert result["output"].startswith("canary")
    assert "console" not in result["output"]


def test_missing_core_directories_are_stubs(box):
    box.ask("make_image", name="bare", without=("dev", "proc", "sys"))
    assert set(box.run("test -e /dev/null", image="bare")["stubs"]) == {b"dev", b"proc", b"sys"}


@pytest.mark.parametrize("target", ["/", "/proc", "/proc/self", "/etc/..", "/proc/sys"])
def test_target_that_would_break_the_root_is_refused(box, target):
    answer = box.run("true", mounts=[{"kind": "tmpfs", "target": target}])
    assert answer["error"] == "sandbox-mount-target"


@pytest.mark.parametrize("cwd", ["/proc/self/fd/3", "/proc/self/fd/4", "/proc/self/fd/8", "/dev/fd/3", "/proc/1/fd/7"])
def test_working_directory_through_a_descriptor_is_refused(box, cwd):
    result = box.run("ls", cwd=cwd)
    assert result["code"] in {126, 127}
    assert "working directory" in result["reason"]


@pytest.mark.parametrize("lowers", [1, 9, 200])
def test_older_ways_to_mount_give_the_same(box, tree, lowers):
    mounts = [
        {"kind": "bind", "source": tree, "target": "/mnt", "is_read_only": True},
        {
            "kind": "bind",
            "source": "/",
            "target": "/u",
            "source_lowers": (tree, f"{box.base}/empty/7"),
            "is_read_only": True,
        },
    ]
    script = "cat /mnt/a /u/a; touch /mnt/x /u/x; touch /sys/x /sys/fs/cgroup/x; ls /opt | wc -l; echo x > /new"
    result = box.ask("run_as_on_an_old_kernel", script=script, lowers=lowers, mounts=mounts)
    assert result["output"].count("content of a") == 2
    assert result["output"].count("touch: ") == 4
    assert "new" in result["upper"]
