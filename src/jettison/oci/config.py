"""The image config and its history, to and from JSON; unknown keys survive.

Source: OCI image specification, config.md, and the docker extensions that BuildKit writes (Healthcheck, Shell, OnBuild,
ArgsEscaped). Field order on output follows docker's, so that a person who compares two configs finds their way.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from jettison.digest import DiffId, is_digest
from jettison.limits import DEFAULT_LIMITS, Limits
from jettison.oci.canonical import fault, parse_json, render_json
from jettison.oci.fields import Fields
from jettison.platform import Platform, normal_platform

if TYPE_CHECKING:
    from collections.abc import Mapping

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthcheckConfig:
    """Docker's ``Healthcheck``; durations are nanoseconds, 0 inherits the default."""

    test: tuple[str, ...]
    interval_ns: int = 0
    timeout_ns: int = 0
    start_period_ns: int = 0
    start_interval_ns: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeConfig:
    """The ``config`` object: how a container of the image starts. None keeps a key absent (or null, as docker has it)."""

    user: str = ""
    exposed_ports: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    volumes: tuple[str, ...] = ()
    working_dir: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    stop_signal: str = ""
    is_args_escaped: bool = False
    healthcheck: HealthcheckConfig | None = None
    shell: tuple[str, ...] | None = None
    on_build: tuple[str, ...] = ()
    others: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One line of ``docker history``; ``created`` is RFC 3339 text."""

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    is_empty_layer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """The whole config document."""

    platform: Platform
    config: RuntimeConfig = field(default_factory=RuntimeConfig)
    diff_ids: tuple[DiffId, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    created: str = ""
    author: str = ""
    others: Mapping[str, JsonValue] = field(default_factory=dict)


_WHAT = "image config"
_SLUG = "image-config"
_HISTORY_MAX = 10_000


def parse_config(data: bytes | Mapping[str, JsonValue], *, limits: Limits = DEFAULT_LIMITS) -> ImageConfig:
    """Return the config that the document spells; keys that are not ours are kept in ``others``.

    Absent and null mean the same. Sets and maps (ports, volumes, labels) come sorted, as docker writes them.

    Raises:
        StoreError: ``image-config``: no strict JSON, a wrong type, a diff id that is no sha256 digest.

    """
    value = parse_json(data, what=_WHAT, slug=_SLUG, limits=limits) if isinstance(data, bytes) else data
    top = Fields(value, what=_WHAT, slug=_SLUG)
    platform = Platform(
        os=top.text("os") or "linux", architecture=top.text("architecture"), variant=top.text("variant")
    )
    config = top.below("config")
    history = top.list_below("history")
    if len(history) > _HISTORY_MAX:
        raise fault(_WHAT, _SLUG, f"its history has {len(history)} lines")
    return ImageConfig(
        platform=platform,
        config=RuntimeConfig() if config is None else _parse_runtime(config),
        diff_ids=_parse_diff_ids(top.below("rootfs"), limits),
        history=tuple(_parse_history(line) for line in history),
        created=top.text("created"),
        author=top.text("author"),
        others=top.others(),
    )


def render_config(config: ImageConfig) -> bytes:
    """Return the config document: top-level keys sorted, those below in docker's order, empty ones absent.

    The digest of these bytes is the image id.
    """
    top: dict[str, JsonValue] = dict(config.others)
    top |= {
        "architecture": config.platform.architecture,
        "config": _render_runtime(config.config),
        "history": [_render_history(line) for line in config.history],
        "os": config.platform.os,
        "rootfs": {"type": "layers", "diff_ids": list(config.diff_ids)},
    }
    top |= _present({"variant": config.platform.variant, "created": config.created, "author": config.author})
    return render_json({key: top[key] for key in sorted(top)})


def _parse_runtime(fields: Fields) -> RuntimeConfig:
    check = fields.below("Healthcheck")
    return RuntimeConfig(
        user=fields.text("User"),
        exposed_ports=fields.keys("ExposedPorts"),
        env=fields.texts("Env") or (),
        entrypoint=fields.texts("Entrypoint"),
        cmd=fields.texts("Cmd"),
        volumes=fields.keys("Volumes"),
        working_dir=fields.text("WorkingDir"),
        labels=fields.pairs("Labels"),
        stop_signal=fields.text("StopSignal"),
        is_args_escaped=fields.flag("ArgsEscaped"),
        healthcheck=None if check is None else _parse_healthcheck(check),
        shell=fields.texts("Shell"),
        on_build=fields.texts("OnBuild") or (),
        others=fields.others(),
    )


def _parse_healthcheck(fields: Fields) -> HealthcheckConfig:
    return HealthcheckConfig(
        test=fields.texts("Test") or (),
        interval_ns=fields.integer("Interval"),
        timeout_ns=fields.integer("Timeout"),
        start_period_ns=fields.integer("StartPeriod"),
        start_interval_ns=fields.integer("StartInterval"),
        retries=fields.integer("Retries"),
    )


def _parse_history(fields: Fields) -> HistoryEntry:
    return HistoryEntry(
        created=fields.text("created"),
        created_by=fields.text("created_by"),
        author=fields.text("author"),
        comment=fields.text("comment"),
        is_empty_layer=fields.flag("empty_layer"),
    )


def _parse_diff_ids(rootfs: Fields | None, limits: Limits) -> tuple[DiffId, ...]:
    if rootfs is None:
        return ()
    if rootfs.text("type") not in {"layers", ""}:
        raise rootfs.fault("type", "'layers'")
    diff_ids = rootfs.texts("diff_ids") or ()
    if len(diff_ids) > limits.layers:
        raise fault(_WHAT, _SLUG, f"it has {len(diff_ids)} layers, the limit is {limits.layers}")
    if not all(is_digest(text) for text in diff_ids):
        raise rootfs.fault("diff_ids", "a list of sha256 digests")
    return tuple(DiffId(text) for text in diff_ids)


def _render_runtime(config: RuntimeConfig) -> dict[str, JsonValue]:
    check = config.healthcheck
    known: dict[str, JsonValue] = {
        "User": config.user,
        "ExposedPorts": {port: {} for port in sorted(config.exposed_ports)},
        "Env": list(config.env),
        "Entrypoint": list(config.entrypoint or ()),
        "Cmd": list(config.cmd or ()),
        "Volumes": {volume: {} for volume in sorted(config.volumes)},
        "WorkingDir": config.working_dir,
        "Labels": dict(sorted(config.labels)),
        "StopSignal": config.stop_signal,
        "ArgsEscaped": config.is_args_escaped,
        "Healthcheck": None if check is None else _render_healthcheck(check),
        "OnBuild": list(config.on_build),
        "Shell": list(config.shell or ()),
    }
    others = {key: config.others[key] for key in sorted(config.others) if key not in known}
    return _present(known, kept=() if check is None else ("Healthcheck",)) | others


def _render_healthcheck(check: HealthcheckConfig) -> dict[str, JsonValue]:
    return _present(
        {
            "Test": list(check.test),
            "Interval": check.interval_ns,
            "Timeout": check.timeout_ns,
            "StartPeriod": check.start_period_ns,
            "StartInterval": check.start_interval_ns,
            "Retries": check.retries,
        }
    )


def _render_history(line: HistoryEntry) -> dict[str, JsonValue]:
    return _present(
        {
            "created": line.created,
            "created_by": line.created_by,
            "author": line.author,
            "comment": line.comment,
            "empty_layer": line.is_empty_layer,
        }
    )


def _present(value: dict[str, JsonValue], kept: tuple[str, ...] = ()) -> dict[str, JsonValue]:
    return {key: item for key, item in value.items() if item or key in kept}


__all__ = [
    "HealthcheckConfig",
    "HistoryEntry",
    "ImageConfig",
    "JsonValue",
    "RuntimeConfig",
    "normal_platform",
    "parse_config",
    "render_config",
    "replace",
]
