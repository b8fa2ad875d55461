"""Steps in real overlay mounts: what the new layer's index says is what the mount showed."""

from __future__ import annotations

import os

import pytest
from tests.fakes.snapshots import add_layer, entries_of, materials_of, run_step, shown_by_index, why_no_overlay

from jettison.filetree import EntryKind, FileEntry
from jettison.snapshot.overlay import OverlayDriver
from jettison.store.root import open_store

pytestmark = pytest.mark.overlay
OLD = 1_600_000_000_000_000_000
FILE, DIRECTORY, SYMLINK = EntryKind.FILE, EntryKind.DIRECTORY, EntryKind.SYMLINK


@pytest.fixture(scope="module", params=["trusted", "user"])
def in_userns(request, tmp_path_factory):
    in_userns = request.param == "user"
    reason = why_no_overlay(tmp_path_factory.mktemp("probe"), in_userns=in_userns)
    if reason:
        pytest.skip(reason)
    return in_userns


@pytest.fixture
def store(tmp_path, in_userns):
    with open_store(tmp_path / "store", id_mode="single" if in_userns else "root") as store:
        yield store


@pytest.fixture
def driver(store, in_userns):
    driver = OverlayDriver(materials_of(store, id_mode="single" if in_userns else "root"), store.locks)
    yield driver
    driver.close()


@pytest.fixture
def base(store):
    entries = [
        FileEntry(b"etc", DIRECTORY, 0o755, mtime_ns=OLD),
        FileEntry(b"etc/hosts", FILE, 0o644, mtime_ns=OLD),
        FileEntry(b"etc/passwd", FILE, 0o640, mtime_ns=OLD + 5, xattrs=((b"user.note", b"x"),)),
        FileEntry(b"etc/twin", EntryKind.HARD_LINK, 0o640, mtime_ns=OLD + 5, link_target=b"etc/passwd"),
        FileEntry(b"opt", DIRECTORY, 0o1777, mtime_ns=OLD),
        FileEntry(b"opt/app", DIRECTORY, 0o700, mtime_ns=OLD),
        FileEntry(b"opt/app/big", FILE, 0o4755, mtime_ns=OLD),
        FileEntry(b"opt/app/link", SYMLINK, 0o777, mtime_ns=OLD, link_target=b"big"),
        FileEntry(b"opt/pipe", EntryKind.FIFO, 0o600, mtime_ns=OLD),
        FileEntry(b"var", DIRECTORY, 0o755, mtime_ns=OLD),
        FileEntry(b"var/lib", SYMLINK, 0o777, mtime_ns=OLD, link_target=b"../opt"),
    ]
    contents = {b"etc/hosts": b"localhost\n", b"etc/passwd": b"root:x:0:0\n", b"opt/app/big": os.urandom(300_000)}
    return add_layer(store, entries, contents)


@pytest.fixture
def step(store, driver, tmp_path, in_userns):
    def run(chain, operations, *, stubs=(), started_ns=0, is_reproducible=False, make_stubs=()):
        with driver.prepare(chain) as rootfs:
            shown = run_step(rootfs, [*make_stubs, *operations], tmp_path, in_userns=in_userns)
            committed = driver.commit(
                rootfs, started_ns=started_ns, is_reproducible=is_reproducible, stubs=tuple(stubs)
            )
        if not stubs:
            assert shown_by_index(store, [*chain, committed.layer_id]) == shown
        with driver.prepare([*chain, committed.layer_id]) as again:
            mounted = run_step(again, [], tmp_path, in_userns=in_userns)
        assert mounted == shown_by_index(store, [*chain, committed.layer_id])
        return committed.layer_id

    return run


def test_the_mount_of_a_materialised_layer_shows_its_index(step, base, store):
    assert entries_of(store, step([base], [])) == {}


def test_changes_are_listed_with_their_parents(step, base, store):
    layer = step([base], [("write", b"etc/hosts", b"changed"), ("mkdir", b"opt/app/new"), ("write", b"top", b"")])
    assert set(entries_of(store, layer)) == {b"etc", b"etc/hosts", b"opt", b"opt/app", b"opt/app/new", b"top"}
    assert entries_of(store, layer)[b"etc"].mtime_ns == OLD


def test_a_file_copied_up_and_left_alone_is_dropped_with_its_parents(step, base, store):
    assert entries_of(store, step([base], [("open", b"etc/hosts"), ("open", b"opt/app/big")])) == {}


def test_a_touched_file_is_a_change(step, base, store):
    assert set(entries_of(store, step([base], [("touch", b"etc/hosts", 7)]))) == {b"etc", b"etc/hosts"}


def test_a_deleted_file_is_a_whiteout(step, base, store):
    layer = step([base], [("remove", b"etc/hosts"), ("remove", b"opt")])
    kinds = {path: entry.kind for path, entry in entries_of(store, layer).items()}
    assert kinds == {b"etc": DIRECTORY, b"etc/hosts": EntryKind.WHITEOUT, b"opt": EntryKind.WHITEOUT}


def test_a_file_made_and_deleted_leaves_nothing_but_its_directory(step, base, store):
    layer = step([base], [("write", b"etc/tmp", b"x"), ("remove", b"etc/tmp")])
    assert set(entries_of(store, layer)) == {b"etc"}


def test_a_replaced_directory_becomes_whiteouts(step, base, store):
    layer = step([base], [("replace-directory", b"opt"), ("mkdir", b"opt/app"), ("write", b"opt/app/big", b"small")])
    entries = entries_of(store, layer)
    assert {path for path, entry in entries.items() if entry.kind is EntryKind.WHITEOUT} == {
        b"opt/app/link",
        b"opt/pipe",
    }
    assert not any(entry.is_opaque for entry in entries.values())


def test_a_file_replaces_a_directory_and_back(step, base, store):
    first = step([base], [("remove", b"opt"), ("write", b"opt", b"file")])
    assert entries_of(store, first)[b"opt"].kind is FILE
    second = step([base, first], [("remove", b"opt"), ("mkdir", b"opt"), ("write", b"opt/new", b"")])
    assert set(entries_of(store, second)) == {b"opt", b"opt/new"}


def test_hard_links_of_a_step_stay_links(step, base, store):
    layer = step([base], [("link", b"etc/a", ("path", b"etc/hosts")), ("link", b"var/z", ("path", b"etc/hosts"))])
    entries = entries_of(store, layer)
    assert entries[b"etc/a"].kind is FILE
    assert [entries[path].link_target for path in (b"etc/hosts", b"var/z")] == [b"etc/a", b"etc/a"]


def test_a_socket_in_the_place_of_a_file_deletes_it(step, base, store):
    layer = step([base], [("remove", b"opt"), ("socket", b"opt")])
    assert entries_of(store, layer)[b"opt"].kind is EntryKind.WHITEOUT


def test_sockets_vanish_and_fifos_stay(step, base, store):
    layer = step([base], [("socket", b"etc/s"), ("fifo", b"etc/f")])
    assert set(entries_of(store, layer)) == {b"etc", b"etc/f"}
    assert not (store.layers.fs_path(layer) / "etc" / "s").exists()


def test_attributes_and_modes_are_kept(step, base, store):
    layer = step(
        [base],
        [("xattr", b"etc/hosts", b"user.k", b"v"), ("xattr", b"opt", b"user.d", b"v"), ("chmod", b"etc", 0o2700)],
    )
    entries = entries_of(store, layer)
    assert entries[b"etc/hosts"].xattrs == ((b"user.k", b"v"),)
    assert entries[b"opt"].xattrs == ((b"user.d", b"v"),)
    assert entries[b"etc"].mode == 0o2700


def test_layer_fits_another_chain(step, driver, base, store, tmp_path, in_userns):
    """The directory holds nothing that the index does not say: copy-ups of the first base must not hide the second."""
    operations = [
        ("open", b"etc/hosts"),
        ("replace-directory", b"var"),
        ("write", b"new", b"x"),
        ("touch", b"new", OLD),
        ("touch", b"var", OLD),
    ]
    layer = step([base], operations)
    other = add_layer(
        store,
        [FileEntry(b"etc", DIRECTORY, 0o711, mtime_ns=1), FileEntry(b"var", DIRECTORY), FileEntry(b"var/x", FILE)],
    )
    with driver.prepare([other, layer]) as rootfs:
        assert run_step(rootfs, [], tmp_path, in_userns=in_userns) == shown_by_index(store, [other, layer])


def test_stubs_leave_no_trace(step, base, store):
    stubs = (b"etc/resolv.conf", b"proc", b"run", b"run/secrets", b"run/secrets/token")
    made = [
        ("write", b"etc/resolv.conf", b""),
        ("mkdir", b"proc"),
        ("mkdir", b"run"),
        ("mkdir", b"run/secrets"),
        ("write", b"run/secrets/token", b""),
    ]
    assert entries_of(store, step([base], [], stubs=stubs, make_stubs=made)) == {}
    changed = step([base], [("write", b"etc/hosts", b"new")], stubs=stubs, make_stubs=made)
    assert set(entries_of(store, changed)) == {b"etc", b"etc/hosts"}
    assert entries_of(store, changed)[b"etc"].mtime_ns == OLD
    kept = step(
        [base], [("write", b"run/pid", b""), ("write", b"etc/resolv.conf", b"nameserver")], stubs=stubs, make_stubs=made
    )
    assert set(entries_of(store, kept)) == {b"etc", b"etc/resolv.conf", b"run", b"run/pid"}


def test_young_files_are_fresh_in_a_reproducible_build(step, base, store):
    layer = step(
        [base],
        [("write", b"etc/new", b""), ("chmod", b"etc/hosts", 0o600), ("touch", b"opt", 9)],
        started_ns=OLD + 10**9,
        is_reproducible=True,
    )
    fresh = {path for path, entry in entries_of(store, layer).items() if entry.is_fresh}
    assert fresh == {b"etc", b"etc/new"}
    later = step([base, layer], [("chmod", b"etc/new", 0o600)], started_ns=1 << 62, is_reproducible=True)
    assert {path for path, entry in entries_of(store, later).items() if entry.is_fresh} == {b"etc", b"etc/new"}


def test_a_chain_without_layers_is_an_empty_root(step, store):
    assert set(entries_of(store, step([], [("write", b"a", b"b")]))) == {b"a"}
