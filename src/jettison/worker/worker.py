"""Does ops: the solver's worker, in the front.

What needs only indexes and contexts is done here; a RUN goes to the worker process.

Selections of a context are made once per build and shared by look-up and work, so that what was hashed is what is copied.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never, cast

from jettison.digest import digest_of
from jettison.errors import CancelledError
from jettison.plan.keys import roots
from jettison.plan.ops import (
    BindMount,
    CacheMount,
    ContextRoot,
    CopyOp,
    ImageOp,
    MkdirOp,
    PathSource,
    RunOp,
    SecretMount,
)
from jettison.solver.task import Chain, LayerResult, Result
from jettison.store.faults import telling_full
from jettison.worker.copy import Copy, write_copy
from jettison.worker.mkdir import make_directory, mkdir_facts
from jettison.worker.mounts import MountSource
from jettison.worker.owners import Accounts
from jettison.worker.place import copy_facts, place
from jettison.worker.run import RunRequest
from jettison.worker.select import Selection, select

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Literal

    from jettison.context.local import LocalContext
    from jettison.digest import Digest
    from jettison.events import Emit
    from jettison.layer.index import IndexSummary
    from jettison.plan.ops import Op, Root
    from jettison.solver.task import Task
    from jettison.store.layers import StagedLayer
    from jettison.worker.client import WorkerClient
    from jettison.worker.select import SourceTree
    from jettison.worker.tools import Tools

_BIND_TARGET = "/m"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What RUN steps get beside their op; none of it is in a key. ``log_dir`` takes one file per step."""

    log_dir: Path
    secrets: Mapping[str, bytes] = field(default_factory=dict)
    proxies: tuple[tuple[str, str], ...] = ()
    host_bundle: bytes = b""
    resolv_conf: bytes = b""
    network: Literal["host", "none"] = "host"


class OpWorker:
    """A solver's ``Worker`` over a store, local contexts and a worker process. ``clock_ns`` is the wall clock."""

    def __init__(
        self,
        tools: Tools,
        contexts: Mapping[str, LocalContext],
        client: WorkerClient,
        settings: RunSettings,
        clock_ns: Callable[[], int],
    ) -> None:
        self._tools = tools
        self._contexts = contexts
        self._client = client
        self._settings = settings
        self._clock_ns = clock_ns
        self._context_lock = threading.RLock()
        self._selections: dict[CopyOp, Selection] = {}
        self._is_cancelled = False

    def leaves(self, op: Op) -> Mapping[str, str]:
        """Return the digests of the context files that the op selects, and the id of its image."""
        if isinstance(op, ImageOp):
            return {"image": op.image_id}
        if isinstance(op, CopyOp):
            return {"source": self._from_context(op).digest} if isinstance(op.root, ContextRoot) else {}
        return {
            role: self._from_context(_bind_copy(root, path)).digest
            for role, root, path in _bound(op)
            if isinstance(root, ContextRoot)
        }

    def facts(self, task: Task) -> Mapping[str, str]:
        """Return the digests of what the op would read."""
        op = task.op
        match op:
            case ImageOp():
                return {"image": op.image_id}
            case CopyOp():
                selection = self._selection(op, task.inputs.get("source", ()))
                dest = self._tools.union(task.parent)
                with self._context_lock:
                    facts = copy_facts(op, selection, dest, self._accounts(dest))
                return {"source": selection.digest, "destination": digest_of(facts)}
            case MkdirOp():
                dest = self._tools.union(task.parent)
                return {"destination": digest_of(mkdir_facts(op, dest, self._accounts(dest)))}
            case RunOp():
                facts_of_mounts = {
                    role: self._selection(_bind_copy(root, path), task.inputs.get(role, ())).digest
                    for role, root, path in _bound(op)
                }
                return {"parent": content_of(task.parent), **facts_of_mounts}
            case _:
                assert_never(op)

    def run(self, task: Task, emit: Emit) -> Result:
        """Do the op; its layer is committed when this returns."""
        if self._is_cancelled:
            raise CancelledError("cancelled")
        op = task.op
        match op:
            case ImageOp():
                return self._image(op)
            case CopyOp():
                return Result(layers=(self._copy(op, task.inputs.get("source", ()), task.parent),))
            case MkdirOp():
                return Result(layers=(self._mkdir(op, task.parent),))
            case RunOp():
                return self._run(op, task, emit)
            case _:
                assert_never(op)

    def cancel(self) -> None:
        """Kill all running steps; ops that begin later fail at once."""
        self._is_cancelled = True
        self._client.cancel_all()

    def _image(self, op: ImageOp) -> Result:
        record = self._tools.store.images.get(op.image_id)
        assert record is not None, "the plan names images that the resolver found"
        layers = []
        for layer in record.layers:
            assert layer.layer_id is not None, "a local image has all its layers"
            summary = self._tools.indexes.index(layer.layer_id).summary
            layers.append(_result(summary))
        return Result(layers=tuple(layers))

    def _copy(self, op: CopyOp, source: Chain, parent: Chain) -> LayerResult:
        selection = self._selection(op, source)
        dest = self._tools.union(parent)
        with self._context_lock if isinstance(op.root, ContextRoot) else threading.Lock():
            copy = Copy(
                op=op,
                selection=selection,
                placement=place(op, selection, dest, self._accounts(dest)),
                now_ns=self._clock_ns(),
                open_blob=self._tools.open_blob,
            )
            return self._commit(lambda staged: write_copy(copy, staged.path))

    def _mkdir(self, op: MkdirOp, parent: Chain) -> LayerResult:
        dest = self._tools.union(parent)
        accounts = self._accounts(dest)
        return self._commit(
            lambda staged: make_directory(op, dest, accounts, staged=staged.path, now_ns=self._clock_ns())
        )

    def _run(self, op: RunOp, task: Task, emit: Emit) -> Result:
        settings = self._settings
        request = RunRequest(
            index=task.index,
            op=op,
            chain=task.parent,
            sources=self._mount_sources(op, task),
            log_path=settings.log_dir / f"{task.index}.log",
            secrets={name: settings.secrets[name] for name in _secret_ids(op) if name in settings.secrets},
            proxies=settings.proxies,
            host_bundle=settings.host_bundle if op.network != "none" else b"",
            network=settings.network if op.network == "default" else op.network,
            resolv_conf=settings.resolv_conf,
        )
        call = self._client.begin("run", request, listener=lambda event, _: emit(event))
        if self._is_cancelled:
            self._client.control(call, "kill")
        return cast("Result", self._client.wait(call))

    def _mount_sources(self, op: RunOp, task: Task) -> Mapping[str, MountSource]:
        sources = {}
        for role, root in roots(op):
            target = role.removeprefix("mount:")
            mount = next(mount for mount in op.mounts if mount.target == target)
            path = mount.source if isinstance(mount, BindMount) else cast("CacheMount", mount).seed_path
            if isinstance(root, ContextRoot):
                layer = self._copy(_bind_copy(root, path), (), ())
                sources[target] = MountSource(chain=(layer,), path=_BIND_TARGET)
            else:
                sources[target] = MountSource(chain=task.inputs.get(role, ()), path=path)
        return sources

    def _selection(self, op: CopyOp, source: Chain) -> Selection:
        if isinstance(op.root, ContextRoot):
            return self._from_context(op)
        return select(op, self._tools.union(source))

    def _from_context(self, op: CopyOp) -> Selection:
        assert isinstance(op.root, ContextRoot), "only contexts are read through the lock"
        with self._context_lock:
            found = self._selections.get(op)
            if found is None:
                tree: SourceTree = self._contexts[op.root.name]
                found = self._selections[op] = select(op, tree)
            return found

    def _accounts(self, dest: SourceTree) -> Accounts:
        return Accounts(dest, self._tools.content.read_bytes, self._tools.limits)

    def _commit(self, write: Callable[[StagedLayer], IndexSummary]) -> LayerResult:
        layers = self._tools.store.layers
        with layers.stage() as staged:
            with telling_full("write", self._tools.store.path):
                summary = write(staged)
            layers.commit(staged, summary.layer_id, depends_on=summary.foreign_layers)
        return _result(summary)


def content_of(chain: Chain) -> Digest:
    """Return the digest of the content of a whole chain, without times."""
    hasher = hashlib.sha256(b"jettison chain 1\n")
    for layer in chain:
        hasher.update(layer.content_digest.encode())
    return digest_of(hasher.digest())


def _result(summary: IndexSummary) -> LayerResult:
    return LayerResult(layer_id=summary.layer_id, content_digest=summary.content_digest, size_bytes=summary.size_bytes)


def _bound(op: Op) -> list[tuple[str, Root, str]]:
    """Return the bind mounts of a RUN: role, root, path. What a cache is seeded with is in no key."""
    if not isinstance(op, RunOp):
        return []
    return [(f"mount:{mount.target}", mount.root, mount.source) for mount in op.mounts if isinstance(mount, BindMount)]


def _bind_copy(root: Root, path: str) -> CopyOp:
    """Return the copy that has the content of a bind mount: what is mounted is what a COPY of the source would give."""
    return CopyOp(
        parent=None, root=root, sources=(PathSource(pattern=_literal(path)),), dest=_BIND_TARGET, is_dest_dir=False
    )


def _literal(path: str) -> str:
    """Return the path as a pattern that matches nothing else."""
    return "".join(f"\\{char}" if char in "*?[\\" else char for char in path)


def _secret_ids(op: RunOp) -> set[str]:
    return {mount.id for mount in op.mounts if isinstance(mount, SecretMount)}
