"""A registry in memory behind the ``Transport`` protocol, images for it, and a pace that waits for nobody."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.fakes.tars import directory, member

from jettison.digest import digest_of
from jettison.errors import CancelledError, RegistryError
from jettison.limits import Limits
from jettison.oci import descriptor as types
from jettison.registry.client import RegistryClient
from jettison.registry.exchange import Exchange

NOW = 1_700_000_000.0
QUICK = Limits(registry_attempts=3, registry_connect_attempts=2, resume_bytes=64)


class FakeReply:
    """A reply; ``breaks_at`` lets the connection break after so many bytes, ``piece`` bounds what one read gives."""

    def __init__(self, status=200, body=b"", *, breaks_at=None, piece=1 << 20, **headers):
        self.status = status
        self._body = body
        self._headers = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        self._breaks_at = breaks_at
        self._piece = piece
        self._at = 0
        self.is_closed = False

    def header(self, name):
        return self._headers.get(name.lower(), "")

    def read(self, size, /):
        end = min(self._at + min(size, self._piece), len(self._body))
        if self._breaks_at is not None:
            end = min(end, self._breaks_at)
            if end == self._at:
                raise broken()
        data, self._at = self._body[self._at : end], end
        return data

    def close(self):
        self.is_closed = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def broken():
    return RegistryError("the connection broke off", slug="registry-broken-off", is_retryable=True)


def unreachable():
    return RegistryError("can't be reached", slug="registry-unreachable", is_retryable=True)


@dataclass
class FakeRegistry:
    """Manifests by (repository, tag or digest), blobs by digest. ``first`` may answer (or raise) in place of the registry."""

    manifests: dict = field(default_factory=dict)
    blobs: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)
    first: object = None
    has_ranges: bool = True

    def send(self, request):
        self.asked.append(request)
        reply = self.first(request) if self.first else None
        if isinstance(reply, Exception):
            raise reply
        return reply or self._answer(request)

    def _answer(self, request):
        path = urlsplit(request.url).path
        if path == "/v2/":
            return FakeReply(200, b"{}")
        repository, kind, name = path.removeprefix("/v2/").rsplit("/", 2)
        if kind == "manifests" and (repository, name) in self.manifests:
            data, media_type = self.manifests[repository, name]
            return FakeReply(200, data, content_type=media_type, docker_content_digest=digest_of(data))
        if kind == "blobs" and name in self.blobs:
            return self._blob(self.blobs[name], dict(request.headers).get("Range"))
        code = "MANIFEST_UNKNOWN" if kind == "manifests" else "BLOB_UNKNOWN"
        return FakeReply(404, json.dumps({"errors": [{"code": code, "message": "unknown"}]}).encode())

    def _blob(self, data, wanted):
        if wanted and self.has_ranges:
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            rest = data[start:]
            return FakeReply(206, rest, content_range=f"bytes {start}-{len(data) - 1}/{len(data)}")
        return FakeReply(200, data, content_length=str(len(data)))

    def paths(self):
        return [urlsplit(request.url).path for request in self.asked]

    def put_blob(self, data):
        digest = digest_of(data)
        self.blobs[digest] = data
        return digest

    def put_manifest(self, repository, document, *names):
        data = json.dumps(document).encode()
        for name in (*names, digest_of(data)):
            self.manifests[repository, name] = (data, document["mediaType"])
        return {"mediaType": document["mediaType"], "digest": digest_of(data), "size": len(data)}

    def put_image(self, repository, *names, layers=(), platform=("linux", "amd64"), diff_ids=None, instead=None):
        """Store an image; return the descriptor of its manifest."""
        blobs = [gzip.compress(tar, mtime=0) for tar in layers]
        config = {
            "os": platform[0],
            "architecture": platform[1],
            "config": {"Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids or [digest_of(tar) for tar in layers]},
        }
        data = json.dumps(config).encode()
        document = {
            "schemaVersion": 2,
            "mediaType": types.OCI_MANIFEST,
            "config": {"mediaType": types.OCI_CONFIG, "digest": self.put_blob(data), "size": len(data)},
            "layers": [
                {"mediaType": types.OCI_LAYER_GZIP, "digest": self.put_blob(blob), "size": len(blob)} for blob in blobs
            ],
        }
        return self.put_manifest(repository, {**document, **(instead or {})}, *names)

    def put_index(self, repository, *names, entries):
        """Store an index of (descriptor, platform text) pairs."""
        manifests = []
        for entry, platform in entries:
            os, architecture, *variant = platform.split("/")
            place = {"os": os, "architecture": architecture, **({"variant": variant[0]} if variant else {})}
            manifests.append({**entry, "platform": place})
        return self.put_manifest(
            repository, {"schemaVersion": 2, "mediaType": types.OCI_INDEX, "manifests": manifests}, *names
        )


class FakePace:
    """Counts pauses instead of making them; ``gives_up_after`` checks it says that nobody wants the transfer."""

    def __init__(self, gives_up_after=None):
        self.pauses = []
        self._left = gives_up_after

    def check(self):
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise CancelledError("cancelled")

    def pause(self, seconds, why):
        self.pauses.append(seconds)


class FakeCredentials:
    def __init__(self, credential=None, reason=""):
        self.credential = credential
        self.reason = reason
        self.asked = []

    def find(self, domain):
        self.asked.append(domain)
        return self.credential

    def why_not(self, domain):
        return self.reason


def a_client(registry, domain="reg.example", *, credentials=None, pace=None, limits=QUICK):
    exchange = Exchange(registry, pace or FakePace(), lambda: NOW, limits)
    return RegistryClient(domain, exchange, credentials or FakeCredentials())


def a_layer(name=b"etc/file", data=b"content"):
    """Return an uncompressed layer tar."""
    return directory(b"etc/") + member(name, data) + bytes(1024)
