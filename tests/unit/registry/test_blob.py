from __future__ import annotations

import pytest
from tests.fakes.registry import FakePace, FakeRegistry, FakeReply, a_client, broken, unreachable

from jettison.digest import digest_of
from jettison.errors import CancelledError, RegistryError
from jettison.oci.descriptor import OCI_LAYER, Descriptor

DATA = bytes(range(256)) * 2


def blob(size=None):
    return Descriptor(media_type=OCI_LAYER, digest=digest_of(DATA), size_bytes=len(DATA) if size is None else size)


def read(registry, descriptor=None, *, pace=None, piece=100):
    """Return the whole blob and the counts that were told on the way."""
    told = []
    client = a_client(registry, pace=pace)
    with client.open_blob("app", descriptor or blob(), told.append) as stream:
        data = b"".join(iter(lambda: stream.read(piece), b""))
    return data, told


def registry(*, breaks=(), **options):
    """A registry whose answers to the first blob requests break off after so many bytes."""
    server = FakeRegistry(**options)
    server.put_blob(DATA)
    left = list(breaks)

    def first(request):
        if not left or "/blobs/" not in request.url:
            return None
        end = left.pop(0)
        if end is None:
            return broken()
        whole = server._answer(request)
        return FakeReply(whole.status, whole._body, breaks_at=end, **whole._headers)

    server.first = first
    return server


def ranges(server):
    return [dict(request.headers).get("Range") for request in server.asked if "/blobs/" in request.url]


def test_blob_streams_and_tells_of_its_bytes():
    data, told = read(registry())
    assert data == DATA
    assert sum(told) == len(DATA)


def test_empty_blob():
    server = FakeRegistry()
    empty = Descriptor(media_type=OCI_LAYER, digest=server.put_blob(b""), size_bytes=0)
    assert read(server, empty)[0] == b""


def test_transfer_goes_on_where_it_broke_off():
    server = registry(breaks=[150, 100, None])
    pace = FakePace()
    assert read(server, pace=pace)[0] == DATA
    assert ranges(server) == [None, "bytes=150-511", "bytes=250-511", "bytes=250-511"]
    assert pace.pauses == [0.5, 0.5, 0.5]


def test_registry_without_ranges_is_read_again_from_the_start():
    server = registry(breaks=[150], has_ranges=False)
    data, told = read(server)
    assert data == DATA
    assert sum(told) == len(DATA)


def test_transfer_that_never_gets_on_is_given_up():
    server = registry(breaks=[10, 0, 0, 0])
    with pytest.raises(RegistryError) as caught:
        read(server)
    assert caught.value.slug == "registry-broken-off"
    assert len(ranges(server)) == 3


def test_registry_that_goes_away_is_given_up():
    server = registry(breaks=[10])
    answers = server.first
    server.first = lambda request: answers(request) or (unreachable() if len(server.asked) > 1 else None)
    with pytest.raises(RegistryError) as caught:
        read(server)
    assert caught.value.slug == "registry-unreachable"


def test_connection_that_breaks_behind_the_last_byte_does_no_harm():
    assert read(registry(breaks=[len(DATA)]))[0] == DATA


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(FakeReply(206, DATA[150:], content_range="bytes 149-511/512"), id="other start"),
        pytest.param(FakeReply(206, DATA[150:], content_range="bytes 150-512/513"), id="other end"),
        pytest.param(FakeReply(206, DATA[150:]), id="no range said"),
        pytest.param(FakeReply(206, DATA[150:], content_range="bytes 150-9999999999999999999999/*"), id="huge"),
        pytest.param(FakeReply(416), id="refused"),
    ],
)
def test_wrong_continuation_is_refused(reply):
    server = registry(breaks=[150])
    answers = server.first
    server.first = lambda request: reply if dict(request.headers).get("Range") else answers(request)
    with pytest.raises(RegistryError) as caught:
        read(server)
    assert caught.value.slug == "registry-range"


@pytest.mark.parametrize("size", [len(DATA) - 1, len(DATA) + 1, 0])
def test_announced_size_is_checked_before_the_bytes(size):
    with pytest.raises(RegistryError) as caught:
        read(registry(), blob(size))
    assert caught.value.slug == "registry-size"


def test_endless_blob_is_cut():
    server = FakeRegistry(first=lambda _: FakeReply(200, DATA * 1000, piece=300))
    with pytest.raises(RegistryError, match="more than the 512 bytes"):
        read(server, piece=1 << 20)


def test_short_blob_is_an_error():
    server = FakeRegistry(first=lambda request: FakeReply(416 if request.headers else 200, DATA[:-1]))
    with pytest.raises(RegistryError):
        read(server)


def test_partial_answer_to_a_whole_request_is_refused():
    server = FakeRegistry(first=lambda _: FakeReply(206, DATA, content_range="bytes 0-511/512"))
    with pytest.raises(RegistryError):
        read(server)


def test_transfer_ends_when_nobody_wants_it():
    with pytest.raises(CancelledError):
        read(registry(), pace=FakePace(gives_up_after=3))
