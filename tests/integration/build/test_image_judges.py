"""Other people's tools read our images, and unpack exactly the files that the build made."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import tarfile

import pytest
from tests.fakes.product import needs, write

pytestmark = pytest.mark.judges

DOCKERFILE = """\
FROM busybox:test
RUN mkdir -p /d/gone /d/kept /opaque && echo 1 > /d/gone/f && echo 2 > /d/kept/f && touch /opaque/old /removed
RUN rm -r /d/gone /opaque /removed && mkdir /opaque && touch /opaque/new && echo x > /h1 && ln /h1 /d/h2 && ln -s ../h1 /d/s
RUN chmod 4755 /h1 && chmod 1777 /d && mkfifo /fifo && mkdir "/päth with space" && touch "/päth with space/ü"
COPY --chmod=750 src /copied
OWNERS
RUN rm -r /home && echo file > /home && rm /bin/yes && mkdir /bin/yes && touch /bin/yes/file
"""
OWNERS = "COPY --chown=12:34 src /owned\nRUN chown 5:6 /d/kept && chown -h 7:8 /d/s"


@pytest.fixture
def image(product, context, tmp_path):
    is_single = '"id mode": "single"' in product.cli("info", "--format", "json").out
    write(
        context, {"Dockerfile": DOCKERFILE.replace("OWNERS", "" if is_single else OWNERS), "src/a": "a", "src/b/c": "c"}
    )
    product.cli(
        "build", "-t", "app:v1", "-o", f"type=oci,dest={tmp_path}/oci.tar", "-o", f"type=docker,dest={tmp_path}/docker.tar",
        "-o", f"type=tar,dest={tmp_path}/union.tar", "-o", f"type=oci,tar=false,dest={tmp_path}/layout", context,
    ).check()  # fmt: skip
    return product


def _run(*words, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _config(product):
    return json.loads(product.cli("inspect", "app:v1").check().out)[0]


def test_skopeo_reads_archives_and_layout(image, tmp_path):
    skopeo = needs("skopeo")
    layers = _config(image)["RootFS"]["Layers"]
    for source in (
        f"oci-archive:{tmp_path}/oci.tar:v1",
        f"docker-archive:{tmp_path}/docker.tar",
        f"oci:{tmp_path}/layout:v1",
    ):
        config = json.loads(_run(skopeo, "--insecure-policy", "inspect", "--config", source))
        assert config["rootfs"]["diff_ids"] == layers
        _run(skopeo, "--insecure-policy", "copy", source, f"dir:{tmp_path}/copy")
    saved = tmp_path / "saved.tar"
    image.cli("save", "-o", saved, "app:v1").check()
    assert (
        json.loads(_run(skopeo, "--insecure-policy", "inspect", "--config", f"docker-archive:{saved}"))["rootfs"][
            "diff_ids"
        ]
        == layers
    )


def test_we_load_what_skopeo_wrote(image, tmp_path):
    skopeo = needs("skopeo")
    target = f"docker-archive:{tmp_path}/back.tar:docker.io/library/back:1"
    _run(skopeo, "--insecure-policy", "copy", f"oci-archive:{tmp_path}/oci.tar:v1", target)
    image.cli("load", "-i", tmp_path / "back.tar").check()
    loaded = json.loads(image.cli("inspect", "back:1").check().out)[0]
    assert loaded["RootFS"]["Layers"] == _config(image)["RootFS"]["Layers"]
    assert image.cli("run", "--rm", "back:1", "cat", "/copied/a").check().out == "a"


def _of_tar(data):
    """path -> facts, of a whole root file system."""
    found, links = {}, {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            name = member.name.removeprefix("./").rstrip("/")
            if name in {"", "."}:
                continue
            if member.islnk():
                links[name] = member.linkname.removeprefix("./")
                continue
            kind = {tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "link", tarfile.FIFOTYPE: "fifo"}.get(member.type, "file")
            content = tar.extractfile(member).read() if kind == "file" else member.linkname
            mode = 0o777 if kind == "link" else member.mode
            found[name] = (kind, mode, member.uid, member.gid, content, int(member.mtime))
    for name, other in links.items():
        found[name] = found[other]
    return found, {frozenset((name, other)) for name, other in links.items()}


def _of_directory(root):
    found, inodes = {}, {}
    for directory, names, files in os.walk(root):
        for name in (*names, *files):
            path = os.path.join(directory, name)
            info = os.lstat(path)
            key = os.path.relpath(path, root)
            kind = next(
                kind
                for kind, test in (
                    ("dir", stat.S_ISDIR),
                    ("link", stat.S_ISLNK),
                    ("fifo", stat.S_ISFIFO),
                    ("file", stat.S_ISREG),
                )
                if test(info.st_mode)
            )
            content = open(path, "rb").read() if kind == "file" else os.readlink(path) if kind == "link" else ""  # noqa: SIM115
            mode = 0o777 if kind == "link" else stat.S_IMODE(info.st_mode)
            found[key] = (kind, mode, info.st_uid, info.st_gid, content, int(info.st_mtime))
            if kind == "file" and info.st_nlink > 1:
                inodes.setdefault(info.st_ino, set()).add(key)
    return found, {frozenset(names) for names in inodes.values()}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_umoci_unpacks_the_files_that_the_build_made(image, tmp_path):
    umoci = needs("umoci")
    is_root = os.geteuid() == 0
    words = [
        umoci,
        "unpack",
        *([] if is_root else ["--rootless"]),
        "--image",
        f"{tmp_path}/layout:v1",
        tmp_path / "bundle",
    ]
    _run(*words)
    ours, our_links = _of_tar((tmp_path / "union.tar").read_bytes())
    theirs, their_links = _of_directory(tmp_path / "bundle" / "rootfs")
    assert set(ours) == set(theirs)
    assert our_links == their_links
    for name, facts in ours.items():
        expected = facts if is_root else (*facts[:2], os.geteuid(), os.getegid(), *facts[4:])
        # umoci sets no times of directories that later layers changed below; ours come from the build
        size = 5 if facts[0] == "dir" or not is_root else 6
        assert theirs[name][:size] == expected[:size], name
    assert ours["h1"][1] == 0o4755
    assert ours["home"][0] == "file"
    assert "bin/yes/file" in ours
    assert not {"d/gone", "removed", "opaque/old"} & set(ours)


def test_buildah_reads_our_archives(image, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("buildah as an ordinary user needs a set-up of its own")
    buildah = needs("buildah")
    policy = tmp_path / "policy.json"
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    store = [buildah, "--root", tmp_path / "b-root", "--runroot", tmp_path / "b-run", "--storage-driver", "vfs"]
    env = {**image.environment, "TMPDIR": str(tmp_path)}
    for source in (f"oci-archive:{tmp_path}/oci.tar", f"docker-archive:{tmp_path}/docker.tar"):
        name = _run(*store, "from", "--signature-policy", policy, "--pull-always", source, env=env).strip()
        place = _run(*store, "mount", name, env=env).strip()
        with open(os.path.join(place, "copied/b/c")) as file:
            assert file.read() == "c"
        _run(*store, "rm", name, env=env)
