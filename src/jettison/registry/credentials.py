"""Credentials for a registry, out of docker's ``config.json`` and its helper programs.

Owns the order: the helper of this registry (``credHelpers``), then the common one (``credsStore``), then what stands in the
file (``auths``). A helper that is missing or fails is no error by itself, since most images need no credential at all; why
there is none is kept for the error that a refusal becomes. Nothing is asked before a registry asks. Source: docker's
documentation of ``config.json``; docker-credential-helpers, "Development".
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
from base64 import b64decode
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from jettison.errors import UsageError
from jettison.limits import DEFAULT_LIMITS
from jettison.registry.auth import Credential
from jettison.registry.message import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from jettison.limits import Limits

_HUB = "docker.io"
_HUB_KEY = "https://index.docker.io/v1/"
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_IDENTITY_NAME = "<token>"
_NOT_FOUND = "credentials not found"


class Credentials(Protocol):
    """Gives the credential for a registry."""

    def find(self, domain: str) -> Credential | None:
        """Return the credential, None without one."""
        ...

    def why_not(self, domain: str) -> str:
        """Return why there is none although one was to be had, empty if nothing went wrong."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerConfig:
    """What ``config.json`` says of credentials; ``path`` is where it lies (or would)."""

    path: Path
    auths: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    helpers: Mapping[str, str] = field(default_factory=dict)
    store: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HelperAnswer:
    """How a helper program ended and what it printed; ``code`` is 127 if it is not there."""

    code: int
    out: bytes = field(repr=False)


RunHelper = "Callable[[str, bytes], HelperAnswer]"
"""Starts ``docker-credential-<name> get`` with the input."""


def read_docker_config(environment: Mapping[str, str], limits: Limits = DEFAULT_LIMITS) -> DockerConfig:
    """Return the config of ``$DOCKER_CONFIG/config.json`` or ``$HOME/.docker/config.json``; an empty one if there is no file.

    Raises:
        UsageError: ``docker-config``, the file is there but not JSON of the right form.

    """
    home = environment.get("DOCKER_CONFIG") or f"{environment.get('HOME') or '/'}/.docker"
    path = Path(home) / "config.json"
    try:
        with path.open("rb") as file:
            data = file.read(limits.config_bytes + 1)
    except OSError:
        return DockerConfig(path=path)
    try:
        document = json.loads(data)
        auths, helpers, store = (document.get(key) for key in ("auths", "credHelpers", "credsStore"))
        if not all(isinstance(entry, dict) for entry in (auths or {}).values()):
            raise _malformed(path)
        if not all(isinstance(name, str) for name in (*(helpers or {}).values(), store or "")):
            raise _malformed(path)
    except (ValueError, RecursionError, AttributeError) as error:
        raise _malformed(path) from error
    return DockerConfig(path=path, auths=auths or {}, helpers=helpers or {}, store=store or "")


class DockerCredentials:
    """Credentials as docker finds them. Each registry is looked up once. Safe to call from any thread."""

    def __init__(self, config: DockerConfig, run_helper: Callable[[str, bytes], HelperAnswer]) -> None:
        self._config = config
        self._run_helper = run_helper
        self._lock = threading.Lock()
        self._found: dict[str, Credential | None] = {}
        self._reasons: dict[str, str] = {}

    def find(self, domain: str) -> Credential | None:
        """Return the credential for a registry, None without one.

        Raises:
            UsageError: ``docker-config``, an entry can't be read.

        """
        with self._lock:
            if domain not in self._found:
                self._found[domain] = self._look_up(domain)
            return self._found[domain]

    def why_not(self, domain: str) -> str:
        """Return what went wrong with a helper, empty if nothing did."""
        return self._reasons.get(domain, "")

    def _look_up(self, domain: str) -> Credential | None:
        key = _HUB_KEY if domain == _HUB else domain
        helper = next((self._config.helpers[name] for name in (key, domain) if name in self._config.helpers), "")
        for name in dict.fromkeys((helper, self._config.store)):
            if name and (credential := self._ask(name, key, domain)):
                return credential
        for written, entry in self._config.auths.items():
            if _host(written) == _host(key) and (credential := self._entry(entry, written)):
                return credential
        return None

    def _ask(self, name: str, key: str, domain: str) -> Credential | None:
        if not _HELPER.match(name):
            self._reasons[domain] = f"the credential helper {clean_text(name)!r} has no name that a program may have"
            return None
        answer = self._run_helper(name, key.encode())
        if answer.code == 127:
            self._reasons[domain] = f"the credential helper 'docker-credential-{name}' is not there"
            return None
        if answer.code:
            text = clean_text(answer.out.decode("utf-8", "replace"))
            if not text.lower().startswith(_NOT_FOUND):
                self._reasons[domain] = f"the credential helper 'docker-credential-{name}' failed: {text}"
            return None
        try:
            document = json.loads(answer.out)
            user, secret = document["Username"], document["Secret"]
        except (ValueError, RecursionError, KeyError, TypeError):
            self._reasons[domain] = (
                f"the credential helper 'docker-credential-{name}' gave an answer that can't be read"
            )
            return None
        return _credential(user, secret)

    def _entry(self, entry: Mapping[str, Any], written: str) -> Credential | None:
        identity = entry.get("identitytoken")
        if isinstance(identity, str) and identity:
            return Credential(name="", secret=identity, is_identity=True)
        text = entry.get("auth")
        if not text:
            return _credential(entry.get("username"), entry.get("password"))
        try:
            name, colon, secret = b64decode(text, validate=True).decode().partition(":")
        except (ValueError, TypeError):
            colon = ""
            name = secret = ""
        if not colon:
            raise UsageError(
                f"the entry for {clean_text(written)!r} in {str(self._config.path)!r} can't be read",
                slug="docker-config",
                hint="log in again with 'docker login'",
            )
        return _credential(name, secret.rstrip("\0"))


def run_helper(environment: Mapping[str, str], limits: Limits = DEFAULT_LIMITS) -> Callable[[str, bytes], HelperAnswer]:
    """Return what starts helper programs, found on PATH, in the environment."""

    def run(name: str, wanted: bytes) -> HelperAnswer:
        command = [f"docker-credential-{name}", "get"]
        try:
            done = subprocess.run(
                command,
                input=wanted,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=dict(environment),
                check=False,
                timeout=limits.credential_helper_seconds,
            )
        except FileNotFoundError:
            return HelperAnswer(code=127, out=b"")
        except (OSError, subprocess.TimeoutExpired) as error:
            return HelperAnswer(code=126, out=type(error).__name__.encode())
        return HelperAnswer(code=done.returncode, out=done.stdout[: limits.registry_answer_bytes])

    return run


def _credential(name: object, secret: object) -> Credential | None:
    if not isinstance(name, str) or not isinstance(secret, str) or not secret:
        return None
    if name == _IDENTITY_NAME:
        return Credential(name="", secret=secret, is_identity=True)
    return Credential(name=name, secret=secret)


def _host(key: str) -> str:
    """Return the host of a key of ``auths``, which may be a URL of old."""
    return key.rpartition("://")[2].partition("/")[0].lower()


def _malformed(path: Path) -> UsageError:
    return UsageError(
        f"{str(path)!r} can't be read as docker's configuration",
        slug="docker-config",
        hint="mend or move the file; 'docker login' writes it anew",
    )
