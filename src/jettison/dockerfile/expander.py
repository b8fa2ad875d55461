"""The reader of one word: the expansion language and its errors.

Owns that language, which is not a shell's::

    word         = { plain | escape any | "'" ... "'" | '"' ... '"' | variable }
    variable     = "$" name | "${" name [ operator ] "}"
    operator     = [":"] ("-" | "+" | "?") word
                 | ("#" | "##" | "%" | "%%") pattern
                 | ("/" | "//") pattern "/" word
    name         = letter or "_" { letter | digit | "_" } | digits | one of @ * # ? - $ !

Text that variables bring in is never expanded again. Errors point
to the characters at fault when the word stands in the source as it is (no continuation or flag quoting inside).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jettison.dockerfile.patterns import PatternError, find_matches, parse_pattern, remove_prefix, remove_suffix
from jettison.dockerfile.spaces import SPACES_CLASS
from jettison.errors import DockerfileError
from jettison.limits import DEFAULT_LIMITS
from jettison.span import Span

if TYPE_CHECKING:
    from collections.abc import Mapping


_SPECIAL_NAMES = "@*#?-$!"
_TEMPLATE = re.compile(r"\$(?:(?P<dollar>\$)|(?P<name>[A-Za-z0-9_]+)|\{(?P<braced>[A-Za-z0-9_]+)\})")
_SPLIT = re.compile(f"[{SPACES_CLASS}]+")
_OPERATORS_HINT = (
    "the forms are ${v:-x} ${v-x} ${v:+x} ${v+x} ${v:?x} ${v?x} ${v#p} ${v##p} ${v%p} ${v%%p} ${v/p/x} ${v//p/x}"
)
_QUOTE_HINT = "close the quote, or put the escape character before it if it is meant as text"
_BRACE_HINT = "close the brace, or write the escape character before the '$' if it is meant as text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """What a word means. ``text`` is one word; ``words`` are its parts, split at blanks that came without quotes.

    ``undefined`` and ``defined`` name the variables that were looked up, in order and once each, whatever the operator.
    """

    text: str
    words: tuple[str, ...]
    undefined: tuple[str, ...] = ()
    defined: tuple[str, ...] = ()


def check_size(size: int, span: Span) -> None:
    """Refuse an expansion beyond the bound (``expansion-too-large``)."""
    if size > DEFAULT_LIMITS.expansion_chars:
        raise DockerfileError(
            f"the expanded word is longer than {DEFAULT_LIMITS.expansion_chars} characters",
            slug="expansion-too-large",
            span=span,
            hint="put long text into a file and copy it",
        )


class Expander:
    """One expansion: a reader over the word's text that recurses into braces."""

    def __init__(self, text: str, span: Span, variables: Mapping[str, str], *, escape: str, has_quotes: bool) -> None:
        self.text = text
        self.span = span
        self.variables = variables
        self.escape = escape
        self.has_quotes = has_quotes
        self.position = 0
        self.depth = 0
        self.opening = 0
        self.found: dict[str, bool] = {}

    def run(self) -> Expansion:
        """Return what the whole word means."""
        pieces = self._read_until("", is_raw=False)
        text = "".join(piece for piece, _ in pieces)
        return Expansion(
            text=text,
            words=split_words(pieces),
            undefined=tuple(name for name, is_set in self.found.items() if not is_set),
            defined=tuple(name for name, is_set in self.found.items() if is_set),
        )

    def _read_until(self, stop: str, *, is_raw: bool) -> list[tuple[str, bool]]:
        """Read to the stop character (taken, not returned) or, without one, to the end.

        Gives pieces of text, each with whether blanks in it part words. ``is_raw`` keeps escape characters (patterns need them).
        """
        pieces: list[tuple[str, bool]] = []
        size = 0
        text = self.text
        while self.position < len(text):
            char = text[self.position]
            if char == stop:
                self.position += 1
                return pieces
            if char == "$":
                piece = self._read_variable()
                pieces.append((piece, True))
            elif char in "'\"" and self.has_quotes:
                piece = self._read_single_quoted() if char == "'" else self._read_double_quoted(is_raw=is_raw)
                pieces.append((piece, False))
            elif char == self.escape:
                piece = text[self.position if is_raw else self.position + 1 : self.position + 2]
                self.position += 2
                pieces.append((piece, False))
            else:
                piece = self._read_plain(stop)
                pieces.append((piece, True))
            size += len(piece)
            check_size(size, self.span)
        if stop:
            raise self._refusal("unclosed-brace", "a '${' without its '}'", self.opening, hint=_BRACE_HINT)
        return pieces

    def _read_plain(self, stop: str) -> str:
        start = self.position
        text = self.text
        ends = "$'\"" + self.escape + stop if self.has_quotes else "$" + self.escape + stop
        position = start + 1
        while position < len(text) and text[position] not in ends:
            position += 1
        self.position = position
        return text[start:position]

    def _read_single_quoted(self) -> str:
        start = self.position
        end = self.text.find("'", start + 1)
        if end == -1:
            raise self._refusal("unclosed-quote", "a single quote is not closed", start, hint=_QUOTE_HINT)
        self.position = end + 1
        return self.text[start + 1 : end]

    def _read_double_quoted(self, *, is_raw: bool) -> str:
        start = self.position
        self.position += 1
        text = self.text
        pieces: list[str] = []
        size = 0
        while self.position < len(text):
            char = text[self.position]
            if char == '"':
                self.position += 1
                return "".join(pieces)
            if char == "$":
                pieces.append(self._read_variable())
            elif char == self.escape:
                pieces.append(self._read_quoted_escape(is_raw=is_raw))
            else:
                end = self.position + 1
                while end < len(text) and text[end] not in '"$' and text[end] != self.escape:
                    end += 1
                pieces.append(text[self.position : end])
                self.position = end
            size += len(pieces[-1])
            check_size(size, self.span)
        raise self._refusal("unclosed-quote", "a double quote is not closed", start, hint=_QUOTE_HINT)

    def _read_quoted_escape(self, *, is_raw: bool) -> str:
        """Read an escape inside double quotes, where only the quote, the dollar and the escape itself can be escaped."""
        following = self.text[self.position + 1 : self.position + 2]
        prefix = self.escape if is_raw else ""
        if following and (following in '"$' or following == self.escape):
            self.position += 2
            return prefix + following
        self.position += 1
        return prefix + self.escape

    def _read_variable(self) -> str:
        start = self.position
        if self.text[start + 1 : start + 2] == "{":
            self.depth += 1
            if self.depth > DEFAULT_LIMITS.expansion_depth:
                raise self._refusal(
                    "expansion-too-deep",
                    f"more than {DEFAULT_LIMITS.expansion_depth} '${{' inside each other",
                    start,
                    hint="split the value over several ARG or ENV instructions",
                )
            value = self._read_braced(start)
            self.depth -= 1
            return value
        end = name_end(self.text, start + 1)
        self.position = end
        if end == start + 1:
            return "$"
        return self._look_up(self.text[start + 1 : end]) or ""

    def _read_braced(self, start: int) -> str:
        text = self.text
        begin = start + 2
        end = name_end(text, begin)
        name = text[begin:end]
        operator = text[end : end + 1]
        if not name and operator:
            raise self._refuse_name(start)
        self.position = end + 1
        if operator == "}":
            return self._look_up(name) or ""
        outer, self.opening = self.opening, start
        if operator in {"-", "+", "?"}:
            value = self._substitute(name, operator, is_empty_unset=False)
        elif operator == ":":
            self.position = end + 2
            value = self._substitute(name, text[end + 1 : end + 2], is_empty_unset=True)
        elif operator in {"#", "%"}:
            value = self._trim(name, operator)
        elif operator == "/":
            value = self._replace(name)
        else:
            raise self._refuse_operator(operator)
        self.opening = outer
        return value

    def _substitute(self, name: str, operator: str, *, is_empty_unset: bool) -> str:
        if operator not in {"-", "+", "?"}:
            raise self._refuse_operator(":" + operator)
        word = self._join("}", is_raw=False)
        value = self._look_up(name)
        is_present = value is not None and not (is_empty_unset and not value)
        if operator == "+":
            return word if is_present else ""
        if is_present:
            return value or ""
        if operator == "-":
            return word
        state = "must not be empty" if value is not None else "must be set"
        raise self._refusal(
            "variable-required",
            f"variable '{name}' {state}" + (f": {word}" if word else ""),
            self.opening,
            end=self.position,
            hint=f"give it with --build-arg {name}=... (declared by an ARG {name}), or set it above",
        )

    def _trim(self, name: str, operator: str) -> str:
        start = self.position
        word = self._join("}", is_raw=True)
        value = self._look_up(name) or ""
        is_longest = word.startswith(operator)
        remove = remove_prefix if operator == "#" else remove_suffix
        try:
            return remove(parse_pattern(word[is_longest:]), value, is_longest=is_longest)
        except PatternError as error:
            raise self._refuse_pattern(error, start) from error

    def _replace(self, name: str) -> str:
        is_all = self.text[self.position : self.position + 1] == "/"
        self.position += is_all
        start = self.position
        pattern_text = self._join_pattern()
        replacement = self._join("}", is_raw=True)
        value = self._look_up(name) or ""
        try:
            pattern = parse_pattern(pattern_text)
        except PatternError as error:
            raise self._refuse_pattern(error, start) from error
        pieces: list[str] = []
        position = 0
        size = len(value)
        for begin, end in find_matches(pattern, value, is_all=is_all):
            new = _fill_template(replacement, value[begin:end]) if is_all else replacement
            size += len(new)
            check_size(size, self.span)
            pieces += (value[position:begin], new)
            position = end
        return "".join(pieces) + value[position:]

    def _join(self, stop: str, *, is_raw: bool) -> str:
        return "".join(piece for piece, _ in self._read_until(stop, is_raw=is_raw))

    def _join_pattern(self) -> str:
        try:
            return self._join("/", is_raw=True)
        except DockerfileError as error:
            if error.slug != "unclosed-brace" or self.position < len(self.text):
                raise
            raise self._refusal(
                "unclosed-pattern",
                "a pattern without the '/' that ends it",
                self.opening,
                hint="write ${name/pattern/replacement}; escape a '/' that belongs to the pattern",
            ) from error

    def _look_up(self, name: str) -> str | None:
        value = self.variables.get(name)
        self.found.setdefault(name, value is not None)
        return value

    def _refuse_name(self, start: int) -> DockerfileError:
        end = self.text.find("}", start) + 1 or len(self.text)
        return self._refusal(
            "bad-substitution",
            f"'{self.text[start:end]}' names no variable",
            start,
            end=end,
            hint="write a name after '${', or the escape character before '$' if it is meant as text",
        )

    def _refuse_operator(self, operator: str) -> DockerfileError:
        if not operator.removeprefix(":"):
            return self._refusal("unclosed-brace", "a '${' without its '}'", self.opening, hint=_BRACE_HINT)
        return self._refusal(
            "unsupported-modifier",
            f"'{operator}' is no operator of a substitution",
            self.opening,
            end=self.position,
            hint=_OPERATORS_HINT,
        )

    def _refuse_pattern(self, error: PatternError, start: int) -> DockerfileError:
        return self._refusal(
            "invalid-pattern",
            f"'{error}' is no escape of a pattern",
            start,
            end=self.position - 1,
            hint="a backslash may stand before * ? \\ } and / only",
        )

    def _refusal(self, slug: str, message: str, start: int, *, end: int | None = None, hint: str) -> DockerfileError:
        span = self.span
        if span.text == self.text:
            stop = len(self.text) if end is None else end
            span = Span(source=span.source, start=span.start + start, end=span.start + max(start + 1, stop))
        return DockerfileError(message, slug=slug, span=span, hint=hint)


def name_end(text: str, start: int) -> int:
    """Return where the variable name that begins at ``start`` ends; ``start`` itself when there is none."""
    if start >= len(text):
        return start
    first = text[start]
    end = start
    if first.isdecimal():
        while end < len(text) and text[end].isdecimal():
            end += 1
        return end
    if first in _SPECIAL_NAMES:
        return start + 1
    while end < len(text) and (text[end] == "_" or text[end].isalpha() or text[end].isdecimal()):
        end += 1
    return end


def split_words(pieces: list[tuple[str, bool]]) -> tuple[str, ...]:
    """Return the words of pieces of text, each with whether blanks in it part words."""
    words: list[str] = []
    current = ""
    for piece, is_splittable in pieces:
        if not is_splittable:
            current += piece
            continue
        parts = _SPLIT.split(piece)
        current += parts[0]
        for part in parts[1:]:
            words.append(current)
            current = part
    words.append(current)
    return tuple(word for word in words if word)


def _fill_template(template: str, matched: str) -> str:
    """Return the replacement of ``//`` for one match: ``$0`` is the match, other ``$names`` are nothing, ``$$`` is ``$``."""
    if "$" not in template:
        return template

    def fill(found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        return matched if (found["name"] or found["braced"]).strip("0") == "" else ""

    return _TEMPLATE.sub(fill, template)
