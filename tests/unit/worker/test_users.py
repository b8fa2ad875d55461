"""USER as docker resolves it: groups by rule, homes, and what has no account."""

from __future__ import annotations

import pytest
from tests.fakes.copying import a_file, a_union, accounts_of

from jettison.errors import StepError
from jettison.worker.users import ResolvedUser, resolve_user

FILES = {
    b"etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1001::/home/node:/bin/sh\nbare:x:7:7::\n",
    b"etc/group": b"root:x:0:root\nweb:x:33:node,root\nlog:x:20:node\nnode:x:1001:node\n",
}


@pytest.fixture
def accounts(tmp_path):
    return accounts_of(a_union(tmp_path, [a_file(path, data) for path, data in FILES.items()]), FILES)


@pytest.mark.parametrize(
    ("text", "uid", "gid", "groups", "home"),
    [
        pytest.param("", 0, 0, (0, 33), "/root", id="nobody named is root"),
        pytest.param("node", 1000, 1001, (20, 33, 1001), "/home/node", id="name"),
        pytest.param("1000", 1000, 1001, (20, 33, 1001), "/home/node", id="number with an account"),
        pytest.param("4242", 4242, 0, (0,), "/", id="number without one"),
        pytest.param("node:web", 1000, 33, (33,), "/home/node", id="a group drops the others"),
        pytest.param("node:5", 1000, 5, (5,), "/home/node", id="group number"),
        pytest.param(":web", 0, 33, (33,), "/root", id="group alone"),
        pytest.param("node:", 1000, 1001, (20, 33, 1001), "/home/node", id="empty group"),
        pytest.param("bare", 7, 7, (7,), "/", id="account without a home"),
    ],
)
def test_user_becomes_ids_groups_and_home(accounts, text, uid, gid, groups, home):
    assert resolve_user(accounts, text) == ResolvedUser(uid=uid, gid=gid, groups=groups, home=home)


@pytest.mark.parametrize("text", ["", "node", "1000", "4242", "node:web", "node:5"])
def test_primary_group_is_a_supplementary_one_too(accounts, text):
    user = resolve_user(accounts, text)
    assert user.gid in user.groups


@pytest.mark.parametrize(
    ("text", "slug"), [("nod", "unknown-user"), ("node:nope", "unknown-group"), ("4294967296", "unknown-user")]
)
def test_unknown_names_and_numbers_beyond_the_bound_are_errors(accounts, text, slug):
    with pytest.raises(StepError) as caught:
        resolve_user(accounts, text)
    assert caught.value.slug == slug


def test_an_image_without_accounts_still_has_a_root(tmp_path):
    accounts = accounts_of(a_union(tmp_path, [a_file(b"x")]), {})
    assert resolve_user(accounts, "") == ResolvedUser(uid=0, gid=0, groups=(0,), home="/")
    with pytest.raises(StepError):
        resolve_user(accounts, "root")
