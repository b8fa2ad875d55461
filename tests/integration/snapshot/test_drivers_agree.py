"""The same random changes through overlayfs and through a copied tree give the same layer, and the index tells the truth."""

from __future__ import annotations

import random

import pytest
from tests.fakes.snapshots import ID_MODE, add_layer, entries_of, materials_of, run_step, shown_by_index, why_no_overlay

from jettison.filetree import EntryKind, FileEntry
from jettison.snapshot.copytree import CopyDriver
from jettison.snapshot.overlay import OverlayDriver
from jettison.store.root import open_store

OLD = 1_600_000_000_000_000_000
NAMES = (b"a", b"b", b"a-b", b"c", b"d d")


def a_base(store, rng, *, has_links):
    """Commit two layers of a random tree and return their chain."""
    chain = []
    for level in range(2):
        entries = {}
        contents = {}
        for path in _paths(rng):
            parent = path.rpartition(b"/")[0]
            if parent and (parent not in entries or entries[parent].kind is not EntryKind.DIRECTORY):
                continue
            kind = rng.choice([EntryKind.DIRECTORY] * 3 + [EntryKind.FILE] * 3 + [EntryKind.SYMLINK])
            if level and rng.random() < 0.2:
                entries[path] = FileEntry(path, EntryKind.WHITEOUT)
                continue
            files = [entry for entry in entries.values() if entry.kind is EntryKind.FILE]
            if has_links and files and rng.random() < 0.2:
                first = files[0]
                if path > first.path:
                    entries[path] = FileEntry(
                        path, EntryKind.HARD_LINK, first.mode, mtime_ns=first.mtime_ns, link_target=first.path
                    )
                    continue
            xattrs = ((b"user.k", b"base"),) if kind is not EntryKind.SYMLINK and rng.random() < 0.2 else ()
            mode = (
                rng.choice([0o755, 0o700, 0o1777])
                if kind is EntryKind.DIRECTORY
                else rng.choice([0o644, 0o600, 0o4755])
            )
            opaque = kind is EntryKind.DIRECTORY and level == 1 and rng.random() < 0.2
            target = b"somewhere" if kind is EntryKind.SYMLINK else b""
            entries[path] = FileEntry(
                path, kind, mode, mtime_ns=OLD + rng.randrange(9), link_target=target, xattrs=xattrs, is_opaque=opaque
            )
            contents[path] = rng.choice([b"", b"x", b"longer content", b"y" * 5000])
        chain.append(add_layer(store, entries.values(), contents))
    return chain


def _paths(rng):
    paths = {b"/".join(rng.choice(NAMES) for _ in range(rng.randint(1, 4))) for _ in range(60)}
    paths |= {path.rsplit(b"/", depth)[0] for path in paths for depth in (1, 2, 3)}
    return sorted(paths, key=lambda path: path.replace(b"/", b"\0"))


def some_operations(rng, *, count=25, has_links):
    """Return random operations; the times of everything they may touch are set at the end, so that two runs are equal."""
    operations = []
    for _ in range(count):
        path = b"/".join(rng.choice(NAMES) for _ in range(rng.randint(1, 4)))
        other = b"/".join(rng.choice(NAMES) for _ in range(rng.randint(1, 3)))
        verb = rng.choice(
            [
                "write",
                "append",
                "open",
                "mkdir",
                "mkdir",
                "remove",
                "replace-directory",
                "move",
                "move",
                "chmod",
                "chown",
                "symlink",
                "link",
                "touch",
                "xattr",
                "fifo",
                "socket",
            ]
        )
        arguments = {
            "write": (rng.choice([b"", b"x", b"new"]),),
            "append": (b"+",),
            "move": (("path", other),),
            "link": (("path", other),),
            "chmod": (rng.choice([0o755, 0o640, 0o2711]),),
            "chown": (rng.choice([0, 7]), rng.choice([0, 8])),
            "symlink": (b"../x",),
            "touch": (OLD + rng.randrange(5),),
            "xattr": (b"user.k", rng.choice([b"base", b"other"])),
        }
        if verb == "link" and not has_links:
            continue
        operations.append((verb, path, *arguments.get(verb, ())))
    # moving a directory of a lower layer through overlayfs parts links that lead out of it, so links come after moves
    operations.sort(key=lambda operation: operation[0] == "link")
    return [*operations, ("settle", b"", OLD + 10**9)]


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store", id_mode=ID_MODE) as store:
        yield store


@pytest.fixture
def copying(store):
    driver = CopyDriver(materials_of(store))
    yield driver
    driver.close()


@pytest.fixture
def mounting(store, tmp_path_factory):
    reason = why_no_overlay(tmp_path_factory.mktemp("probe"))
    if reason:
        pytest.skip(reason)
    driver = OverlayDriver(materials_of(store), store.locks)
    yield driver
    driver.close()


def step_of(driver, chain, operations, tmp_path):
    with driver.prepare(chain) as rootfs:
        shown = run_step(rootfs, operations, tmp_path)
        return shown, driver.commit(rootfs, started_ns=0, is_reproducible=False)


@pytest.mark.overlay
@pytest.mark.parametrize("seed", range(25))
def test_both_drivers_make_the_same_layer(seed, store, mounting, copying, tmp_path):
    rng = random.Random(seed)
    chain = a_base(store, rng, has_links=False)
    operations = some_operations(rng, has_links=True)
    shown, mounted = step_of(mounting, chain, operations, tmp_path)
    assert shown == shown_by_index(store, [*chain, mounted.layer_id])
    shown_by_copy, copied = step_of(copying, chain, operations, tmp_path)
    assert shown_by_copy == shown
    assert entries_of(store, copied.layer_id) == entries_of(store, mounted.layer_id)
    assert copied == mounted


@pytest.mark.overlay
@pytest.mark.parametrize("seed", range(25, 40))
def test_steps_on_steps_stay_true(seed, store, mounting, copying, tmp_path):
    rng = random.Random(seed)
    chain = a_base(store, rng, has_links=True)
    for driver in (mounting, copying, mounting, copying):
        shown, committed = step_of(driver, chain, some_operations(rng, has_links=True), tmp_path)
        chain.append(committed.layer_id)
        assert shown == shown_by_index(store, chain)
        for other in (mounting, copying):
            with other.prepare(chain) as rootfs:
                assert run_step(rootfs, [], tmp_path) == shown


@pytest.mark.overlay
def test_a_layer_of_the_copying_driver_is_a_lower_directory(store, mounting, copying, tmp_path):
    chain = a_base(store, random.Random(1), has_links=False)
    operations = [("remove", b"a"), ("mkdir", b"a"), ("write", b"a/new", b"x"), ("settle", b"", OLD)]
    shown, committed = step_of(copying, chain, operations, tmp_path)
    with mounting.prepare([*chain, committed.layer_id]) as rootfs:
        assert run_step(rootfs, [], tmp_path) == shown


@pytest.mark.skipif(ID_MODE != "root", reason="owners can only be compared by root")
def test_an_untouched_copy_gives_an_empty_layer(store, copying, tmp_path):
    chain = a_base(store, random.Random(3), has_links=True)
    shown, committed = step_of(copying, chain, [], tmp_path)
    assert shown == shown_by_index(store, chain)
    assert committed.entry_count == 0
