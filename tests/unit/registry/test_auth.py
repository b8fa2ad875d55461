from __future__ import annotations

from base64 import b64decode

import pytest

from jettison.errors import RegistryError
from jettison.registry.auth import (
    Authorization,
    Credential,
    TokenRequest,
    answer_challenges,
    is_loopback_url,
    parse_challenges,
    parse_token,
    pull_scope,
)

ANN = Credential(name="ann", secret="hush hush")
HUB = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/x:pull"'


def found(header):
    return [(each.scheme, dict(each.parameters)) for each in parse_challenges(header)]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param("", [], id="none"),
        pytest.param("Basic", [("basic", {})], id="bare scheme"),
        pytest.param('Basic realm="a b"', [("basic", {"realm": "a b"})], id="quoted"),
        pytest.param("Basic realm=plain", [("basic", {"realm": "plain"})], id="plain"),
        pytest.param(r'Basic realm="a \"b\", c"', [("basic", {"realm": 'a "b", c'})], id="escapes and commas"),
        pytest.param(
            'Basic Realm = "x" , charset="UTF-8"', [("basic", {"realm": "x", "charset": "UTF-8"})], id="blanks"
        ),
        pytest.param(
            'Basic realm="x", Bearer realm="y"', [("basic", {"realm": "x"}), ("bearer", {"realm": "y"})], id="two"
        ),
        pytest.param('Negotiate abc==, Basic realm="x"', [("negotiate", {}), ("basic", {"realm": "x"})], id="token68"),
        pytest.param('Basic realm="x", realm="y"', [("basic", {"realm": "x"})], id="first of a repeated name"),
        pytest.param('Basic realm="never closed', [("basic", {"realm": ""})], id="open quote"),
    ],
)
def test_challenges_are_read(header, expected):
    assert found(header) == expected


def test_anonymous_token_is_asked_for_with_service_and_scope():
    answer = answer_challenges(HUB, scope=pull_scope("library/x"), credential=None, is_local=False)
    assert answer == TokenRequest(
        realm="https://auth.docker.io/token",
        query=(("service", "registry.docker.io"), ("scope", "repository:library/x:pull"), ("client_id", "jettison")),
    )


def test_scope_is_ours_not_what_the_server_names():
    header = 'Bearer realm="https://a.example/t",scope="repository:other/secret:pull,push"'
    answer = answer_challenges(header, scope=pull_scope("mine"), credential=None, is_local=False)
    assert ("scope", "repository:mine:pull") in answer.query


def test_credential_goes_to_the_token_server_as_basic():
    answer = answer_challenges(HUB, scope="s", credential=ANN, is_local=False)
    assert b64decode(answer.authorization.removeprefix("Basic ")) == b"ann:hush hush"
    assert ("account", "ann") in answer.query


def test_identity_token_is_exchanged_by_post():
    credential = Credential(name="", secret="refresh-me", is_identity=True)
    answer = answer_challenges(HUB, scope="s", credential=credential, is_local=False)
    assert answer.authorization == ""
    assert dict(answer.form)["refresh_token"] == "refresh-me"
    assert dict(answer.form)["grant_type"] == "refresh_token"


def test_basic_needs_a_credential():
    assert answer_challenges('Basic realm="x"', scope="s", credential=None, is_local=False) is None
    answer = answer_challenges('Basic realm="x"', scope="s", credential=ANN, is_local=False)
    assert isinstance(answer, Authorization)


def test_unknown_schemes_are_passed_over():
    header = 'Negotiate abc=, Basic realm="x"'
    assert isinstance(answer_challenges(header, scope="s", credential=ANN, is_local=False), Authorization)


@pytest.mark.parametrize(
    ("realm", "is_local"),
    [
        pytest.param("http://auth.example/token", False, id="no TLS"),
        pytest.param("http://auth.example/token", True, id="no TLS, from a registry here"),
        pytest.param("http://127.0.0.1:5/token", False, id="this host, from a registry elsewhere"),
        pytest.param("http://127.0.0.1@auth.example/token", True, id="user part that looks like this host"),
        pytest.param("ftp://auth.example/", False, id="other scheme"),
    ],
)
def test_unsafe_token_server_is_refused(realm, is_local):
    with pytest.raises(RegistryError) as caught:
        answer_challenges(f'Bearer realm="{realm}"', scope="s", credential=ANN, is_local=is_local)
    assert caught.value.slug == "registry-token"
    assert "hush" not in str(caught.value)


def test_token_server_on_this_host_may_do_without_tls_for_a_registry_here():
    answer = answer_challenges('Bearer realm="http://127.0.0.1:5/t"', scope="s", credential=None, is_local=True)
    assert answer.realm == "http://127.0.0.1:5/t"


@pytest.mark.parametrize("key", ["token", "access_token"])
def test_token_becomes_a_header(key):
    assert parse_token(b'{"%s": "abc.def"}' % key.encode(), "h").value == "Bearer abc.def"


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"token": ""}', b'{"token": 3}', b'{"token": "a\\r\\nX: y"}', b"[" * 9999]
)
def test_answer_without_a_token_is_refused(data):
    with pytest.raises(RegistryError, match="'h' gave no token"):
        parse_token(data, "h")


def test_secrets_stay_out_of_representations():
    answer = answer_challenges(HUB, scope="s", credential=ANN, is_local=False)
    shown = repr((ANN, answer, parse_token(b'{"token":"tick"}', "h")))
    assert "hush" not in shown
    assert "Basic" not in shown
    assert "tick" not in shown


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost", True),
        ("http://LOCALHOST:80/x", True),
        ("http://127.0.0.1/", True),
        ("http://127.200.3.4:5/x?y", True),
        ("http://[::1]:5/", True),
        ("http://127.0.0.1.example/", False),
        ("http://localhost.example/", False),
        ("http://128.0.0.1/", False),
        ("http://a@127.0.0.1/", False),
        ("http://127.0.0.1\\@evil.example/", False),
        ("http://127.0.0.999/", False),
    ],
)
def test_loopback_is_told_by_the_host_alone(url, expected):
    assert is_loopback_url(url) is expected
