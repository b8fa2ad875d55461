from __future__ import annotations

from dataclasses import replace

import pytest

from jettison.digest import DiffId, digest_of
from jettison.errors import ImageNotFoundError, StoreError
from jettison.reference import parse_reference
from jettison.store.images import ImageLayer, ImageRecord, KnownBlob


def test_image_comes_back_as_it_was(store, add_layer):
    config = b'{"x":"\xff\xfe \xf0\x9f\x98\x80 \\ud800"}\n'
    blob = KnownBlob(digest=digest_of(b"b"), size_bytes=7, media_type="application/vnd.oci.image.layer.v1.tar+gzip")
    record = ImageRecord(
        image_id=digest_of(config),
        config=config,
        layers=(
            ImageLayer(
                diff_id=DiffId(digest_of(b"1")), layer_id=add_layer(store, "1"), size_bytes=1 << 40, blobs=(blob,)
            ),
            ImageLayer(diff_id=DiffId(digest_of(b"2")), layer_id=None, size_bytes=0, epoch=1_700_000_000),
        ),
        platform="linux/arm64/v8",
        is_partial=True,
        manifests=(blob,),
    )
    store.images.put(record)
    assert store.images.get(record.image_id) == record
    assert list(store.images.ids()) == [record.image_id]


def test_put_replaces_what_is_known(store, add_image):
    record = add_image(store, "app")
    store.images.put(replace(record, is_partial=True))
    assert store.images.get(record.image_id).is_partial


def test_put_refuses_an_id_that_is_not_the_digest(store, add_image):
    record = add_image(store, "app")
    with pytest.raises(StoreError) as caught:
        store.images.put(replace(record, config=b"{}"))
    assert caught.value.slug == "bad-image"


@pytest.mark.parametrize("damage", [b"", b"x", None], ids=["empty", "short", "flipped"])
def test_damaged_image_reads_as_absent(store, root, add_image, damage):
    record = add_image(store, "app")
    path = root / "images" / "records" / record.image_id.hex
    path.write_bytes(path.read_bytes().replace(b"app", b"bad") if damage is None else damage)
    assert store.images.get(record.image_id) is None


def test_tags_move_and_go(store, add_image):
    one, two = add_image(store, "one"), add_image(store, "two")
    name = parse_reference("app")
    store.images.tag(name, one.image_id)
    store.images.tag(parse_reference("localhost:5000/app:v1"), one.image_id)
    assert store.images.tags() == {
        "docker.io/library/app:latest": one.image_id,
        "localhost:5000/app:v1": one.image_id,
    }
    store.images.tag(name, two.image_id)
    assert store.images.find(name) == two.image_id
    assert store.images.tags_of(one.image_id) == ("localhost:5000/app:v1",)
    assert store.images.untag(name)
    assert not store.images.untag(name)
    assert store.images.find(name) is None


def test_generation_follows_tags_and_removals_only(store, add_image):
    record = add_image(store, "one")
    before = store.generation()
    store.images.put(record)
    assert store.generation() == before
    store.images.tag(parse_reference("app"), record.image_id)
    tagged = store.generation()
    assert tagged != before
    store.images.tag(parse_reference("app"), record.image_id)
    assert store.generation() == tagged
    store.images.untag(parse_reference("app"))
    untagged = store.generation()
    assert untagged != tagged
    store.images.remove(record.image_id)
    assert store.generation() != untagged


def test_tag_of_a_missing_image_is_refused(store):
    with pytest.raises(ImageNotFoundError):
        store.images.tag(parse_reference("app"), digest_of(b"x"))


def test_damaged_tag_reads_as_absent(store, root, add_image):
    store.images.tag(parse_reference("app"), add_image(store, "one").image_id)
    for path in (root / "images" / "tags").iterdir():
        path.write_bytes(b"")
    assert store.images.tags() == {}
    assert store.images.find(parse_reference("app")) is None


def test_remove_takes_the_tags_along(store, add_image):
    record = add_image(store, "one")
    store.images.tag(parse_reference("app"), record.image_id)
    assert store.images.remove(record.image_id)
    assert not store.images.remove(record.image_id)
    assert store.images.tags() == {}


def test_resolve_understands_names_and_ids(store, add_image):
    record = add_image(store, "one")
    store.images.tag(parse_reference("app:v1"), record.image_id)
    for text in (
        "app:v1",
        "docker.io/library/app:v1",
        record.image_id,
        record.image_id.hex,
        record.image_id[:19],
        record.image_id.hex[:4],
    ):
        assert store.images.resolve(text) == record.image_id, text


def test_resolve_finds_a_digest_reference_with_or_without_its_tag(store, add_image):
    record = add_image(store, "one")
    pinned = f"node@{digest_of(b'manifest')}"
    store.images.tag(parse_reference(pinned), record.image_id)
    assert store.images.resolve(pinned) == record.image_id
    assert store.images.resolve(f"node:22@{digest_of(b'manifest')}") == record.image_id


def test_a_name_beats_the_digits_of_an_id(store, add_image):
    one, two = add_image(store, "one"), add_image(store, "two")
    name = two.image_id.hex[:6]
    store.images.tag(parse_reference(name), one.image_id)
    assert store.images.resolve(name) == one.image_id


@pytest.mark.parametrize("text", ["abc", "0" * 65, "sha256:", "", "UPPER", "no/such:tag", "../x"])
def test_resolve_of_anything_else_finds_nothing(store, add_image, text):
    add_image(store, "one")
    with pytest.raises(ImageNotFoundError) as caught:
        store.images.resolve(text)
    assert caught.value.slug == "image-not-found"


def test_resolve_hints_at_the_nearest_name(store, add_image):
    store.images.tag(parse_reference("webapp:v1"), add_image(store, "one").image_id)
    with pytest.raises(ImageNotFoundError) as caught:
        store.images.resolve("webap:v1")
    assert caught.value.hint == "did you mean 'webapp:v1'?"


def test_resolve_refuses_digits_of_several_images(store, add_image):
    first: dict[str, str] = {}
    for number in range(2_000):
        config = b'{"name":"%d"}' % number
        digits = digest_of(config).hex[:4]
        if digits in first:
            add_image(store, first[digits])
            add_image(store, str(number))
            with pytest.raises(StoreError) as caught:
                store.images.resolve(digits)
            assert caught.value.slug == "image-ambiguous"
            return
        first[digits] = str(number)
    pytest.fail("no two of 2,000 digests start alike")
