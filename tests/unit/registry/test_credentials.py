from __future__ import annotations

import json
from base64 import b64encode

import pytest

from jettison.errors import UsageError
from jettison.registry.auth import Credential
from jettison.registry.credentials import DockerCredentials, HelperAnswer, read_docker_config


def auth(pair):
    return {"auth": b64encode(pair.encode()).decode()}


class Helpers:
    def __init__(self, **answers):
        self.answers = answers
        self.asked = []

    def __call__(self, name, wanted):
        self.asked.append((name, wanted.decode()))
        answer = self.answers[name]
        if isinstance(answer, HelperAnswer):
            return answer
        return HelperAnswer(code=0, out=json.dumps({"ServerURL": "x", **answer}).encode())


@pytest.fixture
def config(tmp_path):
    def write(document, **environment):
        path = tmp_path / ".docker" / "config.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return read_docker_config({"HOME": str(tmp_path), **environment})

    return write


def find(config, domain, **helpers):
    return DockerCredentials(config, Helpers(**helpers)).find(domain)


def test_without_a_file_there_are_no_credentials(tmp_path):
    assert find(read_docker_config({"HOME": str(tmp_path)}), "reg.example") is None


def test_docker_config_names_another_directory(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"reg.example": auth("ann:x")}}))
    assert find(read_docker_config({"DOCKER_CONFIG": str(tmp_path), "HOME": "/nowhere"}), "reg.example")


@pytest.mark.parametrize(
    ("key", "domain"),
    [
        ("reg.example", "reg.example"),
        ("reg.example:5000", "reg.example:5000"),
        ("https://reg.example", "reg.example"),
        ("https://reg.example/v1/", "reg.example"),
        ("http://reg.example/v2", "reg.example"),
        ("https://index.docker.io/v1/", "docker.io"),
    ],
)
def test_entry_is_found_by_host(config, key, domain):
    credential = find(config({"auths": {key: auth("ann:se:cret")}}), domain)
    assert (credential.name, credential.secret) == ("ann", "se:cret")


@pytest.mark.parametrize("domain", ["reg.example:5001", "sub.reg.example", "example", "docker.io"])
def test_entry_is_for_no_other_host(config, domain):
    assert find(config({"auths": {"reg.example": auth("ann:x")}}), domain) is None


def test_identity_token_wins_over_a_password(config):
    entry = {**auth("ann:x"), "identitytoken": "refresh"}
    assert find(config({"auths": {"r.example": entry}}), "r.example") == Credential(
        name="", secret="refresh", is_identity=True
    )


def test_empty_entry_of_a_helper_is_none(config):
    assert find(config({"auths": {"r.example": {}}}), "r.example") is None


def test_helper_of_the_registry_comes_before_the_common_one_and_the_file(config):
    document = {"auths": {"r.example": auth("file:x")}, "credHelpers": {"r.example": "own"}, "credsStore": "common"}
    helpers = Helpers(own={"Username": "own", "Secret": "s"}, common={"Username": "common", "Secret": "s"})
    credentials = DockerCredentials(config(document), helpers)
    assert credentials.find("r.example").name == "own"
    assert credentials.find("other.example").name == "common"
    assert credentials.find("r.example").name == "own"
    assert helpers.asked == [("own", "r.example"), ("common", "other.example")]


def test_helper_is_asked_for_docker_hub_by_its_old_address(config):
    helpers = Helpers(desktop={"Username": "ann", "Secret": "s"})
    DockerCredentials(config({"credsStore": "desktop"}), helpers).find("docker.io")
    assert helpers.asked == [("desktop", "https://index.docker.io/v1/")]


def test_helper_may_give_an_identity_token(config):
    credential = find(config({"credsStore": "h"}), "r.example", h={"Username": "<token>", "Secret": "refresh"})
    assert credential.is_identity


def test_helper_without_an_entry_leaves_the_file(config):
    document = {"auths": {"r.example": auth("file:x")}, "credsStore": "h"}
    credentials = DockerCredentials(
        config(document), Helpers(h=HelperAnswer(code=1, out=b"credentials not found in native keychain\n"))
    )
    assert credentials.find("r.example").name == "file"
    assert credentials.why_not("r.example") == ""


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (HelperAnswer(code=127, out=b""), "'docker-credential-h' is not there"),
        (HelperAnswer(code=1, out=b"the key\nring \x1b[31mis locked"), "failed: the key ring [31mis locked"),
        (HelperAnswer(code=0, out=b"no json"), "can't be read"),
        (HelperAnswer(code=0, out=b"[1]"), "can't be read"),
    ],
)
def test_helper_that_fails_is_no_error_but_a_reason(config, answer, reason):
    credentials = DockerCredentials(config({"credsStore": "h"}), Helpers(h=answer))
    assert credentials.find("r.example") is None
    assert reason in credentials.why_not("r.example")


@pytest.mark.parametrize("name", ["../evil", "a/b", "", " ", "a b", "-x"])
def test_helper_name_is_no_path(config, name):
    assert find(config({"credHelpers": {"r.example": name}}), "r.example") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nope",
        "[]",
        '{"auths": [1]}',
        '{"auths": {"a": 3}}',
        '{"credsStore": 3}',
        '{"credHelpers": {"a": 3}}',
        "[" * 9999,
    ],
)
def test_malformed_file_is_an_error_that_names_it(config, text):
    with pytest.raises(UsageError, match=r"config\.json' can't be read") as caught:
        config(text)
    assert caught.value.slug == "docker-config"


@pytest.mark.parametrize("entry", [{"auth": "%%%"}, {"auth": b64encode(b"no colon").decode()}, {"auth": 7}])
def test_malformed_entry_is_an_error_that_names_the_registry(config, entry):
    with pytest.raises(UsageError, match=r"'r\.example'"):
        find(config({"auths": {"r.example": entry}}), "r.example")


def test_secrets_stay_out_of_representations(config):
    assert "c2VjcmV0" not in repr(config({"auths": {"r.example": {"auth": "c2VjcmV0"}}}))
