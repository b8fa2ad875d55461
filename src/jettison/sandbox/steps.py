"""SandboxSpec, KernelFacts -> the flat list of steps that the child obeys, in order.

Owns all policy of a sandbox: which namespaces, mounts, rights and limits; the child only makes the calls. A step is a name
and plain values, so that the list can be marshalled, and describes itself. Refuses nothing but a spec that contradicts itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from jettison.errors import SandboxError

if TYPE_CHECKING:
    from jettison.sandbox.spec import KernelFacts, MountSpec, SandboxSpec

Value: TypeAlias = "int | str | bytes | tuple[Value, ...] | None"
Options: TypeAlias = tuple[tuple[bytes, bytes | None], ...]

_NEW_MOUNTS, _NEW_CGROUPS, _NEW_NAMES, _NEW_IPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
_NEW_PROCESSES, _NEW_NETWORK = 0x20000000, 0x40000000

# chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot mknod audit_write setfcap
CAPABILITIES = sum(1 << number for number in (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31))

DEVICES = (b"null", b"zero", b"full", b"random", b"urandom", b"tty")
_DEVICE_LINKS = (
    (b"fd", b"/proc/self/fd"),
    (b"stdin", b"/proc/self/fd/0"),
    (b"stdout", b"/proc/self/fd/1"),
    (b"stderr", b"/proc/self/fd/2"),
    (b"core", b"/proc/kcore"),
    (b"ptmx", b"pts/ptmx"),
)
_MASKED_FILES = tuple(
    b"/proc/" + name
    for name in (b"interrupts", b"kcore", b"keys", b"latency_stats", b"timer_list", b"timer_stats", b"sched_debug")
)
_MASKED_DIRECTORIES = (
    b"/proc/acpi",
    b"/proc/asound",
    b"/proc/scsi",
    b"/sys/firmware",
    b"/sys/devices/virtual/powercap",
)
_READ_ONLY = (b"/proc/bus", b"/proc/fs", b"/proc/irq", b"/proc/sys", b"/proc/sysrq-trigger")


class Step(NamedTuple):
    """One thing that the child does: the name of its function and the values it gets."""

    name: str
    arguments: tuple[Value, ...] = ()

    def describe(self) -> str:
        """Return the step in words, without contents of files or variables."""
        match self:
            case Step("root-overlay", (point, (lowers, *_rest), *_others)) if isinstance(lowers, tuple):
                return f"mount an overlay of {len(lowers)} directories as the root ({_show(point)})"
            case Step("bind", (_root, source, target, *_rest)):
                return f"bind {_show(source)} to {_show(target)}"
            case Step("file", (target, data, *_rest)) if isinstance(data, bytes):
                return f"show a file of {len(data)} bytes at {_show(target)}"
            case Step("start", (arguments, *_rest)) if isinstance(arguments, tuple):
                return "run " + " ".join(_show(argument) for argument in arguments)
            case Step("filter", _program):
                return "load the filter on system calls"
            case _:
                shown = [str(value) if isinstance(value, int) else _show(value) for value in self.arguments]
                return " ".join([self.name, *shown])


def namespaces(spec: SandboxSpec) -> int:
    """Return the clone(2) flags of the namespaces that are new for the step."""
    flags = _NEW_MOUNTS | _NEW_CGROUPS | _NEW_NAMES | _NEW_IPC | _NEW_PROCESSES
    return flags | (_NEW_NETWORK if spec.network == "none" else 0)


def make_steps(spec: SandboxSpec, *, facts: KernelFacts, program: bytes) -> tuple[Step, ...]:
    """Return what the child must do, the start of the command last. ``program`` is the seccomp filter, empty for none.

    Raises:
        SandboxError: ``sandbox-spec``: no command, or neither an overlay nor a plain root.

    """
    if not spec.args:
        raise SandboxError("a sandbox needs a command", slug="sandbox-spec")
    steps = [Step("begin"), *_root_steps(spec, facts), Step("proc"), _system_step(spec, facts), _device_step(spec)]
    steps += [_mount_step(mount, spec, facts) for mount in spec.mounts]
    steps += [Step("enter"), Step("mask", (_MASKED_FILES, _MASKED_DIRECTORIES, _READ_ONLY))]
    steps.append(Step("hostname", (_encode(spec.hostname),)))
    if spec.network == "none":
        steps.append(Step("loopback"))
    if spec.has_terminal:
        steps.append(Step("terminal", (spec.terminal_rows, spec.terminal_columns, spec.uid)))
    steps += [Step("streams", (spec.uid, spec.gid)), Step("directory", (_encode(spec.cwd), spec.makes_cwd))]
    if spec.rlimits:
        steps.append(Step("limits", (spec.rlimits,)))
    steps.append(Step("bounding", (CAPABILITIES,)))
    if program and facts.has_seccomp:
        steps.append(Step("filter", (program,)))
    groups = None if spec.id_mode == "single" else spec.groups
    steps += [Step("identity", (spec.uid, spec.gid, groups)), Step("rights", (spec.uid, CAPABILITIES))]
    environment = tuple((_encode(name), _encode(value)) for name, value in spec.env)
    steps.append(Step("start", (tuple(map(_encode, spec.args)), environment)))
    return tuple(steps)


def _root_steps(spec: SandboxSpec, facts: KernelFacts) -> list[Step]:
    if not spec.work:
        raise SandboxError("a sandbox needs a private work directory", slug="sandbox-spec")
    work = _encode(spec.work)
    if spec.root:
        return [Step("root-directory", (_encode(spec.root),)), Step("scratch", (work,))]
    if not (spec.lowers and spec.upper):
        raise SandboxError("a sandbox needs layers with an upper directory, or a root directory", slug="sandbox-spec")
    upper = _encode(spec.upper)
    layers = (tuple(map(_encode, spec.lowers)), upper, work)
    overlay = Step("root-overlay", (upper, layers, _overlay_options(spec, is_writable=True), facts.has_lowerdir_append))
    return [overlay, Step("scratch", (work,))]


def _overlay_options(spec: SandboxSpec, *, is_writable: bool) -> Options:
    """Return options that keep the upper directory a plain difference, whatever the kernel's defaults are."""
    plain: Options = ((b"index", b"off"), (b"metacopy", b"off"), (b"redirect_dir", b"nofollow"))
    rootless: Options = ((b"index", b"off"), (b"userxattr", None))
    options = plain if spec.id_mode == "root" else rootless
    return (*options, (b"volatile", None)) if is_writable else options


def _system_step(spec: SandboxSpec, facts: KernelFacts) -> Step:
    """Return the step for /sys: a fresh sysfs needs a network namespace that belongs to the step's user namespace."""
    is_fresh = spec.id_mode == "root" or spec.network == "none"
    return Step("sys", (is_fresh, facts.has_mount_setattr))


def _device_step(spec: SandboxSpec) -> Step:
    terminals = b"newinstance,ptmxmode=0666,mode=0620" + (b"" if spec.id_mode == "single" else b",gid=5")
    return Step("dev", (DEVICES, _DEVICE_LINKS, (terminals, b"mode=1777,size=%d" % spec.shm_bytes)))


def _mount_step(mount: MountSpec, spec: SandboxSpec, facts: KernelFacts) -> Step:
    target = _encode(mount.target)
    access = 0 if not mount.is_read_only else 1 if facts.has_mount_setattr else 2
    if mount.kind == "tmpfs":
        mode = 0o1777 if mount.mode is None else mount.mode
        words = b"mode=%o,uid=%d,gid=%d" % (mode, mount.uid, mount.gid)
        words += b",size=%d" % mount.size_bytes if mount.size_bytes else b""
        return Step("tmpfs", (target, words, mount.is_read_only))
    if mount.kind == "file":
        mode = 0o644 if mount.mode is None else mount.mode
        return Step("file", (target, mount.data, (mode, mount.uid, mount.gid), access))
    source = _encode(mount.source)
    if len(mount.source_lowers) == 1 and not mount.source_upper:
        return Step("bind", (_encode(mount.source_lowers[0]), source, target, access))
    if mount.source_lowers:
        layers = (tuple(map(_encode, mount.source_lowers)), _encode(mount.source_upper), _encode(mount.source_work))
        options = _overlay_options(spec, is_writable=bool(mount.source_upper))
        return Step("union", (layers, options, facts.has_lowerdir_append, (source, target, access)))
    return Step("bind", (_encode(mount.source_root), source, target, access))


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _show(value: Value) -> str:
    if isinstance(value, bytes):
        return "'" + value.decode("utf-8", "backslashreplace") + "'"
    return "..." if isinstance(value, tuple) else str(value)
