"""The ops: what a build can do, as frozen data without behaviour.

An op names its inputs by position in ``Plan.ops`` (always smaller than its own). No host path, time or secret enters an op.
``parent`` is the op whose chain of layers lies below, None for scratch. Every op but ``ImageOp`` adds exactly one layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from jettison.digest import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOp:
    """All layers of an image that is in the store. ``image_id`` is the digest of its config."""

    reference: str
    image_id: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextRoot:
    """Files of a named build context; ``""`` is the main one."""

    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpRoot:
    """The root file system after an op (None: an empty one)."""

    op: int | None


Root: TypeAlias = ContextRoot | OpRoot


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSource:
    """One source of a COPY: a path or pattern below the root, already expanded and clipped at the root.

    ``pattern`` is in the form of a ``GuestPath`` (``/src/*.go``; ``/`` is everything). ``is_add`` asks for archives to be
    unpacked where a source is one by its content.
    """

    pattern: str
    is_add: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineSource:
    """A heredoc as a source: its name (when the destination is a directory) and its content."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """``--chown`` as written after expansion: names or numbers, looked up in the parent's files. ``group`` None: by rule."""

    user: str
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyOp:
    """Copy files onto the parent.

    ``dest`` is absolute; ``is_dest_dir`` tells that it was written with a trailing slash (or as ``.``). ``mode`` is octal and
    applies to files and directories alike. ``is_reproducible`` gives all entries a fixed time, marked fresh.
    """

    parent: int | None
    root: Root
    sources: tuple[PathSource | InlineSource, ...]
    dest: str
    is_dest_dir: bool
    owner: Owner | None = None
    mode: int | None = None
    is_reproducible: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MkdirOp:
    """Create a directory and its parents, as WORKDIR does; symlinks on the way are resolved inside the root."""

    parent: int | None
    path: str
    user: str
    is_reproducible: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BindMount:
    """Files of a root, visible at ``target`` during the step; writes are discarded."""

    target: str
    root: Root
    source: str
    is_read_only: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheMount:
    """A directory that lives on between builds. ``seed`` is its content when it is first made."""

    target: str
    id: str
    sharing: Literal["shared", "private", "locked"] = "shared"
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    is_read_only: bool = False
    seed: Root | None = None
    seed_path: str = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class TmpfsMount:
    """An empty file system in memory; ``size_bytes`` 0 takes the kernel's default."""

    target: str
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretMount:
    """A secret by id: as a file at ``target``, as the variable ``env``, or both (either may be empty)."""

    id: str
    target: str = ""
    env: str = ""
    is_required: bool = False
    mode: int = 0o400
    uid: int = 0
    gid: int = 0


RunMount: TypeAlias = BindMount | CacheMount | TmpfsMount | SecretMount


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A file that exists only during the step, at ``/dev/pipes/<name>`` (a heredoc that starts with ``#!``)."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOp:
    """Run a command on the parent's file system; what it changes is the new layer.

    ``env`` is the whole environment in order, proxies excluded; ``user`` is resolved in the parent's files when it runs.
    """

    parent: int | None
    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    cwd: str
    user: str
    mounts: tuple[RunMount, ...] = ()
    network: Literal["default", "none", "host"] = "default"
    scripts: tuple[Script, ...] = ()
    is_reproducible: bool = False


Op: TypeAlias = ImageOp | CopyOp | MkdirOp | RunOp
