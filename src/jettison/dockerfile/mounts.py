"""``RUN --mount``: one record of CSV with ``key=value`` fields, and which of them each kind of mount allows.

Owns all rules of the options. A mount is read twice: by the parser, which judges what holds no variable, and by
``expand_mount`` when the variables are known. ``required`` and ``size`` are judged by the kind read so far, all others by
the kind in the end. Refuses to know what a mount does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NoReturn, TypeAlias, cast

from jettison.dockerfile.nodes import Mount, Word
from jettison.dockerfile.words import expand
from jettison.errors import DockerfileError
from jettison.span import Span, nearest_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jettison.dockerfile.nodes import MountKind
    from jettison.dockerfile.statements import FlagText

    Locate: TypeAlias = Callable[[int, int], Span]

_Sharing: TypeAlias = Literal["shared", "private", "locked"]
_KINDS = ("bind", "cache", "tmpfs", "secret", "ssh")
_SHARINGS = ("shared", "private", "locked")
_KEYS = {
    "type": "type", "from": "from", "source": "source", "src": "source", "target": "target", "dst": "target",
    "destination": "target", "readonly": "readonly", "ro": "readonly", "readwrite": "readwrite", "rw": "readwrite",
    "required": "required", "size": "size", "id": "id", "sharing": "sharing", "mode": "mode", "uid": "uid", "gid": "gid",
    "env": "env",
}  # fmt: skip
_BARE_KEYS = frozenset({"readonly", "readwrite", "required"})
_BOOLEANS = {
    "1": True, "t": True, "T": True, "TRUE": True, "true": True, "True": True,
    "0": False, "f": False, "F": False, "FALSE": False, "false": False, "False": False,
}  # fmt: skip
_FIELD = re.compile(r'"(?P<quoted>(?:[^"]|"")*)"(?=,|\Z)|(?P<plain>[^,"]*)(?=,|\Z)')
_SIZE = re.compile(r"(\d+(?:\.\d*)?|\.\d+) ?([kmgtp]?)(i?b)?", re.IGNORECASE | re.ASCII)
_MAX_ID = (1 << 32) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Option:
    """One field: the key it means, the key as written, the value (None without ``=``) and the span of the field."""

    key: str
    shown: str
    value: Word | None
    span: Span


@dataclass(slots=True, kw_only=True)
class _Draft:
    """The options read so far. ``is_kind_known`` is false once ``type`` turns out to be a variable."""

    kind: MountKind = "bind"
    is_kind_known: bool = True
    sharing: _Sharing | None = None
    is_read_only: bool | None = None
    is_required: bool = False
    has_variables: bool = False
    words: dict[str, Word] = field(default_factory=dict)


def parse_mount(flag: FlagText, *, escape: str) -> Mount:
    """Return the mount with its words as written; options that hold variables, quotes or escapes are not judged.

    Raises:
        DockerfileError: ``mount-...`` for the first wrong option.

    """

    def locate(start: int, end: int) -> Span:
        return flag.cut(start, end).span()

    return _Reader(flag.word(), locate, variables=None, escape=escape).read()


def expand_mount(mount: Mount, variables: Mapping[str, str], *, escape: str = "\\") -> Mount:
    """Return the mount with all variables replaced and every rule checked; its words are final text.

    Raises:
        DockerfileError: ``mount-...`` for the first wrong option, and those of ``words.expand``.

    """
    text = mount.text
    assert text is not None
    whole = text.span
    is_exact = whole.text == text.text

    def locate(start: int, end: int) -> Span:
        return Span(source=whole.source, start=whole.start + start, end=whole.start + end) if is_exact else whole

    return _Reader(text, locate, variables=variables, escape=escape).read()


def parse_size(text: str) -> int | None:
    """Return the bytes that a size such as ``64m``, ``1.5GiB`` or ``4096`` names (powers of 1024); None if it is none."""
    match = _SIZE.fullmatch(text)
    if match is None or (match[3] and match[3].lower() == "ib" and not match[2]):
        return None
    return int(float(match[1]) * 1024 ** " kmgtp".index(match[2].lower() or " "))


class _Reader:
    """One reading of a mount's text, with variables or without."""

    def __init__(self, text: Word, locate: Locate, *, variables: Mapping[str, str] | None, escape: str) -> None:
        self.text = text
        self.locate = locate
        self.variables = variables
        self.escape = escape

    def read(self) -> Mount:
        draft = _Draft()
        for option in self._options():
            self._apply(draft, option)
        if draft.is_kind_known:
            _check_kind(draft, self.text)
        words = draft.words
        return Mount(
            kind=draft.kind,
            span=self.text.span,
            target=words.get("target"),
            source=words.get("source"),
            from_stage=words.get("from"),
            id=words.get("id"),
            is_read_only=draft.is_read_only,
            sharing=draft.sharing or "shared",
            mode=words.get("mode"),
            uid=words.get("uid"),
            gid=words.get("gid"),
            size=words.get("size"),
            is_required=draft.is_required,
            env=words.get("env"),
            text=self.text,
            has_variables=draft.has_variables,
        )

    def _options(self) -> Iterator[_Option]:
        text = self.text.text
        if not text:
            raise _refusal(
                "mount-empty", "'--mount' has no options", self.text.span, hint="write --mount=type=cache,target=/path"
            )
        position = 0
        while position <= len(text):
            match = _FIELD.match(text, position)
            if match is None:
                raise _refusal(
                    "mount-quote",
                    f"the quotes of '{text[position:]}' do not enclose a whole field",
                    self.locate(position, len(text)),
                    hint="""quote key and value together and the CSV quotes themselves: --mount='"target=/a,b"'""",
                )
            yield self._option(match)
            position = match.end() + 1

    def _option(self, match: re.Match[str]) -> _Option:
        span = self.locate(match.start(), match.end())
        quoted = match["quoted"]
        content = match["plain"] if quoted is None else quoted.replace('""', '"')
        key, equals, value = content.partition("=")
        lowered = key.lower()
        meant = _KEYS.get(lowered)
        if equals and (quoted is None or quoted == content):
            end = match.end() - (quoted is not None)
            value_span = self.locate(end - len(value), end)
        else:
            value_span = span
        if not equals and meant not in _BARE_KEYS:
            raise _refusal(
                "mount-field",
                f"'{content}' is no key=value",
                span,
                hint=_field_hint(lowered, is_known=meant is not None),
            )
        if meant is None:
            near = nearest_name(lowered, tuple(_KEYS))
            raise _refusal(
                "mount-key",
                f"'--mount' has no option '{key}'",
                span,
                hint=f"did you mean '{near}'?" if near else "the options are " + ", ".join(sorted(_KEYS)),
            )
        return _Option(key=meant, shown=lowered, value=Word(text=value, span=value_span) if equals else None, span=span)

    def _apply(self, draft: _Draft, option: _Option) -> None:
        value = option.value
        if option.key == "from":
            assert value is not None
            _check_from(value)
            if value.text:
                draft.words["from"] = value
            return
        if value is not None and self._is_open(value.text):
            draft.has_variables = True
            draft.is_kind_known = draft.is_kind_known and option.key != "type"
            if option.key not in {"type", "sharing", "readonly", "readwrite", "required"}:
                draft.words[option.key] = value
            return
        if value is not None and self.variables is not None:
            value = Word(text=expand(value, self.variables, escape=self.escape).text, span=value.span)
        match option.key:
            case "readonly" | "readwrite":
                is_given = _read_boolean(option, value)
                draft.is_read_only = is_given if option.key == "readonly" else not is_given
            case "required":
                _allow(draft, option, ("secret", "ssh"))
                draft.is_required = _read_boolean(option, value)
            case _:
                assert value is not None
                _apply_value(draft, option, value)

    def _is_open(self, text: str) -> bool:
        return self.variables is None and ("$" in text or "'" in text or '"' in text or self.escape in text)


def _apply_value(draft: _Draft, option: _Option, value: Word) -> None:
    match option.key:
        case "type":
            draft.kind = cast("MountKind", _choose(value, _KINDS, "mount-type", "type"))
            draft.is_kind_known = True
            return
        case "sharing":
            draft.sharing = cast("_Sharing", _choose(value, _SHARINGS, "mount-sharing", "sharing"))
        case "size":
            _allow(draft, option, ("tmpfs",))
            if parse_size(value.text) is None:
                _refuse_value(option, value, "write a number of bytes, or with a unit: size=64m")
        case "mode":
            if not _is_number(value.text, "01234567", 8):
                _refuse_value(option, value, "write an octal number: mode=0755")
        case "uid" | "gid":
            if not _is_number(value.text, "0123456789", 10):
                _refuse_value(option, value, f"write a number: {option.key}=1000 (names are not looked up here)")
        case _:
            pass
    draft.words[option.key] = value


def _check_kind(draft: _Draft, text: Word) -> None:
    """Check what may be judged only when all options are known."""
    words = draft.words
    if draft.kind in {"bind", "tmpfs"}:
        for key in ("mode", "uid", "gid"):
            if key in words:
                _refuse_option(key, draft.kind, words[key].span)
    if draft.kind == "secret":
        _check_secret(words, text)
    elif "env" in words:
        _refuse_option("env", draft.kind, words["env"].span)
    if draft.sharing is not None and draft.kind != "cache":
        _refuse_option("sharing", draft.kind, words["sharing"].span)


def _check_secret(words: Mapping[str, Word], text: Word) -> None:
    if "from" in words:
        _refuse_option("from", "secret", words["from"].span)
    if "source" in words and words["source"].text and "id" in words and words["id"].text:
        raise _refusal(
            "mount-secret-id",
            "a secret mount has either an id or a source",
            words["source"].span,
            hint="keep id= and remove source=",
        )
    if not any(words[key].text for key in ("source", "target", "id") if key in words):
        raise _refusal(
            "mount-secret-id", "a secret mount needs an id or a target", text.span, hint="write type=secret,id=NAME"
        )


def _check_from(value: Word) -> None:
    place = value.text.find("$")
    if place not in {-1, len(value.text) - 1}:
        raise _refusal(
            "from-variable",
            "'from' can't hold a variable",
            value.span,
            hint="name a stage for it: FROM image:$TAG AS tools, then from=tools",
        )


def _allow(draft: _Draft, option: _Option, kinds: tuple[str, ...]) -> None:
    if draft.is_kind_known and draft.kind not in kinds:
        _refuse_option(option.key, draft.kind, option.span, is_early=True)


def _choose(value: Word, known: tuple[str, ...], slug: str, what: str) -> str:
    lowered = value.text.lower()
    if lowered in known:
        return lowered
    near = nearest_name(value.text, known)
    raise _refusal(
        slug,
        f"'{value.text}' is no {what} of a mount",
        value.span,
        hint=f"did you mean '{near}'?" if near else f"write one of {', '.join(known)}",
    )


def _read_boolean(option: _Option, value: Word | None) -> bool:
    if value is None:
        return True
    if value.text not in _BOOLEANS:
        _refuse_value(option, value, f"write {option.shown}, {option.shown}=true or {option.shown}=false")
    return _BOOLEANS[value.text]


def _is_number(text: str, digits: str, base: int) -> bool:
    return bool(text) and not text.strip(digits) and len(text) <= 32 and int(text, base) <= _MAX_ID


def _field_hint(key: str, *, is_known: bool) -> str:
    if is_known:
        return f"write {key}=VALUE"
    near = nearest_name(key, tuple(_BARE_KEYS))
    return f"did you mean '{near}'?" if near else "write key=value fields with commas and no blanks between them"


def _refuse_value(option: _Option, value: Word, hint: str) -> NoReturn:
    raise _refusal("mount-value", f"'{value.text}' is no value for '{option.shown}'", value.span, hint=hint)


def _refuse_option(key: str, kind: str, span: Span, *, is_early: bool = False) -> NoReturn:
    hint = f"remove {key}=, or put the right type= before it" if is_early else f"remove {key}=, or change type={kind}"
    raise _refusal("mount-option", f"a {kind} mount has no '{key}'", span, hint=hint)


def _refusal(slug: str, message: str, span: Span, *, hint: str) -> DockerfileError:
    return DockerfileError(message, slug=slug, span=span, hint=hint)
