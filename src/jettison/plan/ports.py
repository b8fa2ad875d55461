"""EXPOSE: ``[ip:][host-port:]port[-port][/protocol]`` becomes ``port/protocol`` names. Pure text.

Host parts are accepted for compatibility and dropped, as docker does. Source: FEATURES 1.7.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jettison.errors import DockerfileError

if TYPE_CHECKING:
    from jettison.span import Span

_NUMBER = re.compile(r"[0-9]{1,9}")
_IP = re.compile(r"\[?[0-9A-Fa-f:.]*\]?")
_PROTOCOLS = frozenset({"tcp", "udp", "sctp"})
_LAST_PORT = 65_535


def parse_ports(text: str, span: Span) -> tuple[str, ...]:
    """Return the ``port/protocol`` names of one argument of EXPOSE, in ascending order of a range.

    Raises:
        DockerfileError: ``invalid-port``.

    """
    *before, container = text.split(":")
    ports, _, protocol = container.partition("/")
    protocol = protocol.lower() or "tcp"
    if protocol not in _PROTOCOLS:
        raise _invalid(text, f"'{protocol}' is no protocol", span, "use tcp, udp or sctp")
    first, last = _parse_range(ports, text, span)
    host_port = before.pop() if before else ""
    if before and not _IP.fullmatch(":".join(before)):
        raise _invalid(text, f"'{':'.join(before)}' is no address", span, "write the port of the container alone")
    if host_port:
        host_first, host_last = _parse_range(host_port, text, span)
        if first != last and host_last - host_first != last - first:
            raise _invalid(text, "the two ranges differ in length", span, "write the ports of the container alone")
    return tuple(f"{port}/{protocol}" for port in range(first, last + 1))


def _parse_range(ports: str, text: str, span: Span) -> tuple[int, int]:
    first_text, dash, last_text = ports.partition("-")
    first = _parse_number(first_text, text, span)
    last = _parse_number(last_text, text, span) if dash else first
    if last < first:
        raise _invalid(text, "the range ends before it starts", span, f"write {last}-{first}")
    return first, last


def _parse_number(number: str, text: str, span: Span) -> int:
    if not _NUMBER.fullmatch(number):
        raise _invalid(text, f"'{number}' is no number" if number else "a number is missing", span, "write '8080/tcp'")
    value = int(number)
    if value > _LAST_PORT:
        raise _invalid(text, f"{value} is above {_LAST_PORT}", span, f"use a port up to {_LAST_PORT}")
    return value


def _invalid(text: str, why: str, span: Span, hint: str) -> DockerfileError:
    return DockerfileError(f"invalid port '{text}': {why}", slug="invalid-port", span=span, hint=hint)
