from __future__ import annotations

import io
import json
import os
import tarfile
from dataclasses import replace

import pytest

from jettison.digest import digest_of
from jettison.errors import StoreError
from jettison.export.layout import ShipOptions, write_layout, write_layout_tar
from jettison.export.package import NamedImage
from jettison.reference import parse_reference

APP = parse_reference("app:v1")
LATEST = parse_reference("localhost:5000/app")


def _tar(images, blobs, **options):
    target = io.BytesIO()
    shipped = write_layout_tar(images, blobs, target, ShipOptions(**options))
    assert shipped.size_bytes == len(target.getvalue())
    return shipped, target.getvalue()


def test_directory_is_a_valid_layout(tmp_path, blobs):
    record = blobs.an_image({"hello": b"hello"}, {"world": b"world"})
    shipped = write_layout([NamedImage(record=record, names=(APP, LATEST))], blobs, tmp_path / "out", ShipOptions())
    out = tmp_path / "out"
    assert json.loads((out / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((out / "index.json").read_bytes())
    assert [entry["annotations"] for entry in index["manifests"]] == [
        {"io.containerd.image.name": "docker.io/library/app:v1", "org.opencontainers.image.ref.name": "v1"},
        {"io.containerd.image.name": "localhost:5000/app:latest", "org.opencontainers.image.ref.name": "latest"},
    ]
    assert {entry["digest"] for entry in index["manifests"]} == {shipped.images[0].digest}
    assert index["manifests"][0]["platform"] == {"architecture": "amd64", "os": "linux"}
    manifest = json.loads((out / "blobs" / "sha256" / shipped.images[0].digest.hex).read_bytes())
    assert manifest["config"]["digest"] == record.image_id
    for path in (out / "blobs" / "sha256").iterdir():
        assert digest_of(path.read_bytes()).hex == path.name
        assert path.stat().st_mode & 0o777 == 0o644
    for layer in manifest["layers"]:
        assert layer["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip"
        assert (out / "blobs" / "sha256" / layer["digest"][7:]).stat().st_size == layer["size"]
    assert len(os.listdir(out / "blobs" / "sha256")) == 4


def test_tar_is_the_same_each_time_whatever_the_umask(blobs):
    record = blobs.an_image({"hello": b"hello"})
    image = NamedImage(record=record, names=(APP,))
    _, first = _tar([image], blobs)
    before = os.umask(0o077)
    try:
        _, second = _tar([image], blobs)
    finally:
        os.umask(before)
    assert first == second


def test_tar_has_no_owner_and_one_time(blobs):
    record = blobs.an_image({"hello": b"hello"})
    _, data = _tar([NamedImage(record=record)], blobs, epoch=1_700_000_000)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = tar.getmembers()
    assert [member.name for member in members[:4]] == ["oci-layout", "index.json", "blobs", "blobs/sha256"]
    assert [member.name for member in members[4:]] == sorted(member.name for member in members[4:])
    for member in members:
        assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
        assert member.mtime == 1_700_000_000
        assert member.mode == (0o755 if member.isdir() else 0o644)


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_compression_is_the_callers_choice(blobs, compression):
    record = blobs.an_image({"hello": b"hello" * 1000})
    _tar([NamedImage(record=record)], blobs, compression=compression)
    assert blobs.asked == [(record.layers[0].diff_id, compression)]


def test_image_without_layers_and_names_ships_too(tmp_path, blobs):
    record = blobs.an_image()
    write_layout([NamedImage(record=record)], blobs, tmp_path / "out", ShipOptions())
    index = json.loads((tmp_path / "out" / "index.json").read_bytes())
    assert "annotations" not in index["manifests"][0]


def test_layer_that_two_images_share_is_written_once(blobs):
    one = blobs.an_image({"base": b""}, {"one": b""})
    two = blobs.an_image({"base": b""}, {"two": b""})
    _, data = _tar([NamedImage(record=one), NamedImage(record=two)], blobs)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        names = tar.getnames()
    assert len(names) == len(set(names)) == 4 + 4 + 3


def test_annotations_go_into_the_manifest_sorted(tmp_path, blobs):
    record = blobs.an_image()
    options = ShipOptions(annotations=(("z", "1"), ("a", "ä")))
    shipped = write_layout([NamedImage(record=record)], blobs, tmp_path / "out", options)
    manifest = json.loads((tmp_path / "out" / "blobs" / "sha256" / shipped.images[0].digest.hex).read_bytes())
    assert list(manifest["annotations"].items()) == [("a", "ä"), ("z", "1")]


def test_docker_types_of_layers_become_oci_types(tmp_path, blobs):
    record = blobs.an_image({"hello": b""})

    class Docker:
        def layer_blob(self, layer, compression):
            made = blobs.layer_blob(layer, compression)
            return replace(made, media_type="application/vnd.docker.image.rootfs.diff.tar.gzip")

    shipped = write_layout([NamedImage(record=record)], Docker(), tmp_path / "out", ShipOptions())
    manifest = json.loads((tmp_path / "out" / "blobs" / "sha256" / shipped.images[0].digest.hex).read_bytes())
    assert manifest["layers"][0]["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip"


def test_images_join_a_layout_and_names_move(tmp_path, blobs):
    one, two = blobs.an_image({"one": b""}), blobs.an_image({"two": b""})
    out = tmp_path / "out"
    write_layout([NamedImage(record=one, names=(APP, LATEST))], blobs, out, ShipOptions())
    shipped = write_layout([NamedImage(record=two, names=(APP,))], blobs, out, ShipOptions())
    again = write_layout([NamedImage(record=two, names=(APP,))], blobs, out, ShipOptions())
    assert again.images == shipped.images
    assert again.size_bytes < shipped.size_bytes
    index = json.loads((out / "index.json").read_bytes())
    names = {entry["annotations"]["io.containerd.image.name"]: entry["digest"] for entry in index["manifests"]}
    assert len(index["manifests"]) == 2
    assert names["docker.io/library/app:v1"] == shipped.images[0].digest
    assert names["localhost:5000/app:latest"] != shipped.images[0].digest


def test_directory_of_something_else_is_refused(tmp_path, blobs):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as caught:
        write_layout([NamedImage(record=blobs.an_image())], blobs, tmp_path, ShipOptions())
    assert caught.value.slug == "export-destination"


@pytest.mark.parametrize("place", ["blobs", "blobs/sha256", "index.json"])
def test_symlinks_in_the_destination_are_not_followed(tmp_path, blobs, place):
    out, victim = tmp_path / "out", tmp_path / "victim"
    write_layout([NamedImage(record=blobs.an_image())], blobs, out, ShipOptions())
    (out / place).rename(victim)
    (out / place).symlink_to(victim)
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    with pytest.raises(StoreError):
        write_layout([NamedImage(record=blobs.an_image({"new": b""}))], blobs, out, ShipOptions())
    assert sorted(str(path) for path in tmp_path.rglob("*") if "layer-blobs/" not in str(path)) == [
        path for path in before if "layer-blobs/" not in path
    ]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"manifests": {}}', '{"manifests": [1]}', "[" * 100_000])
def test_damaged_index_in_the_destination_is_refused(tmp_path, blobs, text):
    out = tmp_path / "out"
    write_layout([NamedImage(record=blobs.an_image())], blobs, out, ShipOptions())
    (out / "index.json").write_text(text)
    with pytest.raises(StoreError) as caught:
        write_layout([NamedImage(record=blobs.an_image())], blobs, out, ShipOptions())
    assert caught.value.slug == "export-destination"


def test_partial_image_is_refused(blobs):
    record = replace(blobs.an_image(), is_partial=True)
    with pytest.raises(StoreError) as caught:
        _tar([NamedImage(record=record)], blobs)
    assert caught.value.slug == "image-partial"


@pytest.mark.parametrize("change", [b"", b"x" * 100_000])
def test_blob_of_the_wrong_size_is_found_out(tmp_path, blobs, change):
    class Damaged:
        def layer_blob(self, layer, compression):
            made = blobs.layer_blob(layer, compression)
            made.path.write_bytes(change)
            return made

    record = blobs.an_image({"hello": b"hello"})
    with pytest.raises(StoreError) as caught:
        write_layout_tar([NamedImage(record=record)], Damaged(), io.BytesIO(), ShipOptions())
    assert caught.value.slug == "blob-damaged"
    with pytest.raises(StoreError):
        write_layout([NamedImage(record=record)], Damaged(), tmp_path / "out", ShipOptions())
    assert not [path for path in (tmp_path / "out").rglob("*") if path.name.endswith(".part")]
