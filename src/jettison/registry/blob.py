"""A blob as a stream: bounded, resumed where it broke off, given up as soon as nobody wants it.

Owns the position in the blob. A registry that ignores ranges is read from its start again, silently. Source: RFC 9110, 14.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jettison.errors import RegistryError
from jettison.registry.exchange import NO_WAY
from jettison.registry.message import fault, host_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from jettison.registry.exchange import Exchange
    from jettison.registry.message import Reply, Request

_PIECE_BYTES = 1 << 18
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(?:\d{1,18}|\*)\Z")


class BlobStream:
    """A ``ByteSource``: exactly ``size_bytes`` bytes, or an error. A context manager; for one thread at a time."""

    def __init__(
        self,
        request: Request,
        size_bytes: int,
        open_reply: Callable[[Request], Reply],
        exchange: Exchange,
        on_bytes: Callable[[int], None],
    ) -> None:
        self.request = request
        self._size = size_bytes
        self._open_reply = open_reply
        self._exchange = exchange
        self._on_bytes = on_bytes
        self._reply: Reply | None = None
        self._at = 0
        self._failures = 0
        self._at_failure = 0

    def read(self, size: int = -1, /) -> bytes:
        """Return at most that many bytes, none at the end only.

        Raises:
            RegistryError: ``registry-size``: more or fewer bytes than announced; ``registry-range``; and those of requests.
            CancelledError: nobody wants it any more.

        """
        data = self._read_on(size if size > 0 else _PIECE_BYTES)
        self._at += len(data)
        if self._at > self._size:
            raise fault(
                f"the registry '{host_of(self.request.url)}' sends more than the {self._size} bytes of the blob",
                self.request,
                slug="registry-size",
            )
        if data:
            self._on_bytes(len(data))
        return data

    def close(self) -> None:
        """Give up what has not been read."""
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read_on(self, wanted: int) -> bytes:
        """Return the next bytes, from a new reply if the last one broke off."""
        while True:
            self._exchange.pace.check()
            try:
                if self._reply is None:
                    self._reply = self._open()
                data = self._reply.read(wanted)
                if not data and self._at < self._size:
                    raise self._short()
            except RegistryError as error:
                if self._size and self._at == self._size:
                    return b""  # all of it is here; what became of the connection afterwards is nobody's concern
                self._recover(error)
            else:
                return data

    def _open(self) -> Reply:
        if not self._at:
            reply = self._open_reply(self.request)
            if reply.status != 200:
                raise self._exchange.refuse(reply, self.request)
            stated = reply.header("content-length").strip()
            if stated.isdecimal() and int(stated) != self._size:
                reply.close()
                raise fault(
                    f"the registry '{host_of(self.request.url)}' has {stated[:20]} bytes of a blob of {self._size}",
                    self.request,
                    slug="registry-size",
                )
            return reply
        reply = self._open_reply(self.request.with_header("Range", f"bytes={self._at}-{self._size - 1}"))
        try:
            if reply.status == 200:
                self._skip(reply)
            else:
                self._check_range(reply)
        except BaseException:
            reply.close()
            raise
        return reply

    def _skip(self, reply: Reply) -> None:
        left = self._at
        while left:
            self._exchange.pace.check()
            data = reply.read(min(left, _PIECE_BYTES))
            if not data:
                raise self._short()
            left -= len(data)

    def _check_range(self, reply: Reply) -> None:
        found = _RANGE.match(reply.header("content-range").strip())
        if reply.status != 206 or found is None or int(found[1]) != self._at or int(found[2]) >= self._size:
            raise fault(
                f"the registry '{host_of(self.request.url)}' does not go on at byte {self._at} of the blob",
                self.request,
                slug="registry-range",
                hint="try again",
            )

    def _short(self) -> RegistryError:
        return fault(
            f"the registry '{host_of(self.request.url)}' ends the blob too early",
            self.request,
            slug="registry-size",
            hint="try again",
            is_retryable=True,
        )

    def _recover(self, error: RegistryError) -> None:
        """Wait before a transfer that broke off is taken up again.

        Raises:
            RegistryError: the same, when it is no use.

        """
        self.close()
        limits = self._exchange.limits
        if self._at - self._at_failure >= limits.resume_bytes:
            self._failures = 0
        self._at_failure = self._at
        self._failures += 1
        is_final = bool(error.status) or error.slug in NO_WAY  # the exchange has tried again already
        if is_final or not error.is_retryable or self._failures >= limits.registry_attempts:
            raise error
        self._exchange.pace.pause(self._exchange.retry_pause(self._failures), error.message)
