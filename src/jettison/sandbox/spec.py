"""What one step may see and do, as frozen data: root file system, command, user, mounts, network, bounds.

Owns the nouns that cross from the worker to the launcher. Refuses nothing: ``steps.py`` judges, the child obeys. Text that
is not UTF-8 travels as surrogate escapes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

IdMode: TypeAlias = Literal["root", "subids", "single"]
"""Who owns files: real root; a range of subordinate ids; or only the caller's own id, seen as 0."""

BUILD_HOSTNAME = "buildkitsandbox"
"""The host name of a RUN step, as BuildKit's; some build scripts write it into what they make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MountSpec:
    """One mount of a step. ``target`` is resolved inside the step's root and made when it is missing.

    ``bind``: ``source`` is a host path; with ``source_root`` (a host directory) or ``source_lowers`` (host directories of a
    layer chain, topmost first, united for this mount) it is resolved below that and never leaves it. ``source_upper`` and
    ``source_work`` (empty host directories on one file system) take the writes to a united source; they are not read back.
    ``tmpfs``: ``size_bytes`` 0 takes the kernel's default. ``file``: ``data`` in a file on the step's private tmpfs.
    ``mode`` None is 0o1777 for tmpfs and 0o644 for a file; ``mode``, ``uid`` and ``gid`` don't apply to ``bind``.
    """

    kind: Literal["bind", "tmpfs", "file"]
    target: str
    source: str = ""
    source_root: str = ""
    source_lowers: tuple[str, ...] = ()
    source_upper: str = ""
    source_work: str = ""
    is_read_only: bool = False
    data: bytes = b""
    mode: int | None = None
    uid: int = 0
    gid: int = 0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSpec:
    """One command in its own namespaces.

    The root is an overlay of ``lowers`` (host directories, topmost first) under ``upper`` with ``work`` beside it, or, where
    ``root`` is set, that host directory itself; then ``work`` is an empty private directory all the same. ``env`` is the
    whole environment in order; ``cwd`` must exist inside the root unless
    ``makes_cwd``; then what is missing of it is made, as root's with mode 0755. ``groups`` are the supplementary groups.
    ``rlimits`` are (resource number, soft, hard), -1 for no limit.
    """

    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    cwd: str = "/"
    makes_cwd: bool = False
    lowers: tuple[str, ...] = ()
    upper: str = ""
    work: str = ""
    root: str = ""
    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    mounts: tuple[MountSpec, ...] = ()
    network: Literal["host", "none"] = "host"
    hostname: str = BUILD_HOSTNAME
    has_terminal: bool = False
    terminal_rows: int = 24
    terminal_columns: int = 80
    shm_bytes: int = 64 << 20
    rlimits: tuple[tuple[int, int, int], ...] = ()
    id_mode: IdMode = "root"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitStatus:
    """How a step ended: an exit code, or a signal (then ``code`` is 128 + signal, as shells say it).

    ``is_oom`` only with evidence that the kernel killed for want of memory while the step ran. ``reason`` says in words why
    the command could not be started at all (code 126 or 127), else it is empty.
    """

    code: int
    signal: int = 0
    is_oom: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelFacts:
    """What the kernel of the zygote can do, tried when it started."""

    has_lowerdir_append: bool = True
    """overlay takes ``lowerdir+`` through fsconfig (Linux 6.8)."""
    has_mount_setattr: bool = True
    """mount_setattr(2) (Linux 5.12)."""
    has_openat2: bool = True
    """openat2(2) (Linux 5.6)."""
    has_seccomp: bool = True
    """Filters can be loaded."""


def etc_files(
    *, hostname: str = BUILD_HOSTNAME, resolv_conf: bytes = b"", extra_hosts: tuple[tuple[str, str], ...] = ()
) -> tuple[MountSpec, ...]:
    """Return the read-only mounts of ``/etc/hosts`` and ``/etc/resolv.conf`` that BuildKit gives a RUN step.

    ``resolv_conf`` is the content to show (the host's, for host networking); empty leaves the image's file alone.
    ``extra_hosts`` are (name, address). ``/etc/hostname`` stays the image's: a RUN may write it into its layer.
    """
    lines = ["127.0.0.1\tlocalhost " + hostname, "::1\tlocalhost ip6-localhost ip6-loopback"]
    lines += [f"{address}\t{name}" for name, address in extra_hosts]
    hosts = ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")
    mounts = [MountSpec(kind="file", target="/etc/hosts", data=hosts, is_read_only=True)]
    if resolv_conf:
        mounts.append(MountSpec(kind="file", target="/etc/resolv.conf", data=resolv_conf, is_read_only=True))
    return tuple(mounts)
