"""Other people's tools read what we write, and we read what they write."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from tests.fakes.layer_blobs import FileLayerBlobs

from jettison.export.archive_in import open_archive
from jettison.export.docker_tar import write_docker_tar
from jettison.export.layout import ShipOptions, write_layout, write_layout_tar
from jettison.export.package import NamedImage
from jettison.platform import Platform
from jettison.reference import parse_reference

pytestmark = pytest.mark.judges
APP = parse_reference("app:v1")
AMD64 = Platform(os="linux", architecture="amd64")


def _run(*args):
    done = subprocess.run(args, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture
def skopeo():
    if shutil.which("skopeo") is None:
        pytest.skip("skopeo is not installed")
    return lambda *args: _run("skopeo", "--insecure-policy", *map(str, args))


@pytest.fixture
def blobs(tmp_path):
    (tmp_path / "layer-blobs").mkdir()
    return FileLayerBlobs(tmp_path / "layer-blobs")


@pytest.fixture
def image(blobs):
    return NamedImage(record=blobs.an_image({"hello": b"hello"}, {"dir/world": b"world" * 1000}), names=(APP,))


def _ids(source, tmp_path):
    with open_archive(source, spool=tmp_path / "spool", platform=AMD64) as images:
        for loaded in images:
            for layer in loaded.layers:
                with layer.open() as stream:
                    while stream.read(1 << 16):
                        pass
        return [loaded.image_id for loaded in images]


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_skopeo_reads_our_layouts(skopeo, blobs, image, tmp_path, compression):
    write_layout([image], blobs, tmp_path / "out", ShipOptions(compression=compression))
    with (tmp_path / "out.tar").open("wb") as sink:
        write_layout_tar([image], blobs, sink, ShipOptions(compression=compression))
    for source in (f"oci:{tmp_path}/out:v1", f"oci-archive:{tmp_path}/out.tar:v1"):
        assert skopeo("inspect", "--config", "--raw", source) == image.record.config
        skopeo("copy", source, f"dir:{tmp_path}/copy")
        shutil.rmtree(tmp_path / "copy")


def test_skopeo_reads_our_docker_archives(skopeo, blobs, image, tmp_path):
    with (tmp_path / "out.tar").open("wb") as sink:
        write_docker_tar([image], blobs, sink)
    source = f"docker-archive:{tmp_path}/out.tar"
    told = json.loads(skopeo("inspect", source))
    assert told["Layers"] == [layer.diff_id for layer in image.record.layers]
    assert skopeo("inspect", "--config", "--raw", f"{source}:app:v1") == image.record.config
    skopeo("copy", source, f"oci:{tmp_path}/copy:v1")
    # skopeo writes the config anew (without what OCI does not know), so the id is another; the layers are the same.
    with open_archive(tmp_path / "copy", spool=tmp_path / "spool", platform=AMD64) as images:
        assert [layer.diff_id for layer in images[0].layers] == [layer.diff_id for layer in image.record.layers]
    assert len(_ids(tmp_path / "copy", tmp_path)) == 1


def test_we_read_what_skopeo_writes(skopeo, blobs, image, tmp_path):
    write_layout([image], blobs, tmp_path / "out", ShipOptions())
    for kind in ("docker-archive", "oci-archive"):
        skopeo("copy", f"oci:{tmp_path}/out:v1", f"{kind}:{tmp_path}/{kind}.tar:docker.io/library/app:v1")
        assert _ids(tmp_path / f"{kind}.tar", tmp_path) == [image.record.image_id], kind
        with open_archive(tmp_path / f"{kind}.tar", spool=tmp_path / "spool", platform=AMD64) as images:
            assert images[0].names == (APP,), kind


def test_umoci_unpacks_our_layouts(blobs, image, tmp_path):
    if shutil.which("umoci") is None:
        pytest.skip("umoci is not installed")
    write_layout([image], blobs, tmp_path / "out", ShipOptions())
    _run("umoci", "unpack", "--rootless", "--image", f"{tmp_path}/out:v1", str(tmp_path / "bundle"))
    assert (tmp_path / "bundle" / "rootfs" / "hello").read_bytes() == b"hello"
    assert (tmp_path / "bundle" / "rootfs" / "dir" / "world").read_bytes() == b"world" * 1000


def test_umoci_finds_nothing_to_collect_in_our_layouts(blobs, image, tmp_path):
    if shutil.which("umoci") is None:
        pytest.skip("umoci is not installed")
    write_layout([image], blobs, tmp_path / "out", ShipOptions())
    before = sorted(path.name for path in (tmp_path / "out" / "blobs" / "sha256").iterdir())
    _run("umoci", "gc", "--layout", str(tmp_path / "out"))
    assert sorted(path.name for path in (tmp_path / "out" / "blobs" / "sha256").iterdir()) == before
