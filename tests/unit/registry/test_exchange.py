from __future__ import annotations

import pytest
from tests.fakes.registry import NOW, QUICK, FakePace, FakeRegistry, FakeReply, broken, unreachable

from jettison.errors import CancelledError, RegistryError
from jettison.registry.exchange import Exchange
from jettison.registry.message import Request, redact_url

URL = "https://reg.example/v2/app/blobs/x"


def run(answers, request=None, *, pace=None, url=URL):
    """Send one request to a server that gives these answers one after the other; return the body and what was asked."""
    answers = iter(answers)
    server = FakeRegistry(first=lambda _: next(answers))
    exchange = Exchange(server, pace or FakePace(), lambda: NOW, QUICK)
    fetched = exchange.fetch(request or Request(url=url), 100)
    return fetched, server.asked


@pytest.mark.parametrize("trouble", [408, 429, 500, 502, 503, 504], ids=str)
def test_server_trouble_is_tried_again_with_growing_pauses(trouble):
    pace = FakePace()
    fetched, asked = run([FakeReply(trouble), FakeReply(trouble), FakeReply(200, b"ok")], pace=pace)
    assert fetched.body == b"ok"
    assert len(asked) == 3
    assert pace.pauses == [0.5, 1.0]


def test_broken_connections_are_tried_again_also_in_the_body():
    fetched, asked = run([broken(), FakeReply(200, b"abc", breaks_at=1), FakeReply(200, b"abc")])
    assert fetched.body == b"abc"
    assert len(asked) == 3


def test_trouble_that_stays_is_an_error_with_all_that_is_known():
    body = b'{"errors": [{"code": "UNAVAILABLE", "message": "down\\u001b[31m for\\nrepair"}]}'
    with pytest.raises(RegistryError) as caught:
        run([FakeReply(503, body) for _ in range(3)], url=URL + "?sig=hush")
    error = caught.value
    assert (error.slug, error.method, error.url, error.status, error.code) == (
        "registry-answer",
        "GET",
        URL,
        503,
        "UNAVAILABLE",
    )
    assert error.is_retryable
    assert error.notes_given == (f"GET {URL} gave 503 (UNAVAILABLE)", "the registry says: down [31m for repair")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 501], ids=str)
def test_other_answers_are_given_back_at_once(status):
    fetched, asked = run([FakeReply(status, b"why")])
    assert (fetched.reply.status, fetched.body, len(asked)) == (status, b"why", 1)


def test_unreachable_server_is_tried_less_often():
    with pytest.raises(RegistryError):
        run([unreachable()] * QUICK.registry_connect_attempts)


@pytest.mark.parametrize(
    ("header", "pause"),
    [
        ("7", 7.0),
        ("0", 0.5),
        ("Tue, 14 Nov 2023 22:13:30 GMT", 10.0),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 0.5),
        ("soon", 0.5),
        ("-1", 0.5),
    ],
)
def test_retry_after_is_honoured(header, pause):
    pace = FakePace()
    run([FakeReply(429, retry_after=header), FakeReply()], pace=pace)
    assert pace.pauses == [pause]


def test_retry_after_that_is_too_long_is_told_instead_of_waited_for():
    pace = FakePace()
    with pytest.raises(RegistryError) as caught:
        run([FakeReply(429, retry_after="61")], pace=pace)
    assert caught.value.slug == "registry-rate-limit"
    assert caught.value.retry_after_seconds == 61.0
    assert pace.pauses == []


def test_body_has_a_bound():
    assert len(run([FakeReply(200, b"x" * 100, piece=7)])[0].body) == 100
    with pytest.raises(RegistryError) as caught:
        run([FakeReply(200, b"x" * 101, piece=7)])
    assert caught.value.slug == "registry-too-large"


def test_nobody_wants_it_any_more():
    with pytest.raises(CancelledError):
        run([FakeReply()], pace=FakePace(gives_up_after=0))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308], ids=str)
def test_redirect_to_another_host_gets_no_authorization(status):
    request = Request(url=URL, authorization="Bearer hush", headers=(("Range", "bytes=5-"),))
    _, asked = run([FakeReply(status, location="https://cdn.example/x?sig=1"), FakeReply()], request)
    assert asked[1].url == "https://cdn.example/x?sig=1"
    assert asked[1].authorization == ""
    assert asked[1].headers == request.headers


@pytest.mark.parametrize(
    "location", ["https://reg.example:444/x", "https://sub.reg.example/x", "https://REG.example.evil/x"]
)
def test_another_port_or_name_is_another_host(location):
    _, asked = run([FakeReply(307, location=location), FakeReply()], Request(url=URL, authorization="Bearer hush"))
    assert asked[1].authorization == ""


@pytest.mark.parametrize("location", ["/elsewhere", "https://reg.example/x", "https://REG.example:443/x"])
def test_redirect_within_the_host_keeps_authorization(location):
    _, asked = run([FakeReply(307, location=location), FakeReply()], Request(url=URL, authorization="Bearer hush"))
    assert asked[1].authorization == "Bearer hush"


def test_authorization_does_not_come_back_after_a_detour():
    answers = [FakeReply(307, location="https://cdn.example/x"), FakeReply(307, location=URL), FakeReply()]
    _, asked = run(answers, Request(url=URL, authorization="Bearer hush"))
    assert [request.authorization for request in asked] == ["Bearer hush", "", ""]


@pytest.mark.parametrize(
    ("url", "location"),
    [
        pytest.param(URL, "http://reg.example/x", id="out of TLS"),
        pytest.param(URL, "http://127.0.0.1/x", id="to this host"),
        pytest.param(URL, "ftp://reg.example/x", id="other scheme"),
        pytest.param(URL, "file:///etc/passwd", id="file"),
        pytest.param("http://127.0.0.1:5/x", "http://reg.example/x", id="out of this host without TLS"),
        pytest.param(URL, "https://reg.example:port/x", id="no port"),
    ],
)
def test_unsafe_redirect_is_refused(url, location):
    with pytest.raises(RegistryError) as caught:
        run([FakeReply(307, location=location)], url=url)
    assert caught.value.slug == "registry-redirect"


def test_secret_in_a_body_is_redirected_nowhere():
    request = Request(method="POST", url=URL, body=b"refresh_token=hush")
    with pytest.raises(RegistryError) as caught:
        run([FakeReply(307, location="https://evil.example/")], request)
    assert caught.value.slug == "registry-redirect"


def test_redirects_end():
    with pytest.raises(RegistryError, match="without end"):
        run([FakeReply(307, location=URL)] * (QUICK.registry_redirects + 1))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:hush@h.example:5/a/b?sig=hush#hush", "https://h.example:5/a/b"),
        ("https://h.example/a\u202eb", "https://h.example/a b"),
    ],
)
def test_urls_are_shown_without_secrets(url, shown):
    assert redact_url(url) == shown
