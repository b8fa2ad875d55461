"""Several processes use one store at once."""

from __future__ import annotations

import os
import traceback

import pytest

from jettison.digest import LayerId, digest_of
from jettison.reference import parse_reference
from jettison.store.gc import CollectPolicy, collect
from jettison.store.images import ImageRecord
from jettison.store.root import open_store
from jettison.store.trash import empty_trash


def _in_children(count, work):
    pids = []
    for number in range(count):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                work(number)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        pids.append(pid)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    assert codes == [0] * count


def test_many_processes_make_one_store(tmp_path):
    root = tmp_path / "root"

    def work(number):
        with open_store(root, id_mode="single") as store:
            store.records.put(str(number), b"", b"")

    _in_children(8, work)
    with open_store(root, id_mode="single") as store:
        assert len(list(store.records.items())) == 8


def test_builders_and_collectors_do_not_hurt_each_other(tmp_path):
    root = tmp_path / "root"
    open_store(root, id_mode="single").close()

    def work(number):
        for turn in range(15):
            with open_store(root, id_mode="single") as store:
                if number < 2:
                    collect(store, CollectPolicy(keep_cache=False, keep_untagged=False, max_bytes=1 << 20))
                else:
                    _work_and_look(store, number, turn)

    _in_children(6, work)
    with open_store(root, id_mode="single") as store:
        collect(store, CollectPolicy(keep_cache=False, keep_untagged=False))
        assert len(list(store.images.ids())) == len(set(store.images.tags().values()))
        assert os.listdir(root / "tmp") == []


def _work_and_look(store, number, turn):
    made = []
    for step in range(5):
        data = f"{turn}-{step}".encode()  # the same in all processes: they race for one result
        layer_id = LayerId(digest_of(data))
        if not store.layers.has(layer_id):
            with store.layers.stage() as staged:
                (staged.path / "index").write_bytes(data)
                store.layers.commit(staged, layer_id, depends_on=tuple(made[-1:]))
        made.append(layer_id)
        blob = store.blobs.put_bytes(data * 1000)
        assert store.blobs.path(blob).stat().st_size == len(data) * 1000
        store.records.put(f"{number}-{step}", layer_id.encode(), data)
        for earlier in made:
            assert store.layers.has(earlier)
            assert store.layers.index_path(earlier).exists()
    config = b'{"turn":%d}' % turn
    record = ImageRecord(image_id=digest_of(config), config=config, layers=(), platform="linux/amd64")
    store.images.put(record)
    store.sync()
    store.images.tag(parse_reference(f"app:{number}"), record.image_id)
    assert store.images.find(parse_reference(f"app:{number}")) == record.image_id


def test_death_of_the_holder_frees_a_lock(tmp_path):
    store = open_store(tmp_path / "root", id_mode="single")
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        held = store.locks.try_exclusive("op")
        os.write(tell, b"x" if held else b"-")
        while True:
            os.sched_yield()
    assert os.read(ready, 1) == b"x"
    assert not store.locks.is_free("op")
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    with store.locks.exclusive("op"):
        pass
    os.close(ready)
    os.close(tell)
    store.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make files of another user")
def test_trees_of_other_users_are_left_by_those_who_may_not_remove_them(tmp_path):
    trash = tmp_path / "trash"
    (trash / "tree" / "private").mkdir(parents=True)
    (trash / "tree" / "private" / "file").write_text("")
    (trash / "mine").write_text("")
    for path, owner in (
        (trash, 65534),
        (trash / "mine", 65534),
        (trash / "tree", 65534),
        (trash / "tree" / "private", 12345),
    ):
        os.chown(path, owner, owner)
    (trash / "tree" / "private").chmod(0o700)
    place = os.open(trash, os.O_RDONLY)

    def work(number):
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        emptied = empty_trash(f"/proc/self/fd/{place}/.")
        assert emptied.left == 1
        assert os.listdir(place) == ["tree"]

    _in_children(1, work)
    os.close(place)
    assert empty_trash(trash).left == 0
    assert os.listdir(trash) == []
