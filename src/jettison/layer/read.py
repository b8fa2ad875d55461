"""A layer tar into an index: the one reader of foreign archives.

Owns what the members of one tar mean together: names cleaned or refused, deletions, duplicates (the last wins), names below
symlinks of the same tar (resolved inside the root), hard links to files of the same tar, directories that nobody listed.
Nothing is written to a directory tree, so nothing can leave one. Data flows from the stream, once, into the index, the pack
(or nowhere: then the index refers to the blob) and the DiffID.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jettison.digest import DiffId
from jettison.errors import LayerError
from jettison.filetree import NO_CONTENT, ContentKind, ContentRef, EntryKind
from jettison.layer.decompress import read_plain
from jettison.layer.gather import Gathering
from jettison.layer.index import IndexWriter
from jettison.layer.members import TarStream
from jettison.layer.pump import read_ahead
from jettison.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jettison.layer.index import IndexSummary
    from jettison.layer.pack import PackWriter
    from jettison.limits import Limits
    from jettison.oci.blobs import ByteSource

_SMALL_BYTES = 1 << 20
_FILE = EntryKind.FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedTar:
    """What a tar gave: the summary of its index, its DiffID and its uncompressed size."""

    summary: IndexSummary
    diff_id: DiffId
    uncompressed_bytes: int


def index_tar(
    stream: ByteSource,
    index_path: Path,
    *,
    pack: PackWriter | None = None,
    is_layer: bool = True,
    limits: Limits = DEFAULT_LIMITS,
) -> IndexedTar:
    """Write the index of a tar, compressed or not; return its summary and the DiffID. The stream is read to its end.

    Without a pack, content stays in the blob (BLOB, offsets in the uncompressed stream); with one it is appended there
    (PACK). ``is_layer`` false takes ``.wh.`` names for what they are not in a plain archive: refused. Memory grows with the
    number of members, some 350 bytes each, not with their content.

    Raises:
        LayerError: ``layer-compression``, ``tar-header``, ``tar-truncated``, ``tar-sparse``, ``tar-limit``, ``tar-name``,
            ``tar-link``, ``layer-whiteout``; no index is left behind.

    """
    tally = _Tally(limits.layer_bytes)
    gathering = Gathering(limits, is_layer=is_layer)
    with read_ahead(tally.pass_through(read_plain(stream))) as pieces:
        tar = TarStream(pieces, limits)
        for member in tar:
            digest, offset = b"", member.offset
            if member.kind is _FILE:
                size = member.size
                if pack is not None:
                    packed = pack.append(tar.take(size) if size <= _SMALL_BYTES else tar.chunks())
                    digest, offset = packed.digest, packed.offset
                elif size <= _SMALL_BYTES:
                    digest = hashlib.sha256(tar.take(size)).digest()
                else:
                    digest = _digest_of(tar.chunks())
            gathering.add(member, digest, offset)
    place = ContentKind.BLOB if pack is None else ContentKind.PACK
    with IndexWriter(index_path) as writer:
        for entry, offset, is_implied in gathering.entries():
            ref = ContentRef(place, "", offset) if entry.kind is _FILE and entry.size else NO_CONTENT
            writer.add(entry, ref, is_implied=is_implied)
        summary = writer.finish()
    return IndexedTar(summary=summary, diff_id=tally.diff_id, uncompressed_bytes=tally.size)


class _Tally:
    """Digest and size of the whole uncompressed stream."""

    def __init__(self, bound: int) -> None:
        self._hash = hashlib.sha256()
        self._bound = bound
        self.size = 0

    def pass_through(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._hash.update(piece)
            self.size += len(piece)
            if self.size > self._bound:
                raise LayerError(f"the tar has more than {self._bound} bytes", slug="tar-limit")
            yield piece

    @property
    def diff_id(self) -> DiffId:
        return DiffId(f"sha256:{self._hash.hexdigest()}")


def _digest_of(chunks: Iterator[bytes]) -> bytes:
    hasher = hashlib.sha256()
    for chunk in chunks:
        hasher.update(chunk)
    return hasher.digest()
