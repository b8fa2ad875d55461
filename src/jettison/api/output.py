"""The outputs of a build: names in the local store, archives, directories, tars."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jettison.api.archives import write_archive
from jettison.api.arguments import name_of
from jettison.api.phases import phase
from jettison.api.request import OutputSpec
from jettison.errors import StoreError, UsageError
from jettison.worker.rootfs import DirectoryRequest, TarRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jettison.api.assemble import AssembledImage
    from jettison.api.request import BuildRequest
    from jettison.api.wiring import Engine
    from jettison.digest import Digest
    from jettison.events import Emit
    from jettison.reference import Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What the outputs made: the digest of the manifest, if there is one."""

    manifest: Digest | None = None

    def metadata(self, image: AssembledImage, names: tuple[str, ...]) -> dict[str, object]:
        """Return the content of ``--metadata-file``, with buildx's keys."""
        found: dict[str, object] = {
            "containerimage.config.digest": str(image.image_id),
            "containerimage.digest": str(self.manifest or image.image_id),
        }
        if names:
            found["image.name"] = ",".join(names)
        return found


def write_outputs(
    engine: Engine, request: BuildRequest, tags: tuple[Reference, ...], image: AssembledImage, emit: Emit
) -> Written:
    """Write all outputs of the request; without any the image goes to the local store. Files appear whole or not at all.

    Raises:
        UsageError: an output's name is no image name.
        StoreError: ``disk-full``, ``output-failed``.

    """
    outputs = request.outputs or (OutputSpec(kind="image"),)
    if any(output.kind == "image" for output in outputs) or tags:
        names = (*tags, *(name_of(text) for output in outputs if output.kind == "image" for text in output.names))
        keep_image(engine, image, names)
    written = Written()
    for output in outputs:
        if output.kind == "image":
            continue
        place = output.dest if output.dest != "-" else "standard output"
        with phase(emit, "export", f"exporting {output.kind} to {place}"):
            digest = _write(engine, output, tags, image)
            written = Written(manifest=digest or written.manifest)
    return written


def keep_image(engine: Engine, image: AssembledImage, names: tuple[Reference, ...]) -> None:
    """Put the image into the local store under the names; a name that is there already moves."""
    engine.store.images.put(image.record)
    engine.store.sync()
    for name in names:
        if engine.store.images.find(name) != image.image_id:
            engine.store.images.tag(name, image.image_id)


def _write(engine: Engine, output: OutputSpec, tags: tuple[Reference, ...], image: AssembledImage) -> Digest | None:
    if output.kind == "local":
        dest = Path(output.dest).absolute()
        home = engine.settings.environment.get("HOME")
        if home and dest == Path(home):
            raise UsageError(
                f"will not write an image over the home directory {str(dest)!r}",
                slug="bad-destination",
                hint="name a directory in it",
            )
        engine.call("rootfs-directory", DirectoryRequest(chain=image.chain, dest=dest))
        return None
    if output.kind == "tar":
        with open_destination(output.dest) as fd:
            request = TarRequest(chain=image.chain, epoch=image.epoch)
            engine.call("rootfs-tar", request, (fd,), reads=[layer.layer_id for layer in image.chain])
        return None
    names = tuple(name_of(text) for text in output.names) or tags
    return write_archive(engine, output, [(image.record, names)], image.epoch)


@contextmanager
def open_destination(dest: str) -> Iterator[int]:
    """Yield a descriptor to write to: standard output for ``-``, else a file beside the destination that takes its place.

    Raises:
        UsageError: a terminal, or a directory, can't take it.
        StoreError: ``output-failed``.

    """
    if dest == "-":
        if sys.stdout.isatty():
            raise UsageError(
                "will not write an archive to a terminal", hint="redirect standard output, or give dest=FILE"
            )
        sys.stdout.flush()
        copy = os.dup(1)
        try:
            yield copy
        finally:
            os.close(copy)
        return
    path = Path(os.path.realpath(dest))
    if path.is_dir():
        raise UsageError(f"{dest!r} is a directory", slug="bad-destination", hint="give the path of a file")
    try:
        with _open_special(path) if path.exists() and not path.is_file() else _open_aside(path) as fd:
            yield fd
    except OSError as error:
        raise StoreError(f"can't write {dest!r}: {error.strerror}", slug="output-failed") from error


@contextmanager
def _open_special(path: Path) -> Iterator[int]:
    """Yield a device or pipe as it is: nothing may take its place."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _open_aside(path: Path) -> Iterator[int]:
    """Yield a file without a name, where the file system has such: a killed export leaves nothing beside the destination."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    aside.unlink(missing_ok=True)  # of a dead process that had our number
    is_nameless = True
    try:
        fd = os.open(path.parent, os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno not in {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL}:
            raise
        is_nameless = False
        fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    try:
        try:
            yield fd
            if is_nameless:
                # with any src_dir_fd Python calls linkat, which alone follows the link to the open file
                os.link(f"/proc/self/fd/{fd}", aside, src_dir_fd=fd, follow_symlinks=True)
        finally:
            os.close(fd)
        aside.rename(path)
    finally:
        aside.unlink(missing_ok=True)
