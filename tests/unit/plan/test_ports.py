import pytest

from jettison.errors import DockerfileError
from jettison.plan.ports import parse_ports
from jettison.span import SourceFile, Span

SPAN = Span(source=SourceFile(name="Dockerfile", text="EXPOSE x"), start=7, end=8)


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("80", ("80/tcp",)),
        ("80/", ("80/tcp",)),
        ("53/UDP", ("53/udp",)),
        ("9/sctp", ("9/sctp",)),
        ("8000-8002", ("8000/tcp", "8001/tcp", "8002/tcp")),
        ("7-7", ("7/tcp",)),
        ("0", ("0/tcp",)),
        ("65535", ("65535/tcp",)),
        ("8080:80", ("80/tcp",)),
        ("127.0.0.1:8080:80/udp", ("80/udp",)),
        ("[::1]:8080:80", ("80/tcp",)),
        ("127.0.0.1::80", ("80/tcp",)),
        ("8000-8001:80-81", ("80/tcp", "81/tcp")),
        ("8000-9000:80", ("80/tcp",)),
    ],
)
def test_ports_become_port_and_protocol(text, ports):
    assert parse_ports(text, SPAN) == ports


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("80/icmp", "'icmp' is no protocol"),
        ("web", "'web' is no number"),
        ("/tcp", "a number is missing"),
        ("80-", "a number is missing"),
        ("65536", "65536 is above 65535"),
        ("99999999999", "'99999999999' is no number"),
        ("81-80", "the range ends before it starts"),
        ("host:1:2", "'host' is no address"),
        ("1-2:1-3", "the two ranges differ in length"),
        ("x:80", "'x' is no number"),
    ],
)
def test_wrong_ports_are_refused(text, why):
    with pytest.raises(DockerfileError) as found:
        parse_ports(text, SPAN)
    assert found.value.slug == "invalid-port"
    assert found.value.message == f"invalid port '{text}': {why}"
    assert found.value.hint
    assert found.value.span == SPAN
