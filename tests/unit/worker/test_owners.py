from __future__ import annotations

import pytest
from tests.fakes.copying import a_file, a_link, a_union, accounts_of

from jettison.errors import StepError
from jettison.filetree import NO_CONTENT, EntryKind, FileEntry
from jettison.limits import Limits
from jettison.plan.ops import Owner
from jettison.worker.owners import Accounts, Ids, parse_group, parse_passwd

PASSWD = b"""root:x:0:0:root:/root:/bin/sh
# a comment
node:x:1000:1001:,,,:/home/node:/bin/bash
node:x:5:5::/:
broken
neg:x:-1:0::/:
huge:x:4294967296:0::/:
1234:x:77:78::/:
+nis::::::
"""
GROUP = b"root:x:0:\nweb:x:33:node,root\nhuge:x:4294967296:\n"
FILES = {b"etc/passwd": PASSWD, b"etc/group": GROUP}


@pytest.fixture
def accounts(tmp_path):
    return accounts_of(a_union(tmp_path, [a_file(path, data) for path, data in FILES.items()]), FILES)


@pytest.mark.parametrize(
    ("user", "group", "expected"),
    [
        ("node", None, (1000, 1001)),
        ("node", "web", (1000, 33)),
        ("node", "9", (1000, 9)),
        ("55", None, (55, 55)),
        ("55", "web", (55, 33)),
        ("1234", None, (1234, 1234)),
        ("0", "0", (0, 0)),
        ("2147483647", None, (2147483647, 2147483647)),
    ],
)
def test_owner_becomes_numbers(accounts, user, group, expected):
    assert accounts.find(Owner(user=user, group=group)) == Ids(*expected)


@pytest.mark.parametrize(
    ("user", "group", "slug"),
    [
        ("nod", None, "unknown-user"),
        ("", None, "unknown-user"),
        ("neg", None, "unknown-user"),
        ("huge", None, "unknown-user"),
        ("broken", None, "unknown-user"),
        ("+nis", None, "unknown-user"),
        ("0x0", None, "unknown-user"),
        ("-1", None, "unknown-user"),
        ("+1", None, "unknown-user"),
        ("\N{FULLWIDTH DIGIT ONE}", None, "unknown-user"),
        ("2147483648", None, "unknown-user"),
        ("4294967296", None, "unknown-user"),
        ("9" * 30, None, "unknown-user"),
        ("0", "wheel", "unknown-group"),
        ("0", "", "unknown-group"),
        ("0", "huge", "unknown-group"),
        ("0", "4294967296", "unknown-group"),
    ],
)
def test_unknown_names_and_impossible_numbers_are_errors(accounts, user, group, slug):
    with pytest.raises(StepError) as caught:
        accounts.find(Owner(user=user, group=group))
    assert caught.value.slug == slug


def test_near_name_is_offered(accounts):
    with pytest.raises(StepError) as caught:
        accounts.find(Owner(user="nod"))
    assert caught.value.message == "there is no user 'nod' in /etc/passwd of this stage"
    assert caught.value.hint == "did you mean 'node'?"


def test_missing_file_is_said(tmp_path):
    with pytest.raises(StepError) as caught:
        accounts_of(a_union(tmp_path)).find(Owner(user="app"))
    assert caught.value.hint == "give its number: this stage has no /etc/passwd"


def test_numbers_read_no_file(tmp_path):
    assert accounts_of(a_union(tmp_path)).find(Owner(user="1", group="2")) == Ids(1, 2)


def test_files_are_found_through_symlinks_inside_the_root(tmp_path):
    files = {b"run/passwd": PASSWD}
    union = a_union(tmp_path, [a_file(b"run/passwd", PASSWD), a_link(b"etc/passwd", b"../../../run/passwd")])
    assert accounts_of(union, files).find(Owner(user="node")).uid == 1000


def test_what_is_no_regular_file_or_too_large_is_refused(tmp_path):
    fifo = (FileEntry(b"etc/passwd", EntryKind.FIFO), NO_CONTENT)
    with pytest.raises(StepError) as caught:
        accounts_of(a_union(tmp_path, [fifo])).find(Owner(user="a"))
    assert caught.value.slug == "accounts-unreadable"
    union = a_union(tmp_path, [a_file(b"etc/passwd", PASSWD)])
    small = Accounts(union, lambda *_: PASSWD, Limits(passwd_bytes=len(PASSWD) - 1))
    with pytest.raises(StepError) as caught:
        small.find(Owner(user="node"))
    assert caught.value.slug == "accounts-unreadable"
    enough = Accounts(union, lambda *_: PASSWD, Limits(passwd_bytes=len(PASSWD)))
    assert enough.find(Owner(user="node")).uid == 1000


def test_lines_keep_home_and_members():
    assert [entry.home for entry in parse_passwd(PASSWD)][:2] == ["/root", "/home/node"]
    assert [entry.members for entry in parse_group(GROUP)] == [(), ("node", "root")]
    assert list(parse_passwd(b"\xff\xfe:x:1:2")) != []
