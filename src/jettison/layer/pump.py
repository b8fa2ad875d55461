"""Read ahead: an iterator that runs in a thread of its own, a few pieces ahead of its consumer.

Owns the thread and its end: it stops when the iterator ends or raises (the consumer then gets the same error) and when the
consumer gives up. Decompression and hashing release the interpreter lock, so they really run beside the consumer.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_AHEAD = 8
_POLL_SECONDS = 0.1


class _End:
    """The last thing in the queue: how the iterator ended."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


@contextmanager
def read_ahead(pieces: Iterator[bytes]) -> Iterator[Iterator[bytes]]:
    """Give an iterator over the same pieces; the thread behind it has ended when the block is left."""
    queue: Queue[bytes | _End] = Queue(_AHEAD)
    is_over = threading.Event()
    thread = threading.Thread(target=_run, args=(pieces, queue, is_over), name="read-ahead", daemon=True)
    thread.start()
    try:
        yield _drain(queue)
    finally:
        is_over.set()
        _empty(queue)
        thread.join()


def _run(pieces: Iterator[bytes], queue: Queue[bytes | _End], is_over: threading.Event) -> None:
    end = _End(None)
    try:
        for piece in pieces:
            if not _put(queue, piece, is_over):
                return
    except BaseException as error:  # noqa: BLE001 - the consumer raises it
        end = _End(error)
    _put(queue, end, is_over)


def _put(queue: Queue[bytes | _End], item: bytes | _End, is_over: threading.Event) -> bool:
    while not is_over.is_set():
        try:
            queue.put(item, timeout=_POLL_SECONDS)
        except Full:
            continue
        return True
    return False


def _drain(queue: Queue[bytes | _End]) -> Iterator[bytes]:
    while True:
        item = queue.get()
        if isinstance(item, _End):
            if item.error is not None:
                raise item.error
            return
        yield item


def _empty(queue: Queue[bytes | _End]) -> None:
    while True:
        try:
            queue.get_nowait()
        except Empty:
            return
