from __future__ import annotations

import json
import threading

import pytest
from tests.fakes.registry import FakePace, FakeRegistry, a_client, a_layer, broken

from jettison.digest import digest_of
from jettison.errors import CancelledError, RegistryError, StoreError
from jettison.limits import Limits
from jettison.oci import descriptor as types
from jettison.platform import Platform
from jettison.reference import parse_reference
from jettison.registry.pull import Puller

AMD = Platform(os="linux", architecture="amd64")
ARM = Platform(os="linux", architecture="arm64")
NAME = parse_reference("reg.example/app:1")


class Counts:
    def __init__(self):
        self.transfers = 0
        self.rest = 0

    def transferred(self, count):
        self.transfers += count

    def settled(self, count):
        self.rest += count


class Taking:
    """Takes layers as bytes; counts how many are open at the same time."""

    def __init__(self, *, known=()):
        self.known = known
        self.taken = []
        self.open = self.most = 0
        self.lock = threading.Lock()

    def __call__(self, layer, open_source):
        if layer.diff_id in self.known:
            return b"known"
        with self.lock:
            self.open += 1
            self.most = max(self.most, self.open)
            self.taken.append(layer.diff_id)
        try:
            with open_source() as source:
                data = b"".join(iter(lambda: source.read(100), b""))
        finally:
            with self.lock:
                self.open -= 1
        if digest_of(data) != layer.blob.digest:
            raise StoreError("other bytes", slug="blob-mismatch")
        return data


@pytest.fixture
def puller():
    opened = []

    def make(registry, take=None, *, pace=None, limits=None):
        limits = limits or Limits(registry_attempts=2, pull_streams=2)
        made = Puller(
            lambda domain: a_client(registry, domain, pace=pace, limits=limits),
            take or Taking(),
            give_up=lambda: None,
            limits=limits,
        )
        opened.append(made)
        return made

    yield make
    for made in opened:
        made.close()


def slug_of(act, *args):
    with pytest.raises(RegistryError) as caught:
        act(*args)
    return caught.value.slug


def layers(count):
    return tuple(a_layer(b"etc/%d" % number) for number in range(count))


def test_image_is_found_without_its_layers(puller):
    registry = FakeRegistry()
    entry = registry.put_image("app", "1", layers=layers(2))
    image = puller(registry).find(NAME, AMD)
    assert image.manifest_digest == entry["digest"]
    assert digest_of(image.config) == image.image_id
    assert [layer.diff_id for layer in image.layers] == [digest_of(tar) for tar in layers(2)]
    assert len(registry.asked) == 2


def test_digest_wins_over_the_tag(puller):
    registry = FakeRegistry()
    old = registry.put_image("app", layers=layers(1))
    registry.put_image("app", "1", layers=layers(2))
    image = puller(registry).find(parse_reference(f"reg.example/app:1@{old['digest']}"), AMD)
    assert len(image.layers) == 1


def test_index_gives_the_image_of_the_platform(puller):
    registry = FakeRegistry()
    amd = registry.put_image("app", layers=layers(1))
    arm = registry.put_image("app", layers=layers(2), platform=("linux", "arm64"))
    registry.put_index("app", "1", entries=[(amd, "linux/amd64"), (arm, "linux/arm64/v8")])
    assert puller(registry).find(NAME, ARM).manifest_digest == arm["digest"]
    assert puller(registry).find(NAME, AMD).manifest_digest == amd["digest"]


def test_index_without_the_platform_says_what_it_has(puller):
    registry = FakeRegistry()
    registry.put_index("app", "1", entries=[(registry.put_image("app"), "linux/amd64")])
    with pytest.raises(RegistryError) as caught:
        puller(registry).find(NAME, ARM)
    assert caught.value.slug == "image-platform"
    assert "linux/amd64" in caught.value.hint


def test_older_variant_of_an_index_is_taken_at_its_word(puller):
    registry = FakeRegistry()
    arm = registry.put_image("app", platform=("linux", "arm"))
    registry.put_index("app", "1", entries=[(arm, "linux/arm/v6")])
    image = puller(registry).find(NAME, Platform(os="linux", architecture="arm", variant="v7"))
    assert str(image.platform) == "linux/arm/v6"


def test_lone_image_for_another_platform_is_refused_before_its_layers_move(puller):
    registry = FakeRegistry()
    registry.put_image("app", "1", layers=layers(1), platform=("linux", "arm64"))
    assert slug_of(puller(registry).find, NAME, AMD) == "image-platform"
    assert len(registry.asked) == 2


def test_indexes_are_nested_only_so_deep(puller):
    registry = FakeRegistry()
    entry = registry.put_image("app")
    for _ in range(Limits().index_depth):
        entry = registry.put_index("app", "1", entries=[(entry, "linux/amd64")])
    assert puller(registry).find(NAME, AMD)
    registry.put_index("app", "1", entries=[(entry, "linux/amd64")])
    assert slug_of(puller(registry).find, NAME, AMD) == "registry-manifest"


@pytest.mark.parametrize(
    ("changes", "slug"),
    [
        pytest.param({"manifests": []}, "registry-manifest", id="manifest and index"),
        pytest.param({"schemaVersion": 1}, "registry-manifest", id="schema 1"),
        pytest.param({"config": None}, "registry-manifest", id="no config"),
        pytest.param({"layers": []}, "registry-manifest", id="fewer layers than DiffIDs"),
        pytest.param({"diff_ids": ["sha256:../x"]}, "registry-manifest", id="DiffID that is none"),
        pytest.param(
            {"config": {"mediaType": "application/vnd.example", "digest": digest_of(b""), "size": 0}},
            "registry-media-type",
            id="artifact",
        ),
        pytest.param(
            {"layers": [{"mediaType": types.DOCKER_LAYER_GZIP.replace("rootfs", "rootfs.foreign"), "digest": digest_of(b""), "size": 0, "urls": ["http://evil.example/x"]}]},
            "registry-media-type",
            id="foreign layer",
        ),
        pytest.param(
            {"layers": [{"mediaType": types.OCI_LAYER, "digest": digest_of(b""), "size": 1 << 50}]},
            "registry-manifest",
            id="layer too large",
        ),
        pytest.param(
            {"layers": [{"mediaType": types.OCI_LAYER, "digest": "sha256:../../x", "size": 1}]},
            "registry-manifest",
            id="digest that is a path",
        ),
    ],
)  # fmt: skip
def test_what_is_no_image_is_refused(puller, changes, slug):
    registry = FakeRegistry()
    diff_ids = changes.pop("diff_ids", None)
    registry.put_image("app", "1", layers=layers(1), diff_ids=diff_ids, instead=changes)
    assert slug_of(puller(registry).find, NAME, AMD) == slug
    assert not any("evil" in request.url for request in registry.asked)


def test_type_that_contradicts_the_index_is_refused(puller):
    registry = FakeRegistry()
    entry = registry.put_image("app")
    registry.put_index("app", "1", entries=[({**entry, "mediaType": types.DOCKER_MANIFEST}, "linux/amd64")])
    assert slug_of(puller(registry).find, NAME, AMD) == "registry-manifest"


def test_size_that_contradicts_the_index_is_refused(puller):
    registry = FakeRegistry()
    entry = registry.put_image("app")
    registry.put_index("app", "1", entries=[({**entry, "size": entry["size"] + 1}, "linux/amd64")])
    assert slug_of(puller(registry).find, NAME, AMD) == "registry-manifest"


def test_urls_of_descriptors_are_not_followed(puller):
    registry = FakeRegistry()
    registry.put_image("app", "1", layers=layers(1))
    data, kind = registry.manifests["app", "1"]
    document = json.loads(data)
    document["layers"][0]["urls"] = ["https://evil.example/x"]
    registry.put_manifest("app", document, "1")
    made = puller(registry)
    made.fetch(made.find(NAME, AMD), Counts())
    assert kind == types.OCI_MANIFEST
    assert {request.url.split("/")[2] for request in registry.asked} == {"reg.example"}


def test_layers_come_in_order_few_at_a_time_and_are_counted(puller):
    registry, take, counts = FakeRegistry(), Taking(), Counts()
    registry.put_image("app", "1", layers=layers(7))
    made = puller(registry, take)
    image = made.find(NAME, AMD)
    found = made.fetch(image, counts)
    assert [digest_of(data) for data in found] == [layer.blob.digest for layer in image.layers]
    assert 1 <= take.most <= 2
    assert counts.transfers == sum(layer.blob.size_bytes for layer in image.layers)
    assert counts.rest == 0


def test_layers_that_are_here_count_but_do_not_come(puller):
    registry, counts = FakeRegistry(), Counts()
    registry.put_image("app", "1", layers=layers(2))
    made = puller(registry, Taking(known={digest_of(layers(2)[0])}))
    image = made.find(NAME, AMD)
    assert made.fetch(image, counts)[0] == b"known"
    assert counts.rest == image.layers[0].blob.size_bytes
    assert counts.transfers == image.layers[1].blob.size_bytes


def test_layer_of_two_images_comes_once(puller):
    registry, take, counts = FakeRegistry(), Taking(), Counts()
    registry.put_image("app", "1", layers=layers(2))
    registry.put_image("app", "2", layers=layers(3))
    made = puller(registry, take)
    made.fetch(made.find(NAME, AMD), Counts())
    image = made.find(parse_reference("reg.example/app:2"), AMD)
    made.fetch(image, counts)
    assert len(take.taken) == 3
    assert counts.transfers + counts.rest == sum(layer.blob.size_bytes for layer in image.layers)


def test_other_bytes_are_the_registrys_fault(puller):
    registry = FakeRegistry()
    registry.put_image("app", "1", layers=layers(1))
    made = puller(registry)
    image = made.find(NAME, AMD)
    blob = image.layers[0].blob
    registry.blobs[blob.digest] = bytes(blob.size_bytes)
    assert slug_of(made.fetch, image, Counts()) == "registry-digest"


def test_one_failure_is_the_error_of_all(puller):
    registry = FakeRegistry()
    registry.put_image("app", "1", layers=layers(4))
    made = puller(registry)
    image = made.find(NAME, AMD)
    registry.first = lambda request: broken() if image.layers[2].blob.digest in request.url else None
    assert slug_of(made.fetch, image, Counts()) == "registry-broken-off"


def test_pull_that_nobody_wants_is_cancelled(puller):
    registry = FakeRegistry()
    registry.put_image("app", "1", layers=layers(4))
    made = puller(registry, pace=FakePace(gives_up_after=8))
    image = made.find(NAME, AMD)
    with pytest.raises(CancelledError):
        made.fetch(image, Counts())
