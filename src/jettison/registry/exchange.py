"""One request until it has an answer: attempts with growing pauses, and redirects.

Owns which trouble is worth another attempt and how long to wait for it, and which redirect may be followed. Refuses redirects
that leave TLS, and those from a registry elsewhere to this host without TLS. Authorization stays with the server it was meant
for (``Request.to``). Source: RFC 9110, 10.2.3 (Retry-After) and 15.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urljoin

from jettison.errors import RegistryError
from jettison.limits import DEFAULT_LIMITS
from jettison.registry.auth import is_loopback_host
from jettison.registry.message import fault, host_of, is_worth_retrying, origin, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from jettison.limits import Limits
    from jettison.registry.message import Pace, Reply, Request, Transport

T = TypeVar("T")

NO_WAY = frozenset({"registry-unreachable", "registry-proxy"})
"""Slugs of errors that say that there is no way to the registry at all."""

_PIECE_BYTES = 1 << 20
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A reply that has been read: status and headers in ``reply``, all of its body."""

    reply: Reply
    body: bytes


class Exchange:
    """Sends requests over a transport. ``now`` gives seconds since the epoch. Safe to call from any thread."""

    def __init__(
        self, transport: Transport, pace: Pace, now: Callable[[], float], limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self._transport = transport
        self.pace = pace
        self._now = now
        self.limits = limits

    def send(self, request: Request) -> Reply:
        """Return a reply whose status is not worth another attempt and no redirect; the caller judges and closes it.

        Raises:
            RegistryError: the last attempt's; ``registry-redirect``.
            CancelledError: nobody wants it any more.

        """
        return self._attempt(lambda: self._send_once(request))

    def fetch(self, request: Request, limit: int) -> Fetched:
        """Return a reply as ``send`` does, with its whole body, which has at most ``limit`` bytes.

        Raises:
            RegistryError: ``registry-too-large``, and those of ``send``.
            CancelledError: nobody wants it any more.

        """
        return self._attempt(lambda: self._fetch_once(request, limit))

    def refuse(self, reply: Reply, request: Request) -> RegistryError:
        """Return the error that a reply of the wrong status is; the reply is used up."""
        body = b""
        with reply:
            try:
                while len(body) < self.limits.registry_answer_bytes and (data := reply.read(1 << 16)):
                    body += data
            except RegistryError:
                body = b""
        return refusal(request, reply.status, body)

    def retry_pause(self, attempt: int) -> float:
        """Return the seconds to wait before the attempt that follows this one (counted from 1)."""
        return self.limits.registry_backoff_seconds * 2.0 ** (attempt - 1)

    def _attempt(self, do: Callable[[], T]) -> T:
        attempt = 1
        while True:
            self.pace.check()
            try:
                return do()
            except RegistryError as error:
                seconds = self._patience(error, attempt)
                if seconds is None:
                    raise
                why = error.message
            self.pace.pause(seconds, why)
            attempt += 1

    def _send_once(self, request: Request) -> Reply:
        asked = request
        for _ in range(self.limits.registry_redirects + 1):
            reply = self._transport.send(asked)
            if reply.status in _REDIRECTS and reply.header("location"):
                with reply:
                    asked = _redirected(request, asked, reply.header("location"))
                continue
            if is_worth_retrying(reply.status):
                error = self.refuse(reply, asked)
                error.retry_after_seconds = _retry_after(reply.header("retry-after"), self._now)
                raise error
            return reply
        raise fault(f"the registry '{host_of(request.url)}' redirects without end", request, slug="registry-redirect")

    def _fetch_once(self, request: Request, limit: int) -> Fetched:
        parts = []
        size = 0
        with self._send_once(request) as reply:
            while data := reply.read(min(limit + 1 - size, _PIECE_BYTES)):
                self.pace.check()
                parts.append(data)
                size += len(data)
                if size > limit:
                    raise fault(
                        f"the registry '{host_of(request.url)}' answers with more than {limit} bytes",
                        request,
                        slug="registry-too-large",
                    )
        return Fetched(reply=reply, body=b"".join(parts))

    def _patience(self, error: RegistryError, attempt: int) -> float | None:
        """Return how long to wait before the next attempt; None when this one was the last."""
        limits = self.limits
        most = limits.registry_connect_attempts if error.slug in NO_WAY else limits.registry_attempts
        if not error.is_retryable or attempt >= most:
            return None
        pause = self.retry_pause(attempt)
        wanted = error.retry_after_seconds
        if wanted is None:
            return pause
        return None if wanted > limits.registry_retry_after_seconds else max(wanted, pause)


def _redirected(first: Request, asked: Request, location: str) -> Request:
    try:
        url = urljoin(asked.url, location)
        scheme, host, _ = origin(url)
        is_local = is_loopback_host(origin(first.url)[1])
    except ValueError:
        raise fault(
            f"the registry '{host_of(asked.url)}' redirects to nowhere", asked, slug="registry-redirect"
        ) from None
    if scheme != "https" and not (is_local and is_loopback_host(host)):
        raise fault(
            f"the registry '{host_of(asked.url)}' redirects to '{host_of(url)}' without TLS",
            asked,
            slug="registry-redirect",
            hint="the registry's storage must be reachable by https",
        )
    if asked.body and origin(url) != origin(asked.url):
        raise fault(
            f"the server '{host_of(asked.url)}' redirects a secret to '{host_of(url)}'", asked, slug="registry-redirect"
        )
    return asked.to(url)


def _retry_after(text: str, now: Callable[[], float]) -> float | None:
    """Return the seconds that a Retry-After header asks for, None without one that can be read."""
    text = text.strip()
    if text.isdecimal() and len(text) < 10:
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - now(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return None
