"""What the directives of a Dockerfile mean to a build: ``syntax`` asserts a language, ``check`` says which warnings count.

BuildKit runs the image that ``syntax`` names; nothing is downloaded here, so only Dockerfile frontends pass (of any registry
and version: features beyond ours have errors of their own).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jettison.dockerfile.directives import CheckOptions, parse_check
from jettison.errors import Diagnostic, DockerfileError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jettison.dockerfile.nodes import Dockerfile, ParseWarning

_FRONTENDS = frozenset({"dockerfile", "dockerfile-upstream"})
_BUILT_IN = "dockerfile.v0"


def check_syntax(dockerfile: Dockerfile, build_args: Mapping[str, str]) -> None:
    """Refuse a Dockerfile that is written in another language; ``BUILDKIT_SYNTAX`` overrides its directive.

    Raises:
        DockerfileError: ``unsupported-feature``.

    """
    directive = next((item for item in dockerfile.directives if item.name == "syntax"), None)
    wanted = build_args.get("BUILDKIT_SYNTAX") or (directive.value if directive is not None else "")
    image = wanted.partition("@")[0].rpartition("/")[2].partition(":")[0]
    if not wanted or wanted == _BUILT_IN or image in _FRONTENDS:
        return
    is_directive = directive is not None and directive.value == wanted
    raise DockerfileError(
        f"the frontend {wanted!r} can't be run",
        slug="unsupported-feature",
        span=directive.span if is_directive and directive is not None else None,
        hint="only Dockerfiles are understood; if this is one, build with --build-arg BUILDKIT_SYNTAX=dockerfile.v0",
    )


def counted_warnings(
    dockerfile: Dockerfile, warnings: Sequence[ParseWarning], build_args: Mapping[str, str]
) -> list[ParseWarning]:
    """Return the warnings that ``check`` (the build argument before the directive) does not skip.

    Raises:
        DockerfileError: ``check-failed``, with all of them, when it says that warnings are errors; ``check-option``.

    """
    options = _options(dockerfile, build_args)
    counted = [] if options.skips_all else [item for item in warnings if item.rule not in options.skipped]
    if options.is_error and counted:
        first, *rest = counted
        raise DockerfileError(
            f"{first.rule}: {first.message}",
            slug="check-failed",
            span=first.span,
            hint="the directive '# check=error=true' makes warnings errors",
            others=tuple(
                Diagnostic(slug="check-failed", message=f"{item.rule}: {item.message}", span=item.span) for item in rest
            ),
        )
    return counted


def _options(dockerfile: Dockerfile, build_args: Mapping[str, str]) -> CheckOptions:
    text = build_args.get("BUILDKIT_DOCKERFILE_CHECK")
    if text is not None:
        return parse_check(text)
    directive = next((item for item in dockerfile.directives if item.name == "check"), None)
    return parse_check(directive.value, span=directive.span) if directive is not None else CheckOptions()
