"""Names of images to images of the local store, for ``FROM``, ``COPY --from`` and ``RUN --mount from``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jettison.errors import DockerfileError, ImageNotFoundError
from jettison.oci.config import parse_config
from jettison.plan.plan import BaseImage, Bases, Need, Needs
from jettison.platform import is_match, parse_platform
from jettison.reference import parse_reference
from jettison.span import nearest_name

if TYPE_CHECKING:
    from jettison.platform import Platform
    from jettison.store.root import Store


def resolve_needs(store: Store, needs: Needs, host: Platform) -> dict[tuple[str, str], BaseImage]:
    """Return the images that lowering asks for, by reference and platform.

    Raises:
        DockerfileError: a name that is none (slug ``invalid-reference``).
        ImageNotFoundError: with the name's place in the Dockerfile.

    """
    return {(need.reference, need.platform): _resolve(store, need, host) for need in needs.images}


def _resolve(store: Store, need: Need, host: Platform) -> BaseImage:
    try:
        reference = parse_reference(need.reference)
    except ValueError as error:
        raise DockerfileError(
            f"{need.reference!r} is no image name: {error}",
            slug="invalid-reference",
            span=need.span,
            hint=need.hint or None,
        ) from error
    image_id = store.images.find(reference)
    record = store.images.get(image_id) if image_id is not None else None
    if image_id is None or record is None or record.is_partial:
        raise _not_found(store, need)
    if not is_match(parse_platform(need.platform, host), parse_platform(record.platform, host)):
        raise ImageNotFoundError(
            f"the image {need.reference!r} of the local store is for {record.platform}, not {need.platform}",
            slug="platform-mismatch",
            span=need.span,
            hint=f"load or build the image for {need.platform}, or ask for --platform {record.platform}",
        )
    return BaseImage(
        reference=str(reference),
        image_id=image_id,
        config=parse_config(record.config),
        layer_count=len(record.layers),
    )


def _not_found(store: Store, need: Need) -> ImageNotFoundError:
    known = [parse_reference(name).familiar for name in store.images.tags()]
    near = nearest_name(need.reference, known)
    hint = need.hint or (f"did you mean {near!r}?" if near else None)
    return ImageNotFoundError(
        f"no image {need.reference!r} in the local store",
        span=need.span,
        hint=hint or "bring it in with 'jettison load' or 'jettison import', or build it with -t",
    )


__all__ = ["Bases", "resolve_needs"]
