from __future__ import annotations

import pytest
from tests.fakes.layer_blobs import FileLayerBlobs


@pytest.fixture
def blobs(tmp_path):
    (tmp_path / "layer-blobs").mkdir()
    return FileLayerBlobs(tmp_path / "layer-blobs")
