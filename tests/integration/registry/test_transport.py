"""Real connections: TLS, proxies, servers that go away."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
import time

import pytest
from tests.fakes.loopback import free_port, loopback_registry
from tests.fakes.registry import NOW, FakeCredentials, FakePace, FakeReply

from jettison.digest import digest_of
from jettison.errors import RegistryError
from jettison.limits import Limits
from jettison.oci.descriptor import OCI_LAYER, Descriptor
from jettison.registry.client import RegistryClient
from jettison.registry.exchange import Exchange
from jettison.registry.message import Request
from jettison.registry.transport import HttpTransport, TransportOptions

LIMITS = Limits(registry_attempts=3, registry_connect_attempts=2, registry_read_seconds=5, registry_connect_seconds=5)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A key and a certificate that signs itself, for 127.0.0.1."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    place = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=jettison-test -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run(
        [*command.split(), "-keyout", "key.pem", "-out", "cert.pem"], cwd=place, check=True, capture_output=True
    )
    return place


@pytest.fixture
def tls(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    with loopback_registry(context) as registry:
        registry.put_image("app", "1")
        yield registry


@pytest.fixture
def plain():
    with loopback_registry() as registry:
        registry.put_image("app", "1")
        yield registry


def transport(**options):
    return HttpTransport(TransportOptions(user_agent="jettison/test", limits=LIMITS, **options))


def client(host, opened, **options):
    return RegistryClient(host, Exchange(opened, FakePace(), lambda: NOW, LIMITS), FakeCredentials())


def fault_of(opened, url):
    with opened, pytest.raises(RegistryError) as caught:
        opened.send(Request(url=url)).close()
    return caught.value


def test_server_with_tls_is_trusted_by_the_callers_bundle(tls, certificate):
    bundle = b"# a comment, as bundles have\n" + (certificate / "cert.pem").read_bytes()
    with transport(ca_bundle=bundle) as opened:
        assert client(tls.host, opened).manifest("app", "1").data
    assert tls.asked[-1].url.startswith("https://")


def test_server_with_tls_that_nobody_vouches_for_is_refused(tls):
    error = fault_of(transport(), f"https://{tls.host}/v2/")
    assert error.slug == "registry-tls"
    assert not error.is_retryable
    assert "is not trusted" in error.message
    assert tls.asked == []


def test_certificate_for_another_name_is_refused(tls, certificate):
    bundle = (certificate / "cert.pem").read_bytes()
    error = fault_of(transport(ca_bundle=bundle), f"https://localhost:{tls.host.partition(':')[2]}/v2/")
    assert error.slug == "registry-tls"


def test_nobody_listens():
    port = free_port()
    error = fault_of(transport(), f"http://127.0.0.1:{port}/v2/")
    assert (error.slug, error.is_retryable) == ("registry-unreachable", True)
    assert error.message == f"the registry '127.0.0.1:{port}' can't be reached: connection refused"


def test_server_that_breaks_off_is_resumed(plain):
    data = bytes(range(256)) * 4096
    blob = Descriptor(media_type=OCI_LAYER, digest=plain.put_blob(data), size_bytes=len(data))
    ends = [300_000, 500_000]

    def first(request):
        if "/blobs/" not in request.url or not ends:
            return None
        whole = plain._answer(Request(url=request.url, headers=request.headers))
        return FakeReply(whole.status, whole._body, breaks_at=ends.pop(0), **whole._headers)

    plain.first = first
    told = []
    with transport() as opened, client(plain.host, opened).open_blob("app", blob, told.append) as stream:
        got = b"".join(iter(lambda: stream.read(1 << 16), b""))
    assert digest_of(got) == blob.digest
    assert sum(told) == len(data)
    ranges = [dict(request.headers).get("Range") for request in plain.asked if "/blobs/" in request.url]
    assert ranges == [None, "bytes=300000-1048575", "bytes=800000-1048575"]


def test_server_that_falls_silent_is_given_up(plain):
    limits = Limits(registry_read_seconds=0.2, registry_attempts=1)
    released = threading.Event()
    plain.first = lambda _: released.wait(5) and None
    opened = HttpTransport(TransportOptions(user_agent="x", limits=limits))
    assert fault_of(opened, f"http://{plain.host}/v2/").slug == "registry-timeout"
    released.set()


def test_read_that_waits_ends_when_the_transport_is_aborted(plain):
    data = bytes(1 << 20)
    plain.first = lambda _: FakeReply(200, data[:10], content_length="1048576")
    with transport() as opened:
        reply = opened.send(Request(url=f"http://{plain.host}/x"))
        found = []

        def read():
            try:
                found.append(reply.read(1 << 20))
            except RegistryError as error:
                found.append(error.slug)

        thread = threading.Thread(target=read)
        thread.start()
        time.sleep(0.1)
        opened.abort()
        thread.join(4)
        assert not thread.is_alive()
        reply.close()


def test_proxy_is_used_for_other_hosts_and_its_password_is_not_told(plain):
    environment = {"HTTPS_PROXY": f"http://ann:hush@{plain.host}", "NO_PROXY": "other.example"}
    error = fault_of(transport(environment=environment), "https://reg.example/v2/app/manifests/1?sig=hush")
    assert error.slug == "registry-proxy"
    assert error.url == "https://reg.example/v2/app/manifests/1"
    told = repr((error.message, error.notes_given, error.hint, error.__cause__))
    assert "hush" not in told
    assert error.__suppress_context__


def test_proxy_of_an_unknown_kind_is_refused(plain):
    error = fault_of(transport(environment={"HTTPS_PROXY": "socks5://ann:hush@127.0.0.1:1"}), "https://reg.example/")
    assert error.slug == "registry-proxy"
    assert "hush" not in error.message


def test_user_agent_is_sent_and_compression_declined(plain):
    with transport() as opened, opened.send(Request(url=f"http://{plain.host}/v2/")) as reply:
        assert reply.status == 200
    headers = dict(plain.asked[0].headers)
    assert headers["User-Agent"] == "jettison/test"
    assert headers["Accept-Encoding"] == "identity"
