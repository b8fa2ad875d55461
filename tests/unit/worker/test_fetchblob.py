from __future__ import annotations

from contextlib import contextmanager

import pytest
from tests.fakes.copying import a_file

from jettison.digest import LayerId
from jettison.errors import LayerError
from jettison.filetree import ContentKind, ContentRef
from jettison.layer.pack import PackWriter
from jettison.worker.fetchblob import pack_blobs

LAYERS = {LayerId("sha256:" + digit * 64): data for digit, data in (("a", b"0123456789" * 3), ("b", b"abcdefghij"))}
FIRST, SECOND = LAYERS


@contextmanager
def open_blob(layer_id):
    data = LAYERS[layer_id]
    yield (data[at : at + 4] for at in range(0, len(data), 4))


def a_piece(layer, offset, size, name=b"f"):
    return a_file(name, LAYERS[layer][offset : offset + size])[0], ContentRef(ContentKind.BLOB, layer, offset)


def test_pieces_of_several_blobs_in_any_order(tmp_path):
    pieces = [a_piece(SECOND, 6, 3), a_piece(FIRST, 21, 5), a_piece(FIRST, 0, 13), a_piece(FIRST, 0, 13, b"again")]
    with PackWriter(tmp_path / "pack") as pack:
        placed = pack_blobs(iter(pieces), pack, open_blob)
        pack.finish()
    data = (tmp_path / "pack").read_bytes()
    assert len(data) == 3 + 5 + 13
    for entry, ref in pieces:
        at = placed[ref.layer, ref.offset]
        assert data[at : at + entry.size] == LAYERS[ref.layer][ref.offset : ref.offset + entry.size]


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([a_piece(FIRST, 0, 20), a_piece(FIRST, 4, 4)], id="overlap"),
        pytest.param([(a_file(b"f", b"x" * 50)[0], ContentRef(ContentKind.BLOB, FIRST, 0))], id="too-short"),
        pytest.param([(a_file(b"f", b"other")[0], ContentRef(ContentKind.BLOB, FIRST, 0))], id="other-content"),
    ],
)
def test_blob_that_is_not_what_the_index_says_is_refused(tmp_path, pieces):
    with PackWriter(tmp_path / "pack") as pack, pytest.raises(LayerError) as caught:
        pack_blobs(pieces, pack, open_blob)
    assert caught.value.slug == "layer-content"
