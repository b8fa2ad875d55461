"""``RUN --mount`` after expansion: one node becomes one mount of a ``RunOp``.

Owns defaults (secret and cache ids, modes, read-only) and targets relative to WORKDIR. Refuses a target of ``/`` and what has no
meaning yet (ssh). Which option a kind may have, and how its values are spelled, is checked by ``dockerfile.mounts``.
Source: FEATURES 1.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jettison.dockerfile.mounts import expand_mount, parse_size
from jettison.errors import DockerfileError
from jettison.plan.expansion import read_path
from jettison.plan.ops import BindMount, CacheMount, ContextRoot, Root, RunMount, SecretMount, TmpfsMount
from jettison.plan.unsupported import unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Literal

    from jettison.dockerfile.nodes import Mount, Word
    from jettison.guestpath import GuestPath
    from jettison.plan.expansion import Expander
    from jettison.plan.state import ImageState

_LAST_MODE = 0o7777
_CACHE_MODE = 0o755
_SECRET_MODE = 0o400
CACHE_NAMESPACE = "BUILDKIT_CACHE_MOUNT_NS"


@dataclass(frozen=True, slots=True, kw_only=True)
class MountContext:
    """What a mount is read with: ``root_of`` gives the files that a ``from`` names."""

    state: ImageState
    expander: Expander
    root_of: Callable[[Word], Root]


def lower_mount(node: Mount, context: MountContext) -> RunMount:
    """Return the mount with variables replaced and every default filled in.

    Raises:
        DockerfileError: ``invalid-mount`` (a target, mode or id), ``unsupported-feature`` (ssh, read-only tmpfs), the slugs of
            ``dockerfile.mounts``, or a failed expansion.

    """
    mount = _expand(node, context)
    if mount.kind == "ssh":
        raise unsupported("RUN --mount=type=ssh", mount.span, "fetch over https with a secret, or copy the files in")
    return _LOWER[mount.kind](mount, context)


def _expand(node: Mount, context: MountContext) -> Mount:
    if not node.has_variables:
        return node
    scope = context.state.scope
    for word in (node.target, node.source, node.id, node.mode, node.uid, node.gid, node.size, node.env):
        if word is not None:
            context.expander.text(word, scope)  # for its warnings
    return expand_mount(node, scope.variables, escape=context.expander.escape)


def _lower_bind(mount: Mount, context: MountContext) -> BindMount:
    root: Root = ContextRoot() if mount.from_stage is None else context.root_of(mount.from_stage)
    return BindMount(
        target=_target(mount, context),
        root=root,
        source=_source(mount),
        is_read_only=mount.is_read_only is not False,
    )


def _lower_cache(mount: Mount, context: MountContext) -> CacheMount:
    identity = _text(mount.id) or _clean(_text(mount.target))
    namespace = context.state.scope.build_args.get(CACHE_NAMESPACE, "")
    seed_path = _source(mount)
    is_owned = seed_path == "/"  # as BuildKit: mode and owner are those of the source where one is given
    return CacheMount(
        target=_target(mount, context),
        id=f"{namespace}/{identity}" if namespace else identity,
        sharing=mount.sharing,
        mode=_mode(mount, _CACHE_MODE) if is_owned else _CACHE_MODE,
        uid=_number(mount.uid) if is_owned else 0,
        gid=_number(mount.gid) if is_owned else 0,
        is_read_only=mount.is_read_only is True,
        seed=None if mount.from_stage is None else context.root_of(mount.from_stage),
        seed_path=seed_path,
    )


def _lower_tmpfs(mount: Mount, context: MountContext) -> TmpfsMount:
    if mount.is_read_only:
        raise unsupported(
            "a read-only tmpfs", mount.span, "leave out 'ro': an empty file system is of no use read-only"
        )
    size = None if mount.size is None else parse_size(mount.size.text)
    return TmpfsMount(target=_target(mount, context), size_bytes=size or 0)


def _lower_secret(mount: Mount, context: MountContext) -> SecretMount:
    target = _text(mount.target)
    identity = _text(mount.source) or _text(mount.id) or _base_name(target)
    if not identity:
        raise DockerfileError(
            "a secret mount needs an id", slug="invalid-mount", span=mount.span, hint="write type=secret,id=NAME"
        )
    env = ""
    if mount.env is not None:
        env = mount.env.text or identity
    elif not target:
        target = f"/run/secrets/{_base_name(identity)}"
    return SecretMount(
        id=identity,
        target=_target(mount, context, target) if target else "",
        env=env,
        is_required=mount.is_required,
        mode=_mode(mount, _SECRET_MODE),
        uid=_number(mount.uid),
        gid=_number(mount.gid),
    )


def _text(word: Word | None) -> str:
    return "" if word is None else word.text


def _number(word: Word | None) -> int:
    return 0 if word is None else int(word.text)


def _target(mount: Mount, context: MountContext, text: str | None = None) -> GuestPath:
    span = mount.span if mount.target is None else mount.target.span
    target = read_path(_text(mount.target) if text is None else text, span, context.state.cwd)
    if target == "/":
        raise DockerfileError(
            "a mount can't cover the root directory",
            slug="invalid-mount",
            span=span,
            hint="give a target below it, such as 'target=/src'",
        )
    return target


def _source(mount: Mount) -> GuestPath:
    return read_path(_text(mount.source), mount.span if mount.source is None else mount.source.span)


def _mode(mount: Mount, default: int) -> int:
    if mount.mode is None:
        return default
    mode = int(mount.mode.text, 8)
    if mode > _LAST_MODE:
        raise DockerfileError(
            f"'{mount.mode.text}' is no file mode",
            slug="invalid-mount",
            span=mount.mode.span,
            hint="write an octal number up to 7777, such as 0755",
        )
    return mode


def _base_name(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _clean(path: str) -> str:
    """Return the shortest spelling of a path: ``a//b/../c/`` is ``a/c``, nothing is ``.``."""
    parts: list[str] = []
    is_absolute = path.startswith("/")
    for part in path.split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part == ".." and is_absolute:
            continue
        elif part and part != ".":
            parts.append(part)
    return ("/" if is_absolute else "") + "/".join(parts) or "."


_LOWER: Mapping[Literal["bind", "cache", "tmpfs", "secret"], Callable[[Mount, MountContext], RunMount]] = {
    "bind": _lower_bind,
    "cache": _lower_cache,
    "tmpfs": _lower_tmpfs,
    "secret": _lower_secret,
}
