import hashlib
import os

import pytest

from jettison.errors import LayerError
from jettison.layer.pack import PackWriter


def test_contents_lie_where_it_says(tmp_path):
    big = os.urandom(2_500_000)
    (tmp_path / "source").write_bytes(big)
    fd = os.open(tmp_path / "source", os.O_RDONLY)
    with PackWriter(tmp_path / "pack") as pack:
        packed = [
            (pack.append(b"one"), b"one"),
            (pack.append(iter([b"t", b"", b"wo"])), b"two"),
            (pack.append(b""), b""),
            (pack.append_fd(fd, 1_000_000), big[:1_000_000]),
            (pack.append_fd(fd, 1_500_000), big[1_000_000:]),
            (pack.append_fd(fd, 0), b""),
        ]
        size = pack.finish()
    os.close(fd)
    data = (tmp_path / "pack").read_bytes()
    assert len(data) == size
    for (offset, length, digest), content in packed:
        assert data[offset : offset + length] == content
        assert digest == hashlib.sha256(content).digest()
    assert (tmp_path / "pack").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("size", [11, 5_000_000])
def test_file_that_shrinks_is_refused(tmp_path, size):
    (tmp_path / "source").write_bytes(b"x" * 10)
    fd = os.open(tmp_path / "source", os.O_RDONLY)
    with pytest.raises(LayerError) as caught, PackWriter(tmp_path / "pack") as pack:
        pack.append_fd(fd, size)
    os.close(fd)
    assert caught.value.slug == "layer-content"
    assert os.listdir(tmp_path) == ["source"]
