"""What crosses to a worker: tasks out, results back. Both pickle and hold digests, never paths, handles or callables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jettison.digest import Digest, LayerId
    from jettison.events import Emit
    from jettison.plan.ops import Op


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerResult:
    """A layer that is in the store: its id, the digest of its content without times, the bytes of its files."""

    layer_id: LayerId
    content_digest: Digest
    size_bytes: int


Chain: TypeAlias = tuple[LayerResult, ...]
"""Layers, bottom first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """An op with the layers of its inputs.

    ``inputs`` has the chain of each role that ``plan.keys.input_ops`` names; an input without layers has an empty chain.
    """

    index: int
    op: Op
    name: str
    inputs: Mapping[str, Chain]

    @property
    def parent(self) -> Chain:
        """The layers below."""
        return self.inputs.get("parent", ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The layers that an op adds; one for every op but an image."""

    layers: Chain


class Worker(Protocol):
    """What the solver needs done. All methods may be called from several threads at once."""

    def leaves(self, op: Op) -> Mapping[str, str]:
        """Return the digests of the op's leaves: context files it selects, the id of its image."""
        ...

    def facts(self, task: Task) -> Mapping[str, str]:
        """Return the digests of what the op would read from its inputs."""
        ...

    def run(self, task: Task, emit: Emit) -> Result:
        """Do the op.

        Raises:
            JettisonError: it failed; nothing half-made is visible.

        """
        ...

    def cancel(self) -> None:
        """Stop all running ops; their ``run`` raises ``CancelledError``."""
        ...
