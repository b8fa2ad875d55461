"""Requests over the network: pooled connections, TLS, proxies, timeouts; the one module that knows urllib3.

Owns which certificates are trusted: the system's and the caller's bundle together. Every fault of a library below becomes a
``RegistryError`` that names the host and no secret. Never sends a second request for one, never follows a redirect: that is
``exchange``. Load it only when something is to be sent, urllib3 costs more than most commands.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
import weakref
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3 import exceptions as faults

from jettison.errors import RegistryError, UsageError
from jettison.limits import DEFAULT_LIMITS, Limits
from jettison.registry.message import clean_text, fault, host_of, origin, redact_url
from jettison.registry.proxy import choose_proxy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    from jettison.registry.message import Reply, Request

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
_POOLS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportOptions:
    """How to reach servers. ``ca_bundle`` is PEM to trust beside the system's; ``environment`` holds proxy variables."""

    user_agent: str
    ca_bundle: bytes = b""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    limits: Limits = DEFAULT_LIMITS


class HttpTransport:
    """A ``Transport`` over pools of connections, one for each proxy. A context manager; safe to call from any thread."""

    def __init__(self, options: TransportOptions) -> None:
        self._options = options
        limits = options.limits
        self._timeout = urllib3.Timeout(connect=limits.registry_connect_seconds, read=limits.registry_read_seconds)
        self._context: ssl.SSLContext | None = None
        self._pools: dict[str, urllib3.PoolManager] = {}
        self._lock = threading.Lock()
        self._is_aborted = False
        self._replies: weakref.WeakSet[HttpReply] = weakref.WeakSet()

    def send(self, request: Request) -> Reply:
        """Return the reply as soon as its headers are there.

        Raises:
            RegistryError: ``registry-unreachable``, ``registry-tls``, ``registry-timeout``, ``registry-broken-off``,
                ``registry-proxy``.

        """
        headers = dict(request.headers)
        headers["User-Agent"] = self._options.user_agent
        headers["Accept-Encoding"] = "identity"
        if request.authorization:
            headers["Authorization"] = request.authorization
        try:
            reply = self._pool(request).request(
                request.method,
                request.url,
                body=request.body or None,
                headers=headers,
                preload_content=False,
                decode_content=False,
                redirect=False,
                retries=False,
            )
        except (faults.HTTPError, OSError, ValueError) as error:
            raise _told(request, error) from None  # the chain would hold URLs with what they carry
        assert isinstance(reply, urllib3.HTTPResponse), "the pools are ours"
        found = HttpReply(request, reply)
        self._replies.add(found)
        if self._is_aborted:
            found.abort()
        return found

    def abort(self) -> None:
        """End the reading of all bodies at once, in whatever thread, and of those that are still to come."""
        self._is_aborted = True
        for reply in list(self._replies):
            reply.abort()

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for pool in self._pools.values():
                pool.clear()
            self._pools.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _pool(self, request: Request) -> urllib3.PoolManager:
        scheme, host, port = origin(request.url)
        proxy = choose_proxy(scheme, host, port, self._options.environment)
        with self._lock:
            if self._context is None:
                self._context = _tls_context(self._options.ca_bundle)
            pool = self._pools.get(proxy)
            if pool is None:
                pool = self._pools[proxy] = self._new_pool(proxy, request, self._context)
            return pool

    def _new_pool(self, proxy: str, request: Request, context: ssl.SSLContext) -> urllib3.PoolManager:
        size = self._options.limits.pull_streams + self._options.limits.pull_images
        if not proxy:
            return urllib3.PoolManager(_POOLS, maxsize=size, timeout=self._timeout, ssl_context=context)
        parts = urlsplit(proxy)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise fault(
                f"the proxy {redact_url(proxy)!r} can't be used",
                request,
                slug="registry-proxy",
                hint="set HTTPS_PROXY to http://host:port or https://host:port",
            )
        headers = None
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers = urllib3.make_headers(proxy_basic_auth=pair)
        place = parts.netloc.rpartition("@")[2]
        return urllib3.ProxyManager(
            f"{parts.scheme}://{place}",
            _POOLS,
            maxsize=size,
            timeout=self._timeout,
            ssl_context=context,
            proxy_ssl_context=context,
            proxy_headers=headers,
        )


class HttpReply:
    """A ``Reply`` of urllib3; a body that was read to its end gives its connection back to the pool."""

    def __init__(self, request: Request, reply: urllib3.HTTPResponse) -> None:
        self._request = request
        self._reply = reply
        self._is_read = False

    @property
    def status(self) -> int:
        """The status code."""
        return self._reply.status

    def header(self, name: str) -> str:
        """Return the header's value, several of one name joined by commas; empty without one."""
        return self._reply.headers.get(name, "")

    def read(self, size: int, /) -> bytes:
        """Return at most that many bytes of the body, none at its end only.

        Raises:
            RegistryError: ``registry-broken-off``, ``registry-timeout``.

        """
        try:
            data = self._reply.read(size, decode_content=False)
        except (faults.HTTPError, OSError, ValueError) as error:
            raise _told(self._request, error) from None
        self._is_read = not data
        return data

    def abort(self) -> None:
        """Let a read that waits in another thread return."""
        with suppress(ValueError, OSError, RuntimeError):  # it has ended meanwhile
            self._reply.shutdown()

    def close(self) -> None:
        """Give the body up; what was not read costs the connection."""
        if not self._is_read:
            self._reply.close()
        self._reply.release_conn()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _tls_context(bundle: bytes) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    certificates = b"\n".join(_CERTIFICATE.findall(bundle)).decode("ascii")
    if certificates:
        try:
            context.load_verify_locations(cadata=certificates)
        except ssl.SSLError as error:
            raise UsageError(
                f"the CA bundle can't be read: {error.reason or error}",
                slug="ca-bundle",
                hint="mend the file that SSL_CERT_FILE or ca_bundle names",
            ) from error
    return context


def _told(request: Request, error: Exception) -> RegistryError:
    """Return what went wrong below a request, in our words."""
    host = host_of(request.url)
    causes = _causes(error)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return fault(
                f"the certificate of '{host}' is not trusted: {clean_text(cause.verify_message)}",
                request,
                slug="registry-tls",
                hint="let SSL_CERT_FILE or ca_bundle of the configuration name the authority that signed it",
            )
    for cause in causes:
        if isinstance(cause, faults.ProxyError):
            return fault(
                f"the proxy on the way to '{host}' gives no connection: {_reason(causes)}",
                request,
                slug="registry-proxy",
                hint="check HTTPS_PROXY and NO_PROXY",
                is_retryable=True,
            )
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            text = clean_text(cause.reason or "no common protocol")
            return fault(f"no TLS with the registry '{host}': {text}", request, slug="registry-tls")
    if any(isinstance(cause, faults.NewConnectionError | faults.ConnectTimeoutError) for cause in causes):
        return fault(
            f"the registry '{host}' can't be reached: {_reason(causes)}",
            request,
            slug="registry-unreachable",
            hint="check the network, the name, and HTTPS_PROXY",
            is_retryable=not _is_unknown_name(causes),
        )
    if any(isinstance(cause, faults.TimeoutError | TimeoutError) for cause in causes):
        return fault(f"the registry '{host}' fell silent", request, slug="registry-timeout", is_retryable=True)
    return fault(
        f"the connection to the registry '{host}' broke off: {_reason(causes)}",
        request,
        slug="registry-broken-off",
        is_retryable=True,
    )


def _causes(error: BaseException) -> list[BaseException]:
    """Return the error and what lies behind it, each once."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting and len(found) < 16:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and cause not in found:
            found.append(cause)
            waiting += [cause.__cause__, cause.__context__, getattr(cause, "original_error", None), *cause.args]
    return found


def _is_unknown_name(causes: list[BaseException]) -> bool:
    return any(isinstance(cause, socket.gaierror) and cause.errno != socket.EAI_AGAIN for cause in causes)


def _reason(causes: list[BaseException]) -> str:
    if any(isinstance(cause, socket.gaierror | faults.NameResolutionError) for cause in causes):
        return "its name can't be resolved"
    told = next((cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror), "")
    if told:
        return clean_text(told.lower())
    if any(isinstance(cause, faults.TimeoutError | TimeoutError) for cause in causes):
        return "no answer in time"
    return clean_text(type(causes[-1]).__name__)
