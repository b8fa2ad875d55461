from __future__ import annotations

import bz2
import gzip
import io
import json
import os
import tarfile
from dataclasses import replace

import pytest
import zstandard

from jettison.digest import digest_of
from jettison.errors import LayerError
from jettison.export.archive_in import open_archive
from jettison.export.docker_tar import write_docker_tar
from jettison.export.layout import ShipOptions, write_layout, write_layout_tar
from jettison.export.package import NamedImage
from jettison.limits import DEFAULT_LIMITS
from jettison.platform import Platform
from jettison.reference import parse_reference

AMD64 = Platform(os="linux", architecture="amd64")
APP = parse_reference("app:v1")
LAYER = "application/vnd.oci.image.layer.v1.tar"


@pytest.fixture
def load(tmp_path):
    def loading(source, *, platform=AMD64, limits=DEFAULT_LIMITS):
        if isinstance(source, bytes):
            (tmp_path / "archive").write_bytes(source)
            source = tmp_path / "archive"
        with open_archive(source, spool=tmp_path / "spool", platform=platform, limits=limits) as images:
            contents = []
            for image in images:
                for layer in image.layers:
                    with layer.open() as stream:
                        contents.append(b"".join(iter(lambda stream=stream: stream.read(1000), b"")))
        assert not (tmp_path / "spool").exists()
        return images, contents

    return loading


def _docker(blobs, *images):
    target = io.BytesIO()
    write_docker_tar(images, blobs, target)
    return target.getvalue()


def _layout(blobs, *images, **options):
    target = io.BytesIO()
    write_layout_tar(images, blobs, target, ShipOptions(**options))
    return target.getvalue()


def _pack(files):
    """Return a tar; a value is content, or a TarInfo that stands for itself."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, data in files.items() if isinstance(files, dict) else files:
            if isinstance(data, tarfile.TarInfo):
                tar.addfile(data)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return target.getvalue()


def _unpack(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}


def _link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


def _old_docker(blobs, record, **changes):
    tars = [blobs.tars[layer.diff_id] for layer in record.layers]
    files = {f"{number}/layer.tar": tar for number, tar in enumerate(tars)}
    files[f"{record.image_id.hex}.json"] = record.config
    entry = {
        "Config": f"{record.image_id.hex}.json",
        "RepoTags": ["app:v1"],
        "Layers": [f"{number}/layer.tar" for number in range(len(tars))],
    }
    files["manifest.json"] = json.dumps([{**entry, **changes}]).encode()
    return files


def test_layout_tar_comes_back(load, blobs):
    record = blobs.an_image({"a": b"a" * 5000}, {"b": b"b"})
    images, contents = load(_layout(blobs, NamedImage(record=record, names=(APP,))))
    (image,) = images
    assert (image.image_id, image.config, image.names, image.platform) == (
        record.image_id,
        record.config,
        (APP,),
        AMD64,
    )
    assert [layer.diff_id for layer in image.layers] == [layer.diff_id for layer in record.layers]
    assert [layer.media_type for layer in image.layers] == [LAYER + "+gzip"] * 2
    assert [digest_of(gzip.decompress(content)) for content in contents] == [layer.diff_id for layer in record.layers]
    assert image.manifest is not None


def test_layout_directory_comes_back(load, blobs, tmp_path):
    record = blobs.an_image({"a": b"a"})
    write_layout([NamedImage(record=record, names=(APP,))], blobs, tmp_path / "out", ShipOptions(compression="zstd"))
    images, _ = load(tmp_path / "out")
    assert images[0].image_id == record.image_id
    assert images[0].layers[0].media_type == LAYER + "+zstd"


def test_docker_archive_comes_back_with_all_names_once(load, blobs):
    record = blobs.an_image({"a": b"a"})
    other = blobs.an_image({"b": b"b"})
    names = (APP, parse_reference("localhost:5000/app"))
    images, contents = load(_docker(blobs, NamedImage(record=record, names=names), NamedImage(record=other)))
    assert {image.image_id: image.names for image in images} == {record.image_id: names, other.image_id: ()}
    assert {digest_of(content) for content in contents} == {record.layers[0].diff_id, other.layers[0].diff_id}


def test_old_docker_archive_comes_back(load, blobs):
    record = blobs.an_image({"a": b"a"}, {"b": b"b"})
    images, contents = load(_pack(_old_docker(blobs, record)))
    assert images[0].names == (APP,)
    assert images[0].manifest is None
    assert [layer.digest for layer in images[0].layers] == [layer.diff_id for layer in record.layers]
    assert contents == [blobs.tars[layer.diff_id] for layer in record.layers]


def test_old_docker_archive_with_links_for_equal_layers_and_dots_before_names(load, blobs):
    record = blobs.an_image({"a": b"a"}, {"a": b"a"}, {"a": b"a"})
    files = _old_docker(blobs, record)
    files["1/layer.tar"] = _link("./1/layer.tar", "../0/layer.tar")
    files["2/layer.tar"] = _link("./2/layer.tar", "1/layer.tar", tarfile.LNKTYPE)
    _, contents = load(_pack({f"./{name}": data for name, data in files.items()}))
    assert len(set(contents)) == 1


def test_old_docker_archive_with_compressed_layers_leaves_the_digest_open(load, blobs):
    record = blobs.an_image({"a": b"a"})
    files = _old_docker(blobs, record)
    files["0/layer.tar"] = gzip.compress(files["0/layer.tar"])
    images, _ = load(_pack(files))
    assert images[0].layers[0].digest is None
    assert images[0].layers[0].media_type == LAYER + "+gzip"


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress, bz2.compress], ids=["gzip", "zstd", "bzip2"])
def test_compressed_archives_are_unpacked_first(load, blobs, compress):
    record = blobs.an_image({"a": os.urandom(100_000)})
    images, _ = load(compress(_docker(blobs, NamedImage(record=record))))
    assert images[0].image_id == record.image_id


def test_streams_are_read_too(load, blobs):
    record = blobs.an_image({"a": b"a"})

    class Pipe(io.RawIOBase):
        def __init__(self, data):
            self.data = io.BytesIO(data)

        def read(self, size=-1):
            return self.data.read(min(size, 777))

    images, _ = load(Pipe(_docker(blobs, NamedImage(record=record))))
    assert images[0].image_id == record.image_id


def _two_platforms(blobs, tmp_path):
    """Return a layout of which the only entry is an index of two platforms and an attestation."""
    amd64, arm64 = blobs.an_image({"a": b"amd64"}), blobs.an_image({"a": b"arm64"}, architecture="arm64")
    data = _unpack(_layout(blobs, NamedImage(record=amd64), NamedImage(record=arm64)))
    entries = json.loads(data["index.json"])["manifests"]
    attestation = {
        **entries[0],
        "platform": {"os": "unknown", "architecture": "unknown"},
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    }
    nested = json.dumps({"schemaVersion": 2, "manifests": [*entries, attestation]}).encode()
    digest = digest_of(nested)
    data[f"blobs/sha256/{digest.hex}"] = nested
    entry = {
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "digest": digest,
        "size": len(nested),
        "annotations": {"org.opencontainers.image.ref.name": "docker.io/library/app:v1"},
    }
    data["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    return data, amd64, arm64


def test_index_of_several_platforms_gives_the_wanted_one(load, blobs, tmp_path):
    data, amd64, arm64 = _two_platforms(blobs, tmp_path)
    images, _ = load(_pack(data))
    assert [(image.image_id, image.names) for image in images] == [(amd64.image_id, (APP,))]
    images, _ = load(_pack(data), platform=Platform(os="linux", architecture="arm64"))
    assert [image.image_id for image in images] == [arm64.image_id]


def test_index_without_the_wanted_platform_says_what_there_is(load, blobs, tmp_path):
    data, _, _ = _two_platforms(blobs, tmp_path)
    with pytest.raises(LayerError) as caught:
        load(_pack(data), platform=Platform(os="linux", architecture="s390x"))
    assert caught.value.slug == "archive-platform"
    assert "linux/amd64, linux/arm64" in caught.value.message


def test_tag_that_is_no_reference_is_no_name(load, blobs):
    record = blobs.an_image()
    data = _unpack(_layout(blobs, NamedImage(record=record, names=(APP,))))
    index = json.loads(data["index.json"])
    for text, names in (
        ("latest", ()),
        ("Not A/Name", ()),
        ("ghcr.io/x/app:v1", (parse_reference("ghcr.io/x/app:v1"),)),
    ):
        index["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": text}
        images, _ = load(_pack({**data, "index.json": json.dumps(index).encode()}))
        assert images[0].names == names


def _hostile(blobs, change):
    record = blobs.an_image({"a": b"a" * 100})
    data = _unpack(_layout(blobs, NamedImage(record=record, names=(APP,)), compression="none"))
    layer = f"blobs/sha256/{record.layers[0].diff_id[7:]}"
    config = f"blobs/sha256/{record.image_id.hex}"
    index = json.loads(data["index.json"])
    manifest = f"blobs/sha256/{index['manifests'][0]['digest'][7:]}"
    change(data, layer=layer, config=config, manifest=manifest, index=index)
    return data


def _flip(which):
    def change(data, **names):
        data[names[which]] = data[names[which]][:-1] + bytes([data[names[which]][-1] ^ 1])

    return change


def _cut(which):
    def change(data, **names):
        data[names[which]] = data[names[which]][:-1]

    return change


def _drop(which):
    def change(data, **names):
        del data[names.get(which, which)]

    return change


def _entry(**changes):
    def change(data, *, index, **names):
        index["manifests"][0].update(changes)
        data["index.json"] = json.dumps(index).encode()

    return change


def _manifest(**changes):
    def change(data, *, index, manifest, **names):
        text = json.dumps(json.loads(data[manifest]) | changes).encode()
        data[f"blobs/sha256/{digest_of(text).hex}"] = text
        _entry(digest=digest_of(text), size=len(text))(data, index=index)

    return change


def _text(name, text):
    def change(data, **names):
        data[name] = text

    return change


def _many(data, *, index, **names):
    data["index.json"] = json.dumps({"manifests": index["manifests"] * 1001}).encode()


@pytest.mark.parametrize(
    ("change", "slug"),
    [
        pytest.param(_flip("layer"), "archive-digest", id="layer-flipped"),
        pytest.param(_flip("config"), "archive-digest", id="config-flipped"),
        pytest.param(_flip("manifest"), "archive-digest", id="manifest-flipped"),
        pytest.param(_cut("layer"), "archive-digest", id="layer-cut"),
        pytest.param(_cut("config"), "archive-digest", id="config-cut"),
        pytest.param(_cut("manifest"), "archive-digest", id="manifest-cut"),
        pytest.param(_drop("layer"), "archive-bad", id="layer-missing"),
        pytest.param(_drop("manifest"), "archive-bad", id="manifest-missing"),
        pytest.param(_drop("index.json"), "archive-bad", id="index-missing"),
        pytest.param(_entry(size=1), "archive-digest", id="size-wrong"),
        pytest.param(_entry(size="1"), "archive-bad", id="size-text"),
        pytest.param(_entry(size=True), "archive-bad", id="size-boolean"),
        pytest.param(_entry(digest="sha256:../../../etc/passwd"), "archive-bad", id="digest-path"),
        pytest.param(_entry(digest=None), "archive-bad", id="digest-null"),
        pytest.param(_manifest(mediaType=["x"]), "archive-bad", id="media-type-list"),
        pytest.param(_manifest(config={"mediaType": {}}), "archive-bad", id="config-media-type-object"),
        pytest.param(_entry(annotations={"io.containerd.image.name": "../x"}), "archive-bad", id="name-wrong"),
        pytest.param(_text("index.json", b"[" * 100_000), "archive-bad", id="json-deep"),
        pytest.param(_text("index.json", b'{"a":' * 100 + b"1" + b"}" * 100), "archive-limit", id="json-over-depth"),
        pytest.param(_text("index.json", b"\xff{}"), "archive-bad", id="json-not-text"),
        pytest.param(_text("index.json", b"[]"), "archive-bad", id="json-list"),
        pytest.param(_text("index.json", b'{"manifests":[]}'), "archive-bad", id="no-image"),
        pytest.param(_text("index.json", b" " * (9 << 20)), "archive-limit", id="json-large"),
        pytest.param(_many, "archive-limit", id="many-images"),
    ],
)
def test_damaged_or_hostile_layouts_are_refused(load, blobs, change, slug):
    with pytest.raises(LayerError) as caught:
        load(_pack(_hostile(blobs, change)))
    assert caught.value.slug == slug
    assert caught.value.hint or slug == "archive-limit"


def test_a_name_that_no_file_system_has_is_a_missing_file(load, tmp_path):
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "manifest.json").write_text('[{"Config":"\\ud800","RepoTags":[],"Layers":[]}]')
    with pytest.raises(LayerError, match="is missing") as caught:
        load(tmp_path / "saved")
    assert caught.value.slug == "archive-bad"


@pytest.mark.parametrize(
    ("members", "slug"),
    [
        pytest.param([("../escape", b"")], "archive-path", id="dot-dot"),
        pytest.param([("/etc/passwd", b"")], "archive-path", id="absolute"),
        pytest.param([("a/../../b", b"")], "archive-path", id="dot-dot-inside"),
        pytest.param([("a", b""), ("./a", b"")], "archive-bad", id="twice"),
        pytest.param([("a", _link("a", "/etc/passwd"))], "archive-path", id="symlink-absolute"),
        pytest.param([("a", _link("x/a", "../../etc/passwd"))], "archive-path", id="symlink-out"),
        pytest.param([("a", _link("a", "../x", tarfile.LNKTYPE))], "archive-path", id="hard-link-out"),
        pytest.param([("a", _link("manifest.json", "manifest.json"))], "archive-bad", id="symlink-loop"),
        pytest.param([("a", _link("fifo", "", tarfile.FIFOTYPE))], "archive-bad", id="fifo"),
        pytest.param([("a", _link("dev", "", tarfile.CHRTYPE))], "archive-bad", id="device"),
        pytest.param([("repositories", b"{}")], "archive-bad", id="too-old"),
        pytest.param([("x", b"")], "archive-bad", id="no-image-archive"),
        pytest.param([], "archive-bad", id="empty"),
    ],
)
def test_hostile_members_are_refused(load, members, slug):
    with pytest.raises(LayerError) as caught:
        load(_pack(members))
    assert caught.value.slug == slug


@pytest.mark.parametrize(
    ("changes", "slug"),
    [
        pytest.param({"Config": "../../etc/passwd"}, "archive-path", id="config-path"),
        pytest.param({"Config": "missing.json"}, "archive-bad", id="config-missing"),
        pytest.param({"Config": 1}, "archive-bad", id="config-number"),
        pytest.param({"Config": "0/layer.tar"}, "archive-bad", id="config-no-json"),
        pytest.param({"Layers": ["/etc/passwd"]}, "archive-path", id="layer-path"),
        pytest.param({"Layers": []}, "archive-bad", id="layer-count"),
        pytest.param({"Layers": [["x"]]}, "archive-bad", id="layer-list"),
        pytest.param({"RepoTags": ["UPPER"]}, "archive-bad", id="tag-wrong"),
        pytest.param({"RepoTags": "x"}, "archive-bad", id="tags-text"),
    ],
)
def test_hostile_docker_manifests_are_refused(load, blobs, changes, slug):
    with pytest.raises(LayerError) as caught:
        load(_pack(_old_docker(blobs, blobs.an_image({"a": b""}), **changes)))
    assert caught.value.slug == slug


def test_config_that_is_not_what_its_name_says_is_refused(load, blobs):
    record = blobs.an_image({"a": b""})
    files = _old_docker(blobs, record)
    files[f"{record.image_id.hex}.json"] = record.config.replace(b"hello", b"hullo")
    with pytest.raises(LayerError) as caught:
        load(_pack(files))
    assert caught.value.slug == "archive-digest"


def test_layer_that_is_not_what_its_diff_id_says_is_refused_at_its_end(load, blobs):
    record = blobs.an_image({"a": b""})
    files = _old_docker(blobs, record)
    files["0/layer.tar"] = blobs.tars[blobs.an_image({"b": b""}).layers[0].diff_id]
    with pytest.raises(LayerError) as caught:
        load(_pack(files))
    assert caught.value.slug == "archive-digest"


@pytest.mark.parametrize("place", ["index.json", "blobs", "manifest"])
def test_symlinks_in_a_directory_are_not_followed(load, blobs, tmp_path, place):
    shipped = write_layout([NamedImage(record=blobs.an_image())], blobs, tmp_path / "out", ShipOptions())
    path = tmp_path / "out" / (place if place != "manifest" else f"blobs/sha256/{shipped.images[0].digest.hex}")
    path.rename(tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    with pytest.raises(LayerError) as caught:
        load(tmp_path / "out")
    assert caught.value.slug == "archive-bad"


def test_fifo_in_a_directory_does_not_hang(load, blobs, tmp_path):
    write_layout([NamedImage(record=blobs.an_image())], blobs, tmp_path / "out", ShipOptions())
    (tmp_path / "out" / "index.json").unlink()
    os.mkfifo(tmp_path / "out" / "index.json")
    with pytest.raises(LayerError):
        load(tmp_path / "out")


def test_bound_on_the_whole_archive_counts_unpacked_bytes(load, blobs):
    data = _docker(blobs, NamedImage(record=blobs.an_image({"a": bytes(100_000)})))
    load(gzip.compress(data), limits=replace(DEFAULT_LIMITS, archive_bytes=len(data)))
    for archive in (gzip.compress(data), data):
        with pytest.raises(LayerError) as caught:
            load(archive, limits=replace(DEFAULT_LIMITS, archive_bytes=len(data) - 1))
        assert caught.value.slug == "archive-limit"


def test_bound_on_the_number_of_members(load, blobs):
    files = _old_docker(blobs, blobs.an_image({"a": b""}))
    load(_pack(files), limits=replace(DEFAULT_LIMITS, archive_members=len(files)))
    with pytest.raises(LayerError) as caught:
        load(_pack(files), limits=replace(DEFAULT_LIMITS, archive_members=len(files) - 1))
    assert caught.value.slug == "tar-limit"


def test_every_truncation_is_an_error_of_ours(load, blobs):
    data = _docker(blobs, NamedImage(record=blobs.an_image({"a": b"a"})))
    for size in range(0, len(data) - 1024, 251):
        with pytest.raises(LayerError):
            load(data[:size])
