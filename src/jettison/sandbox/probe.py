"""What this kernel and user may do, each tried, not guessed -> HostFeatures, for ``jettison info``.

Owns the order of the trials and the reasons why a better mode can't be had. The trials run in helper programs
(``child.py trial``), never in the caller. A build does not need it: it tries the real thing.
"""

from __future__ import annotations

import contextlib
import marshal
import shutil
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from jettison.errors import HostError
from jettison.sandbox.userns import converse, pick_id_mode, read_host_ids, start_child

if TYPE_CHECKING:
    from jettison.sandbox.spec import IdMode
    from jettison.sandbox.userns import HostIds

_MODES: tuple[IdMode, ...] = ("root", "subids", "single")
_TRIAL_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was tried. ``reason`` says why it doesn't work; it is empty when it does."""

    name: str
    reason: str = ""

    @property
    def works(self) -> bool:
        """Whether the trial succeeded."""
        return not self.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFeatures:
    """What a sandbox can have here.

    ``id_mode`` is the best mode that works, None when none does (then RUN is impossible); ``modes`` tells of each, best
    first. ``features`` were tried in that mode: namespaces, overlay, proc, network none, seccomp, openat2, mount_setattr,
    lowerdir+. ``programs`` are helpers for networks; ``cgroup`` whether groups for limits can be made.
    """

    id_mode: IdMode | None
    modes: tuple[Finding, ...]
    features: tuple[Finding, ...]
    programs: tuple[Finding, ...]
    cgroup: Finding

    def has(self, name: str) -> bool:
        """Return whether the feature of that name works."""
        return any(found.name == name and found.works for found in self.features)


def probe_host(directory: Path) -> HostFeatures:
    """Return what works on this host. Trials write to a throw-away directory below ``directory`` (the store's place)."""
    ids = read_host_ids()
    best = _MODES.index(pick_id_mode(ids))
    modes = [Finding(name=mode, reason=_why_not(mode, ids)) for mode in _MODES[:best]]
    chosen: IdMode | None = None
    features: tuple[Finding, ...] = ()
    with tempfile.TemporaryDirectory(dir=directory, prefix="probe-") as place:
        for mode in _MODES[best:]:
            try:
                found = _try_mode(mode, ids, Path(place) / mode)
            except HostError as error:
                modes.append(Finding(name=mode, reason=error.message))
                continue
            modes.append(Finding(name=mode, reason=found.get("namespaces", "")))
            if chosen is None and not found.get("namespaces"):
                chosen, features = mode, tuple(Finding(name=name, reason=why) for name, why in found.items())
    programs = tuple(_try_program(name) for name in ("pasta", "slirp4netns", "newuidmap", "newgidmap"))
    return HostFeatures(id_mode=chosen, modes=tuple(modes), features=features, programs=programs, cgroup=_try_cgroup())


def _why_not(mode: str, ids: HostIds) -> str:
    if mode == "root":
        return "the caller is not root" if ids.uid else ids.note
    return ids.note


def _try_mode(mode: IdMode, ids: HostIds, place: Path) -> dict[str, str]:
    for name in ("l", "u", "w", "m"):
        (place / name).mkdir(parents=True)
    (place / "l" / "probe").touch()
    setup, setup_child = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with setup, setup_child:
        setup.settimeout(_TRIAL_SECONDS)
        setup.send(marshal.dumps({"id_mode": mode, "directory": bytes(place)}))
        process = start_child("trial", setup_child, stderr_fd=subprocess.DEVNULL)
        setup_child.close()
        try:
            found = converse(setup, process.pid, ids)
        except TimeoutError as error:
            raise HostError("the trial did not end", slug="user-namespace") from error
        finally:
            setup.close()
            process.kill()
            process.wait()
    if found is None:
        raise HostError("the trial ended unexpectedly", slug="user-namespace")
    return cast("dict[str, str]", found)


def _try_program(name: str) -> Finding:
    path = shutil.which(name)
    if path is None:
        return Finding(name=name, reason="it is not installed")
    if name.startswith("new"):
        return Finding(name=name)
    try:
        done = subprocess.run([path, "--version"], capture_output=True, check=False, timeout=_TRIAL_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(name=name, reason=str(error))
    return Finding(name=name, reason="" if done.returncode == 0 else f"it ended with {done.returncode}")


def _try_cgroup() -> Finding:
    """Try to make a group below our own one. cgroups(7)."""
    name = "cgroup"
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - cgroup2 " in line]
    groups = [line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")]
    if not mounts or not groups:
        return Finding(name=name, reason="cgroup2 is not mounted")
    own = Path(mounts[0][4]) / groups[0].lstrip("/")
    try:
        controllers = (own / "cgroup.controllers").read_text().split()
        place = tempfile.mkdtemp(dir=own, prefix="jettison-")
    except OSError as error:
        return Finding(name=name, reason=f"'{own}' is not delegated: {error.strerror}")
    with contextlib.suppress(OSError):
        Path(place).rmdir()
    return Finding(name=name, reason="" if "memory" in controllers else "the memory controller is not delegated")
