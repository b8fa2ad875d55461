from __future__ import annotations

import marshal

import pytest

from jettison.errors import SandboxError
from jettison.sandbox.spec import KernelFacts, MountSpec, SandboxSpec, etc_files
from jettison.sandbox.steps import Step, make_steps, namespaces


def a_spec(**changes):
    fields = {"args": ("/bin/true",), "lowers": ("/l1", "/l0"), "upper": "/u", "work": "/w"} | changes
    return SandboxSpec(**fields)


def steps_of(facts=None, **changes):
    return make_steps(a_spec(**changes), facts=facts or KernelFacts(), program=b"filter")


def named(steps, name):
    return next(step for step in steps if step.name == name)


def test_order_keeps_privileged_work_before_the_identity_and_the_start_last():
    names = [step.name for step in steps_of(network="none", has_terminal=True, rlimits=((7, 1, 1),))]
    assert names == [
        "begin", "root-overlay", "scratch", "proc", "sys", "dev", "enter", "mask", "hostname", "loopback", "terminal",
        "streams", "directory", "limits", "bounding", "filter", "identity", "rights", "start",
    ]  # fmt: skip


def test_steps_can_be_marshalled():
    steps = steps_of(mounts=etc_files(resolv_conf=b"x"), env=(("A", "\udcff"),))
    assert marshal.loads(marshal.dumps([tuple(step) for step in steps])) == [tuple(step) for step in steps]


def test_overlay_options_keep_a_plain_difference_in_each_mode():
    root = named(steps_of(), "root-overlay").arguments[2]
    assert root == ((b"index", b"off"), (b"metacopy", b"off"), (b"redirect_dir", b"nofollow"), (b"volatile", None))
    rootless = named(steps_of(id_mode="subids"), "root-overlay").arguments[2]
    assert rootless == ((b"index", b"off"), (b"userxattr", None), (b"volatile", None))


def test_groups_are_left_alone_with_a_single_id():
    assert named(steps_of(id_mode="single"), "identity").arguments == (0, 0, None)
    assert named(steps_of(groups=(5,)), "identity").arguments == (0, 0, (5,))


def test_sys_is_fresh_only_where_the_network_namespace_is_ours():
    assert named(steps_of(), "sys").arguments[0] is True
    assert named(steps_of(id_mode="subids"), "sys").arguments[0] is False
    assert named(steps_of(id_mode="subids", network="none"), "sys").arguments[0] is True


def test_network_none_has_a_namespace():
    assert namespaces(a_spec()) & 0x40000000 == 0
    assert namespaces(a_spec(network="none")) & 0x40000000


def test_no_filter_where_the_kernel_has_none():
    assert "filter" not in [step.name for step in steps_of(facts=KernelFacts(has_seccomp=False))]


@pytest.mark.parametrize(
    ("mount", "step"),
    [
        pytest.param(
            MountSpec(kind="tmpfs", target="/t", size_bytes=9, mode=0o700, uid=1, gid=2),
            Step("tmpfs", (b"/t", b"mode=700,uid=1,gid=2,size=9", False)),
            id="tmpfs",
        ),
        pytest.param(MountSpec(kind="tmpfs", target="/t"), Step("tmpfs", (b"/t", b"mode=1777,uid=0,gid=0", False)), id="tmpfs default"),
        pytest.param(
            MountSpec(kind="file", target="/f", data=b"d", mode=0o400, uid=3, gid=4, is_read_only=True),
            Step("file", (b"/f", b"d", (0o400, 3, 4), 1)),
            id="file",
        ),
        pytest.param(
            MountSpec(kind="bind", target="/b", source="s", source_root="/r"), Step("bind", (b"/r", b"s", b"/b", 0)), id="bind"
        ),
        pytest.param(
            MountSpec(kind="bind", target="/b", source="s", source_lowers=("/one",), is_read_only=True),
            Step("bind", (b"/one", b"s", b"/b", 1)),
            id="union of one layer",
        ),
        pytest.param(
            MountSpec(kind="bind", target="/b", source="s", source_lowers=("/2", "/1"), is_read_only=True),
            Step(
                "union",
                (
                    ((b"/2", b"/1"), b"", b""),
                    ((b"index", b"off"), (b"metacopy", b"off"), (b"redirect_dir", b"nofollow")),
                    True,
                    (b"s", b"/b", 1),
                ),
            ),
            id="union",
        ),
    ],
)  # fmt: skip
def test_mounts_become_steps(mount, step):
    assert step in steps_of(mounts=(mount,))


def test_old_kernels_get_the_other_way_to_read_only():
    mounts = (MountSpec(kind="file", target="/f", is_read_only=True),)
    assert named(steps_of(facts=KernelFacts(has_mount_setattr=False), mounts=mounts), "file").arguments[-1] == 2


def test_steps_describe_themselves_without_contents():
    mounts = (MountSpec(kind="file", target="/f", data=b"secret"), MountSpec(kind="bind", source="/s", target="/t"))
    words = [step.describe() for step in steps_of(mounts=mounts, env=(("TOKEN", "secret"),))]
    assert "show a file of 6 bytes at '/f'" in words
    assert "bind '/s' to '/t'" in words
    assert "mount an overlay of 2 directories as the root ('/u')" in words
    assert words[-1] == "run '/bin/true'"
    assert not any("secret" in line for line in words)


@pytest.mark.parametrize("changes", [{"args": ()}, {"work": ""}, {"lowers": ()}, {"upper": ""}])
def test_contradictory_specs_are_refused(changes):
    with pytest.raises(SandboxError) as caught:
        steps_of(**changes)
    assert caught.value.slug == "sandbox-spec"


def test_etc_files_hold_names_and_leave_the_hosts_name_to_the_image():
    hosts, resolv = etc_files(hostname="h", resolv_conf=b"nameserver 1.1.1.1\n", extra_hosts=(("db", "10.0.0.2"),))
    assert hosts.data == b"127.0.0.1\tlocalhost h\n::1\tlocalhost ip6-localhost ip6-loopback\n10.0.0.2\tdb\n"
    assert (resolv.target, resolv.data, resolv.is_read_only) == ("/etc/resolv.conf", b"nameserver 1.1.1.1\n", True)
    assert [mount.target for mount in etc_files()] == ["/etc/hosts"]
