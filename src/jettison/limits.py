"""Every bound, timeout and default, with its unit and its reason; nothing of the kind stands elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH where an image's config has none, as docker and BuildKit set it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on what comes from outside, and defaults of the machinery."""

    dockerfile_bytes: int = 2 * MIB
    """A Dockerfile is text for people; BuildKit's frontend refuses more as well."""
    dockerfile_line_bytes: int = 65_535
    """The longest physical line, as BuildKit's scanner has it."""
    stages: int = 1_000
    """Far above any real file; keeps hostile graphs cheap."""
    onbuild_depth: int = 16
    """Triggers that add triggers must end."""
    expansion_chars: int = MIB
    """One expanded word; stops exponential ${a}${a} growth."""
    expansion_depth: int = 64
    """${a:-${b:-...}} inside each other; nobody writes five."""
    config_bytes: int = 8 * MIB
    """An image config or manifest."""
    json_depth: int = 64
    """Nesting of foreign JSON."""
    passwd_bytes: int = 10 * MIB
    """/etc/passwd and /etc/group of an image."""
    path_bytes: int = 4_096
    """PATH_MAX of Linux."""
    name_bytes: int = 255
    """NAME_MAX of Linux."""
    xattr_bytes: int = 64 * KIB
    """One extended attribute (XATTR_SIZE_MAX)."""
    pax_bytes: int = MIB
    """All extended headers of one tar member."""
    layer_entries: int = 5_000_000
    """Entries of one layer."""
    layer_bytes: int = 1 << 40
    """Uncompressed bytes of one layer."""
    archive_images: int = 1_000
    """Images of one archive or layout that is loaded."""
    archive_members: int = 100_000
    """Files of one archive that is loaded: a few for each layer and image."""
    archive_bytes: int = 1 << 40
    """Uncompressed bytes of one archive that is loaded."""
    layers: int = 500
    """Lower directories of one overlay mount (measured ceiling)."""
    secret_bytes: int = 500 * KIB
    """One secret, as BuildKit's."""
    log_tail_lines: int = 20
    """Lines of a failed step that are shown again."""
    log_line_bytes: int = 16 * KIB
    """A longer line of a step is shown in pieces."""
    parallel_ops: int = 0
    """Ops at the same time; 0 takes the number of processors, at least 4 (RUN steps often wait)."""
    registry_close_seconds: float = 3.0
    """How long the end of a pull waits for transfers that were given up."""
    stop_grace_seconds: float = 10.0
    """From the stop signal to SIGKILL, as docker's."""
    lock_wait_notice_seconds: float = 0.5
    """After this a wait for another process is said aloud."""
    pull_streams: int = 3
    """Blobs that come from registries at the same time (HOT-PATHS G: more gain nothing)."""
    pull_images: int = 8
    """Images whose manifests are asked for at the same time."""
    index_depth: int = 3
    """Indexes inside indexes; real ones have one level."""
    registry_connect_seconds: float = 10.0
    """Until a connection stands; names and TLS included."""
    registry_read_seconds: float = 60.0
    """Silence in the middle of an answer; an answer as a whole may take as long as its bytes need."""
    registry_attempts: int = 5
    """Times one request is sent before a registry's trouble is believed."""
    registry_connect_attempts: int = 3
    """The same when nobody answers at all: people without a network must not wait long."""
    registry_backoff_seconds: float = 0.5
    """Pause before the second attempt; each further one doubles it."""
    registry_retry_after_seconds: float = 60.0
    """A registry that asks for a longer pause is told of instead."""
    registry_redirects: int = 5
    """From a registry to its blob storage it is one, seldom two."""
    registry_answer_bytes: int = MIB
    """An error or a token; manifests and configs have ``config_bytes``."""
    resume_bytes: int = MIB
    """A transfer that broke counts as a new start if it got this far since."""
    credential_helper_seconds: float = 30.0
    """A helper may ask a key ring that must be unlocked first."""
    gzip_level: int = 1
    """HOT-PATHS: level 1-2 gives most of the ratio for a fraction of the time."""


DEFAULT_LIMITS = Limits()
