"""Images from registries on loopback into builds: ``FROM``, ``COPY --from``, ``pull``, ``--pull``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
from base64 import b64encode

import pytest
from tests.fakes.loopback import HTPASSWD, docker_registry, free_port, loopback_registry, push
from tests.fakes.product import SOURCE, Product, wait_until
from tests.fakes.registry import FakeReply, a_layer

from jettison.api.pulls import pull_image
from jettison.api.wiring import host_platform
from jettison.digest import digest_of
from jettison.errors import ImageNotFoundError, JettisonError, RegistryError

HOST = str(host_platform())
OTHER = "linux/s390x"


@pytest.fixture(scope="module")
def archive(shared, tmp_path_factory):
    path = tmp_path_factory.mktemp("archive") / "busybox.oci.tar"
    shared.cli("save", "--format", "oci", "-o", path, "busybox:test").check()
    return path


@pytest.fixture(scope="module")
def registry(archive, tmp_path_factory):
    """Debian's registry with ``lib/busybox:1``."""
    with docker_registry(tmp_path_factory.mktemp("registry")) as host:
        push(f"oci-archive:{archive}", host, "lib/busybox:1")
        push(f"oci-archive:{archive}", host, "lib/busybox:docker", "--format", "v2s2")
        yield host


@pytest.fixture
def server():
    """A small registry of ours with the image ``app:1`` of two layers."""
    with loopback_registry() as opened:
        put(opened, "app", "1")
        yield opened


@pytest.fixture
def empty(tmp_path):
    """A root without any image."""
    return Product(tmp_path / "empty")


def put(opened, repository, *names, platform=HOST, text=b"one"):
    os_name, architecture, *_ = platform.split("/")
    tars = (a_layer(b"etc/one", text), a_layer(b"etc/two", b"2"))
    return opened.put_image(repository, *names, layers=tars, platform=(os_name, architecture))


def pulled(product, name, **options):
    return pull_image(product.settings(), name, **options)


def blobs_of(layout):
    with tarfile.open(layout) as tar:
        return {
            name.rpartition("/")[2]: tar.extractfile(name).read() for name in tar.getnames() if "blobs/sha256/" in name
        }


def login(product, host, pair):
    path = product.home / ".docker" / "config.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"auths": {host: {"auth": b64encode(pair.encode()).decode()}}}))


@pytest.mark.parametrize("tag", ["1", "docker"])
def test_image_of_a_registry_is_built_upon(registry, empty, context, tmp_path, tag):
    name = f"{registry}/lib/busybox:{tag}"
    (context / "hello").write_text("hello\n")
    built = empty.build(
        context,
        f"FROM {name} AS tools\nRUN echo ran > /made && cat /etc/passwd | wc -l > /lines\n"
        f"FROM {name}\nCOPY hello /etc/hello\nCOPY --from=tools /made /lines /out/\nCOPY --from={name} /etc/group /out/\n",
        tags=["result"],
    )
    assert built.result.steps
    files = empty.files_of("result", "etc/hello", "out/made", "out/lines", "out/group")
    assert files["etc/hello"] == "hello\n"
    assert files["out/made"] == "ran\n"
    assert files["out/lines"].strip() == "3"
    assert files["out/group"].startswith("root:x:0:")
    started = [event.text for event in built.named("PhaseStarted")]
    assert started == [f"pulling {name}", "waiting for the disk", "hashing layers"]
    progress = built.named("PhaseProgress")
    assert progress
    assert all(0 <= event.done <= event.total for event in progress)
    saved = tmp_path / "result.tar"
    empty.cli("save", "--format", "docker", "-o", saved, "result").check()
    assert saved.stat().st_size > 1 << 20


def test_blobs_are_shipped_as_they_came(registry, empty, context, tmp_path, archive):
    name = f"{registry}/lib/busybox:1"
    out = tmp_path / "out.tar"
    (context / "f").write_text("f")
    (context / "Dockerfile").write_text(f"FROM {name}\nCOPY f /f\n")
    empty.cli("build", "-q", "-o", f"type=oci,dest={out}", context).check()
    record = json.loads(empty.cli("inspect", name).check().out)[0]
    original = blobs_of(archive)
    shipped = blobs_of(out)
    (digest,) = [layer["Blobs"][0] for layer in record["Layers"]]
    assert shipped[digest[7:]] == original[digest[7:]]
    empty.cli("prune", "--all").check()
    assert empty.unreferenced() == []


def test_second_build_asks_nobody(server, empty, context):
    (context / "f").write_text("f")
    text = f"FROM {server.host}/app:1\nCOPY f /f\n"
    empty.build(context, text, tags=["x"], has_memo=False)
    count = len(server.asked)
    again = empty.build(context, text, tags=["x"], has_memo=False)
    assert len(server.asked) == count
    assert again.ran() == []


def test_pull_flag_asks_and_takes_what_is_new(server, empty, context):
    text = f"FROM {server.host}/app:1\nCOPY --from={server.host}/app:1 /etc/one /copy\n"
    empty.build(context, text, tags=["x"])
    put(server, "app", "1", text=b"new")
    assert empty.files_of("x", "copy")["copy"] == "one"
    empty.build(context, text, tags=["x"])
    assert empty.files_of("x", "copy")["copy"] == "one"
    empty.build(context, text, tags=["x"], pull=True)
    assert empty.files_of("x", "copy")["copy"] == "new"


def test_unchanged_layers_do_not_come_again(server, empty):
    assert pulled(empty, f"{server.host}/app:1").transferred_bytes > 0
    put(server, "app", "2", text=b"new")
    blobs = [path for path in server.paths() if "/blobs/" in path]
    second = pulled(empty, f"{server.host}/app:2")
    assert len([path for path in server.paths() if "/blobs/" in path]) == len(blobs) + 2  # a config and one layer
    assert second.is_new


def test_digest_reference_is_pulled_once_whatever_the_tag_means(server, empty, context):
    entry = put(server, "app", "1", text=b"old")
    put(server, "app", "1", text=b"new")
    text = (
        f"FROM {server.host}/app:1@{entry['digest']}\nCOPY --from={server.host}/app@{entry['digest']} /etc/one /copy\n"
    )
    empty.build(context, text, tags=["x"])
    assert empty.files_of("x", "copy")["copy"] == "old"
    count = len(server.asked)
    empty.build(context, text, tags=["x"], pull=True)
    assert len(server.asked) == count


def test_stages_for_two_platforms_take_two_images_of_one_name(server, empty, context):
    here, there = put(server, "multi", text=b"here"), put(server, "multi", platform=OTHER, text=b"there")
    server.put_index("multi", "1", entries=[(here, HOST), (there, OTHER)])
    name = f"{server.host}/multi:1"
    text = f"FROM --platform={OTHER} {name} AS a\nFROM {name}\nCOPY --from=a /etc/one /there\nCOPY --from={name} /etc/one /here\n"
    empty.build(context, text, tags=["x"], has_memo=False)
    assert empty.files_of("x", "here", "there") == {"here": "here", "there": "there"}
    count = len(server.asked)
    assert empty.build(context, text, tags=["x"], has_memo=False).ran() == []
    assert len(server.asked) == count


def test_command_pulls_and_says_what_it_did(registry, empty):
    name = f"{registry}/lib/busybox:1"
    first = empty.cli("pull", name).check()
    assert f"Status: Downloaded newer image for {name}" in first.out
    assert first.out.startswith("Digest: sha256:")
    assert f"pulled {name}" in first.err
    assert "Status: Image is up to date" in empty.cli("pull", name).check().out
    quiet = empty.cli("pull", "-q", name).check()
    assert (quiet.out, quiet.err) == (f"{name}\n", "")
    assert name.rpartition(":")[0] in empty.cli("images").check().out


def test_command_for_another_platform_takes_the_name(server, empty):
    here, there = put(server, "multi"), put(server, "multi", platform=OTHER)
    server.put_index("multi", "1", entries=[(here, HOST), (there, OTHER)])
    name = f"{server.host}/multi:1"
    empty.cli("pull", "-q", name).check()
    empty.cli("pull", "-q", "--platform", OTHER, name).check()
    assert json.loads(empty.cli("inspect", name).check().out)[0]["Architecture"] == "s390x"


def test_credentials_of_config_json_are_used(archive, empty, tmp_path):
    place = tmp_path / "guarded"
    place.mkdir()
    with docker_registry(place, htpasswd=HTPASSWD) as host:
        push(f"oci-archive:{archive}", host, "lib/busybox:1", "--dest-creds=ann:hush")
        with pytest.raises(RegistryError) as caught:
            pulled(empty, f"{host}/lib/busybox:1")
        assert (caught.value.slug, caught.value.status) == ("registry-unauthorized", 401)
        login(empty, host, "ann:wrong-hush")
        with pytest.raises(RegistryError) as caught:
            pulled(empty, f"{host}/lib/busybox:1")
        assert "hush" not in repr((caught.value.message, caught.value.notes_given, caught.value.hint))
        login(empty, host, "ann:hush")
        assert pulled(empty, f"{host}/lib/busybox:1").is_new


def guard(server, *, wanted=""):
    """Let the server want a token, and its token server want a credential."""
    realm = f"http://{server.host}/token"

    def first(request):
        if request.url.startswith(realm):
            if wanted and request.authorization != wanted:
                return FakeReply(401, b"{}")
            return FakeReply(200, b'{"token": "good"}')
        if request.authorization == "Bearer good" or request.url.endswith("/v2/"):
            return None
        return FakeReply(401, b"{}", www_authenticate=f'Bearer realm="{realm}",service="here"')

    server.first = first


def test_anonymous_token_is_fetched(server, empty):
    guard(server)
    assert pulled(empty, f"{server.host}/app:1").is_new
    assert sum("/token" in request.url for request in server.asked) == 1


def test_token_is_fetched_with_credentials_of_a_helper(server, empty, tmp_path):
    guard(server, wanted="Basic " + b64encode(b"ann:hush").decode())
    programs = tmp_path / "bin"
    programs.mkdir()
    helper = programs / "docker-credential-test"
    helper.write_text(
        '#!/bin/sh\nread host\necho "{\\"ServerURL\\":\\"$host\\",\\"Username\\":\\"ann\\",\\"Secret\\":\\"hush\\"}"\n'
    )
    helper.chmod(0o755)
    (empty.home / ".docker").mkdir()
    (empty.home / ".docker" / "config.json").write_text(json.dumps({"credHelpers": {server.host: "test"}}))
    empty.environment["PATH"] = f"{programs}:{os.environ['PATH']}"
    assert pulled(empty, f"{server.host}/app:1").is_new


def error_of(product, context, text, **options):
    with pytest.raises(JettisonError) as caught:
        product.build(context, text, **options)
    return caught.value


def test_unknown_image_is_shown_in_the_dockerfile(server, empty, context):
    (context / "Dockerfile").write_text(f"FROM {server.host}/app:9\n")
    answer = empty.cli("build", context)
    assert answer.code == 2
    assert f"no image '{server.host}/app:9' in the local store, and none in the registry '{server.host}'" in answer.err
    assert "Dockerfile:1:6" in answer.err
    assert "^^^^" in answer.err


def test_unreachable_registry_is_named_in_the_dockerfile(empty, context):
    host = f"127.0.0.1:{free_port()}"
    (context / "Dockerfile").write_text(f"FROM {host}/app\n")
    answer = empty.cli("build", context)
    assert answer.code == 4
    assert f"and the registry '{host}' can't be reached" in answer.err
    assert "jettison load" in answer.err
    assert "Dockerfile:1:6" in answer.err
    assert "trying again" in answer.err


def test_misspelt_stage_is_suggested_when_docker_hub_has_no_such_image(server, empty, context):
    empty.environment["HTTPS_PROXY"] = f"http://{server.host}"  # which opens no way to Docker Hub
    error = error_of(empty, context, "FROM scratch AS build\nFROM scratch\nCOPY --from=bulid /a /b\n")
    assert error.slug == "registry-proxy"
    assert "'build'" in error.hint
    error = error_of(empty, context, "FROM node:22-slim\n")
    assert "no image 'node:22-slim' in the local store" in error.message
    assert "registry-1.docker.io" in error.message
    assert "Docker Hub" in error.hint
    assert "jettison load" in error.hint


def test_refusal_has_its_place_in_the_dockerfile(server, empty, context):
    guard(server, wanted="Basic nobody")
    error = error_of(empty, context, f"FROM {server.host}/app:1\n")
    assert error.slug == "registry-unauthorized"
    assert error.span is not None


def test_local_image_for_another_platform_is_told_when_no_other_can_be_had(server, empty, context):
    there = put(server, "multi", platform=OTHER)
    server.put_index("multi", "1", entries=[(there, OTHER)])
    name = f"{server.host}/multi:1"
    pulled(empty, name, platform=OTHER)
    error = error_of(empty, context, f"FROM {name}\n")
    assert isinstance(error, ImageNotFoundError)
    assert error.slug == "platform-mismatch"


def test_several_bases_come_at_the_same_time_and_one_failure_ends_all(server, empty, context):
    put(server, "other", "1", text=b"other")
    text = f"FROM {server.host}/app:1 AS a\nFROM {server.host}/other:1 AS b\nFROM {server.host}/none:1\nCOPY --from=a /etc/one /1\nCOPY --from=b /etc/one /2\n"
    error = error_of(empty, context, text)
    assert "none:1" in error.message


@pytest.mark.parametrize(
    ("change", "slug"),
    [
        pytest.param(lambda data: data[:-8] + bytes(8), "registry-digest", id="other bytes"),
        pytest.param(lambda data: bytes(len(data)), "registry-digest", id="no tar at all"),
        pytest.param(lambda data: data + b"x", "registry-size", id="longer"),
        pytest.param(lambda data: data[:-1], "registry-size", id="shorter"),
    ],
)
def test_damaged_layer_leaves_nothing_behind(server, empty, change, slug):
    layers = sorted((digest for digest, data in server.blobs.items() if data[:2] == b"\x1f\x8b"))
    server.blobs[layers[0]] = change(server.blobs[layers[0]])
    with pytest.raises(RegistryError) as caught:
        pulled(empty, f"{server.host}/app:1")
    assert caught.value.slug == slug
    assert empty.cli("images", "-a", "-q").check().out == ""
    assert not (empty.root / "blobs" / "sha256" / layers[0][7:]).exists()
    empty.cli("prune", "--all").check()
    assert empty.unreferenced() == []


def test_layer_that_is_not_the_one_of_the_config_is_refused(server, empty):
    server.put_image("liar", "1", layers=(a_layer(),), platform=HOST.split("/")[:2], diff_ids=[digest_of(b"else")])
    with pytest.raises(JettisonError) as caught:
        pulled(empty, f"{server.host}/liar:1")
    assert caught.value.slug == "archive-diff-id"
    assert empty.cli("images", "-a", "-q").check().out == ""


def test_hostile_tar_is_refused(server, empty):
    server.put_image("evil", "1", layers=(a_layer(b"../../out"),), platform=HOST.split("/")[:2])
    with pytest.raises(JettisonError) as caught:
        pulled(empty, f"{server.host}/evil:1")
    assert caught.value.slug == "tar-name"


def test_trouble_is_waited_out_and_said_aloud(server, empty):
    answers = iter([FakeReply(503), None])
    server.first = lambda request: next(answers, None) if "/manifests/" in request.url else None
    events = []
    pulled(empty, f"{server.host}/app:1", emit=events.append)
    said = [event.message for event in events if type(event).__name__ == "Warned"]
    assert len(said) == 1
    assert said[0].endswith("answered 503; trying again in 0.5 s")


def test_two_commands_fetch_a_layer_once(server, empty):
    empty.cli("images").check()  # the root is made before two want it
    commands = [empty.spawn("pull", "-q", f"{server.host}/app:1") for _ in range(2)]
    for process in commands:
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        assert out.decode() == f"{server.host}/app:1\n"
    layers = [path for path in server.paths() if "/blobs/" in path and server.blobs[path[-71:]][:2] == b"\x1f\x8b"]
    assert len(layers) == 2


def test_interrupt_ends_a_pull_from_a_silent_registry(server, empty):
    def first(request):
        whole = server._answer(request) if "/blobs/" in request.url else None
        if whole is None or whole._body[:1] == b"{":
            return None
        return FakeReply(200, whole._body[:10], content_length=str(len(whole._body)))

    server.first = first
    process = empty.spawn("pull", f"{server.host}/app:1")
    wait_until(lambda: sum("/blobs/" in path for path in server.paths()) >= 2, "a layer to be asked for")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 130


def test_nothing_of_http_is_loaded_before_a_pull():
    code = "import sys, jettison.api.builder; print([n for n in ('urllib3', 'ssl', 'jettison.registry') if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(SOURCE)}, capture_output=True, check=True
    )
    assert done.stdout == b"[]\n"
