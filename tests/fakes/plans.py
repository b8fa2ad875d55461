"""Dockerfile text to graphs and plans in one call, with images that need no registry."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from jettison.digest import DiffId, digest_of
from jettison.dockerfile.parser import parse_dockerfile
from jettison.graph.build import build_graph
from jettison.graph.scope import Platforms
from jettison.oci.config import ImageConfig, RuntimeConfig
from jettison.plan.lower import lower
from jettison.plan.options import LowerOptions
from jettison.plan.plan import BaseImage, Bases, Needs, Plan
from jettison.platform import Platform, parse_platform
from jettison.span import SourceFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jettison.graph.stage import Graph

AMD64 = Platform(os="linux", architecture="amd64")
ARM64 = Platform(os="linux", architecture="arm64")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def graph_of(text, *, target=None, build_args: Mapping[str, str] | None = None, platforms=None, **others) -> Graph:
    """Return the graph of a Dockerfile's text."""
    return build_graph(
        parse_dockerfile(SourceFile(name="Dockerfile", text=text)),
        target=target,
        build_args=build_args or {},
        platforms=platforms or Platforms(target=AMD64, build=AMD64),
        **others,
    )


def an_image(reference: str, *, platform: Platform = AMD64, layer_count: int = 1, **config) -> BaseImage:
    """Return an image of that name; keywords are fields of its runtime config."""
    return BaseImage(
        reference=f"docker.io/library/{reference}",
        image_id=digest_of(f"{reference} {platform}".encode()),
        config=ImageConfig(
            platform=platform,
            config=RuntimeConfig(**config),
            diff_ids=tuple(DiffId(digest_of(f"{reference} {n}".encode())) for n in range(layer_count)),
            created="2024-01-01T00:00:00Z",
        ),
        layer_count=layer_count,
    )


def an_options(**others) -> LowerOptions:
    """Return options for a build on and for amd64."""
    return LowerOptions(**{"target_platform": AMD64, "build_platform": AMD64, **others})


def lower_text(text, bases: Bases, *, target=None, options: LowerOptions | None = None) -> Plan | Needs:
    """Lower once with the bases that are given."""
    options = options or an_options()
    platforms = Platforms(target=options.target_platform, build=options.build_platform)
    graph = graph_of(text, target=target, build_args=options.build_args, platforms=platforms)
    return lower(graph, bases, options)


def plan_of(text, *images: BaseImage, target=None, **options) -> Plan:
    """Return the plan of a Dockerfile's text; images that are not given are made up with one layer and ``PATH``."""
    given = {image.reference.removeprefix("docker.io/library/"): image for image in images}
    bases: dict[tuple[str, str], BaseImage] = {}
    chosen = an_options(**options)
    while True:
        result = lower_text(text, bases, target=target, options=chosen)
        if isinstance(result, Plan):
            return result
        for need in result.images:
            platform = parse_platform(need.platform, AMD64)
            image = given.get(need.reference) or an_image(need.reference, platform=platform, env=(f"PATH={PATH}",))
            bases[need.reference, need.platform] = replace(image)
