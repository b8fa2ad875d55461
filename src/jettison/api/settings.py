"""Settings from the environment and the configuration files.

The root directory is the first of: the caller's choice, ``JETTISON_ROOT``, ``root`` in a configuration file,
``/var/lib/jettison`` for root, ``$XDG_DATA_HOME/jettison`` (``~/.local/share/jettison``). Configuration files:
``$XDG_CONFIG_HOME/jettison/config.toml``, then ``/etc/jettison/config.toml``; the first that sets a key wins.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jettison.api.request import Settings
from jettison.errors import UsageError
from jettison.span import nearest_name

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEYS = {"root": str, "ca_bundle": str, "network": str, "memo": bool}


def settings_from(environment: Mapping[str, str] | None = None, *, root: str | Path | None = None) -> Settings:
    """Return the settings that the environment (None: this process's) and the configuration files give.

    Raises:
        UsageError: a configuration file that can't be read or has an unknown key (slug ``config-file``).

    """
    env = dict(os.environ if environment is None else environment)
    home = env.get("HOME") or "/"
    files = (
        Path(env.get("XDG_CONFIG_HOME") or f"{home}/.config") / "jettison" / "config.toml",
        Path("/etc/jettison/config.toml"),
    )
    values: dict[str, Any] = {}
    for path in files:
        for key, value in _read(path).items():
            values.setdefault(key, value)
    chosen = root or env.get("JETTISON_ROOT") or values.get("root")
    if not chosen:
        chosen = (
            "/var/lib/jettison"
            if os.geteuid() == 0
            else (env.get("XDG_DATA_HOME") or f"{home}/.local/share") + "/jettison"
        )
    network = values.get("network", "host")
    if network not in {"host", "none"}:
        raise UsageError(f"network {network!r} in the configuration is neither 'host' nor 'none'", slug="config-file")
    return Settings(
        root=Path(chosen).absolute(),
        environment=env,
        ca_bundle=values.get("ca_bundle", "auto"),
        network=network,
        has_memo=values.get("memo", True) and env.get("JETTISON_MEMO", "1") != "0",
        config_files=files,
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    import tomllib

    try:
        values = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"can't read {str(path)!r}: {error}", slug="config-file") from error
    for key, value in values.items():
        kind = _KEYS.get(key)
        if kind is None:
            near = nearest_name(key, tuple(_KEYS))
            raise UsageError(
                f"unknown key {key!r} in {str(path)!r}",
                slug="config-file",
                hint=f"did you mean {near!r}?" if near else f"known keys: {', '.join(sorted(_KEYS))}",
            )
        if not isinstance(value, kind):
            raise UsageError(f"{key!r} in {str(path)!r} must be a {kind.__name__}", slug="config-file")
    return values
