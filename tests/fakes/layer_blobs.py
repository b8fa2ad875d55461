"""Images whose layers are small tars in a directory, compressed on demand as the exporters ask."""

from __future__ import annotations

import io
import json
import tarfile

from jettison.digest import DiffId, digest_of
from jettison.export.package import LAYER_TYPE, LayerBlob
from jettison.layer.compress import compress_layer
from jettison.store.images import ImageLayer, ImageRecord


def a_tar(files: dict[str, bytes]) -> bytes:
    """Return a tar with these files, all of root."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return target.getvalue()


class FileLayerBlobs:
    """Layers by DiffID, as uncompressed tars in memory; blobs are written to the directory when somebody wants them."""

    def __init__(self, directory) -> None:
        self.directory = directory
        self.tars: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []

    def layer_blob(self, layer, compression) -> LayerBlob:
        self.asked.append((layer.diff_id, compression))
        target = io.BytesIO()
        made = compress_layer([self.tars[layer.diff_id]], target, compression=compression, level=1)
        path = self.directory / f"{made.digest.hex}"
        path.write_bytes(target.getvalue())
        suffix = "" if compression == "none" else f"+{compression}"
        return LayerBlob(digest=made.digest, size_bytes=made.size_bytes, media_type=LAYER_TYPE + suffix, path=path)

    def an_image(self, *layers: dict[str, bytes], architecture="amd64") -> ImageRecord:
        """Return an image with these layers."""
        found = []
        for files in layers:
            tar = a_tar(files)
            diff_id = DiffId(digest_of(tar))
            self.tars[diff_id] = tar
            found.append(ImageLayer(diff_id=diff_id, layer_id=None, size_bytes=len(tar)))
        config = json.dumps(
            {
                "architecture": architecture,
                "os": "linux",
                "config": {"Cmd": ["/hello"]},
                "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in found]},
                "history": [{"created_by": "test"} for _ in found],
            }
        ).encode()
        return ImageRecord(
            image_id=digest_of(config), config=config, layers=tuple(found), platform=f"linux/{architecture}"
        )
