"""Parser directives: the ``# name=value`` lines at the top, and what ``check`` says.

Owns which first lines are directives: ``syntax``, ``escape`` and ``check`` in any case, blanks around ``=`` allowed, until
the first line that is anything else. Behind a ``#!`` line ``syntax`` and ``check`` still count, ``escape`` does not (as in
BuildKit). Refuses to fetch what ``syntax`` names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jettison.dockerfile.nodes import Directive
from jettison.dockerfile.spaces import SPACES, SPACES_CLASS
from jettison.errors import Diagnostic, DockerfileError
from jettison.span import Span

if TYPE_CHECKING:
    from jettison.dockerfile.lines import LineReader
    from jettison.span import SourceFile

_BLANK = r"[\t\n\f\r ]*"
_DIRECTIVE = re.compile(f"#[{SPACES_CLASS}]*([a-zA-Z][a-zA-Z0-9]*){_BLANK}={_BLANK}(.+?){_BLANK}")
_FOREIGN = re.compile(f'//[{SPACES_CLASS}]*syntax{_BLANK}={_BLANK}(\\S+)|\\{{\\s*"', re.IGNORECASE)
_NAMES = ("syntax", "escape", "check")
_BOOLEANS = {word: value for value, words in ((True, "1 t T TRUE true True"), (False, "0 f F FALSE false False"))
             for word in words.split()}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOptions:
    """What ``check=skip=A,B;error=true`` asks for. Rule names keep their case."""

    skipped: frozenset[str] = frozenset()
    skips_all: bool = False
    experimental: frozenset[str] = frozenset()
    has_all_experimental: bool = False
    is_error: bool = False


def read_directives(reader: LineReader) -> tuple[list[Directive], list[Diagnostic]]:
    """Take the directive lines from the reader; return them in order, and what is wrong with them.

    Sets ``reader.escape``. Faults: ``duplicate-directive``, ``escape-directive``, ``check-option``.
    """
    directives: list[Directive] = []
    faults: list[Diagnostic] = []
    seen: set[str] = set()
    has_shebang = reader.peek().startswith("#!")
    if has_shebang:
        reader.take()
    while not reader.is_at_end:
        line = reader.peek().rstrip("\r\n")
        stripped = line.lstrip(SPACES)
        found = _DIRECTIVE.fullmatch(stripped)
        if found is None or (name := found[1].lower()) not in _NAMES:
            break
        origin = reader.position + len(line) - len(stripped)
        reader.take()
        if has_shebang and name == "escape":
            continue
        value = Span(source=reader.source, start=origin + found.start(2), end=origin + found.end(2))
        span = Span(source=reader.source, start=origin, end=value.end)
        directive = Directive(name=name, value=found[2], span=span)
        if name in seen:
            faults.append(
                _fault("duplicate-directive", f"a second '{name}' directive", span, "keep only one of the two")
            )
        else:
            faults.extend(_judge(reader, directive, value))
        seen.add(name)
        directives.append(directive)
    return directives, faults


def parse_check(text: str, *, span: Span | None = None) -> CheckOptions:
    """Return the options of a ``check`` directive, of a ``# check=`` comment or of ``BUILDKIT_DOCKERFILE_CHECK``.

    Grammar: ``option { ";" option }``; ``option = "skip=" rules | "experimental=" rules | "error=" boolean``,
    ``rules = "all" | rule { "," rule }``.

    Raises:
        DockerfileError: ``check-option``.

    """
    rules: dict[str, frozenset[str]] = {}
    is_error = False
    for part in text.strip(SPACES).split(";") if text.strip(SPACES) else ():
        key, equals, value = part.partition("=")
        key, value = key.strip(SPACES), value.strip(SPACES)
        if equals and key in {"skip", "experimental"}:
            rules[key] = frozenset(rule.strip(SPACES) for rule in value.split(","))
        elif equals and key == "error" and value in _BOOLEANS:
            is_error = _BOOLEANS[value]
        else:
            raise DockerfileError(
                f"'{part}' is no check option",
                slug="check-option",
                span=span,
                hint="write check=skip=RuleA,RuleB;error=true (or skip=all, experimental=all)",
            )
    all_rules = frozenset({"all"})
    skipped, experimental = (rules.get(key, frozenset()) for key in ("skip", "experimental"))
    return CheckOptions(
        skipped=frozenset() if skipped == all_rules else skipped,
        skips_all=skipped == all_rules,
        experimental=frozenset() if experimental == all_rules else experimental,
        has_all_experimental=experimental == all_rules,
        is_error=is_error,
    )


def find_foreign_syntax(source: SourceFile, start: int) -> Span | None:
    """Return the span that shows the text to be for another frontend (``// syntax=...`` or a JSON object), or None."""
    found = _FOREIGN.match(source.text, start)
    return Span(source=source, start=start, end=found.end()) if found else None


def _judge(reader: LineReader, directive: Directive, value: Span) -> tuple[Diagnostic, ...]:
    if directive.name == "check":
        try:
            parse_check(directive.value, span=value)
        except DockerfileError as error:
            return error.diagnostics
    elif directive.name == "escape":
        if directive.value not in {"\\", "`"}:
            message = f"'{directive.value}' can't be the escape character"
            return (_fault("escape-directive", message, value, "write a backslash or a backtick"),)
        reader.escape = directive.value
    return ()


def _fault(slug: str, message: str, span: Span, hint: str) -> Diagnostic:
    return Diagnostic(slug=slug, message=message, span=span, hint=hint)
