"""Typed calls of one registry: manifests and blobs of its repositories, with authorization.

Owns the address of a registry (``docker.io`` is ``registry-1.docker.io``; without TLS only on this host) and what an answer
must prove: a manifest its digest and size, a blob of bytes too; a blob that streams proves its size here and its digest where
it is written. Foreign ``urls`` of descriptors are never followed. Source: OCI distribution specification, "Pull".
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jettison.digest import digest_of, is_digest, parse_digest
from jettison.errors import RegistryError
from jettison.oci.descriptor import DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from jettison.registry.auth import is_loopback_url, pull_scope
from jettison.registry.authority import Authority
from jettison.registry.blob import BlobStream
from jettison.registry.message import Request, fault, host_of, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from jettison.digest import Digest
    from jettison.oci.descriptor import Descriptor
    from jettison.registry.credentials import Credentials
    from jettison.registry.exchange import Exchange, Fetched
    from jettison.registry.message import Reply

_HUB = "docker.io"
_HUB_HOST = "registry-1.docker.io"
_ACCEPT = ("Accept", f"{OCI_INDEX}, {DOCKER_INDEX}, {OCI_MANIFEST}, {DOCKER_MANIFEST}")
_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawManifest:
    """A manifest or index as it came, with what its carrier calls it; the digest is that of the bytes."""

    data: bytes
    media_type: str
    digest: Digest


class RegistryClient:
    """One registry. Safe to call from any thread."""

    def __init__(self, domain: str, exchange: Exchange, credentials: Credentials) -> None:
        self.domain = domain
        self._exchange = exchange
        self._authority = Authority(domain, exchange, credentials)
        self._lock = threading.Lock()
        self._base = ""

    @property
    def host(self) -> str:
        """The host that answers for the registry."""
        return _HUB_HOST if self.domain == _HUB else self.domain

    def manifest(self, repository: str, wanted: str) -> RawManifest:
        """Return the manifest or index of a tag or digest; that of a digest has it.

        Raises:
            RegistryError: ``registry-not-found``, ``registry-unauthorized``, ``registry-digest``, ``registry-old-format``, and
                those of requests.

        """
        url = f"{self._address()}/v2/{repository}/manifests/{wanted}"
        request = Request(url=url, headers=(_ACCEPT,))
        try:
            fetched = self._fetch(request, repository, self._exchange.limits.config_bytes)
        except RegistryError as error:
            if error.slug == "registry-not-found":
                joint = "@" if is_digest(wanted) else ":"
                error.message = f"no image '{repository}{joint}{wanted}' in the registry '{self.host}'"
                error.args = (error.message,)
            raise
        media_type = fetched.reply.header("content-type")
        if media_type.startswith(_SCHEMA_1):
            raise fault(
                f"'{repository}:{wanted}' is stored in docker's schema 1, which is no longer supported",
                request,
                slug="registry-old-format",
                hint="its owner must push it again with a docker of this decade",
            )
        digest = digest_of(fetched.body)
        stated = wanted if is_digest(wanted) else fetched.reply.header("docker-content-digest").strip()
        if is_digest(stated) and digest != stated:
            raise _wrong_bytes(request, parse_digest(stated), digest)
        return RawManifest(data=fetched.body, media_type=media_type, digest=digest)

    def blob_bytes(self, repository: str, blob: Descriptor) -> bytes:
        """Return a small blob: exactly the descriptor's bytes.

        Raises:
            RegistryError: ``registry-digest``, ``registry-size``, ``registry-too-large``, and those of requests.

        """
        request = self._blob_request(repository, blob)
        limit = self._exchange.limits.config_bytes
        if blob.size_bytes > limit:
            raise fault(
                f"a blob of {blob.size_bytes} bytes is too large for what it is, the limit is {limit}",
                request,
                slug="registry-too-large",
            )
        data = self._fetch(request, repository, blob.size_bytes).body
        if len(data) != blob.size_bytes:
            raise fault(
                f"a blob of '{repository}' has {len(data)} bytes, {blob.size_bytes} were announced",
                request,
                slug="registry-size",
            )
        if digest_of(data) != blob.digest:
            raise _wrong_bytes(request, blob.digest, digest_of(data))
        return data

    def open_blob(self, repository: str, blob: Descriptor, on_bytes: Callable[[int], None]) -> BlobStream:
        """Return the blob as a stream that ends well only with the right number of bytes; its digest is the caller's to check.

        Nothing is asked before the first read. A transfer that breaks off goes on where it was. ``on_bytes`` is told of each
        piece.
        """
        request = self._blob_request(repository, blob)
        return BlobStream(
            request, blob.size_bytes, lambda wanted: self._open(wanted, repository), self._exchange, on_bytes
        )

    def _blob_request(self, repository: str, blob: Descriptor) -> Request:
        return Request(url=f"{self._address()}/v2/{repository}/blobs/{blob.digest}")

    def _fetch(self, request: Request, repository: str, limit: int) -> Fetched:
        """Return an answer of status 200, after a challenge if there is one."""
        limit = max(limit, self._exchange.limits.registry_answer_bytes)
        scope = pull_scope(repository)
        asked = self._authorized(request, scope)
        fetched = self._exchange.fetch(asked, limit)
        if fetched.reply.status == 401:
            answered = self._answered(asked, scope, fetched.reply)
            if answered is not None:
                asked = answered
                fetched = self._exchange.fetch(asked, limit)
        if fetched.reply.status != 200:
            raise self._explained(refusal(asked, fetched.reply.status, fetched.body))
        return fetched

    def _open(self, request: Request, repository: str) -> Reply:
        """Return an unread answer of status 200, 206 or 416, after a challenge if there is one."""
        scope = pull_scope(repository)
        asked = self._authorized(request, scope)
        reply = self._exchange.send(asked)
        if reply.status == 401:
            answered = self._answered(asked, scope, reply)
            if answered is not None:
                reply.close()
                asked = answered
                reply = self._exchange.send(asked)
        if reply.status not in {200, 206, 416}:
            raise self._explained(self._exchange.refuse(reply, asked))
        return reply

    def _authorized(self, request: Request, scope: str) -> Request:
        return request.with_authorization(self._authority.held(scope))

    def _answered(self, asked: Request, scope: str, reply: Reply) -> Request | None:
        header = self._authority.renew(
            scope,
            reply.header("www-authenticate"),
            refused=asked.authorization,
            is_local=is_loopback_url(asked.url),
        )
        return asked.with_authorization(header) if header else None

    def _explained(self, error: RegistryError) -> RegistryError:
        """Add to a refusal why we have no credentials, if something went wrong with them."""
        reason = self._authority.why_not()
        if reason and error.status in {401, 403, 429}:
            error.notes_given = (*error.notes_given, reason)
        return error

    def _address(self) -> str:
        """Return scheme and host. A registry on this host may do without TLS: it is asked which it speaks."""
        with self._lock:
            if not self._base:
                plain = f"http://{self.host}"
                self._base = plain if is_loopback_url(plain) and self._speaks_plain(plain) else f"https://{self.host}"
            return self._base

    def _speaks_plain(self, plain: str) -> bool:
        """Tell whether the server on this host takes HTTP; a server that wants TLS answers 400, or nothing at all."""
        try:
            fetched = self._exchange.fetch(Request(url=f"{plain}/v2/"), self._exchange.limits.registry_answer_bytes)
        except RegistryError as error:
            if error.slug == "registry-broken-off":
                return False
            if error.status:
                return True
            raise
        return fetched.reply.status != 400


def _wrong_bytes(request: Request, wanted: Digest, found: Digest) -> RegistryError:
    return fault(
        f"the registry '{host_of(request.url)}' sent '{found}' for '{wanted}'",
        request,
        slug="registry-digest",
        hint="try again; if it stays, the registry or something on the way is damaged, or not what it claims to be",
    )
