import pytest

from jettison.oci.config import HealthcheckConfig
from jettison.plan.history import (
    describe_command,
    describe_copy,
    describe_healthcheck,
    describe_list,
    describe_pairs,
    describe_run,
    quote,
    render_duration,
)

SECOND = 1_000_000_000


def test_run_counts_its_arguments():
    args = ("/bin/sh", "-c", "make all")
    assert describe_run(args, ()) == "RUN /bin/sh -c make all # buildkit"
    assert describe_run(args, (("A", "1"), ("B", ""))) == "RUN |2 A=1 B= /bin/sh -c make all # buildkit"


def test_copy_shows_flags_sources_and_destination():
    assert describe_copy("COPY", (), ("a", "b"), "/c/") == "COPY a b /c/ # buildkit"
    assert describe_copy("ADD", ("--chown=1:2", "--chmod=755"), ("<<EOF",), ".") == (
        "ADD --chown=1:2 --chmod=755 <<EOF . # buildkit"
    )


def test_pairs_show_names_without_value_alone():
    assert describe_pairs("ARG", (("A", "1 2"), ("B", None))) == "ARG A=1 2 B"


def test_lists_are_plain_and_commands_quoted():
    assert describe_list("VOLUME", ("/a", "/b c")) == "VOLUME [/a /b c]"
    assert describe_list("EXPOSE", ()) == "EXPOSE []"
    assert describe_command("CMD", ("a", 'say "hi"')) == 'CMD ["a" "say \\"hi\\""]'
    assert describe_command("ENTRYPOINT", ()) == "ENTRYPOINT []"


def test_healthcheck_shows_all_fields():
    check = HealthcheckConfig(test=("CMD-SHELL", "curl -f x"), interval_ns=90 * SECOND, retries=3)
    assert describe_healthcheck(check) == (
        "HEALTHCHECK {Test:[CMD-SHELL curl -f x] Interval:1m30s Timeout:0s StartPeriod:0s StartInterval:0s Retries:3}"
    )


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("plain", '"plain"'),
        ("tab\tline\n", '"tab\\tline\\n"'),
        ("back\\slash", '"back\\\\slash"'),
        ("\x01\x7f", '"\\x01\\x7f"'),
        ("höflich ☃", '"höflich ☃"'),
        ("\u200b", '"\\u200b"'),
        ("\U000e0001", '"\\U000e0001"'),
        (b"\xff".decode("utf-8", "surrogateescape"), '"\\xff"'),
    ],
)
def test_quoting_is_go_s(text, quoted):
    assert quote(text) == quoted


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (7, "7ns"),
        (1_500, "1.5µs"),
        (250_000_000, "250ms"),
        (1_001_000, "1.001ms"),
        (SECOND, "1s"),
        (SECOND + 500_000_000, "1.5s"),
        (59 * SECOND, "59s"),
        (60 * SECOND, "1m0s"),
        (90 * SECOND, "1m30s"),
        (3600 * SECOND, "1h0m0s"),
        (3661 * SECOND + 1, "1h1m1.000000001s"),
    ],
)
def test_durations_are_go_s(nanoseconds, text):
    assert render_duration(nanoseconds) == text
