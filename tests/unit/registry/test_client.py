from __future__ import annotations

import json
import threading
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.fakes.registry import FakeCredentials, FakeRegistry, FakeReply, a_client, broken

from jettison.digest import digest_of
from jettison.errors import RegistryError
from jettison.oci.descriptor import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, Descriptor
from jettison.registry.auth import Credential

ANN = Credential(name="ann", secret="hush")
REALM = "https://auth.example/token"


def descriptor(data, size=None):
    return Descriptor(media_type=OCI_CONFIG, digest=digest_of(data), size_bytes=len(data) if size is None else size)


def guarded(*, realm=REALM, service="reg", tokens=("one",), token_status=200, scheme="Bearer"):
    """A registry that wants one of the tokens; its token server gives them in turn."""
    server = FakeRegistry()
    server.put_image("app", "1")
    left = list(tokens)
    valid = set()

    def first(request):
        if request.url.startswith(realm):
            if token_status != 200:
                return FakeReply(token_status, b'{"errors":[{"code":"DENIED","message":"no"}]}')
            valid.clear()
            valid.add(f"Bearer {left[0] if len(left) == 1 else left.pop(0)}")
            return FakeReply(200, json.dumps({"token": next(iter(valid)).removeprefix("Bearer ")}).encode())
        if scheme == "Basic" and request.authorization.startswith("Basic "):
            return None
        if request.authorization in valid:
            return None
        challenge = f'{scheme} realm="{realm}",service="{service}",scope="x"'
        return FakeReply(401, b'{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}', www_authenticate=challenge)

    server.first = first
    server.valid = valid
    return server


def token_requests(server):
    return [request for request in server.asked if request.url.startswith(REALM)]


def test_docker_hub_has_another_host():
    server = FakeRegistry()
    server.put_image("library/x", "latest")
    a_client(server, "docker.io").manifest("library/x", "latest")
    assert server.asked[0].url == "https://registry-1.docker.io/v2/library/x/manifests/latest"


def test_manifest_is_asked_for_in_all_forms_we_know():
    server = FakeRegistry()
    server.put_image("app", "1")
    raw = a_client(server).manifest("app", "1")
    accepted = dict(server.asked[0].headers)["Accept"]
    assert all(word in accepted for word in ("image.index.v1", "image.manifest.v1", "manifest.list.v2", "manifest.v2"))
    assert raw.digest == digest_of(raw.data)
    assert raw.media_type == OCI_MANIFEST


def test_manifest_of_a_digest_has_it():
    server = FakeRegistry()
    entry = server.put_image("app", "1")
    server.manifests["app", entry["digest"]] = (b"{}", OCI_MANIFEST)
    with pytest.raises(RegistryError) as caught:
        a_client(server).manifest("app", entry["digest"])
    assert caught.value.slug == "registry-digest"


def test_manifest_of_a_tag_has_the_digest_that_the_header_says():
    server = FakeRegistry(first=lambda _: FakeReply(200, b"{}", docker_content_digest=digest_of(b"other")))
    with pytest.raises(RegistryError) as caught:
        a_client(server).manifest("app", "1")
    assert caught.value.slug == "registry-digest"


def test_schema_1_is_refused_by_name():
    kind = "application/vnd.docker.distribution.manifest.v1+prettyjws"
    server = FakeRegistry(first=lambda _: FakeReply(200, b'{"schemaVersion":1}', content_type=kind))
    with pytest.raises(RegistryError, match="schema 1") as caught:
        a_client(server).manifest("app", "1")
    assert caught.value.slug == "registry-old-format"


def test_unknown_manifest_is_named():
    with pytest.raises(RegistryError, match=r"no image 'app:9' in the registry 'reg\.example'") as caught:
        a_client(FakeRegistry()).manifest("app", "9")
    assert (caught.value.slug, caught.value.status, caught.value.code) == (
        "registry-not-found",
        404,
        "MANIFEST_UNKNOWN",
    )


def test_small_blob_is_verified():
    server = FakeRegistry()
    server.put_blob(b"config")
    client = a_client(server)
    assert client.blob_bytes("app", descriptor(b"config")) == b"config"
    for wrong, slug in (
        (descriptor(b"config", 5), "registry-size"),
        (descriptor(b"config", 9 << 20), "registry-too-large"),
    ):
        with pytest.raises(RegistryError) as caught:
            client.blob_bytes("app", wrong)
        assert caught.value.slug == slug
    server.blobs[digest_of(b"config")] = b"CONFIG"
    with pytest.raises(RegistryError) as caught:
        client.blob_bytes("app", descriptor(b"config"))
    assert caught.value.slug == "registry-digest"


def test_anonymous_token_is_fetched_once_and_used_for_all():
    server = guarded()
    config = server.put_blob(b"config")
    client = a_client(server)
    client.manifest("app", "1")
    client.blob_bytes("app", descriptor(b"config"))
    assert config
    assert len(token_requests(server)) == 1
    query = parse_qs(urlsplit(token_requests(server)[0].url).query)
    assert query == {"service": ["reg"], "scope": ["repository:app:pull"], "client_id": ["jettison"]}
    assert server.asked[-1].authorization == "Bearer one"


def test_token_is_for_one_repository():
    server = guarded()
    server.put_image("other", "1")
    client = a_client(server)
    client.manifest("app", "1")
    client.manifest("other", "1")
    assert len(token_requests(server)) == 2
    assert server.asked[3].authorization == ""


def test_expired_token_is_renewed():
    server = guarded(tokens=("one", "two"))
    client = a_client(server)
    client.manifest("app", "1")
    server.valid.clear()
    client.manifest("app", "1")
    assert server.asked[-1].authorization == "Bearer two"


def test_threads_share_one_token():
    server = guarded()
    client = a_client(server)
    threads = [threading.Thread(target=client.manifest, args=("app", "1")) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(token_requests(server)) == 1


def test_credentials_go_to_the_token_server_only():
    server = guarded()
    credentials = FakeCredentials(ANN)
    a_client(server, credentials=credentials).manifest("app", "1")
    assert credentials.asked == ["reg.example"]
    assert [request.url for request in server.asked if request.authorization.startswith("Basic ")] == [
        request.url for request in token_requests(server)
    ]


def test_credentials_are_not_looked_up_without_a_challenge():
    server = FakeRegistry()
    server.put_image("app", "1")
    credentials = FakeCredentials(ANN)
    a_client(server, credentials=credentials).manifest("app", "1")
    assert credentials.asked == []


def test_basic_credentials_are_sent_when_asked_for():
    server = guarded(scheme="Basic")
    a_client(server, credentials=FakeCredentials(ANN)).manifest("app", "1")
    assert [request.authorization for request in server.asked] == ["", "Basic YW5uOmh1c2g="]


def test_credentials_that_are_not_taken_are_told_of_without_them():
    server = guarded(token_status=401)
    with pytest.raises(RegistryError) as caught:
        a_client(server, credentials=FakeCredentials(ANN)).manifest("app", "1")
    assert caught.value.slug == "registry-unauthorized"
    assert caught.value.hint == "log in again: docker login reg.example"
    told = repr((caught.value.message, caught.value.notes_given, caught.value.hint))
    assert not any(secret in told for secret in ("hush", "YW5u", "account=", "Basic"))


def test_refusal_after_a_token_is_final():
    server = guarded()
    challenge = f'Bearer realm="{REALM}",service="reg"'
    answers = server.first
    server.first = lambda request: (
        answers(request) if request.url.startswith(REALM) else FakeReply(401, www_authenticate=challenge)
    )
    with pytest.raises(RegistryError) as caught:
        a_client(server).manifest("app", "1")
    assert caught.value.slug == "registry-unauthorized"
    assert len(server.asked) == 3


def test_refusal_says_why_there_are_no_credentials():
    server = guarded(scheme="Basic")
    with pytest.raises(RegistryError) as caught:
        a_client(server, credentials=FakeCredentials(reason="the helper is not there")).manifest("app", "1")
    assert "the helper is not there" in caught.value.notes_given
    assert "docker login" in caught.value.hint


def test_registry_on_this_host_may_do_without_tls():
    server = FakeRegistry()
    server.put_image("app", "1")
    a_client(server, "127.0.0.1:5000").manifest("app", "1")
    assert [request.url for request in server.asked] == [
        "http://127.0.0.1:5000/v2/",
        "http://127.0.0.1:5000/v2/app/manifests/1",
    ]


@pytest.mark.parametrize("answer", [FakeReply(400, b"this is TLS"), broken()], ids=["400", "broken off"])
def test_registry_on_this_host_that_wants_tls_gets_it(answer):
    server = FakeRegistry()
    server.put_image("app", "1")
    server.first = lambda request: answer if request.url.startswith("http:") else None
    a_client(server, "localhost:5000").manifest("app", "1")
    assert server.asked[-1].url == "https://localhost:5000/v2/app/manifests/1"


def test_registry_elsewhere_is_never_asked_without_tls():
    server = FakeRegistry(first=lambda _: broken())
    with pytest.raises(RegistryError):
        a_client(server).manifest("app", "1")
    assert all(request.url.startswith("https:") for request in server.asked)


def test_index_type_passes_through():
    server = FakeRegistry()
    server.put_index("app", "1", entries=[(server.put_image("app"), "linux/amd64")])
    assert a_client(server).manifest("app", "1").media_type == OCI_INDEX
