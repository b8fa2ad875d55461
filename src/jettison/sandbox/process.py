"""The process of a step: session, terminal, limits, user, rights, filter and the command itself.

Stand-alone, see ``child.py``. One function per step of ``steps.py``; they run inside the new root, privileged until
``identity``. Refuses to start a command in a directory outside the root.
"""

# Paths are bytes below descriptors, and pathlib is too heavy for a process that forks once per step:
# ruff: noqa: PTH109, PTH116, S606

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the built-in half of signal; the other half is heavy
import _socket
import errno
import os

from jettison.sandbox import kernel

DEFAULT_PATH = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_EXECUTABLE_FILE = 0o100000


class UnableError(Exception):
    """The command can't be started; carries the exit code that a shell would give."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Streams:
    """Descriptors of the step: standard input, output and error, the line to the launcher, the terminal's master."""

    def __init__(self, standard: list[int], report: int) -> None:
        self.standard = standard
        self.report = report
        self.master = -1


_LIBRARY_SIGNALS = frozenset({32, 33})
"""The C library keeps them for itself and hides them from programs; a caller may still have left them ignored."""


def begin() -> None:
    """Start a session of its own with every signal at its default, dying with the zygote."""
    os.setsid()
    os.umask(0o022)
    for number in range(1, _signal.NSIG):
        if number in _LIBRARY_SIGNALS:
            kernel.reset_signal(number)
        elif number not in {_signal.SIGKILL, _signal.SIGSTOP}:
            _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
    kernel.die_with_parent()


def loopback() -> None:
    """Bring the loopback device up."""
    link = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    kernel.raise_loopback(link.fileno())
    link.close()


def terminal(streams: Streams, rows: int, columns: int, uid: int) -> None:
    """Open a terminal in the step's /dev/pts, make it the controlling one and /dev/console, and use it for all streams."""
    streams.master, slave = kernel.open_terminal(rows, columns)
    kernel.control_terminal(slave)
    os.fchown(slave, uid, -1)
    os.close(os.open("/dev/console", os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o620))
    kernel.mount(b"/proc/self/fd/%d" % slave, b"/dev/console", None, kernel.MS_BIND)
    streams.standard = [slave, slave, slave]


def standard_streams(streams: Streams, uid: int, gid: int) -> None:
    """Put the streams at 0, 1 and 2, the launcher's line at 3 (closed by exec), and close everything else.

    Pipes are given to the step's user, so that it can open /dev/stdout.
    """
    kept = [os.dup2(os.dup(descriptor), 100 + number) for number, descriptor in enumerate(streams.standard)]
    report, master = os.dup2(streams.report, 110), -1
    if streams.master >= 0:
        master = os.dup2(streams.master, 111)
    for number, descriptor in enumerate(kept):
        os.dup2(descriptor, number)
        if uid and os.fstat(number).st_mode & 0o170000 in {0o010000, 0o140000}:
            _give(number, uid, gid)
    streams.report = os.dup2(report, 3, inheritable=False)
    if master >= 0:
        streams.master = os.dup2(master, 4, inheritable=False)
    kernel.close_from(4 if master < 0 else 5)


def _give(descriptor: int, uid: int, gid: int) -> None:
    try:
        os.fchown(descriptor, uid, gid)
    except OSError as error:  # a stream from outside the user namespace; the step may still write to it
        if error.errno not in {errno.EINVAL, errno.EPERM, errno.EROFS}:
            raise


def directory(path: bytes, is_made: bool) -> None:  # noqa: FBT001  a step's argument
    """Enter the working directory, made first if that is wanted; one outside the root (a leaked descriptor) is refused."""
    try:
        if is_made:
            os.makedirs(path, 0o755, exist_ok=True)  # noqa: PTH103  bytes; and pathlib is not loaded here
        os.chdir(path)
    except OSError as error:
        code = 127 if error.errno == errno.ENOENT else 126
        raise UnableError(code, f"can't enter the working directory {_quote(path)}: {_reason(error)}") from error
    try:
        is_inside = os.getcwdb().startswith(b"/")
    except FileNotFoundError:
        is_inside = False
    if not is_inside:
        raise UnableError(126, f"the working directory {_quote(path)} is outside the container")


def limits(values: tuple[tuple[int, int, int], ...]) -> None:
    """Set resource limits."""
    for resource, soft, hard in values:
        kernel.set_limit(resource, soft, hard)


def identity(uid: int, gid: int, groups: tuple[int, ...] | None) -> None:
    """Become the user; ``groups`` None leaves them (where the kernel forbids to set them)."""
    if groups is not None:
        os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    kernel.die_with_parent()


def rights(uid: int, mask: int) -> None:
    """Keep these capabilities as root, none as another user; nothing inheritable."""
    kernel.set_capabilities(0 if uid else mask & kernel.permitted_capabilities())
    kernel.die_with_parent()


def start(args: tuple[bytes, ...], environment: tuple[tuple[bytes, bytes], ...]) -> None:
    """Replace this process by the command, looked up as execvp(3) does inside the root.

    Raises:
        UnableError: 127 when nothing of the name is found, 126 when it can't be executed.

    """
    variables = dict(environment)
    name = args[0]
    if not name:
        raise UnableError(127, "the command is empty")
    places = [name] if b"/" in name else _candidates(name, variables.get(b"PATH", DEFAULT_PATH))
    refused: OSError | None = None
    for path in places:
        try:
            _execute(path, args, variables)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ENOTDIR} and not os.path.lexists(path):
                continue
            refused = refused or error
            if error.errno != errno.EACCES:
                break
    raise _unable(name, refused)


def _execute(path: bytes, args: tuple[bytes, ...], variables: dict[bytes, bytes]) -> None:
    if os.stat(path).st_mode & 0o170000 != _EXECUTABLE_FILE:
        raise OSError(errno.EACCES, "it is no regular file", path)
    os.execve(path, args, variables)


def _candidates(name: bytes, search: bytes) -> list[bytes]:
    return [place + b"/" + name for place in search.split(b":") if place.startswith(b"/")]


def _unable(name: bytes, refused: OSError | None) -> UnableError:
    if refused is None:
        return UnableError(127, f"{_quote(name)} was not found" + ("" if b"/" in name else " in PATH"))
    path = refused.filename if isinstance(refused.filename, bytes) else name
    if refused.errno == errno.ENOENT:
        return UnableError(127, f"{_quote(path)} can't be executed: its interpreter or loader is not in the image")
    return UnableError(126, f"{_quote(path)} can't be executed: {_reason(refused)}")


def _quote(value: bytes) -> str:
    return "'" + value.decode("utf-8", "backslashreplace") + "'"


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
