"""Which variables an instruction sees: built-in arguments, global ARGs, and ARG and ENV of a stage.

Owns precedence (``--build-arg``, then the stage's default, then the global value) and the order in which variables stand in
a step's environment. Refuses nothing: expansion errors come from ``dockerfile.words``. Data flows from the ARGs before the
first FROM into a scope of globals, and from there into one ``Scope`` per stage, replaced line by line.

ARG and ENV are applied in the order of the text to one set of variables: an ARG after an ENV of the same name hides it until
the end of the stage, while the image's config keeps the ENV. A variable that is set again moves to the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from jettison.dockerfile.words import expand

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jettison.dockerfile.nodes import Arg, Word
    from jettison.platform import Platform

PROXY_NAMES = frozenset(
    {
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "FTP_PROXY",
        "NO_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "ftp_proxy",
        "no_proxy",
        "all_proxy",
    }
)
"""Build arguments that every RUN sees without an ARG, outside history and cache keys."""

CONTROL_ONLY_ARGS = frozenset({"BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"})
"""ARGs that steer the builder and never become variables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The variables of a stage at one line.

    ``variables`` are all ENVs and ARGs in effect in the order of a step's environment. ``declared`` are the ARGs so far with
    the value each had when it was declared, None for unset; a name may come twice.
    """

    globals: Mapping[str, str]
    build_args: Mapping[str, str]
    variables: Mapping[str, str] = field(default_factory=dict)
    declared: tuple[tuple[str, str | None], ...] = ()

    def with_arg(self, name: str, default: str | None) -> Scope:
        """Return the scope after ``ARG name`` or ``ARG name=default`` (expanded); its value is the last of ``declared``."""
        value = default
        if name in self.build_args:
            value = self.build_args[name]
        elif default is None:
            value = self.globals.get(name)
        declared = (*self.declared, (name, value))
        if value is None or name in CONTROL_ONLY_ARGS:
            return replace(self, declared=declared)
        return replace(self, declared=declared).with_variables([(name, value)])

    def with_variables(self, pairs: Iterable[tuple[str, str]]) -> Scope:
        """Return the scope after each variable got its value, in order: by an ENV, or from a base's config."""
        new: dict[str, str] = {}
        for name, value in pairs:
            new.pop(name, None)
            new[name] = value
        kept = {name: value for name, value in self.variables.items() if name not in new}
        return replace(self, variables=kept | new)

    @property
    def history_arguments(self) -> tuple[tuple[str, str], ...]:
        """The declared ARGs with the values in effect, each name once, in order of first declaration."""
        values: dict[str, str] = {}
        for name, value in self.declared:
            values[name] = self.variables.get(name, value or "")
        return tuple(values.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Platforms:
    """The platform the image is for, and the one the build runs on."""

    target: Platform
    build: Platform


def builtin_arguments(platforms: Platforms, target_name: str, build_args: Mapping[str, str]) -> dict[str, str]:
    """Return the arguments that FROM lines see without any ARG; ``--build-arg`` overrides each.

    ``target_name`` is the requested target or the last stage's name; empty becomes ``default``.
    """
    values = {
        "BUILDPLATFORM": str(platforms.build),
        "BUILDOS": platforms.build.os,
        "BUILDOSVERSION": "",
        "BUILDARCH": platforms.build.architecture,
        "BUILDVARIANT": platforms.build.variant,
        "TARGETPLATFORM": str(platforms.target),
        "TARGETOS": platforms.target.os,
        "TARGETOSVERSION": "",
        "TARGETARCH": platforms.target.architecture,
        "TARGETVARIANT": platforms.target.variant,
        "TARGETSTAGE": target_name or "default",
    }
    return {name: build_args.get(name, value) for name, value in values.items()}


def global_scope(
    args: Iterable[Arg], builtins: Mapping[str, str], build_args: Mapping[str, str], *, escape: str
) -> tuple[dict[str, str], tuple[tuple[Word, str], ...]]:
    """Return the values that FROM lines see, and each use of an undefined variable as (word, name).

    Each ARG sees those before it, also in its own instruction.
    """
    values = dict(builtins)
    undefined: list[tuple[Word, str]] = []
    for arg in args:
        for pair in arg.pairs:
            name = pair.key.text
            if name in build_args:
                values[name] = build_args[name]
            elif pair.value is not None:
                expansion = expand(pair.value, values, escape=escape)
                undefined += [(pair.value, unset) for unset in expansion.undefined]
                values[name] = expansion.text
    return values, tuple(undefined)


def proxy_variables(build_args: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the proxy variables that every RUN gets although no ARG names them, sorted; both spellings of each."""
    values: dict[str, str] = {}
    for name in sorted(build_args):
        if name.lower() in PROXY_NAMES:
            values[name.upper()] = build_args[name]
            values[name.lower()] = build_args[name]
    return tuple(sorted(values.items()))
