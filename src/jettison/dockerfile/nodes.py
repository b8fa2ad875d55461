"""The AST of a Dockerfile: frozen nodes, each with the span of its text.

Data only. The parser makes it, graph and plan read it, a rewriter may make a new one. Words are kept as written: expansion
needs a scope and happens in ``words``. ``Dockerfile.items`` covers the text without gaps, so that printing the spans of all
items one after the other gives the file back byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from jettison.span import SourceFile, Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A piece of text as written: quotes, escapes and variables are still in it."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Heredoc:
    """A heredoc: ``<<EOF`` and its body. ``is_expanded`` is false when any part of the delimiter was quoted.

    ``body`` has its leading tabs removed already if ``strips_tabs``; ``body_span`` shows it as written.
    """

    name: str
    body: str
    is_expanded: bool
    strips_tabs: bool
    descriptor: int
    span: Span
    body_span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellForm:
    """A command that goes to the shell as one argument. ``text`` has continuations joined and comment lines removed."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecForm:
    """A command given as a JSON array of strings."""

    args: tuple[str, ...]
    span: Span


Command: TypeAlias = ShellForm | ExecForm


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """``key=value`` of ENV, LABEL or ARG; ``value`` is None for an ARG without a default."""

    key: Word
    value: Word | None
    span: Span


MountKind: TypeAlias = Literal["bind", "cache", "tmpfs", "secret", "ssh"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One ``RUN --mount``. Words are unexpanded but for ``from_stage``, which never expands; None means not given.

    ``text`` is the whole value of the flag: ``mounts.expand_mount`` reads it again with variables, checks everything and
    gives a mount whose words are final. An option whose value holds a variable is not judged before that, and ``kind``,
    ``sharing``, ``is_read_only`` and ``is_required`` then have their defaults; ``has_variables`` says so.
    """

    kind: MountKind
    span: Span
    target: Word | None = None
    source: Word | None = None
    from_stage: Word | None = None
    id: Word | None = None
    is_read_only: bool | None = None
    sharing: Literal["shared", "private", "locked"] = "shared"
    mode: Word | None = None
    uid: Word | None = None
    gid: Word | None = None
    size: Word | None = None
    is_required: bool = False
    env: Word | None = None
    text: Word | None = None
    has_variables: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """What all instructions have: the span of the whole (flags, heredocs and continuations included) and the keyword.

    ``keyword`` is upper case, ``keyword_span`` shows it as written. ``comments`` are the comment lines above (since the last
    instruction or bare ``#``), without ``#``.
    """

    span: Span
    keyword: str
    keyword_span: Span
    comments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class From(Instruction):
    """``FROM [--platform=p] base [AS name]``; ``name`` is lower case."""

    base: Word
    platform: Word | None = None
    name: str | None = None
    name_span: Span | None = None
    as_span: Span | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arg(Instruction):
    """``ARG name[=default] ...``."""

    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Env(Instruction):
    """``ENV key=value ...`` or the legacy ``ENV key value``."""

    pairs: tuple[Pair, ...]
    is_legacy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Label(Instruction):
    """``LABEL key=value ...`` or the legacy form."""

    pairs: tuple[Pair, ...]
    is_legacy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Instruction):
    """``RUN [flags] command``. With heredocs, ``command`` is a ShellForm of the first line's text after the flags."""

    command: Command
    mounts: tuple[Mount, ...] = ()
    network: Literal["default", "none", "host"] = "default"
    network_span: Span | None = None
    security: Literal["sandbox", "insecure"] = "sandbox"
    security_span: Span | None = None
    devices: tuple[Word, ...] = ()
    heredocs: tuple[Heredoc, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(Instruction):
    """``COPY`` and ``ADD`` (``keyword`` tells which). Sources are words or heredocs, in order.

    ``from_stage`` never expands. Flags that only ADD has are None or False on COPY. The words of boolean flags (``link``,
    ``parents``, ``keep_git_dir``, ``unpack``) have the text ``true`` or ``false``.
    """

    sources: tuple[Word | Heredoc, ...]
    dest: Word
    from_stage: Word | None = None
    chown: Word | None = None
    chmod: Word | None = None
    link: Word | None = None
    is_link: bool = False
    parents: Word | None = None
    has_parents: bool = False
    excludes: tuple[Word, ...] = ()
    checksum: Word | None = None
    keep_git_dir: Word | None = None
    unpack: Word | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workdir(Instruction):
    """``WORKDIR path``."""

    path: Word


@dataclass(frozen=True, slots=True, kw_only=True)
class User(Instruction):
    """``USER name[:group]``."""

    user: Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Cmd(Instruction):
    """``CMD``."""

    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrypoint(Instruction):
    """``ENTRYPOINT``."""

    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Expose(Instruction):
    """``EXPOSE port[/protocol] ...``; each word may expand to several ports."""

    ports: tuple[Word, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume(Instruction):
    """``VOLUME``; JSON or words."""

    paths: tuple[Word, ...]
    is_json: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell(Instruction):
    """``SHELL ["program", "argument"]``."""

    args: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopsignal(Instruction):
    """``STOPSIGNAL name-or-number``."""

    signal: Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthcheck(Instruction):
    """``HEALTHCHECK NONE`` (``command`` is None) or options and ``CMD``. Durations are nanoseconds, None when not given."""

    command: Command | None
    interval_ns: int | None = None
    timeout_ns: int | None = None
    start_period_ns: int | None = None
    start_interval_ns: int | None = None
    retries: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Onbuild(Instruction):
    """``ONBUILD instruction``: the trigger's text as stored in an image (heredocs included) and its syntax, checked here."""

    trigger: str
    trigger_span: Span
    instruction: AnyInstruction


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintainer(Instruction):
    """``MAINTAINER name``; deprecated, sets the author."""

    author: str


AnyInstruction: TypeAlias = (
    From
    | Arg
    | Env
    | Label
    | Run
    | Copy
    | Workdir
    | User
    | Cmd
    | Entrypoint
    | Expose
    | Volume
    | Shell
    | Stopsignal
    | Healthcheck
    | Onbuild
    | Maintainer
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Directive:
    """A parser directive: ``syntax``, ``escape`` or ``check`` (``name`` is lower case)."""

    name: str
    value: str
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Trivia:
    """Blank lines and comments between instructions, as written."""

    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Dockerfile:
    """A whole file. ``items`` covers its text without gaps; ``instructions`` are those of the items that are instructions."""

    source: SourceFile
    items: tuple[Directive | Trivia | AnyInstruction, ...]
    directives: tuple[Directive, ...]
    instructions: tuple[AnyInstruction, ...]
    escape: str = "\\"
    warnings: tuple[ParseWarning, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseWarning:
    """Something legal but doubtful that only the parser sees (an empty continuation line, the legacy ENV form)."""

    rule: str
    message: str
    span: Span
