"""The union of indexes shows what applying the layers one after the other would leave."""

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.layers import PATHS, a_union, flatten, layers

from jettison.filetree import ContentKind, EntryKind, parent_of, sort_key
from jettison.layer.index import IndexWriter, LayerIndex

STACKS = st.lists(layers(), min_size=1, max_size=5)


@given(STACKS, st.lists(PATHS, max_size=5))
def test_union_is_the_layers_applied_in_turn(stack, others):
    model = flatten(stack)
    in_order = sorted(model, key=sort_key)
    with tempfile.TemporaryDirectory() as directory, a_union(Path(directory), stack) as union:
        walked = list(union.walk())
        assert [(slot.entry, slot.layer) for slot in walked] == [model[path] for path in in_order]
        for slot in walked:
            assert union.lookup(slot.entry.path) == slot
            if slot.entry.kind is EntryKind.FILE:
                assert slot.ref.kind is ContentKind.PACK
                assert slot.ref.layer == union.layer_ids[slot.layer]
        for path in others:
            found = union.lookup(path)
            assert (found and (found.entry, found.layer)) == model.get(path)
        for path in {b"", *in_order, *others}:
            inside = path + b"/" if path else b""
            below = [name for name in in_order if name.startswith(inside) or name == path]
            assert [slot.entry.path for slot in union.walk(path)] == below
            is_directory = not path or (path in model and model[path][0].kind is EntryKind.DIRECTORY)
            names = [name for name in in_order if is_directory and name and parent_of(name) == path]
            assert [slot.entry.path for slot in union.children(path)] == names


@given(STACKS, PATHS)
def test_flattened_union_is_a_layer_with_the_same_tree(stack, start):
    model = flatten(stack)
    with tempfile.TemporaryDirectory() as directory, a_union(Path(directory), stack) as union:
        path = Path(directory, "flat")
        with IndexWriter(path) as writer:
            for entry, ref in union.flatten():
                writer.add(entry, ref)
            writer.finish()
        with LayerIndex(path) as flat:
            slots = list(flat)
        assert {name: entry for name, (entry, _) in flatten([slots]).items()} == {
            name: entry for name, (entry, _) in model.items()
        }
        part = [entry for entry, _ in union.flatten(start)]
        assert [entry.path for entry in part] == [slot.entry.path for slot in union.walk(start)]
        files = {entry.path for entry in part if entry.kind is EntryKind.FILE}
        assert all(entry.link_target in files for entry in part if entry.kind is EntryKind.HARD_LINK)
