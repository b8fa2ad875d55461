"""The one tree of errors.

::

    JettisonError                         a message, where, what to do
    +-- UsageError           usage            a flag or argument is wrong
    +-- DockerfileError      dockerfile       one or several diagnostics of a Dockerfile
    |   +-- GraphError       graph            stages that can't be ordered or found
    +-- ContextError         context          the build context or a path in it
    +-- StepError            step-failed      a RUN (or another op) did not succeed
    +-- CancelledError       cancelled        the user or another step's failure stopped it
    +-- SandboxError         sandbox          a system call of the sandbox was refused
    +-- StoreError           store            the local store, its files or its database
    |   +-- LayerError       layer            a layer or tar that breaks the rules
    |   +-- ImageNotFoundError  image-not-found
    +-- RegistryError        registry         a registry's answer
    +-- HostError            host             this host can't do what was asked

Each class has a unique slug. A more special slug may be given when the error is raised; ``docs/errors.md`` lists them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jettison.span import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One fault: a message in lower case without a full stop, where it is, and an action that mends it."""

    slug: str
    message: str
    span: Span | None = None
    hint: str | None = None
    notes: tuple[str, ...] = ()


class JettisonError(Exception):
    """The base of all errors that a user can cause or mend."""

    slug = "error"

    def __init__(
        self,
        message: str,
        *,
        span: Span | None = None,
        hint: str | None = None,
        notes: tuple[str, ...] = (),
        slug: str | None = None,
    ) -> None:
        super().__init__(message)
        if slug is not None:
            self.slug = slug
        self.message = message
        self.span = span
        self.hint = hint
        self.notes_given = notes

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """The faults to show, in the order of the text."""
        return (
            Diagnostic(slug=self.slug, message=self.message, span=self.span, hint=self.hint, notes=self.notes_given),
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.args, self.__dict__))


class UsageError(JettisonError):
    """A flag, argument or setting is wrong."""

    slug = "usage"


class DockerfileError(JettisonError):
    """A Dockerfile that can't be understood; carries every fault the parser could find."""

    slug = "dockerfile"

    def __init__(
        self,
        message: str,
        *,
        span: Span | None = None,
        hint: str | None = None,
        notes: tuple[str, ...] = (),
        slug: str | None = None,
        others: tuple[Diagnostic, ...] = (),
    ) -> None:
        super().__init__(message, span=span, hint=hint, notes=notes, slug=slug)
        self.others = others

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """This fault and the others found in the same pass."""
        return (*super().diagnostics, *self.others)


class GraphError(DockerfileError):
    """Stages that can't be found, ordered or reached."""

    slug = "graph"


class ContextError(JettisonError):
    """The build context, or a path that an instruction wants from it."""

    slug = "context"


class StepError(JettisonError):
    """A step of the build did not succeed."""

    slug = "step-failed"

    def __init__(  # noqa: PLR0913  what every error has, and how the process ended
        self,
        message: str,
        *,
        span: Span | None = None,
        hint: str | None = None,
        notes: tuple[str, ...] = (),
        slug: str | None = None,
        exit_code: int | None = None,
        tail: tuple[str, ...] = (),
        log_path: str | None = None,
    ) -> None:
        super().__init__(message, span=span, hint=hint, notes=notes, slug=slug)
        self.exit_code = exit_code
        self.tail = tail
        self.log_path = log_path


class CancelledError(JettisonError):
    """Stopped on request, or because another step failed first."""

    slug = "cancelled"


class SandboxError(JettisonError):
    """A system call that the sandbox needs was refused."""

    slug = "sandbox"


class StoreError(JettisonError):
    """The local store: its directory, files, locks or database."""

    slug = "store"


class LayerError(StoreError):
    """A layer, index or tar stream that breaks the rules."""

    slug = "layer"


class ImageNotFoundError(StoreError):
    """No image of that name or id is in the local store."""

    slug = "image-not-found"


class RegistryError(JettisonError):
    """What a registry answered, or that it didn't: ``method`` and ``url`` (without secrets) say which request it was.

    ``status`` is 0 without an answer, ``code`` the server's own word for the fault (``MANIFEST_UNKNOWN``), if it gave one,
    ``retry_after_seconds`` the pause that it asks for.
    """

    slug = "registry"

    def __init__(  # noqa: PLR0913  what every error has, and which request it was
        self,
        message: str,
        *,
        span: Span | None = None,
        hint: str | None = None,
        notes: tuple[str, ...] = (),
        slug: str | None = None,
        is_retryable: bool = False,
        method: str = "",
        url: str = "",
        status: int = 0,
        code: str = "",
    ) -> None:
        super().__init__(message, span=span, hint=hint, notes=notes, slug=slug)
        self.is_retryable = is_retryable
        self.retry_after_seconds: float | None = None
        self.method = method
        self.url = url
        self.status = status
        self.code = code


class HostError(JettisonError):
    """This host can't do what was asked (a missing kernel feature, program or right)."""

    slug = "host"


def _rebuild(kind: type[JettisonError], args: tuple[str, ...], state: dict[str, object]) -> JettisonError:
    error = kind(*args)
    error.__dict__.update(state)
    return error
