"""Both builders for the cases of conformance."""

from __future__ import annotations

import os

import pytest
from tests.conformance.builders import Pair
from tests.fakes.product import Product


@pytest.fixture(scope="session")
def pair(tmp_path_factory, busybox_tar):
    """Us and buildah, each with the image ``busybox:test``."""
    if os.geteuid() != 0:
        pytest.skip("buildah as an ordinary user needs a set-up of its own")
    place = tmp_path_factory.mktemp("conformance")
    product = Product(place / "jettison")
    product.import_busybox(busybox_tar)
    found = Pair(product, place)
    yield found
    found.buildah.close()
