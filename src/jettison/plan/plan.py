"""The plan: ops in dependency order and what becomes of the target's chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jettison.dockerfile.nodes import ParseWarning

if TYPE_CHECKING:
    from jettison.oci.config import ImageConfig
    from jettison.plan.ops import Op
    from jettison.span import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How an op is shown: ``name`` as in BuildKit's plain log, the stage's name, where it was written. Never hashed."""

    name: str
    stage: str
    span: Span | None
    is_cache_ignored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryStep:
    """A history line to write; ``op`` is the op that made its layer, None for metadata."""

    created_by: str
    op: int | None
    comment: str = "buildkit.dockerfile.v0"
    author: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanWarning(ParseWarning):
    """Something legal but doubtful that expansion saw; ``rule`` is named as BuildKit's checks are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Ops in dependency order with their steps (same length), and the target.

    ``head`` is the op whose chain is the image's layers (None: no layer). ``config`` is the final config without diff ids;
    its history holds the base image's lines, ``history`` those to add. ``source_date_epoch`` is in seconds, None without one.
    ``warnings`` are those of lowering; the parser's and the graph's are theirs.
    """

    ops: tuple[Op, ...]
    steps: tuple[Step, ...]
    head: int | None
    config: ImageConfig
    history: tuple[HistoryStep, ...]
    skipped_stages: tuple[str, ...] = ()
    warnings: tuple[PlanWarning, ...] = ()
    source_date_epoch: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseImage:
    """An image that ``FROM`` or ``--from`` names, as the resolver found it.

    ``reference`` is its full name with tag and manifest digest, as a step shows it; ``image_id`` the digest of its config.
    """

    reference: str
    image_id: str
    config: ImageConfig
    layer_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A base image that lowering lacks; ``span`` is the name in the Dockerfile, ``hint`` what to say if there is none."""

    reference: str
    platform: str
    span: Span
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What lowering asks for before it can go on. The caller resolves all of it and lowers again."""

    images: tuple[Need, ...]


Bases = Mapping[tuple[str, str], BaseImage]
"""Base images by (reference as written after expansion, platform text)."""
