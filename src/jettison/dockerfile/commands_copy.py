"""COPY and ADD: a statement to its node, with sources that are words, JSON strings or heredocs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from jettison.dockerfile.commands import warn_of_json
from jettison.dockerfile.flags import all_words, first_word, read_flags
from jettison.dockerfile.nodes import Copy, Heredoc, Word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jettison.dockerfile.flags import FlagKind
    from jettison.dockerfile.statements import Statement

_COPY_FLAGS: Final[Mapping[str, FlagKind]] = {
    "from": "text", "chown": "text", "chmod": "text", "link": "bool", "parents": "bool", "exclude": "list",
}  # fmt: skip
_ADD_FLAGS: Final[Mapping[str, FlagKind]] = {
    "chown": "text", "chmod": "text", "link": "bool", "exclude": "list", "checksum": "text", "keep-git-dir": "bool",
    "unpack": "bool",
}  # fmt: skip
_LOOKS_LIKE_HEREDOC = re.compile(r"\d*<<-?[^<\s]+")


def parse_copy(statement: Statement) -> Copy:
    """``COPY [flags] source ... destination`` and ``ADD``; also with a JSON array."""
    flags = read_flags(statement, _COPY_FLAGS if statement.keyword == "COPY" else _ADD_FLAGS)
    from_stage = first_word(flags, "from")
    if from_stage:
        _check_from(statement, from_stage)
    link = first_word(flags, "link")
    parents = first_word(flags, "parents")
    items = _items(statement)
    dest = items[-1]
    if isinstance(dest, Heredoc):
        raise statement.refusal(
            "heredoc-destination",
            f"the heredoc '{dest.name}' can't be the destination",
            dest.span,
            hint=f"write the destination after it: {statement.keyword} <<{dest.name} /path/file",
        )
    return Copy(
        span=statement.span,
        keyword=statement.keyword,
        keyword_span=statement.keyword_span,
        comments=statement.comments,
        sources=tuple(items[:-1]),
        dest=dest,
        from_stage=from_stage,
        chown=first_word(flags, "chown"),
        chmod=first_word(flags, "chmod"),
        link=link,
        is_link=link is not None and link.text == "true",
        parents=parents,
        has_parents=parents is not None and parents.text == "true",
        excludes=all_words(flags, "exclude"),
        checksum=first_word(flags, "checksum"),
        keep_git_dir=first_word(flags, "keep-git-dir"),
        unpack=first_word(flags, "unpack"),
    )


def _items(statement: Statement) -> list[Word | Heredoc]:
    form = statement.json
    items: list[Word | Heredoc] = list(form.words) if form else _plain_items(statement)
    if form is None:
        warn_of_json(statement)
    keyword = statement.keyword
    if not items:
        raise statement.refusal(
            "missing-argument",
            f"{keyword} needs a source and a destination",
            hint=f"write {keyword} source /destination",
        )
    if len(items) == 1:
        raise statement.refusal(
            "missing-destination",
            f"{keyword} has a source but no destination",
            statement.rest.span(),
            hint=f'write {keyword} ["source", "/destination"]'
            if form
            else f"write {keyword} {statement.rest.text} /destination",
        )
    return items


def _plain_items(statement: Statement) -> list[Word | Heredoc]:
    items: list[Word | Heredoc] = []
    waiting = list(statement.heredocs)
    end = -1
    for word in statement.words():
        span = word.span()
        if span.start < end:  # the rest of a heredoc word whose delimiter is quoted and holds blanks
            continue
        if waiting and waiting[0].span.start == span.start:
            end = waiting[0].span.end
            items.append(waiting.pop(0))
            continue
        if statement.has_unbalanced_quotes and _LOOKS_LIKE_HEREDOC.fullmatch(word.text):
            statement.report(
                "heredoc-unreadable",
                f"'{word.text}' is no heredoc, because a quote or brace of this line does not close",
                span,
                hint="close the quote or the '${'",
            )
        items.append(word.word())
    return items


def _check_from(statement: Statement, word: Word) -> None:
    if word.text.find("$") not in {-1, len(word.text) - 1}:
        statement.report(
            "from-variable",
            "'--from' can't hold a variable",
            word.span,
            hint="name a stage for it: FROM image:$TAG AS tools, then --from=tools",
        )
