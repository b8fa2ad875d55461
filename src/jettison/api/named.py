"""What a name means in the local store, platform by platform."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from jettison.digest import Digest, digest_of, is_digest
from jettison.oci.manifest import is_runnable
from jettison.platform import parse_platform

if TYPE_CHECKING:
    from jettison.platform import Platform
    from jettison.reference import Reference
    from jettison.store.images import ImageRecord
    from jettison.store.root import Store


def platform_key(reference: Reference, platform: Platform) -> str:
    """Return the key of the record that says which image a name gave for a platform when it was pulled."""
    return f"image {digest_of(f'{reference} {platform}'.encode()).hex}"


def find_image(store: Store, reference: Reference, platform: Platform) -> ImageRecord | None:
    """Return the whole local image that the name means on the platform, None when there is none.

    What carries the name comes first, then what the name gave for this platform when it was pulled.
    """
    for image_id in (store.images.find(reference), _pulled(store, reference, platform)):
        record = store.images.get(image_id) if image_id is not None else None
        if record is not None and not record.is_partial and fits(record, platform):
            return record
    return None


def fits(record: ImageRecord, platform: Platform) -> bool:
    """Tell whether the image runs on the platform."""
    return is_runnable(parse_platform(record.platform, platform), platform)


def _pulled(store: Store, reference: Reference, platform: Platform) -> Digest | None:
    value = store.records.get(platform_key(reference, platform))
    if value is None:
        return None
    try:
        image_id = f"sha256:{json.loads(value)['image']}"
    except (ValueError, KeyError, TypeError):
        return None
    return Digest(image_id) if is_digest(image_id) else None
