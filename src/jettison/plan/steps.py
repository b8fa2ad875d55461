"""The ops of a plan while it is being made: appended in dependency order, each with its step; equal images once.

Owns the numbers of ops. The one object of lowering with state; it lives as long as one call of ``lower``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jettison.digest import Digest
from jettison.plan.ops import ImageOp, Op

if TYPE_CHECKING:
    from jettison.plan.plan import BaseImage, Step


@dataclass(slots=True, kw_only=True)
class PlanBuilder:
    """Ops and steps so far (same length)."""

    ops: list[Op] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    images: dict[str, int] = field(default_factory=dict)

    def add(self, op: Op, step: Step) -> int:
        """Append the op and return its number."""
        self.ops.append(op)
        self.steps.append(step)
        return len(self.ops) - 1

    def add_image(self, image: BaseImage, step: Step) -> int | None:
        """Return the number of the op that stands for the image, None for an image without layers."""
        if image.layer_count == 0:
            return None
        known = self.images.get(image.image_id)
        if known is None:
            op = ImageOp(reference=image.reference, image_id=Digest(image.image_id))
            known = self.images[image.image_id] = self.add(op, step)
        return known
