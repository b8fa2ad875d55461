"""What the reader makes of tars, honest and hostile (the shapes of published attacks on unpackers)."""

import gzip
import hashlib
import io
import os
import zlib

import pytest
import zstandard
from tests.fakes.tars import (
    Trickle,
    base_256,
    directory,
    hard_link,
    header,
    long_name,
    member,
    padded,
    pax,
    record,
    symlink,
    tar,
)

from jettison.errors import LayerError
from jettison.filetree import NO_CONTENT, ContentKind, ContentRef, EntryKind, FileEntry
from jettison.layer.index import LayerIndex
from jettison.layer.pack import PackWriter
from jettison.layer.read import index_tar
from jettison.limits import Limits

FILE, DIRECTORY, SYMLINK = EntryKind.FILE, EntryKind.DIRECTORY, EntryKind.SYMLINK
WHITEOUT, HARD_LINK = EntryKind.WHITEOUT, EntryKind.HARD_LINK


@pytest.fixture
def read(tmp_path):
    def run(data, **options):
        path = tmp_path / "index"
        path.unlink(missing_ok=True)
        stream = data if hasattr(data, "read") else io.BytesIO(data)
        run.result = index_tar(stream, path, **options)
        with LayerIndex(path) as index:
            index.verify()
            run.implied = list(index.implied_paths())
            run.slots = list(index)
            return {entry.path: entry for entry, _ in run.slots}

    return run


def refused(read, data, slug, **options):
    with pytest.raises(LayerError) as caught:
        read(data, **options)
    assert caught.value.slug == slug
    return caught.value


def test_ordinary_members(read):
    data = tar(
        directory(b"./"),
        directory(b"./etc/", mode=0o750, uid=1, gid=2, mtime=3),
        member(b"./etc/passwd", b"root", mode=0o4644, mtime=1_700_000_000),
        symlink(b"./etc/link", b"/passwd"),
        member(b"./etc/tty", kind=b"3", device=(5, 1)),
        member(b"./etc/disk", kind=b"4", device=(8, 0)),
        member(b"./etc/pipe", kind=b"6"),
    )
    found = read(data)
    digest = hashlib.sha256(b"root").digest()
    assert found == {
        b"": FileEntry(b"", DIRECTORY, 0o755),
        b"etc": FileEntry(b"etc", DIRECTORY, 0o750, 1, 2, 0, 3 * 10**9),
        b"etc/passwd": FileEntry(b"etc/passwd", FILE, 0o4644, 0, 0, 4, 17 * 10**17, digest=digest),
        b"etc/link": FileEntry(b"etc/link", SYMLINK, 0o777, link_target=b"/passwd"),
        b"etc/tty": FileEntry(b"etc/tty", EntryKind.CHAR_DEVICE, device=(5, 1)),
        b"etc/disk": FileEntry(b"etc/disk", EntryKind.BLOCK_DEVICE, device=(8, 0)),
        b"etc/pipe": FileEntry(b"etc/pipe", EntryKind.FIFO),
    }
    assert read.result.diff_id == "sha256:" + hashlib.sha256(data).hexdigest()
    assert read.result.uncompressed_bytes == len(data)
    places = {entry.path: ref for entry, ref in read.slots}
    assert places[b"etc/passwd"] == ContentRef(ContentKind.BLOB, "", 512 * 3)
    assert places[b"etc/link"] == NO_CONTENT


def test_content_goes_to_the_pack(read, tmp_path):
    big = os.urandom(3 << 20)
    with PackWriter(tmp_path / "pack") as pack:
        found = read(tar(member(b"a", b"one"), member(b"b", big), member(b"c")), pack=pack)
        pack.finish()
    data = (tmp_path / "pack").read_bytes()
    for entry, ref in read.slots:
        content = data[ref.offset : ref.offset + entry.size]
        assert hashlib.sha256(content).digest() == entry.digest
        assert ref.kind is (ContentKind.PACK if entry.size else ContentKind.NONE)
    assert found[b"b"].size == len(big)


PLAIN = tar(directory(b"d"), member(b"d/f", b"x" * 100_000), member(b"g", os.urandom(100_000)))


@pytest.mark.parametrize(
    "packed",
    [
        pytest.param(PLAIN, id="plain"),
        pytest.param(gzip.compress(PLAIN), id="gzip"),
        pytest.param(gzip.compress(PLAIN[:1000]) + gzip.compress(b"") + gzip.compress(PLAIN[1000:]), id="gzip-members"),
        pytest.param(gzip.compress(PLAIN) + bytes(1000), id="gzip-padded"),
        pytest.param(zstandard.compress(PLAIN), id="zstd"),
        pytest.param(zstandard.compress(PLAIN[:1000]) + zstandard.compress(PLAIN[1000:]), id="zstd-frames"),
        pytest.param(b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + zstandard.compress(PLAIN), id="zstd-skippable"),
        pytest.param(__import__("bz2").compress(PLAIN), id="bzip2"),
        pytest.param(__import__("lzma").compress(PLAIN), id="xz"),
    ],
)
@pytest.mark.parametrize("step", [None, 977])
def test_compression_is_told_by_content(read, packed, step):
    found = read(packed if step is None else Trickle(packed, step))
    assert set(found) == {b"d", b"d/f", b"g"}
    assert read.result.diff_id == "sha256:" + hashlib.sha256(PLAIN).hexdigest()


@pytest.mark.parametrize(
    "compress", [gzip.compress, zstandard.compress, __import__("bz2").compress, __import__("lzma").compress]
)
def test_truncated_compression_is_refused(read, compress):
    packed = compress(PLAIN)
    for length in (6, 20, len(packed) // 2, len(packed) - 1):
        refused(read, packed[:length], "layer-compression")


def test_damaged_compression_is_refused(read):
    packed = bytearray(gzip.compress(PLAIN))
    packed[-6] ^= 1  # the checksum
    refused(read, bytes(packed), "layer-compression")
    refused(read, gzip.compress(PLAIN) + b"garbage", "layer-compression")


def test_zstd_window_of_256_mib_is_refused(read):
    parameters = zstandard.ZstdCompressionParameters(window_log=28, compression_level=1)
    codec = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    refused(read, codec.compress(PLAIN) + codec.flush(), "layer-compression")


def test_the_stream_is_read_to_its_very_end(read):
    stream = io.BytesIO(PLAIN + bytes(10_240) + b"whatever")
    read(stream)
    assert stream.read() == b""
    assert read.result.diff_id == "sha256:" + hashlib.sha256(stream.getvalue()).hexdigest()


@pytest.mark.parametrize("data", [b"", bytes(512), bytes(1024), bytes(10_240)])
def test_empty_tars(read, data):
    assert read(data) == {}


def test_tar_without_end_mark_is_accepted(read):
    assert set(read(member(b"a", b"x"))) == {b"a"}


@pytest.mark.parametrize("length", [1, 100, 511, 513, 700, 1023])
def test_truncated_tar_is_refused(read, length):
    refused(read, member(b"a", b"x" * 600)[:length], "tar-truncated")


def test_member_behind_a_lone_zero_block_is_refused(read):
    refused(read, bytes(512) + member(b"a"), "tar-header")


def test_what_follows_the_end_mark_is_no_member(read):
    assert set(read(tar(member(b"a")) + member(b"b"))) == {b"a"}


@pytest.mark.parametrize("name", [b"../x", b"a/../../x", b"a/../x", b"..", b"/..", b"./..", b"a/..", b"/../etc/x"])
def test_names_that_climb_are_refused(read, name):
    refused(read, tar(member(name, b"x")), "tar-name")
    refused(read, tar(directory(name)), "tar-name")
    refused(read, tar(pax([(b"path", name)]), member(b"ok")), "tar-name")
    refused(read, tar(member(b"f"), hard_link(b"l", name)), "tar-name")


@pytest.mark.parametrize("name", [b"/etc/x", b"//etc//x", b"./etc/./x", b"etc/x", b"/./etc/x"])
def test_names_are_cleaned(read, name):
    assert set(read(tar(member(name, b"x")))) == {b"etc", b"etc/x"}


def test_dots_in_names_are_no_dot_components(read):
    assert set(read(tar(member(b"..a"), member(b"b.."), member(b"..."), member(b".c/.d")))) == {
        b"..a",
        b"b..",
        b"...",
        b".c",
        b".c/.d",
    }


def test_nul_in_a_pax_name_is_refused(read):
    refused(read, tar(pax([(b"path", b"a\0b")]), member(b"x")), "tar-header")


@pytest.mark.parametrize("name", [b"x" * 256, b"d/" + b"x" * 256 + b"/f", b"/".join([b"x" * 200] * 21)])
def test_names_that_no_file_system_holds_are_refused(read, name):
    refused(read, tar(pax([(b"path", name)]), member(b"x")), "tar-name")


def test_empty_name_is_refused(read):
    refused(read, tar(member(b"")), "tar-name")


@pytest.mark.parametrize("name", [b"./", b".", b"/", b"//", b"./."])
def test_root_must_stay_a_directory(read, name):
    assert set(read(tar(directory(name, mode=0o700)))) == {b""}
    refused(read, tar(symlink(name, b"/host")), "tar-name")
    refused(read, tar(member(name.rstrip(b"/") or b"/.", b"x")), "tar-name")
    refused(read, tar(member(b"f"), hard_link(name, b"f")), "tar-name")


def test_last_duplicate_wins(read):
    found = read(tar(member(b"a", b"one"), symlink(b"a", b"x"), member(b"a", b"three", mode=0o600)))
    assert found[b"a"].digest == hashlib.sha256(b"three").digest()
    assert found[b"a"].mode == 0o600


def test_directory_again_keeps_what_lies_in_it(read):
    found = read(tar(directory(b"d"), member(b"d/f"), directory(b"d", mode=0o700)))
    assert set(found) == {b"d", b"d/f"}
    assert found[b"d"].mode == 0o700


@pytest.mark.parametrize("other", [member(b"d", b"x"), symlink(b"d", b"e"), member(b"d", kind=b"6")])
def test_directory_that_becomes_something_else_loses_what_lay_in_it(read, other):
    assert set(read(tar(directory(b"d"), member(b"d/e/f"), other))) == {b"d"}
    found = read(tar(directory(b"d"), member(b"d/e/f"), other, directory(b"d"), member(b"d/g")))
    assert set(found) == {b"d", b"d/g"}
    assert found[b"d"].kind is DIRECTORY


def test_what_lay_in_a_replaced_directory_is_gone_for_later_members(read):
    again = [member(b"d", b"x"), directory(b"d")]
    refused(read, tar(member(b"d/f"), *again, hard_link(b"l", b"d/f")), "tar-link")
    found = read(tar(directory(b"d"), symlink(b"d/l", b"/out"), *again, member(b"d/l/y")))
    assert set(found) == {b"d", b"d/l", b"d/l/y"}
    assert found[b"d/l"].kind is DIRECTORY


def test_names_below_a_file_are_refused(read):
    refused(read, tar(member(b"a", b"x"), member(b"a/b")), "tar-name")
    refused(read, tar(member(b"a", kind=b"3"), member(b"a/b/c")), "tar-name")


@pytest.mark.parametrize(
    ("target", "place"),
    [
        (b"usr/lib", b"usr/lib/x"),
        (b"/usr/lib", b"usr/lib/x"),
        (b"../../../host", b"host/x"),
        (b"/../etc", b"etc/x"),
        (b".", b"x"),
        (b"/", b"x"),
        (b"a/../../b", b"b/x"),
    ],
)
def test_names_below_a_symlink_are_resolved_inside_the_root(read, target, place):
    found = read(tar(symlink(b"lib", target), member(b"lib/x", b"y")))
    assert found[place].kind is FILE
    assert found[b"lib"].kind is SYMLINK
    assert b"lib/x" not in found


@pytest.mark.parametrize(
    "late",
    [
        directory(b"l/d"),
        member(b"l/f", b"x"),
        symlink(b"l/s", b"x"),
        hard_link(b"l/h", b"first"),
        member(b"l/c", kind=b"3"),
        member(b"l/p", kind=b"6"),
        member(b"l/.wh.victim"),
        member(b"l/.wh..wh..opq"),
    ],
)
def test_every_operation_below_a_planted_symlink_stays_inside(read, late):
    found = read(tar(member(b"first"), symlink(b"l", b"/../../out"), late))
    assert found[b"l"] == FileEntry(b"l", SYMLINK, 0o777, link_target=b"/../../out")
    assert not [path for path in found if path.startswith(b"l/")]
    assert any(path == b"out" or path.startswith(b"out/") for path in found)


def test_symlinks_that_change_are_followed_as_they_are_at_the_time(read):
    found = read(
        tar(symlink(b"l", b"a"), member(b"l/1"), symlink(b"l", b"b"), member(b"l/2"), directory(b"l"), member(b"l/3"))
    )
    assert set(found) == {b"a", b"a/1", b"b", b"b/2", b"l", b"l/3"}


def test_chains_of_symlinks(read):
    chain = [symlink(b"l%d" % number, b"l%d" % (number + 1)) for number in range(45)]
    assert b"l45/x" in read(tar(*chain[6:], member(b"l6/x")))
    refused(read, tar(*chain, member(b"l0/x")), "tar-link")
    refused(read, tar(symlink(b"a", b"b"), symlink(b"b", b"a"), member(b"a/x")), "tar-link")


def test_symlinks_that_grow_a_path_beyond_any_bound_are_refused(read):
    long = b"/".join([b"d" * 200] * 15)
    first = pax([(b"linkpath", long)]) + symlink(b"l", b"")
    second = pax([(b"path", long + b"/m"), (b"linkpath", long)]) + symlink(b"", b"")
    assert long + b"/x" in read(tar(first, member(b"l/x")))
    refused(read, tar(first, second, member(b"l/m/x")), "tar-name")


@pytest.mark.parametrize("target", [b"", b"x" * 4096])
def test_impossible_symlink_targets_are_refused(read, target):
    refused(read, tar(pax([(b"linkpath", target)]), symlink(b"a", b"")), "tar-link")


def test_hard_links_first_name_in_order_is_the_file(read):
    found = read(
        tar(member(b"m", b"data", mode=0o640, mtime=5), hard_link(b"z", b"m"), hard_link(b"a", b"./m", mode=0o777))
    )
    assert found[b"a"].kind is FILE
    assert found[b"a"].digest == hashlib.sha256(b"data").digest()
    assert found[b"m"] == FileEntry(b"m", HARD_LINK, 0o640, mtime_ns=5 * 10**9, link_target=b"a")
    assert found[b"z"].link_target == b"a"
    assert {entry.path: ref.offset for entry, ref in read.slots}[b"a"] == 512


def test_hard_link_keeps_its_file_when_the_first_name_goes(read):
    found = read(tar(member(b"a", b"old"), hard_link(b"b", b"a"), member(b"a", b"new")))
    assert found[b"b"].kind is FILE
    assert found[b"b"].digest == hashlib.sha256(b"old").digest()
    assert found[b"a"].digest == hashlib.sha256(b"new").digest()


def test_hard_link_to_what_is_no_file_is_a_copy_of_the_entry(read):
    found = read(tar(symlink(b"s", b"t"), hard_link(b"l", b"s"), member(b"p", kind=b"6"), hard_link(b"q", b"p")))
    assert found[b"l"] == FileEntry(b"l", SYMLINK, 0o777, link_target=b"t")
    assert found[b"q"].kind is EntryKind.FIFO


@pytest.mark.parametrize(
    "members",
    [
        pytest.param([hard_link(b"l", b"nothing")], id="missing"),
        pytest.param([hard_link(b"l", b"/etc/passwd")], id="host-file"),
        pytest.param([hard_link(b"l", b"f"), member(b"f")], id="later"),
        pytest.param([directory(b"d"), hard_link(b"l", b"d")], id="directory"),
        pytest.param([hard_link(b"l", b"l")], id="itself"),
        pytest.param([hard_link(b"l", b"")], id="empty"),
        pytest.param([member(b"d/f"), symlink(b"d", b"e"), hard_link(b"l", b"d/f")], id="gone"),
    ],
)
def test_hard_links_to_nothing_are_refused(read, members):
    refused(read, tar(*members), "tar-link")


def test_hard_link_through_a_symlink_stays_inside(read):
    found = read(tar(member(b"etc/f", b"x"), symlink(b"l", b"/etc"), hard_link(b"z", b"l/f")))
    assert found[b"z"].link_target == b"etc/f"


def test_hard_link_names_do_not_depend_on_the_working_directory(read, tmp_path, monkeypatch):
    (tmp_path / "canary").write_text("host")
    monkeypatch.chdir(tmp_path)
    refused(read, tar(hard_link(b"l", b"canary")), "tar-link")


def test_whiteouts(read):
    found = read(tar(directory(b"d"), member(b"d/.wh.gone"), member(b".wh.top"), member(b"e/.wh..wh..opq")))
    assert found[b"d/gone"] == FileEntry(b"d/gone", WHITEOUT)
    assert found[b"top"].kind is WHITEOUT
    assert found[b"e"] == FileEntry(b"e", DIRECTORY, 0o755, is_opaque=True)
    assert read.implied == [b"e"]


def test_opaque_root(read):
    assert read(tar(member(b".wh..wh..opq")))[b""].is_opaque


@pytest.mark.parametrize("swap", [False, True])
def test_whiteout_and_entry_of_one_name(read, swap):
    """A deletion acts on lower layers only, wherever it stands in the tar."""
    parts = [member(b".wh.f"), member(b"f", b"x")]
    assert read(tar(*(parts[::-1] if swap else parts)))[b"f"].kind is FILE
    parts = [member(b".wh.d"), directory(b"d") + member(b"d/x")]
    found = read(tar(*(parts[::-1] if swap else parts)))
    assert found[b"d"].is_opaque
    assert b"d/x" in found
    parts = [member(b".wh.d"), member(b"d/x")]
    assert read(tar(*(parts[::-1] if swap else parts)))[b"d"].is_opaque


@pytest.mark.parametrize("name", [b".wh.", b".wh..", b".wh...", b"d/.wh.", b"d/.wh..", b"d/.wh..."])
def test_whiteouts_of_nothing_are_refused(read, name):
    refused(read, tar(member(name)), "layer-whiteout")


def test_names_through_a_whiteout_are_refused(read):
    refused(read, tar(member(b"d/.wh.x/y")), "tar-name")


def test_aufs_book_keeping_is_ignored(read):
    assert set(
        read(tar(directory(b".wh..wh.plnk"), member(b".wh..wh.plnk/1.2"), member(b"d/.wh..wh.aufs"), member(b"a")))
    ) == {b"a"}


def test_plain_archives_hold_no_whiteouts(read):
    refused(read, tar(member(b"d/.wh.x")), "tar-name", is_layer=False)


def test_missing_parents_are_filled_in(read):
    found = read(tar(member(b"a/b/c"), directory(b"a/d"), member(b"a/d/e")))
    assert found[b"a"] == FileEntry(b"a", DIRECTORY, 0o755)
    assert read.implied == [b"a", b"a/b"]
    assert read.result.summary.implied_count == 2


def test_xattrs_that_are_content_are_kept(read):
    records = [
        (b"SCHILY.xattr.user.b", b"2\n\0"),
        (b"SCHILY.xattr.user.a", b""),
        (b"SCHILY.xattr.security.capability", b"\1\0\0\2"),
        (b"SCHILY.xattr.trusted.overlay.opaque", b"y"),
        (b"SCHILY.xattr.user.overlay.redirect", b"/etc"),
        (b"SCHILY.xattr.security.selinux", b"label"),
    ]
    found = read(tar(pax(records), member(b"a"), member(b"b")))
    assert found[b"a"].xattrs == ((b"security.capability", b"\1\0\0\2"), (b"user.a", b""), (b"user.b", b"2\n\0"))
    assert found[b"b"].xattrs == ()


def test_pax_values_win_over_ustar_ones(read):
    records = [
        (b"path", "größe".encode()),
        (b"uid", b"3000000000"),
        (b"gid", b"5"),
        (b"mtime", b"1700000000.123456789123"),
        (b"comment", b"x"),
    ]
    found = read(tar(pax(records), member(b"x", uid=1, mtime=2)))
    assert found == {
        "größe".encode(): FileEntry(
            "größe".encode(),
            FILE,
            0o644,
            3_000_000_000,
            5,
            0,
            1_700_000_000_123_456_789,
            digest=hashlib.sha256().digest(),
        )
    }


def test_negative_times(read):
    found = read(tar(pax([(b"mtime", b"-1.5")]), member(b"a"), member(b"b", mtime_field=base_256(-62_135_596_800, 12))))
    assert found[b"a"].mtime_ns == -1_500_000_000
    assert found[b"b"].mtime_ns == -(2**63 - 1)


@pytest.mark.parametrize(("ustar", "in_pax"), [(0, 512), (512, 0), (1024, 512)])
def test_size_in_pax_hides_no_members(read, ustar, in_pax):
    """CVE-2025-62518: whoever believes the other size sees other members."""
    hidden = header(b"hidden")
    body = (hidden + hidden)[:in_pax]
    data = pax([(b"size", b"%d" % in_pax)]) + header(b"a", size=ustar) + body + member(b"z") + bytes(1024)
    found = read(data)
    assert set(found) == {b"a", b"z"}
    assert found[b"a"].size == in_pax


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"4", b"5", b"6"])
def test_members_without_data_have_none_whatever_their_size_says(read, kind):
    found = read(tar(member(b"f"), header(b"a", kind, size=512, link=b"f"), member(b"z")))
    assert b"z" in found
    assert found[b"a"].size == 0


def test_file_with_the_name_of_a_directory(read):
    assert read(tar(member(b"d/", kind=b"\0")))[b"d"].kind is DIRECTORY
    refused(read, tar(member(b"d/", b"data")), "tar-header")


def test_gnu_long_names(read):
    name, target = b"n/" * 60 + b"x" * 150, b"t/" * 100
    found = read(tar(long_name(name), member(b"short"), long_name(target, b"K"), symlink(b"l", b"short")))
    assert found[name].kind is FILE
    assert found[b"l"].link_target == target


def test_ustar_prefix_counts_only_in_posix_headers(read):
    assert b"p/n" in read(tar(member(b"n", prefix=b"p")))
    assert set(read(tar(member(b"n", prefix=b"p", magic=b"ustar  \0")))) == {b"n"}


@pytest.mark.parametrize(
    "members",
    [
        pytest.param([pax([(b"path", b"a")]), pax([(b"path", b"b")]), member(b"c")], id="two-pax"),
        pytest.param([pax([(b"path", b"a")]), long_name(b"b"), member(b"c")], id="pax-and-gnu"),
        pytest.param([long_name(b"a"), long_name(b"b"), member(b"c")], id="two-gnu"),
        pytest.param([pax([(b"path", b"a")], b"g"), member(b"c")], id="global-path"),
        pytest.param([pax([(b"size", b"9")], b"g"), member(b"c")], id="global-size"),
        pytest.param([pax([(b"path", b"a")])], id="pax-without-member"),
        pytest.param([long_name(b"a")], id="gnu-without-member"),
        pytest.param([pax([(b"size", b"-1")]), member(b"a")], id="negative-pax-size"),
        pytest.param([pax([(b"size", b"1_0")]), member(b"a")], id="underscore"),
        pytest.param([pax([(b"uid", b"0x1")]), member(b"a")], id="hex"),
        pytest.param([pax([(b"uid", b"4294967295")]), member(b"a")], id="uid-minus-one"),
        pytest.param([pax([(b"uid", b"4294967296")]), member(b"a")], id="uid-wraps-to-root"),
        pytest.param([pax([(b"mtime", b"yesterday")]), member(b"a")], id="time"),
        pytest.param([member(b"a", size_field=base_256(-512, 12))], id="negative-size"),
        pytest.param([member(b"a", size_field=b"-0000000001\0")], id="sign"),
        pytest.param([member(b"a", size_field=b"0o000000017\0")], id="prefix"),
        pytest.param([member(b"a", size_field=b"0000_000017\0")], id="blank"),
        pytest.param([member(b"a", size_field=b"00000000009\0")], id="digit-nine"),
        pytest.param([member(b"a", uid_field=base_256(-1, 8))], id="negative-uid"),
        pytest.param([member(b"a", checksum=b"000000\0 ")], id="checksum"),
        pytest.param([member(b"a", checksum=b"garbage!")], id="checksum-text"),
        pytest.param([member(b"a", kind=b"M")], id="multi-volume"),
        pytest.param([member(b"a", kind=b"V")], id="volume"),
        pytest.param([member(b"a", kind=b"Z")], id="unknown-type"),
        pytest.param([member(b"x", b"12 path=a\n", b"x"), member(b"a")], id="pax-length-long"),
        pytest.param([member(b"x", b"5 path=a\n", b"x"), member(b"a")], id="pax-length-short"),
        pytest.param([member(b"x", b"0 path=a\n", b"x"), member(b"a")], id="pax-length-zero"),
        pytest.param([member(b"x", b" path=a\n", b"x"), member(b"a")], id="pax-length-missing"),
        pytest.param([member(b"x", b"\n", b"x"), member(b"a")], id="pax-newline"),
        pytest.param([member(b"x", b"99999999999999999999 a=b\n", b"x"), member(b"a")], id="pax-length-huge"),
        pytest.param([member(b"x", b"6 abc\n", b"x"), member(b"a")], id="pax-no-equals"),
        pytest.param([member(b"x", b"+9 pat=a\n", b"x"), member(b"a")], id="pax-sign"),
    ],
)
def test_malformed_headers_are_refused(read, members):
    refused(read, tar(*members), "tar-header")


def test_harmless_global_headers_are_ignored(read):
    assert set(read(tar(pax([(b"comment", b"commit")], b"g"), member(b"a")))) == {b"a"}


def test_signed_checksums_of_old_programs_are_accepted(read):
    plain = header(b"\xe4")
    total = sum(byte - 256 if byte > 127 else byte for byte in plain[:148] + b" " * 8 + plain[156:])
    assert set(read(tar(header(b"\xe4", checksum=b"%06o\0 " % total)))) == {b"\xe4"}


@pytest.mark.parametrize(
    "members",
    [
        [member(b"a", kind=b"S")],
        [pax([(b"GNU.sparse.major", b"1")]), member(b"a")],
        [pax([(b"GNU.sparse.map", b"0," * 1000)]), member(b"a")],
    ],
)
def test_sparse_files_are_refused(read, members):
    assert refused(read, tar(*members), "tar-sparse").hint


def test_extended_headers_have_a_bound(read):
    limits = Limits(pax_bytes=1000)
    assert read(tar(member(b"x", record(b"comment", b"y" * 980), b"x"), member(b"a")), limits=limits)
    refused(read, tar(header(b"x", b"x", size=1001) + padded(bytes(1001)), member(b"a")), "tar-limit", limits=limits)
    refused(read, header(b"x", b"x", size=1 << 30), "tar-limit")
    refused(read, header(b"x", b"L", size=1 << 30), "tar-limit")


def test_xattrs_have_a_bound(read):
    limits = Limits(xattr_bytes=10)
    assert read(tar(pax([(b"SCHILY.xattr.user.a", b"x" * 10)]), member(b"a")), limits=limits)[b"a"].xattrs
    refused(read, tar(pax([(b"SCHILY.xattr.user.a", b"x" * 11)]), member(b"a")), "tar-limit", limits=limits)


def test_members_have_a_bound(read):
    limits = Limits(layer_entries=3)
    assert len(read(tar(*(member(b"%d" % number) for number in range(3))), limits=limits)) == 3
    refused(read, tar(*(member(b"%d" % number) for number in range(4))), "tar-limit", limits=limits)


def test_bytes_have_a_bound(read):
    data = tar(member(b"a", bytes(5000)))
    assert read(data, limits=Limits(layer_bytes=len(data)))
    refused(read, data, "tar-limit", limits=Limits(layer_bytes=len(data) - 1))
    refused(read, header(b"a", size_field=base_256(1 << 62, 12)), "tar-limit")


def test_bomb_is_stopped_by_the_bound_before_it_is_inflated(read):
    class Endless:
        def __init__(self):
            self.codec = zlib.compressobj(9, zlib.DEFLATED, 31)
            self.given = 0
            self.start = header(b"bomb", size=64 << 20)

        def read(self, size):
            data = self.codec.compress(self.start or bytes(1 << 20)) + self.codec.flush(zlib.Z_SYNC_FLUSH)
            self.start = b""
            self.given += len(data)
            return data

    stream = Endless()
    refused(read, stream, "tar-limit", limits=Limits(layer_bytes=100 << 20))
    assert stream.given < 1 << 20


def test_many_tiny_gzip_members(read):
    packed = b"".join(gzip.compress(PLAIN[at : at + 16], 1) for at in range(0, len(PLAIN), 16))
    assert set(read(packed)) == {b"d", b"d/f", b"g"}


def test_failed_reads_leave_no_index(read, tmp_path):
    refused(read, tar(member(b"a"), member(b"../b")), "tar-name")
    assert os.listdir(tmp_path) == []


def test_errors_of_the_source_pass_unchanged(read):
    class Broken:
        def read(self, size):
            raise RuntimeError("the line is dead")

    with pytest.raises(RuntimeError, match="the line is dead"):
        read(Broken())


def test_random_damage_never_crashes(read):
    good = tar(
        directory(b"d"),
        pax([(b"path", b"d/" + b"n" * 120), (b"SCHILY.xattr.user.a", b"v")]),
        member(b"x", b"y" * 700),
        long_name(b"z" * 130),
        member(b"q"),
        member(b"z" * 90),
        symlink(b"s", b"d"),
        member(b"s/.wh.w"),
        hard_link(b"h", b"z" * 90),
    )
    assert read(good)
    refusals = 0
    for at in range(len(good) - 1024):
        bad = bytearray(good)
        bad[at] ^= 0x15
        start = at - at % 512  # mend the checksum, so that the damage gets past it
        bad[start + 148 : start + 156] = b" " * 8
        bad[start + 148 : start + 156] = b"%06o\0 " % sum(bad[start : start + 512])
        try:
            read(bytes(bad))
        except LayerError:
            refusals += 1
    assert refusals > 100


def test_deep_trees_are_read_also_where_a_directory_was_replaced(read):
    names = [b"/".join([b"d"] * depth) for depth in range(1, 401)]
    deep = (pax([(b"path", name)]) + directory(b"x") for name in names)
    entries = read(tar(directory(b"z"), member(b"z/1"), member(b"z"), *deep))
    assert list(entries) == [*names, b"z"]
    assert entries[b"z"].kind is FILE


def test_links_that_lead_to_a_place_deeper_than_any_path_are_refused(read):
    down = b"a/" * 1500
    first = pax([(b"linkpath", down.rstrip(b"/"))]) + symlink(b"l", b"x")
    refused(read, tar(first, pax([(b"path", b"l/" + down + b"f")]) + member(b"x")), "tar-name")
