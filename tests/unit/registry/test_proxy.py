from __future__ import annotations

import pytest

from jettison.registry.proxy import choose_proxy

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        pytest.param({}, "", id="none"),
        pytest.param({"HTTPS_PROXY": PROXY}, PROXY, id="upper case"),
        pytest.param({"https_proxy": PROXY, "HTTPS_PROXY": "http://other"}, PROXY, id="lower case first"),
        pytest.param({"HTTP_PROXY": PROXY}, "", id="only for the other scheme"),
        pytest.param({"ALL_PROXY": PROXY}, PROXY, id="for all"),
        pytest.param({"HTTPS_PROXY": "proxy.example:3128"}, PROXY, id="without a scheme"),
        pytest.param({"HTTPS_PROXY": "  "}, "", id="blank"),
    ],
)
def test_proxy_comes_from_the_environment(environment, expected):
    assert choose_proxy("https", "reg.example", 443, environment) == expected


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"])
def test_this_host_needs_no_proxy(host):
    assert choose_proxy("http", host, 5000, {"HTTP_PROXY": PROXY}) == ""


@pytest.mark.parametrize(
    ("exceptions", "host", "port", "is_direct"),
    [
        ("*", "reg.example", 443, True),
        ("reg.example", "reg.example", 443, True),
        ("example", "reg.example", 443, True),
        (".example", "reg.example", 443, True),
        ("*.example", "reg.example", 443, True),
        (".reg.example", "reg.example", 443, False),
        ("eg.example", "reg.example", 443, False),
        ("a, REG.example ,b", "reg.example", 443, True),
        ("reg.example:443", "reg.example", 443, True),
        ("reg.example:444", "reg.example", 443, False),
        ("10.0.0.0/8", "10.1.2.3", 443, True),
        ("10.0.0.0/8", "11.1.2.3", 443, False),
        ("10.0.0.0/8", "reg.example", 443, False),
        ("10.1.2.3", "10.1.2.3", 443, True),
        ("[fe80::1]:443", "fe80::1", 443, True),
        ("fe80::/16", "fe80::1", 443, True),
        ("", "reg.example", 443, False),
    ],
)
def test_exceptions(exceptions, host, port, is_direct):
    environment = {"HTTPS_PROXY": PROXY, "NO_PROXY": exceptions}
    assert choose_proxy("https", host, port, environment) == ("" if is_direct else PROXY)
