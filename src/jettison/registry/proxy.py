"""Which proxy a request goes through: environment and host in, proxy out.

Owns the meaning of HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, as Go's tools have it (docker is one): lower-case spelling
first; loopback never goes through a proxy; NO_PROXY holds ``*``, names (with what is below them), ports, addresses and
networks. Pure.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from jettison.registry.auth import is_loopback_host

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")


def choose_proxy(scheme: str, host: str, port: int, environment: Mapping[str, str]) -> str:
    """Return the URL of the proxy for a host; empty for none. A proxy without a scheme gets ``http://``."""
    if is_loopback_host(host) or _is_excepted(host, port, _value(environment, "NO_PROXY")):
        return ""
    proxy = _value(environment, f"{scheme.upper()}_PROXY") or _value(environment, "ALL_PROXY")
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    return proxy


def _value(environment: Mapping[str, str], name: str) -> str:
    return (environment.get(name.lower()) or environment.get(name) or "").strip()


def _is_excepted(host: str, port: int, exceptions: str) -> bool:
    name = host.lower().strip("[]")
    return any(_fits(name, port, word.strip().lower()) for word in exceptions.split(",") if word.strip())


def _fits(name: str, port: int, word: str) -> bool:
    if word == "*":
        return True
    if "/" in word:
        try:
            return ip_address(name) in ip_network(word, strict=False)
        except ValueError:
            return False
    if word.count(":") == 1 or word.startswith("["):
        word, _, only = word.rpartition(":")
        if only != str(port):
            return False
        word = word.strip("[]")
    word = word.removeprefix("*")
    bare = word.removeprefix(".")
    return name.endswith(f".{bare}") or (name == bare and not word.startswith("."))
