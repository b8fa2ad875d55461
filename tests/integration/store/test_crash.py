"""A process that is killed at any file operation leaves a store that is whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jettison.digest import DiffId, LayerId, digest_of
from jettison.reference import parse_reference
from jettison.store.gc import CollectPolicy, collect
from jettison.store.history import BuildEntry
from jettison.store.images import ImageLayer, ImageRecord, KnownBlob
from jettison.store.records import digests_in
from jettison.store.root import open_store

_EVENTS = frozenset(
    {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.link", "fcntl.fcntl", "sqlite3.connect"}
)
APP, OLD = parse_reference("app"), parse_reference("old")


def _build(store, name):
    with store.blobs.writer() as writer:
        writer.write(name.encode() * 1000)
        blob, size = writer.commit()
    base = _layer(store, name + "-base")
    layer = _layer(store, name, base)
    with store.layers.stage() as staged:
        (staged.path / "tree").mkdir()
        (staged.path / "tree" / "file").write_text(base)
        store.layers.install_fs(base, staged.path / "tree")
    config = b'{"name":"' + name.encode() + b'"}'
    known = KnownBlob(digest=blob, size_bytes=size, media_type="x")
    image_layer = ImageLayer(diff_id=DiffId(digest_of(b"")), layer_id=layer, size_bytes=1, blobs=(known,))
    record = ImageRecord(image_id=digest_of(config), config=config, layers=(image_layer,), platform="linux/amd64")
    store.images.put(record)
    store.sync()
    store.records.put(f"key-{name}", layer.encode(), b"preimage")
    store.images.tag(APP, record.image_id)
    store.history.add_build(BuildEntry(build_id=name, started=1.0, seconds=1.0, status="succeeded"))
    return record


def _layer(store, name, *depends_on):
    layer_id = LayerId(digest_of(name.encode()))
    with store.layers.stage() as staged:
        (staged.path / "index").write_bytes(name.encode())
        store.layers.commit(staged, layer_id, depends_on=depends_on)
    return layer_id


def scenario(root: Path, name: str) -> None:
    """Everything that changes a store, once."""
    with open_store(root, id_mode="single") as store:
        _build(store, name)
        store.images.untag(OLD)
    with open_store(root, id_mode="single") as store:
        collect(store, CollectPolicy(keep_cache=False, keep_untagged=False))


def check(root: Path) -> None:
    """Assert that the store is whole, before and after a collection."""
    with open_store(root, id_mode="single") as store:
        for _ in range(2):
            _check_open(store)
            collect(store)
        assert os.listdir(root / "tmp") == []
        assert os.listdir(root / "trash") == []
        assert len(os.listdir(root / "locks" / "leases")) <= 1


def _check_open(store):
    layers, blobs = set(store.layers.ids()), set(store.blobs.digests())
    for layer in layers:
        assert digest_of(store.layers.index_path(layer).read_bytes()) == layer
        assert set(store.layers.depends_on(layer)) <= layers
        if store.layers.has_fs(layer):
            assert (store.layers.fs_path(layer) / "file").read_text() == layer
    for blob in blobs:
        assert digest_of(store.blobs.path(blob).read_bytes()) == blob
    for image_id in store.images.tags().values():
        record = store.images.get(image_id)
        assert record is not None
        for layer in record.layers:
            assert layer.layer_id in layers
            assert {blob.digest for blob in layer.blobs} <= blobs
    for key, value in list(store.records.items()):
        assert digests_in(value) <= layers, key


def _prepare(root):
    with open_store(root, id_mode="single") as store:
        record = _build(store, "first")
        store.images.tag(OLD, record.image_id)
        store.layers.has(_layer(store, "rubbish"))
        store.sync()
    return record


def _run_until_event(root, last):
    """Run the scenario in a child that kills itself at the given event; tells whether it got there."""
    pid = os.fork()
    if pid == 0:
        count = 0

        def hook(event, args):
            nonlocal count
            if event in _EVENTS:
                count += 1
                if count == last:
                    os.kill(os.getpid(), signal.SIGKILL)

        code = 1
        try:
            sys.addaudithook(hook)
            scenario(root, "second")
            code = 0
        finally:
            os._exit(code)
    status = os.waitpid(pid, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.mark.slow
def test_a_kill_at_any_file_operation_leaves_the_store_whole(tmp_path):
    moment = 0
    while True:
        moment += 1
        root = tmp_path / str(moment)
        first = _prepare(root)
        was_killed = _run_until_event(root, moment)
        check(root)
        with open_store(root, id_mode="single") as store:
            assert APP in map(parse_reference, store.images.tags())
            if OLD in map(parse_reference, store.images.tags()):
                assert store.images.get(first.image_id) == first
        if not was_killed:
            break
        if moment % 10 == 0:
            scenario(root, "second")
            check(root)
    assert moment > 50


@pytest.mark.slow
def test_kills_at_random_moments_leave_the_store_whole(tmp_path):
    root = tmp_path / "root"
    _prepare(root)
    choice = random.Random(7)
    program = (
        "import sys, itertools; from pathlib import Path\n"
        "from tests.integration.store.test_crash import scenario\n"
        "print('ready', flush=True)\n"
        "for turn in itertools.count():\n"
        "    scenario(Path(sys.argv[1]), sys.argv[2] + str(turn))\n"
    )
    top = Path(__file__).parents[3]
    for turn in range(12):
        children = [
            subprocess.Popen(
                [sys.executable, "-c", program, str(root), f"{turn}-{number}-"],
                cwd=top,
                env={"PYTHONPATH": f"{top / 'src'}:{top}", "PATH": os.environ["PATH"]},
                stdout=subprocess.PIPE,
            )
            for number in range(2)
        ]
        for child in children:
            assert child.stdout.readline() == b"ready\n"
        time.sleep(choice.uniform(0.0, 0.15))
        for child in children:
            child.kill()
            child.wait()
            child.stdout.close()
        check(root)


@pytest.mark.parametrize("moment", [20, 40, 60])
def test_a_reboot_after_a_kill_leaves_the_store_whole(tmp_path, moment):
    root = tmp_path / "root"
    _prepare(root)
    _run_until_event(root, moment)
    for path in (root / "unsynced").iterdir():
        path.rename(root / "unsynced" / "an-earlier-boot")
    check(root)
    scenario(root, "second")
    check(root)
