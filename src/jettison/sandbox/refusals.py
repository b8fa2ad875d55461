"""What the child reports when a call was refused -> a SandboxError that says what was wanted and what to do.

Pure. Owns the slugs of a failed set-up.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from jettison.errors import SandboxError

if TYPE_CHECKING:
    from jettison.sandbox.spec import SandboxSpec

_WANTED = {
    "root-overlay": "mount the layers of the step",
    "root-directory": "use the step's root directory",
    "scratch": "mount a private file system",
    "proc": "mount /proc",
    "sys": "mount /sys",
    "dev": "make /dev",
    "bind": "make a bind mount",
    "union": "make a bind mount from another stage",
    "tmpfs": "mount a tmpfs",
    "file": "place a file",
    "enter": "enter the step's root",
    "mask": "hide parts of /proc",
    "loopback": "bring up the loopback device",
    "terminal": "open a terminal",
    "limits": "set a resource limit",
    "filter": "load the filter on system calls",
    "identity": "become the step's user",
    "rights": "drop rights",
}


def explain_refusal(kind: str, values: tuple[object, ...], spec: SandboxSpec) -> SandboxError:
    """Return the error for a report ``("failed", step, call, path, errno, text)`` or ``("lost", call, errno)``.

    Slugs: ``sandbox-hostile-root``, ``sandbox-mount-source``, ``sandbox-mount-target``, ``sandbox-user``,
    ``sandbox-namespaces``, else ``sandbox-refused``.
    """
    if kind == "lost":
        call, number = str(values[0]), int(str(values[1]))
        return SandboxError(
            f"new namespaces for the step were refused: {call}: {os.strerror(number)}",
            slug="sandbox-namespaces",
            hint=_namespace_hint(number),
        )
    step, call, path, number, text = (str(values[0]), str(values[1]), values[2], int(str(values[3])), str(values[4]))
    where = path.decode("utf-8", "backslashreplace") if isinstance(path, bytes) else str(path)
    if not number:
        slug = "sandbox-hostile-root" if text.startswith("the image") else "sandbox-refused"
        return SandboxError(text, slug=slug, hint="change the image so that the directory is an ordinary one")
    reason = text[:1].lower() + text[1:]
    wanted = _WANTED.get(step, f"do the step '{step}'")
    shown = f" '{where}'" if where and not where.startswith("/proc/self/fd/") else ""
    slug, hint = _judge(step, call, number, spec)
    return SandboxError(f"could not {wanted}: {call}{shown}: {reason}", slug=slug, hint=hint)


def _judge(step: str, call: str, number: int, spec: SandboxSpec) -> tuple[str, str | None]:
    if step == "identity":
        if spec.id_mode == "single":
            return (
                "sandbox-user",
                "give the user subordinate ids: add a line to /etc/subuid and /etc/subgid, install uidmap",
            )
        return "sandbox-user", "give the user more subordinate ids in /etc/subuid and /etc/subgid"
    if step in {"bind", "union"} and call in {"bind", "union", "openat2"}:
        is_target = number in {errno.ENOTDIR, errno.EISDIR, errno.EBUSY} and call != "openat2"
        if is_target:
            return (
                "sandbox-mount-target",
                "mount a file upon a file, a directory upon a directory, nothing upon / or in /proc",
            )
        return "sandbox-mount-source", "check that the source of the mount exists and can be read"
    if step in {"file", "tmpfs"} and number in {errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EBUSY}:
        return "sandbox-mount-target", "change the mount's target or the image so that they are of one kind"
    if step == "proc" and number == errno.EPERM:
        return (
            "sandbox-refused",
            "the host hides parts of /proc: outer containers need `--security-opt systempaths=unconfined`",
        )
    return "sandbox-refused", "run `jettison info` to see what this host lacks"


def _namespace_hint(number: int) -> str:
    if number == errno.ENOSPC:
        return "raise the limits in /proc/sys/user/max_*_namespaces"
    return "run `jettison info` to see what this host lacks"
