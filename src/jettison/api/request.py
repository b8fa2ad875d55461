"""What a caller asks for and what it gets: settings, build requests, results. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from jettison.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jettison.digest import Digest

OutputKind = Literal["image", "oci", "docker", "local", "tar"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where state lives and how the machinery behaves.

    ``environment`` is the caller's environment: proxies, CA bundles and ``--build-arg NAME`` without a value are taken from
    it, nothing else of it reaches a step. ``ca_bundle`` is ``auto``, ``off`` or the path of a bundle.
    """

    root: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    ca_bundle: str = "auto"
    network: Literal["host", "none"] = "host"
    id_mode: Literal["auto", "root", "subids", "single"] = "auto"
    has_memo: bool = True
    config_files: tuple[Path, ...] = ()
    limits: Limits = DEFAULT_LIMITS


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSpec:
    """One ``--output``: what is written and where. ``dest`` ``-`` is standard output; empty only for ``image``."""

    kind: OutputKind
    dest: str = ""
    names: tuple[str, ...] = ()
    is_tar: bool = True
    compression: Literal["gzip", "zstd", "uncompressed"] = "gzip"
    compression_level: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretSource:
    """One ``--secret``: the content of a file or of a variable of the caller."""

    id: str
    file: Path | None = None
    variable: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """A build, as ``docker buildx build`` would be asked for it.

    ``context`` is a directory. ``dockerfile`` is a path (relative to the caller's directory; None looks for ``Dockerfile`` in
    the context); ``dockerfile_text`` gives the text itself instead. A build argument of None takes its value from the
    environment. ``outputs`` without any means the local store. ``source_date_epoch`` is in seconds; None takes
    ``SOURCE_DATE_EPOCH`` from the environment, if set.
    """

    context: Path
    dockerfile: Path | None = None
    dockerfile_text: str | None = None
    target: str | None = None
    tags: tuple[str, ...] = ()
    build_args: Mapping[str, str | None] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    platform: str | None = None
    no_cache: bool = False
    no_cache_filter: tuple[str, ...] = ()
    pull: bool = False
    outputs: tuple[OutputSpec, ...] = ()
    secrets: tuple[SecretSource, ...] = ()
    network: Literal["default", "host", "none"] = "default"
    source_date_epoch: int | None = None
    is_reproducible: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """How one step of the build was had."""

    name: str
    stage: str
    reason: Literal["ran", "recipe-hit", "content-hit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """What a build gave.

    ``image_id`` is the digest of the config, ``manifest_digest`` that of the OCI manifest if an output made one.
    """

    image_id: Digest
    tags: tuple[str, ...]
    steps: tuple[StepResult, ...]
    seconds: float
    manifest_digest: Digest | None = None
    is_from_memo: bool = False
    skipped_stages: tuple[str, ...] = ()
    metadata: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerRequest:
    """A container to run, with docker's spelling: ``volumes`` are ``DIR:PATH[:ro]``, ``ports`` ``HOST:CONTAINER``."""

    image: str
    args: tuple[str, ...] = ()
    entrypoint: str | None = None
    env: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    workdir: str | None = None
    user: str | None = None
    ports: tuple[str, ...] = ()
    name: str = ""
    network: Literal["host", "none"] = "host"
    is_removed: bool = True
    is_interactive: bool = False
    has_terminal: bool = False
