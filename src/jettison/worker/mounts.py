"""The mounts of a RUN, made ready in the worker: chains for bind mounts, directories of cache mounts, secrets.

A bind mount is an overlay of the source's layers, read-only or with writes that go to a directory thrown away; nothing of the
host is ever bound. A cache mount is a directory of the store under a lock that says how it is shared.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from jettison.errors import StepError
from jettison.guestpath import parse_guest_path
from jettison.plan.ops import BindMount, CacheMount, SecretMount, TmpfsMount
from jettison.sandbox.spec import MountSpec
from jettison.store.root import mount_lock
from jettison.worker.seed import write_union

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from jettison.plan.ops import RunMount
    from jettison.solver.task import Chain
    from jettison.worker.run_tools import RunTools


@dataclass(frozen=True, slots=True, kw_only=True)
class MountSource:
    """Where the files of a bind mount or a cache's seed lie: a path in the union of a chain."""

    chain: Chain
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyMounts:
    """The mounts as the sandbox takes them, the variables that secrets set, and what the log must not show."""

    specs: tuple[MountSpec, ...]
    environment: tuple[tuple[str, str], ...]
    masked: tuple[bytes, ...]


@contextmanager
def open_mounts(
    tools: RunTools, mounts: tuple[RunMount, ...], sources: Mapping[str, MountSource], secrets: Mapping[str, bytes]
) -> Iterator[ReadyMounts]:
    """Yield the mounts of a step; locks and scratch directories are given back at the end.

    Raises:
        StepError: a required secret is missing (``secret-missing``) or is not text but wanted as a variable.

    """
    specs: list[MountSpec] = []
    environment: list[tuple[str, str]] = []
    masked: list[bytes] = []
    with ExitStack() as stack:
        for mount in mounts:
            match mount:
                case BindMount():
                    specs.append(_bind(tools, mount, sources[mount.target], stack))
                case CacheMount():
                    specs.append(_cache(tools, mount, sources.get(mount.target), stack))
                case TmpfsMount():
                    specs.append(MountSpec(kind="tmpfs", target=mount.target, size_bytes=mount.size_bytes))
                case SecretMount():
                    value = _secret(mount, secrets)
                    if value is not None:
                        masked.append(value)
                        _give(mount, value, specs, environment)
                case _:
                    assert_never(mount)
        yield ReadyMounts(specs=tuple(specs), environment=tuple(environment), masked=tuple(masked))


def _bind(tools: RunTools, mount: BindMount, source: MountSource, stack: ExitStack) -> MountSpec:
    lowers = tools.lowers(source.chain, stack)
    upper = work = ""
    if not tools.has_overlay:
        return MountSpec(
            kind="bind",
            target=mount.target,
            source=source.path,
            source_root=str(lowers[0]),
            is_read_only=mount.is_read_only,
        )
    if not mount.is_read_only:
        staged = stack.enter_context(tools.store.layers.stage())
        upper, work = str(_directory(staged.path / "upper")), str(_directory(staged.path / "work"))
    return MountSpec(
        kind="bind",
        target=mount.target,
        source=source.path,
        source_lowers=tuple(str(path) for path in lowers),
        source_upper=upper,
        source_work=work,
        is_read_only=mount.is_read_only,
    )


def _cache(tools: RunTools, mount: CacheMount, seed: MountSource | None, stack: ExitStack) -> MountSpec:
    base = tools.store.mount_path(mount.id)
    path = base
    if mount.sharing == "locked":
        stack.enter_context(tools.store.locks.exclusive(mount_lock(base)))
    elif mount.sharing == "private":
        path = _private(tools, mount.id, stack)
    else:
        stack.enter_context(tools.store.locks.shared(mount_lock(base)))
    if not path.is_dir():
        with tools.store.locks.exclusive(f"make/{path.name}"):
            if not path.is_dir():
                _make_cache(tools, path, mount, seed)
    return MountSpec(
        kind="bind", target=mount.target, source="/", source_root=str(path), is_read_only=mount.is_read_only
    )


def _private(tools: RunTools, cache_id: str, stack: ExitStack) -> Path:
    """Return the first directory of this id that no other step uses."""
    number = 0
    while True:
        path = tools.store.mount_path(cache_id if not number else f"{cache_id}\0{number}")
        held = tools.store.locks.try_exclusive(mount_lock(path))
        if held is not None:
            stack.callback(held.release)
            return path
        number += 1


def _make_cache(tools: RunTools, path: Path, mount: CacheMount, seed: MountSource | None) -> None:
    with tools.store.layers.stage() as staged:
        fresh = _directory(staged.path / "cache")
        if seed is None:
            fresh.chmod(mount.mode)
            if (mount.uid, mount.gid) != (0, 0):
                _own(fresh, mount)
        else:
            union = tools.union(seed.chain)
            write_union(union, union.resolve(parse_guest_path(seed.path)).key, fresh, tools.materials)
        fresh.rename(path)


def _own(path: Path, mount: CacheMount) -> None:
    try:
        os.chown(path, mount.uid, mount.gid)
    except OSError as error:
        raise StepError(
            f"the cache mount at '{mount.target}' can't be given to {mount.uid}:{mount.gid}: {error.strerror}",
            slug="owner-refused",
            hint="without subordinate ids (see 'jettison info') files can only belong to one user",
        ) from error


def _secret(mount: SecretMount, secrets: Mapping[str, bytes]) -> bytes | None:
    value = secrets.get(mount.id)
    if value is None and mount.is_required:
        raise StepError(
            f"the secret '{mount.id}' is required but was not given",
            slug="secret-missing",
            hint=f"add --secret id={mount.id},src=FILE (or ,env=NAME)",
        )
    return value


def _give(mount: SecretMount, value: bytes, specs: list[MountSpec], environment: list[tuple[str, str]]) -> None:
    if mount.env:
        if b"\0" in value:
            raise StepError(f"the secret '{mount.id}' holds a NUL byte: it can't be a variable", slug="secret-not-text")
        environment.append((mount.env, value.decode("utf-8", "surrogateescape")))
    if mount.target:
        specs.append(
            MountSpec(
                kind="file",
                target=mount.target,
                data=value,
                mode=mount.mode,
                uid=mount.uid,
                gid=mount.gid,
                is_read_only=True,
            )
        )


def _directory(path: Path) -> Path:
    path.mkdir()
    path.chmod(0o755)
    return path
