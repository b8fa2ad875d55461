import json

import pytest

from jettison.digest import digest_of
from jettison.errors import StoreError
from jettison.oci.descriptor import (
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Descriptor,
)
from jettison.oci.manifest import Index, Manifest, choose_manifest, is_docker, parse_manifest, render_manifest
from jettison.platform import Platform

CONFIG = Descriptor(media_type=OCI_CONFIG, digest=digest_of(b"c"), size_bytes=1)
LAYER = Descriptor(
    media_type=OCI_LAYER_GZIP, digest=digest_of(b"l"), size_bytes=2, annotations=(("a", "b"),), urls=("https://x",)
)
MANIFEST = Manifest(media_type=OCI_MANIFEST, config=CONFIG, layers=(LAYER,), annotations=(("k", "v"),))


def platform(text):
    os, architecture, *variant = text.split("/")
    return Platform(os=os, architecture=architecture, variant=variant[0] if variant else "")


def entry(text, **fields):
    return Descriptor(
        media_type=OCI_MANIFEST, digest=digest_of(text.encode()), size_bytes=3, platform=platform(text), **fields
    )


def an_index(*texts):
    return Index(media_type=OCI_INDEX, manifests=tuple(entry(text) for text in texts))


@pytest.mark.parametrize("document", [MANIFEST, an_index("linux/amd64", "linux/arm/v7")])
def test_documents_survive_a_round_trip(document):
    data = render_manifest(document)
    assert parse_manifest(data) == document
    assert parse_manifest(data, document.media_type) == document
    assert render_manifest(parse_manifest(data)) == data
    assert not is_docker(document)


def test_docker_documents():
    document = json.loads(render_manifest(MANIFEST)) | {"mediaType": DOCKER_MANIFEST}
    parsed = parse_manifest(json.dumps(document).encode(), DOCKER_MANIFEST + "; charset=utf-8")
    assert parsed.media_type == DOCKER_MANIFEST
    assert is_docker(parsed)
    document = {"schemaVersion": 2, "manifests": []}
    assert parse_manifest(json.dumps(document).encode(), DOCKER_INDEX).media_type == DOCKER_INDEX


def test_media_type_is_told_by_content_when_nobody_says_it():
    document = json.loads(render_manifest(MANIFEST))
    del document["mediaType"]
    assert parse_manifest(json.dumps(document).encode(), "application/json").media_type == OCI_MANIFEST


BASE = json.loads(render_manifest(MANIFEST))


@pytest.mark.parametrize(
    ("change", "media_type"),
    [
        pytest.param({"manifests": []}, "", id="both-kinds"),
        pytest.param({"manifests": [], "config": None}, "", id="manifests-and-layers"),
        pytest.param({"layers": None, "config": None}, "", id="neither"),
        pytest.param({"mediaType": OCI_INDEX}, "", id="own-type"),
        pytest.param({}, OCI_INDEX, id="announced-type"),
        pytest.param({"mediaType": None}, OCI_INDEX, id="only-announced-type"),
        pytest.param({"mediaType": "text/html"}, "", id="strange-type"),
        pytest.param({"schemaVersion": 1}, "", id="schema-1"),
        pytest.param({"config": None}, "", id="no-config"),
        pytest.param({"config": {"digest": "sha256:../x", "size": 1}}, "", id="digest"),
        pytest.param({"config": {"digest": CONFIG.digest, "size": -1}}, "", id="negative-size"),
        pytest.param({"config": {"digest": CONFIG.digest, "size": "1"}}, "", id="size-text"),
        pytest.param({"layers": {}}, "", id="layers"),
        pytest.param({"layers": [1]}, "", id="layer"),
        pytest.param({"layers": [BASE["layers"][0]] * 501}, "", id="too-many"),
    ],
)
def test_ambiguous_and_malformed_documents_are_refused(change, media_type):
    with pytest.raises(StoreError) as caught:
        parse_manifest(json.dumps(BASE | change).encode(), media_type)
    assert caught.value.slug == "manifest"


@pytest.mark.parametrize(
    ("offered", "wanted", "chosen"),
    [
        (["linux/amd64", "linux/arm64"], "linux/arm64", "linux/arm64"),
        (["linux/arm64/v8", "linux/amd64"], "linux/arm64", "linux/arm64/v8"),
        (["linux/arm/v5", "linux/arm/v6", "linux/arm/v7"], "linux/arm/v6", "linux/arm/v6"),
        (["linux/arm/v5", "linux/arm/v6"], "linux/arm/v7", "linux/arm/v6"),
        (["linux/amd64", "linux/amd64/v2"], "linux/amd64/v3", "linux/amd64/v2"),
        (["linux/amd64/v3", "linux/amd64"], "linux/amd64", "linux/amd64"),
        (["windows/amd64", "linux/amd64"], "linux/amd64", "linux/amd64"),
        (["linux/amd64"], "linux/s390x", None),
        (["linux/arm/v7"], "linux/arm/v6", None),
        (["linux/amd64/v2"], "linux/amd64", None),
        ([], "linux/amd64", None),
    ],
)
def test_choice_by_platform(offered, wanted, chosen):
    def parsed(text):
        return parse_manifest(render_manifest(an_index(text))).manifests[0]

    index = Index(media_type=OCI_INDEX, manifests=tuple(parsed(text) for text in offered))
    if chosen:
        assert choose_manifest(index, platform(wanted)) == parsed(chosen)
        return
    with pytest.raises(StoreError) as caught:
        choose_manifest(index, platform(wanted))
    assert caught.value.slug == "image-platform"
    assert bool(caught.value.hint) == bool(offered)


def test_attestations_are_no_images():
    attestation = entry("unknown/unknown")
    other = entry("linux/amd64", annotations=(("vnd.docker.reference.type", "attestation-manifest"),))
    image = entry("linux/amd64")
    index = Index(media_type=OCI_INDEX, manifests=(attestation, other, image))
    assert choose_manifest(index, platform("linux/amd64")) is image


def test_the_only_image_may_name_no_platform():
    image = Descriptor(media_type=OCI_MANIFEST, digest=digest_of(b"i"), size_bytes=1)
    assert choose_manifest(Index(media_type=OCI_INDEX, manifests=(image,)), platform("linux/amd64")) is image
