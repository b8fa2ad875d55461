"""Stores, drivers and steps for the tests of snapshots: a step is a list of operations done in a real overlay or a copy."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from jettison.filetree import ContentKind, ContentRef, EntryKind
from jettison.layer.index import IndexWriter, LayerIndex
from jettison.layer.pack import PackWriter
from jettison.snapshot.fill import Materials
from jettison.snapshot.union import Union

_PROGRAM = Path(__file__).parent.parent / "integration" / "snapshot" / "in_overlay.py"
ID_MODE = "root" if os.geteuid() == 0 else "single"
_TYPES = {
    EntryKind.FILE: 0o100000,
    EntryKind.DIRECTORY: 0o040000,
    EntryKind.SYMLINK: 0o120000,
    EntryKind.CHAR_DEVICE: 0o020000,
    EntryKind.BLOCK_DEVICE: 0o060000,
    EntryKind.FIFO: 0o010000,
}


@contextmanager
def blob_chunks(data, size=1000):
    """Yield the bytes in chunks, as a pulled layer's blob is streamed."""
    yield (data[at : at + size] for at in range(0, len(data), size))


def materials_of(store, *, blobs=None, id_mode=ID_MODE):
    """Return materials whose pulled blobs are the given bytes by layer id."""
    return Materials(layers=store.layers, open_blob=lambda layer: blob_chunks((blobs or {})[layer]), id_mode=id_mode)


def add_layer(store, entries, contents=None):
    """Commit a layer of the entries, contents by path in a pack; return its id."""
    contents = contents or {}
    with store.layers.stage() as staged:
        with PackWriter(staged.path / "pack") as pack, IndexWriter(staged.path / "index") as writer:
            for entry in sorted(entries, key=lambda item: item.path.replace(b"/", b"\0")):
                if entry.kind is EntryKind.FILE:
                    packed = pack.append(contents.get(entry.path, b""))
                    writer.add(
                        entry._replace(size=packed.size, digest=packed.digest),
                        ContentRef(ContentKind.PACK, "", packed.offset),
                    )
                else:
                    writer.add(entry)
            summary = writer.finish()
            pack.finish()
        store.layers.commit(staged, summary.layer_id)
    return summary.layer_id


def entries_of(store, layer_id):
    """Return the entries of a layer by path."""
    with LayerIndex(store.layers.index_path(layer_id)) as index:
        return {entry.path: entry for entry, _ in index}


@contextmanager
def union_of(store, chain):
    """Yield the union of a chain, its indexes open."""
    indexes = [LayerIndex(store.layers.index_path(layer)) for layer in chain]
    try:
        yield Union(list(zip(chain, indexes, strict=True)))
    finally:
        for index in indexes:
            index.close()


def shown_by_index(store, chain):
    """Return what the union of the chain shows, in the form of ``in_overlay.walk``."""
    with union_of(store, chain) as union:
        return {item.entry.path: _shown(item.entry) for item in union.walk() if item.entry.path}


def _shown(entry):
    content = None
    if entry.kind is EntryKind.FILE:
        content = entry.digest.hex()
    elif entry.kind is EntryKind.SYMLINK:
        content = entry.link_target
    elif entry.kind in {EntryKind.CHAR_DEVICE, EntryKind.BLOCK_DEVICE}:
        content = entry.device
    mode = 0 if entry.kind is EntryKind.SYMLINK else entry.mode
    xattrs = tuple(pair for pair in entry.xattrs if pair[0].startswith(b"user."))
    return (_TYPES[entry.kind], mode, entry.uid, entry.gid, entry.mtime_ns, content, xattrs)


def run_step(rootfs, operations, tmp_path, *, in_userns=False):
    """Do the operations in the root file system and return what it shows afterwards."""
    if rootfs.root is not None:
        spec = {"root": str(rootfs.root), "operations": operations}
        command = []
    else:
        spec = {
            "lowers": [str(path) for path in rootfs.lowers],
            "upper": str(rootfs.upper),
            "work": str(rootfs.work),
            "options": _options(in_userns=in_userns),
            "operations": operations,
        }
        command = ["unshare", "--mount", *(["--user", "--map-root-user"] if in_userns else [])]
    path = tmp_path / "step.spec"
    path.write_text(ascii(spec), encoding="ascii")
    result = subprocess.run(
        [*command, sys.executable, "-I", str(_PROGRAM), str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return ast.literal_eval(result.stdout)


def _options(*, in_userns):
    return "userxattr" if in_userns else "index=off,redirect_dir=off,metacopy=off"


def why_no_overlay(tmp_path, *, in_userns=False):
    """Return why this host mounts no overlay, empty if it does."""
    if shutil.which("unshare") is None:
        return "unshare(1) is not installed"
    if os.geteuid() != 0:
        return "mounting, and seeing the owners that the mount has, needs root (of a user namespace at least)"
    for name in ("lower", "upper", "work"):
        (tmp_path / name).mkdir()
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    flags = ["--user", "--map-root-user"] if in_userns else []
    options += f",{_options(in_userns=in_userns)}"
    command = [
        "unshare",
        "--mount",
        *flags,
        "mount",
        "-t",
        "overlay",
        "-o",
        options,
        "overlay",
        str(tmp_path / "lower"),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return "" if result.returncode == 0 else f"no overlay mount: {result.stderr.strip()}"
