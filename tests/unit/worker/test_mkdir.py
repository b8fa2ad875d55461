from __future__ import annotations

import pytest
from tests.fakes.copying import NOW_NS, a_dir, a_file, a_link, a_union, accounts_of

from jettison.errors import StepError
from jettison.layer.index import LayerIndex
from jettison.plan.ops import MkdirOp
from jettison.worker.copy import FIXED_TIME_NS
from jettison.worker.mkdir import make_directory, mkdir_facts

FILES = {b"etc/passwd": b"app:x:10:20::/:\n"}


@pytest.fixture
def make(tmp_path):
    def run(path, *slots, user="", is_reproducible=False):
        dest = a_union(tmp_path, [*slots, *(a_file(name, data) for name, data in FILES.items())])
        op = MkdirOp(parent=None, path=path, user=user, is_reproducible=is_reproducible)
        staged = tmp_path / f"staged-{len(list(tmp_path.iterdir()))}"
        staged.mkdir()
        accounts = accounts_of(dest, FILES)
        summary = make_directory(op, dest, accounts, staged=staged, now_ns=NOW_NS)
        with LayerIndex(staged / "index") as index:
            entries = {entry.path: entry for entry, _ in index}
        assert summary.entry_count == len(entries)
        return entries, mkdir_facts(op, dest, accounts)

    return run


def test_directory_and_parents_belong_to_the_user(make):
    entries, _ = make("/srv/app", user="app")
    assert [(e.path, e.mode, e.uid, e.gid, e.mtime_ns, e.is_fresh) for e in entries.values()] == [
        (b"srv", 0o755, 10, 20, NOW_NS, True),
        (b"srv/app", 0o755, 10, 20, NOW_NS, True),
    ]


@pytest.mark.parametrize(
    ("user", "ids"), [("", (0, 0)), ("7", (7, 7)), ("7:8", (7, 8)), ("app:8", (10, 8)), ("app:", (10, 20))]
)
def test_user_and_group_forms(make, user, ids):
    entry = make("/d", user=user)[0][b"d"]
    assert (entry.uid, entry.gid) == ids


def test_existing_directory_stays_as_it_is_in_an_empty_layer(make):
    assert make("/srv", a_dir(b"srv", 0o700, 3, 4), user="unknown") == ({}, b"nothing\n")
    assert make("/", user="unknown")[0] == {}


def test_existing_parents_keep_their_metadata(make):
    entries, _ = make("/srv/app", a_dir(b"srv", 0o700, 3, 4), user="app")
    assert entries[b"srv"] == a_dir(b"srv", 0o700, 3, 4)[0]
    assert entries[b"srv/app"].uid == 10


def test_symlinks_stay_inside_the_root(make):
    entries, _ = make("/link/x", a_link(b"link", b"/../../real"), a_dir(b"real"))
    assert list(entries) == [b"real", b"real/x"]
    entries, _ = make("/dangling", a_link(b"dangling", b"/made/here"))
    assert list(entries) == [b"made", b"made/here"]


def test_file_in_the_way_is_an_error(make):
    for path in ("/f", "/f/x"):
        with pytest.raises(StepError) as caught:
            make(path, a_file(b"f"))
        assert caught.value.slug == "copy-conflict"


def test_unknown_user_matters_when_something_is_made(make):
    with pytest.raises(StepError) as caught:
        make("/new", user="unknown")
    assert caught.value.slug == "unknown-user"


def test_reproducible_directories_have_the_fixed_time(make):
    entry = make("/d", is_reproducible=True)[0][b"d"]
    assert (entry.mtime_ns, entry.is_fresh) == (FIXED_TIME_NS, True)


def test_facts_hold_parents_and_owner(make):
    made = {
        make("/srv/app", *slots, user=user)[1]
        for slots, user in [((), ""), ((), "5"), ((a_dir(b"srv"),), ""), ((a_dir(b"srv", 0o700),), "")]
    }
    assert len(made) == 4
