"""Our layers and documents in the hands of umoci and skopeo."""

import hashlib
import io
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.fakes.layers import a_union

from jettison.digest import digest_of
from jettison.filetree import NO_CONTENT, ContentKind, ContentRef, EntryKind, FileEntry
from jettison.layer.compress import compress_layer
from jettison.layer.handle import ContentHandle
from jettison.layer.write import write_tar
from jettison.oci.assemble import assemble_config
from jettison.oci.config import HistoryEntry, ImageConfig, RuntimeConfig, render_config
from jettison.oci.descriptor import OCI_CONFIG, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, OCI_MANIFEST, Descriptor
from jettison.oci.manifest import Index, Manifest, render_manifest
from jettison.platform import Platform

pytestmark = [
    pytest.mark.judges,
    pytest.mark.skipif(not (shutil.which("umoci") and shutil.which("skopeo")), reason="needs umoci and skopeo"),
]
UID, GID = os.getuid(), os.getgid()


def a_file(path, data=b"x", mode=0o644):
    entry = FileEntry(path, EntryKind.FILE, mode, 0, 0, len(data), 10**18, digest=hashlib.sha256(data).digest())
    return entry, ContentRef(ContentKind.PACK, "", DATA.setdefault(data, sum(map(len, DATA))))


def a_dir(path, mode=0o755, **fields):
    return FileEntry(path, EntryKind.DIRECTORY, mode, mtime_ns=10**18, **fields), NO_CONTENT


def other(path, kind, target=b""):
    return FileEntry(path, kind, 0o777, mtime_ns=10**18, link_target=target), NO_CONTENT


DATA: dict[bytes, int] = {}
LONG = b"long/" + b"n" * 200
STACK = [
    [
        a_dir(b"keep"),
        a_file(b"keep/a", b"one"),
        other(b"keep/b", EntryKind.HARD_LINK, b"keep/a"),
        a_file(b"keep/c", b"three"),
        a_dir(b"long"),
        a_file(LONG),
        a_dir(b"opaque"),
        a_file(b"opaque/old"),
        a_dir(b"swap"),
        a_file(b"swap/in"),
        a_file("ünï".encode()),
    ],
    [
        a_dir(b"keep", 0o700),
        other(b"keep/c", EntryKind.WHITEOUT),
        a_dir(b"opaque", is_opaque=True),
        a_file(b"opaque/new", b"y" * 2000),
        other(b"pipe", EntryKind.FIFO),
        other(b"swap", EntryKind.SYMLINK, b"keep"),
    ],
]


def put(root: Path, data: bytes, media_type: str) -> Descriptor:
    digest = digest_of(data)
    (root / "blobs/sha256" / digest.hex).write_bytes(data)
    return Descriptor(media_type=media_type, digest=digest, size_bytes=len(data))


def make_layout(root: Path, compression: str) -> None:
    (root / "blobs/sha256").mkdir(parents=True)
    pack = os.memfd_create("pack", os.MFD_CLOEXEC)
    for data, at in DATA.items():
        os.pwrite(pack, data, at)
    layers, diff_ids = [], []
    for slots in STACK:
        blob = io.BytesIO()
        chunks = write_tar(slots, lambda _, ref: ContentHandle(pack, ref.offset), epoch=None)
        made = compress_layer(chunks, blob, compression=compression, level=1)
        layers.append(put(root, blob.getvalue(), OCI_LAYER_GZIP if compression == "gzip" else OCI_LAYER_ZSTD))
        assert layers[-1].digest == made.digest
        diff_ids.append(made.diff_id)
    os.close(pack)
    base = ImageConfig(
        platform=Platform(os="linux", architecture="amd64"), config=RuntimeConfig(cmd=("sh", "-c", "a && b"))
    )
    history = [
        HistoryEntry(created_by="RUN a"),
        HistoryEntry(created_by="ENV b", is_empty_layer=True),
        HistoryEntry(created_by="COPY c"),
    ]
    config = assemble_config(base, diff_ids=diff_ids, history=history, created="2026-01-01T00:00:00Z")
    manifest = Manifest(
        media_type=OCI_MANIFEST, config=put(root, render_config(config), OCI_CONFIG), layers=tuple(layers)
    )
    document = put(root, render_manifest(manifest), OCI_MANIFEST)
    named = Descriptor(
        media_type=OCI_MANIFEST,
        digest=document.digest,
        size_bytes=document.size_bytes,
        annotations=(("org.opencontainers.image.ref.name", "t"),),
    )
    (root / "index.json").write_bytes(
        render_manifest(Index(media_type="application/vnd.oci.image.index.v1+json", manifests=(named,)))
    )
    (root / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


def run(*args, cwd):
    done = subprocess.run(args, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_umoci_unpacks_what_the_union_shows(tmp_path):
    make_layout(tmp_path / "oci", "gzip")
    rootless = [] if os.getuid() == 0 else ["--rootless"]
    run("umoci", "unpack", *rootless, "--image", "oci:t", "out", cwd=tmp_path)
    root = os.fsencode(tmp_path / "out/rootfs")
    found = {}
    for directory, directories, files in os.walk(root):
        for name in directories + files:
            path = os.path.join(directory, name)
            found[path[len(root) + 1 :]] = os.lstat(path)
    with a_union(tmp_path, STACK) as union:
        entries = {slot.entry.path: slot.entry for slot in union.walk()}
    assert set(found) == set(entries)
    kinds = {
        EntryKind.FILE: 0o100000,
        EntryKind.DIRECTORY: 0o040000,
        EntryKind.SYMLINK: 0o120000,
        EntryKind.FIFO: 0o010000,
    }
    for path, entry in entries.items():
        assert found[path].st_mode == kinds[entry.kind] | entry.mode
        if entry.kind is EntryKind.FILE:
            data = Path(os.fsdecode(root + b"/" + path)).read_bytes()
            assert hashlib.sha256(data).digest() == entry.digest
            assert found[path].st_mtime_ns == entry.mtime_ns
    assert found[b"keep/a"].st_ino == found[b"keep/b"].st_ino


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_skopeo_copies_and_verifies(tmp_path, compression):
    make_layout(tmp_path / "oci", compression)
    run("skopeo", "--insecure-policy", "copy", "oci:oci:t", "dir:out", cwd=tmp_path)
    run("skopeo", "inspect", "--config", "oci:oci:t", cwd=tmp_path)
