"""Fixtures of the whole product, for tests of the command line and of builds."""

from __future__ import annotations

import pytest
from tests.fakes.product import Product, make_busybox_tar


@pytest.fixture(scope="session")
def busybox_tar(tmp_path_factory):
    """A root file system of busybox, as a tar."""
    path = tmp_path_factory.mktemp("busybox") / "rootfs.tar"
    make_busybox_tar(path)
    return path


@pytest.fixture(scope="session")
def shared(tmp_path_factory, busybox_tar):
    """A root with the image ``busybox:test`` that all tests of the session may read and build in."""
    product = Product(tmp_path_factory.mktemp("shared"))
    product.import_busybox(busybox_tar)
    return product


@pytest.fixture
def product(tmp_path, busybox_tar):
    """A root of this test's own with the image ``busybox:test``."""
    product = Product(tmp_path / "jettison")
    product.import_busybox(busybox_tar)
    return product


@pytest.fixture
def context(tmp_path):
    """An empty build context."""
    path = tmp_path / "context"
    path.mkdir()
    return path
