"""Builds one fixed project in a fresh root and prints the image id and the OCI digest; run by several users, who must agree.

Usage: python -m tests.integration.build.digests DIRECTORY
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.fakes.product import Product, a_context, make_busybox_tar, write

DOCKERFILE = """\
FROM busybox:test AS build
WORKDIR /work
COPY --chmod=750 src src
RUN cat src/* > all; mkdir -p deep/er; ln all deep/hard; ln -s ../all deep/soft; chmod 2755 deep/er; touch -d @5 deep/old
FROM busybox:test
COPY --from=build /work /out
RUN rm -r /home && echo made > /made
"""


def main() -> None:
    place = Path(sys.argv[1])
    product = Product(place)
    product.environment["SOURCE_DATE_EPOCH"] = "1700000000"
    tar = place / "rootfs.tar"
    make_busybox_tar(tar)
    product.import_busybox(tar)
    context = a_context(place / "context", Dockerfile=DOCKERFILE)
    write(context, {"src/one": "1", "src/two": "2"})
    meta = place / "meta"
    flags = ["-t", "app", "-o", f"type=oci,dest={place}/app.tar", "--metadata-file", meta]
    product.cli("build", *flags, context).check()
    found = json.loads(meta.read_text())
    print(found["containerimage.config.digest"], found["containerimage.digest"])


if __name__ == "__main__":
    main()
