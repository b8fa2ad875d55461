"""COPY and ADD become one ``CopyOp`` each: sources, destination, owner, mode.

Owns the rule of the trailing slash, clipping of sources at their root, heredocs as files. Refuses, each with its own error,
what is parsed but not supported yet: ``--link``, ``--parents``, ``--exclude``, symbolic ``--chmod``, remote sources and ADD's
flags for them.
Whether a local source of ADD is an archive is found out when it is read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jettison.dockerfile.nodes import Copy, Heredoc, Word
from jettison.errors import DockerfileError
from jettison.plan.expansion import Expander, encode, file_name, read_path
from jettison.plan.history import describe_copy
from jettison.plan.ops import CopyOp, InlineSource, Owner, PathSource, Root
from jettison.plan.step_names import join_lines, show_expanded
from jettison.plan.unsupported import unsupported

if TYPE_CHECKING:
    from jettison.plan.state import ImageState
    from jettison.span import Span

_OCTAL = re.compile(r"[0-7]{1,32}")
_SYMBOLIC_CLAUSE = r"[ugoa]*(?:[-+=](?:[rwxXst]*|[ugo]))+"
_SYMBOLIC = re.compile(rf"{_SYMBOLIC_CLAUSE}(?:,{_SYMBOLIC_CLAUSE})*")
_LAST_MODE = 0o7777
_URL = re.compile(r"https?://")
_GIT = re.compile(r"(?:git|ssh)://|[A-Za-z0-9_-]+@[A-Za-z0-9.-]+:|https?://[^?#]*\.git/?(?:[?#]|\Z)")


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyContext:
    """What a COPY is lowered with; ``root`` holds its sources."""

    state: ImageState
    expander: Expander
    root: Root
    is_reproducible: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweredCopy:
    """An op, its line of history, and the text that shows it."""

    op: CopyOp
    created_by: str
    shown: str


def lower_copy(node: Copy, context: CopyContext) -> LoweredCopy:
    """Return the op of a COPY or ADD; its parent is the state's head.

    Paths come before heredocs, each in the order of the text, as in BuildKit.

    Raises:
        DockerfileError: ``unsupported-feature``, ``remote-source``, ``invalid-chown``, ``invalid-chmod``, ``invalid-path``,
            ``invalid-heredoc-name``, or a failed expansion.

    """
    _refuse_unsupported(node)
    state, expander = context.state, context.expander
    chown = "" if node.chown is None else expander.text(node.chown, state.scope)
    chmod = "" if node.chmod is None else expander.text(node.chmod, state.scope)
    flags = [f"{flag}={value}" for flag, value in (("--chown", chown), ("--chmod", chmod)) if value]
    words = [source for source in node.sources if isinstance(source, Word)]
    heredocs = [source for source in node.sources if isinstance(source, Heredoc)]
    texts = [_read_source(node, word, context) for word in words]
    dest = expander.text(node.dest, state.scope)
    is_add = node.keyword == "ADD"
    paths = (
        PathSource(pattern=read_path(text, word.span), is_add=is_add) for text, word in zip(texts, words, strict=True)
    )
    inline = (
        InlineSource(name=file_name(heredoc), data=encode(expander.body(heredoc, state.scope))) for heredoc in heredocs
    )
    op = CopyOp(
        parent=state.head,
        root=context.root,
        sources=(*paths, *inline),
        dest=read_path(dest, node.dest.span, state.cwd),
        is_dest_dir=dest in {"", "."} or dest.endswith(("/", "/.")),
        owner=_read_owner(chown, node.chown),
        mode=_read_mode(chmod, node.chmod),
        is_reproducible=context.is_reproducible,
    )
    shown_sources = (*texts, *(f"<<{heredoc.name}" for heredoc in heredocs))
    line = join_lines(node, escape=expander.escape)
    return LoweredCopy(
        op=op,
        created_by=describe_copy(node.keyword, flags, shown_sources, dest),
        shown=show_expanded(line, state.scope.variables, node.dest, escape=expander.escape),
    )


def _refuse_unsupported(node: Copy) -> None:
    name = node.keyword
    if node.is_link:
        raise unsupported(f"{name} --link", _span(node.link, node), "leave it out: the files are the same without it")
    if node.has_parents:
        raise unsupported(f"{name} --parents", _span(node.parents, node), "write one COPY for each directory")
    if node.excludes:
        raise unsupported(f"{name} --exclude", node.excludes[0].span, "list the files in .dockerignore")
    for flag, word in (("--checksum", node.checksum), ("--keep-git-dir", node.keep_git_dir), ("--unpack", node.unpack)):
        if word is not None:
            raise unsupported(f"{name} {flag}", word.span, "leave it out, or fetch and unpack in a RUN")


def _span(word: Word | None, node: Copy) -> Span:
    return node.keyword_span if word is None else word.span


def _read_source(node: Copy, word: Word, context: CopyContext) -> str:
    text = context.expander.text(word, context.state.scope)
    is_git = _GIT.match(text) is not None
    if not is_git and not _URL.match(text):
        return text
    what = "a git repository" if is_git else "a URL"
    if node.keyword == "ADD":
        hint = "fetch it in a RUN, or put the files into the context"
        raise unsupported(f"ADD of {what}", word.span, hint)
    raise DockerfileError(
        f"COPY can't read {what}: '{text}'",
        slug="remote-source",
        span=word.span,
        hint="fetch it in a RUN, or put the files into the context",
    )


def _read_owner(text: str, word: Word | None) -> Owner | None:
    if not text or word is None:
        return None
    user, colon, group = text.partition(":")
    if not user or (colon and not group):
        raise DockerfileError(
            f"'{text}' is no owner: {'a group' if user else 'a user'} is missing",
            slug="invalid-chown",
            span=word.span,
            hint="write 'user', 'user:group' or numbers",
        )
    return Owner(user=user, group=group if colon else None)


def _read_mode(text: str, word: Word | None) -> int | None:
    if not text or word is None:
        return None
    if _OCTAL.fullmatch(text) and int(text, 8) <= _LAST_MODE:
        return int(text, 8)
    if _SYMBOLIC.fullmatch(text):
        raise unsupported(f"a symbolic --chmod ('{text}')", word.span, "write an octal mode such as 755")
    raise DockerfileError(
        f"'{text}' is no file mode", slug="invalid-chmod", span=word.span, hint="write an octal mode from 0 to 7777"
    )
