"""Images of the local store: list, inspect, name, remove, save, load, import."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from jettison.api.archives import read_archive, write_archive
from jettison.api.arguments import name_of, tag_of
from jettison.api.assemble import layer_of
from jettison.api.request import OutputSpec
from jettison.api.wiring import Engine, host_platform
from jettison.digest import digest_of
from jettison.dockerfile.parser import parse_dockerfile
from jettison.errors import ImageNotFoundError, StoreError, UsageError
from jettison.graph.build import build_graph
from jettison.graph.scope import Platforms
from jettison.layer.pack import PackWriter
from jettison.layer.read import index_tar
from jettison.oci.assemble import assemble_config
from jettison.oci.canonical import parse_json
from jettison.oci.config import HistoryEntry, ImageConfig, parse_config, render_config
from jettison.oci.timestamp import format_time, parse_time
from jettison.plan.lower import lower
from jettison.plan.options import LowerOptions
from jettison.plan.plan import Plan
from jettison.reference import parse_reference
from jettison.solver.task import LayerResult
from jettison.span import SourceFile
from jettison.store.gc import CollectPolicy, collect
from jettison.store.images import ImageRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jettison.api.request import Settings
    from jettison.digest import Digest
    from jettison.reference import Reference
    from jettison.solver.task import Chain


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRow:
    """A line of ``jettison images``. ``created`` and ``now`` are seconds since the epoch; ``size_bytes`` is uncompressed."""

    repository: str
    tag: str
    image_id: str
    created: float | None
    now: float
    size_bytes: int

    def as_json(self) -> dict[str, object]:
        """Return the row for programs, with docker's names."""
        return {
            "Repository": self.repository or "<none>",
            "Tag": self.tag or "<none>",
            "ID": self.image_id,
            "CreatedAt": format_time(int(self.created)) if self.created is not None else "",
            "Size": self.size_bytes,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """A line of ``jettison history``; ``layer`` is the DiffID, empty for metadata."""

    layer: str
    created: float | None
    now: float
    created_by: str
    size_bytes: int
    comment: str

    def as_json(self) -> dict[str, object]:
        """Return the row for programs."""
        row = asdict(self)
        del row["now"]
        return row


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedImage:
    """An image that came in, with the names it came under."""

    image_id: str
    tags: tuple[str, ...]


def list_images(settings: Settings, *, name: str | None = None, has_unnamed: bool = False) -> list[ImageRow]:
    """Return the images, newest first; only those of a repository (or one name with its tag) when ``name`` is given.

    Raises:
        UsageError: ``name`` is no image name.

    """
    wanted = name_of(name) if name else None
    with Engine(settings) as engine:
        now = time.time()
        rows = []
        names: dict[Digest, list[Reference]] = {}
        for text, image_id in engine.store.images.tags().items():
            names.setdefault(image_id, []).append(parse_reference(text))
        for image_id in engine.store.images.ids():
            record = engine.store.images.get(image_id)
            if record is None:
                continue
            created = _seconds(parse_config(record.config).created)
            size_bytes = sum(layer.size_bytes for layer in record.layers)
            references: list[Reference | None] = [*names.get(image_id, ())]
            if not references and has_unnamed and wanted is None:
                references.append(None)
            rows += [
                ImageRow(
                    repository=reference.repository if reference else "",
                    tag=reference.tag if reference else "",
                    image_id=image_id,
                    created=created,
                    now=now,
                    size_bytes=size_bytes,
                )
                for reference in references
                if wanted is None or (reference is not None and _is_wanted(reference, wanted, name or ""))
            ]
    return sorted(rows, key=lambda row: (-(row.created or 0), row.repository, row.tag))


def inspect_image(settings: Settings, name: str) -> dict[str, Any]:
    """Return what is known of an image: docker's keys, with our layers beside them.

    Raises:
        ImageNotFoundError: no such image.

    """
    with Engine(settings) as engine:
        record = _record(engine, name)
        document = dict(parse_json(record.config, what="image config", slug="image-config"))
        rootfs: Any = document.get("rootfs") or {}
        return {
            "Id": record.image_id,
            "RepoTags": [parse_reference(text).familiar for text in engine.store.images.tags_of(record.image_id)],
            "Created": document.get("created", ""),
            "Architecture": document.get("architecture"),
            "Variant": document.get("variant", ""),
            "Os": document.get("os"),
            "Author": document.get("author", ""),
            "Config": document.get("config") or {},
            "RootFS": {"Type": "layers", "Layers": rootfs.get("diff_ids") or []},
            "Size": sum(layer.size_bytes for layer in record.layers),
            "Layers": [
                {
                    "DiffId": layer.diff_id,
                    "Id": layer.layer_id,
                    "Size": layer.size_bytes,
                    "SourceDateEpoch": layer.epoch,
                    "Blobs": [blob.digest for blob in layer.blobs],
                }
                for layer in record.layers
            ],
        }


def image_history(settings: Settings, name: str) -> list[HistoryRow]:
    """Return the history of an image, newest line first.

    Raises:
        ImageNotFoundError: no such image.

    """
    with Engine(settings) as engine:
        record = _record(engine, name)
    layers = iter(record.layers)
    now = time.time()
    rows = []
    for line in parse_config(record.config).history:
        layer = None if line.is_empty_layer else next(layers, None)
        rows.append(
            HistoryRow(
                layer=layer.diff_id if layer else "",
                created=_seconds(line.created),
                now=now,
                created_by=line.created_by,
                size_bytes=layer.size_bytes if layer else 0,
                comment=line.comment,
            )
        )
    return rows[::-1]


def tag_image(settings: Settings, source: str, target: str) -> None:
    """Give the image another name.

    Raises:
        ImageNotFoundError, UsageError: no such image; no image name.

    """
    reference = tag_of(target)
    with Engine(settings) as engine:
        image_id = engine.store.images.resolve(source)
        if engine.store.images.find(reference) != image_id:
            engine.store.sync()
            engine.store.images.tag(reference, image_id)


def remove_image(settings: Settings, name: str, *, is_forced: bool = False) -> list[str]:
    """Take a name away, and the image with its last name; return a line for each thing that went.

    Raises:
        ImageNotFoundError: no such image (unless forced).
        UsageError: an id with several names, not forced (slug ``image-has-names``).

    """
    with Engine(settings) as engine:
        images = engine.store.images
        try:
            image_id = images.resolve(name)
        except ImageNotFoundError:
            if is_forced:
                return []
            raise
        tags = [parse_reference(text) for text in images.tags_of(image_id)]
        named = [tag for tag in tags if _names(tag, name)]
        if not named and len(tags) > 1 and not is_forced:
            raise UsageError(
                f"the image {name!r} has {len(tags)} names",
                slug="image-has-names",
                hint="remove them by name, or use --force",
            )
        going = named or tags
        lines = []
        for tag in going:
            images.untag(tag)
            lines.append(f"Untagged: {tag.familiar}")
        if len(going) == len(tags):
            images.remove(image_id)
            lines.append(f"Deleted: {image_id}")
            collect(engine.store, CollectPolicy())
        return lines


def save_images(settings: Settings, names: tuple[str, ...], dest: str, form: str) -> None:
    """Write images to an archive: ``docker``, ``oci`` (a tar) or ``oci-dir`` (a directory). ``dest`` ``-`` is standard output.

    Raises:
        ImageNotFoundError: no such image.
        StoreError: ``output-failed``.

    """
    with Engine(settings) as engine:
        images: dict[Digest, tuple[ImageRecord, list[Reference]]] = {}
        for name in names:
            record = _record(engine, name)
            tags = [
                tag for tag in map(parse_reference, engine.store.images.tags_of(record.image_id)) if _names(tag, name)
            ]
            images.setdefault(record.image_id, (record, []))[1].extend(tags)
        output = OutputSpec(kind="docker" if form == "docker" else "oci", dest=dest, is_tar=form != "oci-dir")
        write_archive(engine, output, [(record, tuple(tags)) for record, tags in images.values()], None)


def load_images(settings: Settings, source: str) -> list[LoadedImage]:
    """Read all images of a docker or OCI archive (or OCI directory); ``-`` is standard input.

    Raises:
        UsageError: no such file.
        StoreError: an archive that is damaged or hostile; nothing of it stays.

    """
    with Engine(settings) as engine, _open_source(engine, source) as path:
        return [
            LoadedImage(image_id=record.image_id, tags=tuple(tag.familiar for tag in tags))
            for record, tags in read_archive(engine, path)
        ]


def import_rootfs(
    settings: Settings, source: str, name: str | None, *, changes: tuple[str, ...] = (), message: str = ""
) -> str:
    """Make an image of a root file system in a tar, compressed or not; return its id. ``changes`` are metadata instructions.

    With SOURCE_DATE_EPOCH in the environment later times become the epoch.

    Raises:
        DockerfileError: a change that is no metadata instruction.
        LayerError: a damaged or hostile tar.

    """
    reference = name_of(name) if name else None
    settings_of_changes = _config_of(changes)
    epoch_text = settings.environment.get("SOURCE_DATE_EPOCH", "")
    epoch = int(epoch_text) if epoch_text.isdecimal() else None
    with Engine(settings) as engine:
        with engine.store.layers.stage() as staged, _open_tar(source) as stream:
            with PackWriter(staged.path / "pack") as pack:
                indexed = index_tar(stream, staged.path / "index", pack=pack, is_layer=False)
                pack.finish()
            engine.store.layers.commit(staged, indexed.summary.layer_id)
        layer = layer_of(engine, indexed.summary.layer_id, epoch)
        now = time.time()
        config = assemble_config(
            settings_of_changes,
            diff_ids=[layer.diff_id],
            history=[
                HistoryEntry(
                    created_by="jettison import",
                    comment=message or f"Imported from {'-' if source == '-' else Path(source).name}",
                )
            ],
            created=format_time(int(now)),
            epoch=epoch,
        )
        data = render_config(config)
        record = ImageRecord(image_id=digest_of(data), config=data, layers=(layer,), platform=str(config.platform))
        engine.store.images.put(record)
        engine.store.sync()
        if reference is not None:
            engine.store.images.tag(reference, record.image_id)
        return record.image_id


def chain_of(engine: Engine, record: ImageRecord) -> Chain:
    """Return the layers of an image as a chain.

    Raises:
        StoreError: a layer is not in the store (slug ``image-partial``).

    """
    chain = []
    for layer in record.layers:
        if layer.layer_id is None or not engine.store.layers.has(layer.layer_id):
            raise StoreError(
                f"a layer of the image '{record.image_id}' is not in the local store",
                slug="image-partial",
                hint="load or build the image again",
            )
        summary = engine.tools.indexes.index(layer.layer_id).summary
        chain.append(
            LayerResult(layer_id=summary.layer_id, content_digest=summary.content_digest, size_bytes=summary.size_bytes)
        )
    return tuple(chain)


def _config_of(changes: tuple[str, ...]) -> ImageConfig:
    """Return the config that metadata instructions make of an empty one."""
    host = host_platform()
    platforms = Platforms(target=host, build=host)
    dockerfile = parse_dockerfile(SourceFile(name="--change", text="\n".join(("FROM scratch", *changes)) + "\n"))
    graph = build_graph(dockerfile, target=None, build_args={}, platforms=platforms)
    plan = lower(graph, {}, LowerOptions(target_platform=host, build_platform=host))
    if not isinstance(plan, Plan) or any(step.op is not None for step in plan.history) or len(graph.stages) > 1:
        raise UsageError(
            "--change takes only instructions that change metadata",
            hint="CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, USER, VOLUME ...",
        )
    return plan.config


@contextmanager
def _open_tar(source: str) -> Iterator[BinaryIO]:
    if source == "-":
        yield sys.stdin.buffer
        return
    try:
        file = Path(source).open("rb")  # noqa: SIM115  closed below, after the error is told apart
    except OSError as error:
        raise UsageError(f"can't read {source!r}: {error.strerror}") from error
    with file:
        yield file


@contextmanager
def _open_source(engine: Engine, source: str) -> Iterator[Path]:
    """Yield a path that can be read at any place; standard input and pipes are spooled into the store's staging area."""
    path = Path(source)
    if source != "-" and (path.is_dir() or path.is_file()):
        yield path
        return
    if source != "-" and not path.exists():
        raise UsageError(f"no file {source!r}")
    with engine.store.layers.stage() as staged:
        spool = staged.path / "archive"
        with _open_tar(source) as stream, spool.open("wb") as out:
            while data := stream.read(1 << 20):
                out.write(data)
        yield spool


def _record(engine: Engine, name: str) -> ImageRecord:
    record = engine.store.images.get(engine.store.images.resolve(name))
    assert record is not None, "an image that resolves has a record"
    return record


def _names(tag: Reference, text: str) -> bool:
    """Tell whether the text is this name (not an id of the image)."""
    try:
        return parse_reference(text) == tag
    except ValueError:
        return False


def _is_wanted(reference: Reference, wanted: Reference, text: str) -> bool:
    has_tag = ":" in text.rpartition("/")[2]
    return reference.repository == wanted.repository and (not has_tag or reference.tag == wanted.tag)


def _seconds(text: str) -> float | None:
    try:
        seconds, nanoseconds = parse_time(text)
    except ValueError:
        return None
    return seconds + nanoseconds / 1e9
