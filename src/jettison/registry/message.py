"""Requests and replies of the distribution protocol, and the errors that they become.

Owns what may be shown of a request: method, host and path; queries hold signatures, user parts hold passwords, and neither
ever reaches an error. Text of a server is cut and freed of control characters. Pure but for the reply's stream.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from jettison.errors import RegistryError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_TEXT_CHARS = 300
_CODE_CHARS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; names of headers are in their usual spelling, ``authorization`` is sent as the header of that name."""

    url: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    authorization: str = field(default="", repr=False)
    body: bytes = field(default=b"", repr=False)

    def with_authorization(self, value: str) -> Request:
        """Return the request with this authorization."""
        return replace(self, authorization=value)

    def with_header(self, name: str, value: str) -> Request:
        """Return the request with one header more."""
        return replace(self, headers=(*self.headers, (name, value)))

    def to(self, url: str) -> Request:
        """Return the request for another URL; the authorization stays here unless the server is the same."""
        same = origin(url) == origin(self.url)
        return replace(self, url=url, authorization=self.authorization if same else "")


class Reply(Protocol):
    """An answer whose body is still to be read. A context manager; closing it early gives the connection up."""

    @property
    def status(self) -> int:
        """The status code."""
        ...

    def header(self, name: str) -> str:
        """Return the header's value, several of one name joined by commas; empty without one."""
        ...

    def read(self, size: int, /) -> bytes:
        """Return at most that many bytes of the body, none at its end only.

        Raises:
            RegistryError: ``registry-broken-off``, ``registry-timeout``.

        """
        ...

    def close(self) -> None:
        """Give the body up."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Transport(Protocol):
    """Sends one request and returns its reply: no second attempt, no redirect followed. Safe to call from any thread."""

    def send(self, request: Request) -> Reply:
        """Return the reply as soon as its headers are there.

        Raises:
            RegistryError: ``registry-unreachable``, ``registry-tls``, ``registry-timeout``, ``registry-broken-off``,
                ``registry-proxy``.

        """
        ...


class Pace(Protocol):
    """How a transfer waits, and learns that nobody wants it any more."""

    def check(self) -> None:
        """Do nothing while the transfer is wanted.

        Raises:
            CancelledError: it was given up.

        """
        ...

    def pause(self, seconds: float, why: str) -> None:
        """Wait, and say why to whoever watches.

        Raises:
            CancelledError: it was given up meanwhile.

        """
        ...


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of an absolute URL.

    Raises:
        ValueError: there is no host, or the port is no number.

    """
    parts = urlsplit(url)
    if not parts.hostname or parts.scheme not in {"http", "https"}:
        raise ValueError("no absolute URL")
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def host_of(url: str) -> str:
    """Return the host of a URL as people write it, with its port if it is not the usual one."""
    try:
        scheme, host, port = origin(url)
    except ValueError:
        return "?"
    name = f"[{host}]" if ":" in host else host
    return name if port == (443 if scheme == "https" else 80) else f"{name}:{port}"


def redact_url(url: str) -> str:
    """Return the URL without what may be secret: no user part, no query, no fragment."""
    parts = urlsplit(url)
    return clean_text(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")


def clean_text(text: str, limit: int = _TEXT_CHARS) -> str:
    """Return text of a server fit for one line of an error."""
    shown = "".join(char if char.isprintable() else " " for char in text[: limit + 1])
    return " ".join((shown if len(text) <= limit else f"{shown[:limit]}...").split())


def fault(
    message: str, request: Request, *, slug: str, hint: str | None = None, is_retryable: bool = False
) -> RegistryError:
    """Return the error of a request, with method and URL."""
    url = redact_url(request.url)
    return RegistryError(
        message,
        slug=slug,
        hint=hint,
        notes=(f"{request.method} {url}",),
        is_retryable=is_retryable,
        method=request.method,
        url=url,
    )


def refusal(request: Request, status: int, body: bytes) -> RegistryError:
    """Return the error for an answer that is none of those we can use."""
    code, text = _server_word(body)
    host = host_of(request.url)
    message, slug, hint = _reason(status, host)
    if status in {401, 403} and not request.authorization:
        hint = "log in with 'docker login': its config.json and credential helpers are read"
    url = redact_url(request.url)
    said = f" ({code})" if code else ""
    notes = [f"{request.method} {url} gave {status}{said}"]
    if text:
        notes.append(f"the registry says: {text}")
    return RegistryError(
        message,
        slug=slug,
        hint=hint,
        notes=tuple(notes),
        is_retryable=is_worth_retrying(status),
        method=request.method,
        url=url,
        status=status,
        code=code,
    )


def is_worth_retrying(status: int) -> bool:
    """Tell whether the same request may fare better later."""
    return status in {408, 429} or (500 <= status <= 599 and status != 501)


def _reason(status: int, host: str) -> tuple[str, str, str | None]:
    if status == 401:
        message, slug = f"the registry '{host}' refuses us", "registry-unauthorized"
        return message, slug, "log in again with 'docker login': these credentials are not taken"
    if status == 403:
        message, slug = f"the registry '{host}' does not allow this", "registry-unauthorized"
        return message, slug, "ask its owner for the right to read this repository"
    if status == 404:
        message, slug = f"the registry '{host}' has nothing of this name", "registry-not-found"
        return message, slug, "check name and tag"
    if status == 429:
        message, slug = f"the registry '{host}' wants fewer requests", "registry-rate-limit"
        return message, slug, "wait a while, or log in with 'docker login': accounts may ask for more"
    if status == 407:
        message, slug = "the proxy wants a name and a password", "registry-proxy"
        return message, slug, "put them into HTTPS_PROXY: http://name:password@host:port"
    message, slug = f"the registry '{host}' answered {status}", "registry-answer"
    return message, slug, "try again later" if is_worth_retrying(status) else None


def _server_word(body: bytes) -> tuple[str, str]:
    """Return code and message of the first error of an error document, empty where there is none."""
    try:
        document = json.loads(body)
        first = document["errors"][0] if document.get("errors") else document
        code, text = first.get("code", ""), first.get("message") or first.get("details") or ""
    except (ValueError, RecursionError, KeyError, IndexError, TypeError, AttributeError):
        return "", ""
    return (
        clean_text(code, _CODE_CHARS) if isinstance(code, str) else "",
        clean_text(text) if isinstance(text, str) else "",
    )
