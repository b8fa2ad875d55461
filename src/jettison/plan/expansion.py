"""Words of an instruction, expanded in a stage's scope; uses of undefined variables are kept as warnings.

The only door from lowering to ``dockerfile.words``: every expansion passes here, so that no warning is lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jettison.dockerfile.words import expand, expand_heredoc
from jettison.errors import DockerfileError
from jettison.graph.scope import CONTROL_ONLY_ARGS, Scope
from jettison.guestpath import ROOT, GuestPath, parse_guest_path
from jettison.plan.plan import PlanWarning
from jettison.span import Span, nearest_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jettison.dockerfile.nodes import Heredoc, Word


@dataclass(slots=True, kw_only=True)
class Expander:
    """Expands words of one Dockerfile; ``warnings`` grows."""

    escape: str
    warnings: list[PlanWarning] = field(default_factory=list)

    def text(self, word: Word, scope: Scope) -> str:
        """Return the word as one text.

        Raises:
            DockerfileError: a substitution that is malformed, refused by ``${x:?}``, or too long.

        """
        expansion = expand(word, scope.variables, escape=self.escape)
        self._warn(expansion.undefined, scope, word.span)
        return expansion.text

    def words(self, word: Word, scope: Scope) -> tuple[str, ...]:
        """Return the word split on blanks that came unquoted; an empty variable gives none."""
        expansion = expand(word, scope.variables, escape=self.escape)
        self._warn(expansion.undefined, scope, word.span)
        return expansion.words

    def body(self, heredoc: Heredoc, scope: Scope) -> str:
        """Return the body of a COPY's heredoc, variables replaced unless its delimiter was quoted."""
        if not heredoc.is_expanded:
            return heredoc.body
        expansion = expand_heredoc(heredoc.body, scope.variables, span=heredoc.body_span)
        self._warn(expansion.undefined, scope, heredoc.body_span)
        return expansion.text

    def _warn(self, undefined: Iterable[str], scope: Scope, span: Span) -> None:
        declared = {name for name, _ in scope.declared}
        for name in dict.fromkeys(undefined):
            if name in declared or name in CONTROL_ONLY_ARGS:
                continue
            near = nearest_name(name, frozenset(scope.variables))
            suggestion = f" (did you mean ${near}?)" if near is not None else ""
            message = f"usage of undefined variable '${name}'{suggestion}"
            self.warnings.append(PlanWarning(rule="UndefinedVar", message=message, span=span))


def file_name(heredoc: Heredoc) -> str:
    """Return the heredoc's delimiter as the name of a file.

    Raises:
        DockerfileError: ``invalid-heredoc-name``, it would be no name inside one directory.

    """
    if heredoc.name in {".", ".."} or "/" in heredoc.name or "\0" in heredoc.name:
        raise DockerfileError(
            f"'{heredoc.name}' can't name a file",
            slug="invalid-heredoc-name",
            span=heredoc.span,
            hint="use a delimiter without slashes, such as EOF",
        )
    return heredoc.name


def read_path(text: str, span: Span, base: GuestPath = ROOT) -> GuestPath:
    """Return the path inside the image; a relative text is taken below the base.

    Raises:
        DockerfileError: ``invalid-path``, the text holds a NUL character.

    """
    try:
        return parse_guest_path(text, base)
    except ValueError as error:
        raise DockerfileError(
            f"'{text}' can't be a path: {error}", slug="invalid-path", span=span, hint="remove the character"
        ) from error


def encode(text: str) -> bytes:
    """Return the text as the bytes it had in the Dockerfile."""
    return text.encode("utf-8", "surrogateescape")
