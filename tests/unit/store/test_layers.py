from __future__ import annotations

import os

import pytest

from jettison.digest import LayerId, digest_of
from jettison.errors import StoreError


def test_committed_layer_has_its_parts(store, add_layer):
    layer = add_layer(store, "one", size=10, has_fs=True)
    assert store.layers.has(layer)
    assert store.layers.has_fs(layer)
    assert store.layers.index_path(layer).read_bytes() == b"one"
    assert store.layers.pack_path(layer).read_bytes() == b"x" * 10
    assert (store.layers.fs_path(layer) / "file").read_bytes() == b"one"
    assert list(store.layers.ids()) == [layer]


def test_staged_directory_is_private_and_goes_when_it_is_not_committed(store, root):
    with store.layers.stage() as staged:
        assert staged.path.stat().st_mode & 0o777 == 0o700
        (staged.path / "index").write_bytes(b"")
    assert not staged.path.exists()
    assert os.listdir(root / "tmp") == []
    assert list(store.layers.ids()) == []


def test_first_of_two_commits_wins(store, root, add_layer):
    layer = add_layer(store, "one", size=1)
    add_layer(store, "one", size=2)
    assert store.layers.pack_path(layer).stat().st_size == 1
    assert os.listdir(root / "tmp") == []


def test_commit_wants_an_index(store):
    with store.layers.stage() as staged, pytest.raises(AssertionError):
        store.layers.commit(staged, LayerId(digest_of(b"x")))


def test_dependencies_are_kept(store, add_layer):
    blob = store.blobs.put_bytes(b"blob")
    base = add_layer(store, "base")
    other = add_layer(store, "other")
    layer = add_layer(store, "top", depends_on=(other, base, base), blobs=(blob,))
    assert store.layers.depends_on(layer) == tuple(sorted((base, other)))
    assert store.layers.blobs_of(layer) == (blob,)
    assert store.layers.depends_on(base) == ()


def test_installed_tree_belongs_to_the_layer_and_the_first_wins(store, add_layer):
    layer = add_layer(store, "one")
    assert not store.layers.has_fs(layer)
    for text in ("first", "second"):
        with store.layers.stage() as staged:
            (staged.path / "file").write_text(text)
            store.layers.install_fs(layer, staged.path)
    assert (store.layers.fs_path(layer) / "file").read_text() == "first"
    assert store.layers.has_fs(layer)


def test_tree_of_a_missing_layer_is_refused(store):
    with store.layers.stage() as staged, pytest.raises(StoreError) as caught:
        store.layers.install_fs(LayerId(digest_of(b"x")), staged.path)
    assert caught.value.slug == "layer-missing"


def test_dependencies_of_a_missing_layer_are_an_error(store):
    with pytest.raises(StoreError) as caught:
        store.layers.depends_on(LayerId(digest_of(b"x")))
    assert caught.value.slug == "layer-missing"


def test_removed_layer_is_gone_and_can_come_back(store, add_layer):
    layer = add_layer(store, "one")
    assert store.layers.remove(layer)
    assert not store.layers.has(layer)
    assert not store.layers.remove(layer)
    add_layer(store, "one")
    assert store.layers.has(layer)


@pytest.mark.parametrize("text", ["", "../x", "sha256:" + "/" * 64, "sha256:" + "g" * 64])
def test_ids_that_are_no_digests_never_become_paths(store, text):
    with pytest.raises(StoreError) as caught:
        store.layers.path(LayerId(text))
    assert caught.value.slug == "bad-digest"


def test_layer_that_lacks_what_it_depends_on_is_not_here(store, reopen, add_layer):
    blob = store.blobs.put_bytes(b"blob")
    base = add_layer(store, "base")
    top = add_layer(store, "top", depends_on=(base,))
    pulled = add_layer(store, "pulled", blobs=(blob,))
    store.layers.remove(base)
    store.blobs.remove(blob)
    with reopen() as other:
        assert not other.layers.has(top)
        assert not other.layers.has(pulled)
        assert list(other.layers.ids()) == []
        add_layer(other, "base")
        other.blobs.put_bytes(b"blob")
        assert other.layers.has(top)
        assert other.layers.has(pulled)


def test_layer_that_lacks_what_it_depends_on_is_replaced(store, reopen, add_layer):
    base = add_layer(store, "base")
    top = add_layer(store, "top", depends_on=(base,), size=1)
    store.layers.remove(base)
    with reopen() as other:
        add_layer(other, "top", size=2)
        assert other.layers.has(top)
        assert other.layers.pack_path(top).stat().st_size == 2
