import gzip
import hashlib
import io
import os
import random
import threading

import pytest
import zstandard

from jettison.layer.compress import compress_layer, cut_blocks


def some_data(size, seed=1):
    """Return data that compresses about as source code does."""
    chance = random.Random(seed)
    words = [chance.randbytes(chance.randint(2, 12)) for _ in range(500)]
    return b" ".join(chance.choices(words, k=size // 6))[:size]


DATA = some_data(5_500_000)


def chunked(data, sizes):
    at = 0
    while at < len(data):
        size = next(sizes)
        yield data[at : at + size]
        at += size


def forever(size):
    while True:
        yield size


def random_sizes(seed):
    chance = random.Random(seed)
    while True:
        yield chance.choice((0, 1, 100, 4096, 70_000, 1 << 20, (1 << 20) + 1, 3_000_000))


def unzstd(data):
    reader = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True)
    return reader.read()


UNPACK = {"none": bytes, "gzip": gzip.decompress, "zstd": unzstd}


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("size", [0, 1, 1024, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 1 << 22, 5_500_000])
def test_digests_sizes_and_content(compression, size):
    sink = io.BytesIO()
    made = compress_layer(chunked(DATA[:size], forever(300_000)), sink, compression=compression, level=1)
    blob = sink.getvalue()
    assert UNPACK[compression](blob) == DATA[:size]
    assert made.diff_id == "sha256:" + hashlib.sha256(DATA[:size]).hexdigest()
    assert made.digest == "sha256:" + hashlib.sha256(blob).hexdigest()
    assert (made.uncompressed_bytes, made.size_bytes) == (size, len(blob))


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_output_depends_on_neither_chunks_nor_threads_nor_luck(compression):
    """Fifty runs, some at the same time, some with memory that was used before."""
    digests = set()

    def run(number):
        made = compress_layer(
            chunked(DATA, random_sizes(number)), io.BytesIO(), compression=compression, level=1, threads=1 + number % 5
        )
        digests.add(made.digest)

    for number in range(44):
        run(number)
    together = [threading.Thread(target=run, args=(number,)) for number in range(44, 50)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    assert len(digests) == 1


def test_gzip_header_is_fixed():
    sink = io.BytesIO()
    compress_layer([b"x"], sink, compression="gzip", level=1)
    assert sink.getvalue()[:10] == bytes.fromhex("1f8b08000000000000ff")


def test_gzip_is_one_member_with_the_right_length():
    sink = io.BytesIO()
    compress_layer([DATA], sink, compression="gzip", level=1)
    assert int.from_bytes(sink.getvalue()[-4:], "little") == len(DATA)


def test_without_sink_the_diff_id_alone():
    made = compress_layer([b"a", b"b"], None, compression="gzip", level=1)
    assert made.diff_id == made.digest == "sha256:" + hashlib.sha256(b"ab").hexdigest()
    assert made.size_bytes == made.uncompressed_bytes == 2


def test_compression_works():
    sizes = {
        name: compress_layer([DATA], None if name == "none" else io.BytesIO(), compression=name, level=3).size_bytes
        for name in ("none", "gzip", "zstd")
    }
    assert sizes["gzip"] < sizes["none"] * 0.7
    assert sizes["zstd"] < sizes["none"] * 0.7


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_error_of_the_source_stops_everything(compression):
    def broken():
        yield DATA
        raise RuntimeError("source")

    before = threading.active_count()
    with pytest.raises(RuntimeError, match="source"):
        compress_layer(broken(), io.BytesIO(), compression=compression, level=1)
    assert threading.active_count() == before


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_error_of_the_sink_stops_everything(compression):
    class Full:
        def write(self, data):
            raise OSError(28, "no space")

    before = threading.active_count()
    with pytest.raises(OSError, match="no space"):
        compress_layer(chunked(DATA, forever(1 << 16)), Full(), compression=compression, level=1)
    assert threading.active_count() == before


def test_blocks_are_whole_whatever_the_chunks():
    data = os.urandom(10_000)
    for seed in range(20):
        blocks = list(cut_blocks(chunked(data, (size % 3000 for size in random_sizes(seed))), 1000))
        assert [len(block) for block in blocks] == [1000] * 10
        assert b"".join(blocks) == data
    assert list(cut_blocks([b"", b""], 10)) == []
