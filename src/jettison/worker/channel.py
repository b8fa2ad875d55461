"""Messages between a front and its worker over a stream socket: a length, a pickle, and file descriptors that travel with it.

Both ends belong to one user and one build; the socket is inherited, never named, so that nobody else can speak on it.
"""

from __future__ import annotations

import contextlib
import pickle
import socket
import struct
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from jettison.errors import JettisonError

_HEADER = struct.Struct("<Q")
_MAX_FDS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Front to worker: call the method; a ``Reply`` with the same number ends it."""

    number: int
    method: str
    payload: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """Front to worker, about a request under way: kill its processes, send them a signal, or set the terminal's size."""

    number: int
    action: Literal["kill", "signal", "resize"]
    values: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Worker to front, while a request is under way: an event, or descriptors (a terminal)."""

    number: int
    payload: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Worker to front: how the request ended. ``trace`` is the worker's traceback when ``error`` is a bug."""

    number: int
    value: Any = None
    error: JettisonError | None = None
    trace: str = ""


Message = Request | Control | Note | Reply


class Channel:
    """One end. ``send`` may be called from several threads, ``receive`` from one."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._lock = threading.Lock()

    def send(self, message: Message, fds: tuple[int, ...] = ()) -> None:
        """Send a message and copies of the descriptors.

        Raises:
            OSError: the other end is gone.

        """
        data = pickle.dumps(message, protocol=5)
        with self._lock:
            head = _HEADER.pack(len(data))
            if fds:
                socket.send_fds(self._socket, [head], list(fds))
                self._socket.sendall(data)
            else:
                self._socket.sendall(head + data)

    def receive(self) -> tuple[Message, tuple[int, ...]] | None:
        """Return the next message and the descriptors that came with it, or None when the other end is gone."""
        head = b""
        fds: list[int] = []
        try:
            while len(head) < _HEADER.size:
                piece, new, _, _ = socket.recv_fds(self._socket, _HEADER.size - len(head), _MAX_FDS)
                fds.extend(new)
                if not piece:
                    return None
                head += piece
            data = self._exactly(_HEADER.unpack(head)[0])
        except ConnectionError:
            return None
        if data is None:
            return None
        message = pickle.loads(data)  # noqa: S301  the peer is our own process
        assert isinstance(message, Request | Control | Note | Reply), "only messages travel here"
        return message, tuple(fds)

    def end(self) -> None:
        """End the conversation; a receive under way in another thread returns None. The descriptor stays open."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the conversation and close the descriptor; no other thread may be receiving."""
        self.end()
        self._socket.close()

    def _exactly(self, size: int) -> bytes | None:
        parts: list[bytes] = []
        while size:
            piece = self._socket.recv(min(size, 1 << 20))
            if not piece:
                return None
            parts.append(piece)
            size -= len(piece)
        return b"".join(parts)
