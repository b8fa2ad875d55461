from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile

import pytest
import zstandard
from tests.fakes.copying import a_context, a_copy_op

from jettison.errors import ContextError
from jettison.worker.archive import is_archive
from jettison.worker.select import select


def a_tar(name="file", data=b"x"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


CODECS = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
}


def judge(path, data):
    path.write_bytes(data)
    fd = os.open(path, os.O_RDONLY)
    try:
        return is_archive(fd)
    finally:
        os.close(fd)


@pytest.mark.parametrize("codec", CODECS)
def test_archive_is_told_by_its_content(tmp_path, codec):
    assert judge(tmp_path / "name-says-nothing", CODECS[codec](a_tar()))
    assert not judge(tmp_path / "x.tar", CODECS[codec](b"a text that is no tar\n" * 100))
    assert not judge(tmp_path / "x.tar", CODECS[codec](b""))


def test_damaged_archives_are_no_archives_when_their_head_is_gone(tmp_path):
    assert not judge(tmp_path / "x", gzip.compress(a_tar())[:12])
    assert not judge(tmp_path / "x", b"\x1f\x8b\x08" + b"\xff" * 600)
    assert not judge(tmp_path / "x", bytes(1024))


def test_add_refuses_to_copy_an_archive_silently(tmp_path):
    (tmp_path / "a.tgz").write_bytes(gzip.compress(a_tar()))
    with a_context(tmp_path) as context:
        with pytest.raises(ContextError) as caught:
            select(a_copy_op("*.tgz", is_add=True), context)
        assert caught.value.slug == "unsupported-feature"
        assert "ADD would extract the archive 'a.tgz'" in caught.value.message
        assert len(select(a_copy_op("a.tgz"), context).items) == 1


def test_add_of_a_compressed_text_copies_it(tmp_path):
    (tmp_path / "data.gz").write_bytes(gzip.compress(b"text" * 1000))
    with a_context(tmp_path) as context:
        assert len(select(a_copy_op("data.gz", is_add=True), context).items) == 1
