from __future__ import annotations

import base64
import hashlib
import struct

from jettison.sandbox.keystore import parse_bundle, render_bundle, render_trust_store
from jettison.sandbox.trust import TRUST_DIRECTORY, make_trust, wanted_bundle

ONE, TWO, THREE = (bytes([number]) * 100 for number in (1, 2, 3))


def test_bundle_survives_a_round_trip_and_loses_doubles_and_noise():
    text = (
        b"# a comment\n"
        + render_bundle([ONE, TWO, ONE])
        + b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"
    )
    assert parse_bundle(text) == (ONE, TWO)
    assert parse_bundle(render_bundle([ONE, TWO]).replace(b"\n", b"\r\n")) == (ONE, TWO)
    assert max(map(len, render_bundle([ONE]).split(b"\n"))) == 64


def test_trust_store_is_sealed_and_lists_every_certificate():
    data = render_trust_store([ONE, TWO])
    assert struct.unpack(">III", data[:12]) == (0xFEEDFEED, 2, 2)
    assert data[-20:] == hashlib.sha1("changeit".encode("utf-16-be") + b"Mighty Aphrodite" + data[:-20]).digest()
    assert ONE in data
    assert TWO in data
    assert data == render_trust_store([ONE, TWO])


def test_callers_first_variable_wins_and_none_asks_for_nothing():
    assert wanted_bundle({"REQUESTS_CA_BUNDLE": "/r", "SSL_CERT_FILE": "/s"}) == "/s"
    assert wanted_bundle({"NODE_EXTRA_CA_CERTS": "/n", "SSL_CERT_FILE": ""}) == "/n"
    assert wanted_bundle({"PATH": "/bin"}) == ""


def test_step_trusts_both_bundles_from_a_private_place():
    trust = make_trust(host_bundle=render_bundle([TWO, THREE]), image_bundle=render_bundle([ONE, TWO]), step_env={})
    directory, bundle, store, apt = trust.mounts
    assert (directory.kind, directory.target) == ("tmpfs", TRUST_DIRECTORY)
    assert parse_bundle(bundle.data) == (ONE, TWO, THREE)
    assert store.data == render_trust_store([ONE, TWO, THREE])
    assert all(mount.target.startswith(TRUST_DIRECTORY + "/") and mount.is_read_only for mount in trust.mounts[1:])
    names = dict(trust.env)
    for name in (
        "SSL_CERT_FILE",
        "CURL_CA_BUNDLE",
        "GIT_SSL_CAINFO",
        "PIP_CERT",
        "REQUESTS_CA_BUNDLE",
        "NODE_EXTRA_CA_CERTS",
        "CARGO_HTTP_CAINFO",
    ):
        assert names[name] == bundle.target
    assert names["APT_CONFIG"] == apt.target
    assert apt.data.decode() == f'Acquire::https::CAInfo "{bundle.target}";\n'
    assert f"trustStore={store.target}" in names["JAVA_TOOL_OPTIONS"]


def test_variables_of_the_step_are_left_alone_and_options_are_added_to():
    env = {"SSL_CERT_FILE": "/own", "APT_CONFIG": "/etc/my.conf", "JAVA_TOOL_OPTIONS": "-Xmx1g"}
    trust = make_trust(host_bundle=render_bundle([ONE]), image_bundle=b"", step_env=env)
    names = dict(trust.env)
    assert "SSL_CERT_FILE" not in names
    assert trust.mounts[-1].data.endswith(b'#include "/etc/my.conf";\n')
    assert names["JAVA_TOOL_OPTIONS"].startswith("-Xmx1g -Djavax.net.ssl.trustStore=")
    own = make_trust(
        host_bundle=render_bundle([ONE]),
        image_bundle=b"",
        step_env={"JAVA_TOOL_OPTIONS": "-Djavax.net.ssl.trustStore=/x"},
    )
    assert "JAVA_TOOL_OPTIONS" not in dict(own.env)


def test_without_a_certificate_of_the_host_nothing_changes():
    trust = make_trust(host_bundle=b"nothing", image_bundle=render_bundle([ONE]), step_env={})
    assert (trust.mounts, trust.env) == ((), ())


def test_base64_lines_are_whole():
    assert base64.b64decode(b"".join(render_bundle([THREE]).split(b"\n")[1:-2])) == THREE
