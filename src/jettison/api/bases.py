"""Names of images to images of the local store, for ``FROM``, ``COPY --from`` and ``RUN --mount from``; pulled where needed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from jettison.api.named import find_image, fits
from jettison.errors import CancelledError, DockerfileError, ImageNotFoundError, JettisonError, RegistryError
from jettison.oci.config import parse_config
from jettison.plan.plan import BaseImage
from jettison.platform import parse_platform
from jettison.reference import parse_reference
from jettison.span import nearest_name

if TYPE_CHECKING:
    from jettison.api.wiring import Engine
    from jettison.events import Emit
    from jettison.plan.plan import Need, Needs
    from jettison.platform import Platform
    from jettison.reference import Reference
    from jettison.store.images import ImageRecord

_HUB = "docker.io"
_BY_HAND = "bring it in with 'jettison load' or 'jettison import', or build it with -t"


def resolve_needs(
    engine: Engine, needs: Needs, host: Platform, *, emit: Emit, is_pulling: bool = False
) -> dict[tuple[str, str], BaseImage]:
    """Return the images that lowering asks for, by reference and platform; those that are not here come from registries.

    With ``is_pulling`` the registry is asked even if an image of the name is here, but for names with a digest.

    Raises:
        DockerfileError: a name that is none (slug ``invalid-reference``).
        ImageNotFoundError: with the name's place in the Dockerfile.
        RegistryError: the same.

    """
    references = [(need, _reference(need)) for need in needs.images]
    found: dict[tuple[str, str], BaseImage] = {}
    missing: list[tuple[Need, Reference]] = []
    for need, reference in references:
        must_pull = is_pulling and reference.digest is None
        record = None if must_pull else find_image(engine.store, reference, parse_platform(need.platform, host))
        if record is None:
            missing.append((need, reference))
        else:
            found[need.reference, need.platform] = _base(reference, record)
    if missing:
        for (need, reference), record in zip(missing, _pull_all(engine, missing, host, emit), strict=True):
            found[need.reference, need.platform] = _base(reference, record)
    return found


def _pull_all(engine: Engine, missing: list[tuple[Need, Reference]], host: Platform, emit: Emit) -> list[ImageRecord]:
    """Pull all at the same time; the first failure ends the others."""
    from jettison.api.pulls import Pulls

    with Pulls(engine, emit, host) as pulls:

        def pull(need: Need, reference: Reference) -> ImageRecord:
            try:
                return pulls.pull(reference, parse_platform(need.platform, host)).record
            except BaseException:
                pulls.give_up()
                raise

        with ThreadPoolExecutor(engine.settings.limits.pull_images, thread_name_prefix="base") as executor:
            futures = [executor.submit(pull, need, reference) for need, reference in missing]
            try:
                failures = [future.exception() for future in futures]
            except BaseException:
                pulls.give_up()
                raise
    for (need, reference), error in zip(missing, failures, strict=True):
        if isinstance(error, JettisonError) and not isinstance(error, CancelledError):
            raise _told(engine, need, reference, error, host) from error
    for error in failures:
        if error is not None:
            raise error
    return [future.result() for future in futures]


def _reference(need: Need) -> Reference:
    try:
        return parse_reference(need.reference)
    except ValueError as error:
        raise DockerfileError(
            f"{need.reference!r} is no image name: {error}",
            slug="invalid-reference",
            span=need.span,
            hint=need.hint or None,
        ) from error


def _base(reference: Reference, record: ImageRecord) -> BaseImage:
    return BaseImage(
        reference=str(reference),
        image_id=record.image_id,
        config=parse_config(record.config),
        layer_count=len(record.layers),
    )


def _told(engine: Engine, need: Need, reference: Reference, error: JettisonError, host: Platform) -> JettisonError:
    """Return the error of a pull with its place in the Dockerfile, and with what can be done about it here."""
    local = _other_platform(engine, reference, parse_platform(need.platform, host))
    if local and isinstance(error, RegistryError):
        return ImageNotFoundError(
            f"the image {need.reference!r} of the local store is for {local}, not {need.platform}",
            slug="platform-mismatch",
            span=need.span,
            hint=f"load or build the image for {need.platform}, or ask for --platform {local}",
            notes=(f"pulling another one failed: {error.message}", *error.notes_given),
        )
    if error.slug == "registry-not-found":
        return ImageNotFoundError(
            f"no image {need.reference!r} in the local store, and none in the registry '{reference.domain}'",
            span=need.span,
            hint=need.hint or _nearest(engine, need.reference) or f"check the name and the tag; or {_BY_HAND}",
            notes=error.notes_given,
        )
    error.span = need.span
    is_unknown_to_hub = error.slug == "registry-unauthorized" and reference.domain == _HUB
    if error.slug in {"registry-unreachable", "registry-proxy"}:
        where = "Docker Hub may be out of reach from here" if reference.domain == _HUB else "check the network"
        error.hint = need.hint or _nearest(engine, need.reference) or f"{where}: {_BY_HAND}"
        if find_image(engine.store, reference, parse_platform(need.platform, host)) is None:
            error.message = f"no image {need.reference!r} in the local store, and {error.message}"
    elif is_unknown_to_hub:
        error.hint = need.hint or _nearest(engine, need.reference) or error.hint
        error.message = f"Docker Hub refuses {need.reference!r}: it does not exist there, or needs a login"
    elif need.hint:
        error.hint = need.hint
    error.args = (error.message,)
    return error


def _other_platform(engine: Engine, reference: Reference, wanted: Platform) -> str:
    """Return the platform of the local image that has the name if it is not the wanted one; empty if there is none."""
    image_id = engine.store.images.find(reference)
    record = engine.store.images.get(image_id) if image_id is not None else None
    return "" if record is None or record.is_partial or fits(record, wanted) else record.platform


def _nearest(engine: Engine, name: str) -> str | None:
    known = [parse_reference(text).familiar for text in engine.store.images.tags()]
    near = nearest_name(name, known)
    return f"did you mean {near!r}?" if near else None
