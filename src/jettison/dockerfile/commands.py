"""The instructions that take words: one function each from a statement to its node.

FROM, ARG, ENV, LABEL, WORKDIR, USER, EXPOSE, VOLUME, STOPSIGNAL, SHELL, MAINTAINER. A function returns the node and collects
what is wrong in the statement; the parser drops nodes of faulty statements. ``commands_run`` and ``commands_copy`` hold the
others.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jettison.dockerfile.flags import first_word, read_flags
from jettison.dockerfile.json_form import looks_like_json
from jettison.dockerfile.nodes import (
    Arg,
    Env,
    Expose,
    From,
    Label,
    Maintainer,
    Pair,
    ParseWarning,
    Shell,
    Stopsignal,
    User,
    Volume,
    Word,
    Workdir,
)
from jettison.dockerfile.pairs import split_pair_words
from jettison.dockerfile.signals import SIGNALS, parse_signal
from jettison.dockerfile.spaces import BLANKS_CLASS, SPACES
from jettison.span import Span, nearest_name

if TYPE_CHECKING:
    from jettison.dockerfile.lines import Passage
    from jettison.dockerfile.statements import Statement

_STAGE_NAME = re.compile(r"[a-z][a-z0-9\-_.]*")
_BLANKS = re.compile(f"[{BLANKS_CLASS}]+")


def parse_from(statement: Statement) -> From:
    """``FROM [--platform=p] base [AS name]``."""
    flags = read_flags(statement, {"platform": "text"})
    words = statement.words()
    name = words[2] if len(words) == 3 else None
    if not words:
        raise statement.refusal(
            "from-words", "FROM needs an image", hint="write FROM image, FROM image AS name, or FROM scratch"
        )
    if len(words) not in {1, 3} or (name and words[1].text.lower() != "as"):
        hint = "write FROM image AS name"
        if len(words) == 2:
            hint = "remove the second word, or write FROM image AS name"
        if words[-1].text.startswith("--"):
            hint = "flags come first: FROM --platform=linux/amd64 image"
        if any(word.text.startswith("#") for word in words):
            hint = "a comment needs a line of its own"
        raise statement.refusal(
            "from-words",
            f"FROM takes one word or three, not '{statement.rest.text}'",
            words[1].span() if len(words) > 1 else None,
            hint=hint,
        )
    lowered = name.text.lower() if name else None
    if name and lowered and not _STAGE_NAME.fullmatch(lowered):
        statement.report(
            "stage-name",
            f"'{name.text}' is no name for a stage",
            name.span(),
            hint="begin with a letter, go on with letters, digits, '-', '_' and '.'",
        )
    return From(
        span=statement.span,
        keyword=statement.keyword,
        keyword_span=statement.keyword_span,
        comments=statement.comments,
        base=words[0].word(),
        platform=first_word(flags, "platform"),
        name=lowered,
        name_span=name.span() if name else None,
        as_span=words[1].span() if name else None,
    )


def parse_arg(statement: Statement) -> Arg:
    """``ARG name[=default] ...``."""
    read_flags(statement, {})
    pairs = tuple(_pair(statement, word) for word in split_pair_words(statement.rest, statement.escape))
    if not pairs:
        raise statement.refusal("missing-argument", "ARG needs a name", hint="write ARG name or ARG name=default")
    return Arg(
        span=statement.span,
        keyword=statement.keyword,
        keyword_span=statement.keyword_span,
        comments=statement.comments,
        pairs=pairs,
    )


def parse_env(statement: Statement) -> Env:
    """``ENV key=value ...`` or the legacy ``ENV key value``."""
    pairs, is_legacy = _pairs(statement)
    return Env(
        span=statement.span,
        keyword=statement.keyword,
        keyword_span=statement.keyword_span,
        comments=statement.comments,
        pairs=pairs,
        is_legacy=is_legacy,
    )


def parse_label(statement: Statement) -> Label:
    """``LABEL key=value ...`` or the legacy ``LABEL key value``."""
    pairs, is_legacy = _pairs(statement)
    return Label(
        span=statement.span,
        keyword=statement.keyword,
        keyword_span=statement.keyword_span,
        comments=statement.comments,
        pairs=pairs,
        is_legacy=is_legacy,
    )


def parse_workdir(statement: Statement) -> Workdir:
    """``WORKDIR path``; the rest of the line is the path."""
    return Workdir(
        span=statement.span,
        keyword=statement.keyword,
        keyword_span=statement.keyword_span,
        comments=statement.comments,
        path=_rest(statement, "a path", "WORKDIR /app"),
    )


def parse_user(statement: Statement) -> User:
    """``USER name[:group]``; the rest of the line is the name."""
    return User(
        span=statement.span,
        keyword=statement.keyword,
        keyword_span=statement.keyword_span,
        comments=statement.comments,
        user=_rest(statement, "a user", "USER name or USER uid:gid"),
    )


def parse_maintainer(statement: Statement) -> Maintainer:
    """``MAINTAINER name``; the rest of the line is the name."""
    return Maintainer(
        span=statement.span,
        keyword=statement.keyword,
        keyword_span=statement.keyword_span,
        comments=statement.comments,
        author=_rest(statement, "a name", "LABEL org.opencontainers.image.authors=... instead").text,
    )


def parse_stopsignal(statement: Statement) -> Stopsignal:
    """``STOPSIGNAL name-or-number``; judged here unless it holds a variable."""
    word = _rest(statement, "a signal", "STOPSIGNAL SIGTERM")
    text = word.text
    if not set(text) & {"$", "'", '"', statement.escape} and parse_signal(text) is None:
        near = nearest_name(text.upper().removeprefix("SIG"), tuple(SIGNALS))
        statement.report(
            "stop-signal",
            f"'{text}' is no signal",
            word.span,
            hint=f"did you mean 'SIG{near}'?" if near else "write a name as SIGTERM or a number from 1 to 64",
        )
    return Stopsignal(
        span=statement.span,
        keyword=statement.keyword,
        keyword_span=statement.keyword_span,
        comments=statement.comments,
        signal=word,
    )


def parse_expose(statement: Statement) -> Expose:
    """``EXPOSE port[/protocol] ...``."""
    read_flags(statement, {})
    ports = tuple(word.word() for word in statement.words())
    if not ports:
        raise statement.refusal("missing-argument", "EXPOSE needs a port", hint="write EXPOSE 8080 or EXPOSE 53/udp")
    return Expose(
        span=statement.span,
        keyword=statement.keyword,
        keyword_span=statement.keyword_span,
        comments=statement.comments,
        ports=ports,
    )


def parse_volume(statement: Statement) -> Volume:
    """``VOLUME`` with a JSON array or words."""
    read_flags(statement, {})
    form = statement.json
    words = form.words if form else tuple(word.word() for word in statement.words())
    paths = tuple(Word(text=word.text.strip(SPACES), span=word.span) for word in words)
    if not paths:
        raise statement.refusal(
            "missing-argument", "VOLUME needs a path", hint='write VOLUME /data or VOLUME ["/data"]'
        )
    for path in paths:
        if not path.text:
            statement.report("volume-empty", "a volume's path is empty", path.span, hint="write a path, or remove it")
    if not form:
        warn_of_json(statement)
    return Volume(
        span=statement.span,
        keyword=statement.keyword,
        keyword_span=statement.keyword_span,
        comments=statement.comments,
        paths=paths,
        is_json=form is not None,
    )


def parse_shell(statement: Statement) -> Shell:
    """``SHELL ["program", "argument"]``; JSON only."""
    read_flags(statement, {})
    form = statement.json
    if form is None:
        raise statement.refusal(
            "shell-not-json",
            "SHELL needs a JSON array",
            statement.rest.span() if statement.rest.text else None,
            hint='write SHELL ["/bin/bash", "-c"], with double quotes',
        )
    if not form.args:
        raise statement.refusal(
            "missing-argument",
            "SHELL needs at least a program",
            statement.rest.span(),
            hint='write SHELL ["/bin/bash", "-c"]',
        )
    return Shell(
        span=statement.span,
        keyword=statement.keyword,
        keyword_span=statement.keyword_span,
        comments=statement.comments,
        args=form.args,
    )


def warn_of_json(statement: Statement) -> None:
    """Warn when the rest was probably meant as a JSON array but is none, and is taken as plain text."""
    if looks_like_json(statement.rest.text):
        statement.warnings.append(
            ParseWarning(
                rule="MalformedJSONForm",
                message="this looks like a JSON array but is none (double quotes, no comma at the end), so it is plain text",
                span=statement.rest.span(),
            )
        )


def _rest(statement: Statement, what: str, example: str) -> Word:
    read_flags(statement, {})
    if not statement.rest.text:
        raise statement.refusal("missing-argument", f"{statement.keyword} needs {what}", hint=f"write {example}")
    return statement.rest.word()


def _pairs(statement: Statement) -> tuple[tuple[Pair, ...], bool]:
    read_flags(statement, {})
    keyword = statement.keyword
    words = split_pair_words(statement.rest, statement.escape)
    if not words:
        raise statement.refusal("missing-argument", f"{keyword} needs key=value", hint=f"write {keyword} key=value")
    if "=" not in words[0].text:
        return (_legacy_pair(statement),), True
    pairs: list[Pair] = []
    strays: list[Passage] = []
    for word in words:
        if "=" not in word.text:
            strays.append(word)
            continue
        _refuse_strays(statement, strays, pairs)
        pairs.append(_pair(statement, word))
    _refuse_strays(statement, strays, pairs)
    return tuple(pairs), False


def _refuse_strays(statement: Statement, strays: list[Passage], pairs: list[Pair]) -> None:
    """Report words without ``=``, which most likely belong to the value before them; empties the list."""
    if not strays:
        return
    text = " ".join(word.text for word in strays)
    before = pairs[-1]
    hint = "write every pair as key=value"
    assert before.value is not None
    if {"'", '"'}.isdisjoint(before.value.text + text):
        hint = f'quote a value that holds blanks: {before.key.text}="{before.value.text} {text}"'
    span = Span(source=statement.span.source, start=strays[0].span().start, end=strays[-1].span().end)
    statement.report("missing-equals", f"'{text}' has no '='", span, hint=hint)
    strays.clear()


def _legacy_pair(statement: Statement) -> Pair:
    rest = statement.rest
    gap = _BLANKS.search(rest.text)
    if gap is None:
        raise statement.refusal(
            "missing-value",
            f"'{rest.text}' has no value",
            rest.span(),
            hint=f"write {statement.keyword} {rest.text}=VALUE",
        )
    key = rest.cut(0, gap.start())
    value = rest.cut(gap.end())
    statement.warnings.append(
        ParseWarning(
            rule="LegacyKeyValueFormat",
            message=f"'{statement.keyword} key value' is the old form; write {statement.keyword} key=value",
            span=rest.span(),
        )
    )
    return Pair(key=key.word(), value=value.word(), span=rest.span())


def _pair(statement: Statement, word: Passage) -> Pair:
    equals = word.text.find("=")
    if equals == 0:
        statement.report(
            "blank-key",
            f"'{word.text}' has no name",
            word.span(),
            hint="write a name before '=', without blanks around it",
        )
    if equals == -1:
        return Pair(key=word.word(), value=None, span=word.span())
    return Pair(key=word.cut(0, equals).word(), value=word.cut(equals + 1).word(), span=word.span())
