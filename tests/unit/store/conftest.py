from __future__ import annotations

from contextlib import contextmanager

import pytest

from jettison.digest import DiffId, LayerId, digest_of
from jettison.store.images import ImageLayer, ImageRecord
from jettison.store.root import open_store


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


@pytest.fixture
def store(root):
    with open_store(root, id_mode="single") as opened:
        yield opened


@pytest.fixture
def reopen(root):
    @contextmanager
    def opening(**options):
        with open_store(root, id_mode="single", **options) as opened:
            yield opened

    return opening


@pytest.fixture
def add_layer():
    return _add_layer


@pytest.fixture
def add_image():
    return _add_image


def _add_layer(store, name, *, depends_on=(), blobs=(), size=0, has_fs=False):
    layer_id = LayerId(digest_of(name.encode()))
    with store.layers.stage() as staged:
        (staged.path / "index").write_bytes(name.encode())
        if size:
            (staged.path / "pack").write_bytes(b"x" * size)
        if has_fs:
            (staged.path / "fs").mkdir()
            (staged.path / "fs" / "file").write_bytes(name.encode())
        store.layers.commit(staged, layer_id, depends_on=depends_on, blobs=blobs)
    return layer_id


def _add_image(store, name, *layer_ids, blobs=()):
    config = b'{"name":"' + name.encode() + b'"}'
    layers = tuple(
        ImageLayer(diff_id=DiffId(digest_of(b"tar" + layer_id.encode())), layer_id=layer_id, size_bytes=1, blobs=blobs)
        for layer_id in layer_ids
    )
    record = ImageRecord(image_id=digest_of(config), config=config, layers=layers, platform="linux/amd64")
    store.images.put(record)
    return record
