from __future__ import annotations

import io
import json
import tarfile

from jettison.export.docker_tar import write_docker_tar
from jettison.export.package import NamedImage
from jettison.reference import parse_reference


def _read(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}


def test_archive_has_both_formats(blobs):
    record = blobs.an_image({"a": b"a"}, {"b": b"b"})
    names = (parse_reference("app"), parse_reference("localhost:5000/x/app:v1"))
    target = io.BytesIO()
    shipped = write_docker_tar([NamedImage(record=record, names=names)], blobs, target)
    assert shipped.size_bytes == len(target.getvalue())
    files = _read(target.getvalue())
    layers = [f"blobs/sha256/{layer.diff_id[7:]}" for layer in record.layers]
    assert json.loads(files["manifest.json"]) == [
        {
            "Config": f"blobs/sha256/{record.image_id.hex}",
            "RepoTags": ["app:latest", "localhost:5000/x/app:v1"],
            "Layers": layers,
        }
    ]
    top = record.layers[-1].diff_id[7:]
    assert json.loads(files["repositories"]) == {"app": {"latest": top}, "localhost:5000/x/app": {"v1": top}}
    assert files[f"blobs/sha256/{record.image_id.hex}"] == record.config
    assert all(name in files for name in layers)
    assert "index.json" in files
    assert "oci-layout" in files


def test_archive_is_the_same_each_time(blobs):
    image = NamedImage(record=blobs.an_image({"a": b"a"}), names=(parse_reference("app"),))
    first, second = io.BytesIO(), io.BytesIO()
    write_docker_tar([image], blobs, first)
    write_docker_tar([image], blobs, second)
    assert first.getvalue() == second.getvalue()


def test_image_without_a_tag_and_one_given_twice(blobs):
    record = blobs.an_image({"a": b"a"})
    pinned = parse_reference(f"app@{record.image_id}")
    target = io.BytesIO()
    images = [NamedImage(record=record, names=(pinned,)), NamedImage(record=record)]
    write_docker_tar(images, blobs, target)
    files = _read(target.getvalue())
    entries = json.loads(files["manifest.json"])
    assert [entry["RepoTags"] for entry in entries] == [None]
    assert json.loads(files["repositories"]) == {}
