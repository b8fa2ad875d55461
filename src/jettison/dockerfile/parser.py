"""Dockerfile text to the AST: one pass that reports every fault it can.

::

    Dockerfile  = { directive } { blank line | comment | instruction }
    instruction = keyword { flag } arguments [ heredoc bodies ]

Owns the order of things: which keyword goes to which function, what may stand before the first FROM, ONBUILD's inner
instruction, where heredoc bodies are taken, and the items that cover the text. The rules inside an instruction are those of
``commands``, ``commands_run`` and ``commands_copy``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from jettison.dockerfile import commands, commands_copy, commands_run
from jettison.dockerfile.directives import find_foreign_syntax, read_directives
from jettison.dockerfile.flags import read_flags
from jettison.dockerfile.heredocs import find_announcements, take_bodies
from jettison.dockerfile.lines import BOM, LineReader, find_text_faults
from jettison.dockerfile.nodes import Directive, Dockerfile, Onbuild, ParseWarning, Trivia
from jettison.dockerfile.spaces import SPACES
from jettison.dockerfile.statements import read_json, split_statement
from jettison.errors import Diagnostic, DockerfileError
from jettison.span import SourceFile, Span, nearest_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from jettison.dockerfile.lines import LogicalLine
    from jettison.dockerfile.nodes import AnyInstruction
    from jettison.dockerfile.statements import Statement

_PARSERS: Final[Mapping[str, Callable[[Statement], AnyInstruction]]] = {
    "ADD": commands_copy.parse_copy,
    "ARG": commands.parse_arg,
    "CMD": commands_run.parse_cmd,
    "COPY": commands_copy.parse_copy,
    "ENTRYPOINT": commands_run.parse_entrypoint,
    "ENV": commands.parse_env,
    "EXPOSE": commands.parse_expose,
    "FROM": commands.parse_from,
    "HEALTHCHECK": commands_run.parse_healthcheck,
    "LABEL": commands.parse_label,
    "MAINTAINER": commands.parse_maintainer,
    "RUN": commands_run.parse_run,
    "SHELL": commands.parse_shell,
    "STOPSIGNAL": commands.parse_stopsignal,
    "USER": commands.parse_user,
    "VOLUME": commands.parse_volume,
    "WORKDIR": commands.parse_workdir,
}
KEYWORDS: Final = (*_PARSERS, "ONBUILD")
_WITH_HEREDOCS = frozenset({"RUN", "COPY", "ADD"})
_WITH_JSON = frozenset({"RUN", "COPY", "ADD", "CMD", "ENTRYPOINT", "SHELL", "VOLUME"})
_NOT_TRIGGERS = frozenset({"FROM", "ONBUILD", "MAINTAINER"})
_INVISIBLE = frozenset(SPACES) | {"\u200b", "\u200c", "\u200d", "\u2060", BOM}


def parse_dockerfile(source: SourceFile) -> Dockerfile:
    """Return the AST of a whole Dockerfile; its items cover the text.

    Raises:
        DockerfileError: the first fault in the order of the text, with all others that were found in ``others``.
            Slugs: ``dockerfile-empty``, ``dockerfile-no-instructions``, ``no-from`` and those of the instructions.

    """
    return _Parser(source).parse_file()


def parse_instruction(text: str, name: str) -> AnyInstruction:
    """Return the instruction that an ONBUILD trigger of an image holds; ``name`` tells errors whose trigger it is.

    Raises:
        DockerfileError: ``trigger-count`` when it is not exactly one instruction, ``onbuild-trigger`` when it is FROM,
            ONBUILD or MAINTAINER, and those of the instructions.

    """
    return _Parser(SourceFile(name=name, text=text)).parse_trigger()


class _Parser:
    """One pass over one source."""

    def __init__(self, source: SourceFile) -> None:
        self.source = source
        self.reader = LineReader(source)
        self.items: list[Directive | Trivia | AnyInstruction] = []
        self.instructions: list[AnyInstruction] = []
        self.faults: list[Diagnostic] = []
        self.warnings: list[ParseWarning] = []
        self.comments: list[str] = []
        self.covered = 0
        self.keywords: list[tuple[str, Span]] = []

    def parse_file(self) -> Dockerfile:
        self._check_text()
        directives, faults = read_directives(self.reader)
        self.faults.extend(faults)
        for directive in directives:
            self._cover(directive)
        self._parse_lines()
        self._check_order()
        self._raise_faults()
        self._cover_rest()
        return Dockerfile(
            source=self.source,
            items=tuple(self.items),
            directives=tuple(directives),
            instructions=tuple(self.instructions),
            escape=self.reader.escape,
            warnings=tuple(self.warnings),
        )

    def parse_trigger(self) -> AnyInstruction:
        self.faults.extend(find_text_faults(self.source))
        self._raise_faults()
        self._parse_lines()
        self._raise_faults()
        if len(self.instructions) != 1:
            raise DockerfileError(
                f"an ONBUILD trigger is one instruction, not {len(self.instructions)}",
                slug="trigger-count",
                span=Span(source=self.source, start=0, end=len(self.source.text)),
                hint="build the base image again, with one instruction after each ONBUILD",
            )
        instruction = self.instructions[0]
        if instruction.keyword in _NOT_TRIGGERS:
            raise _refuse_trigger(instruction.keyword, instruction.keyword_span)
        return instruction

    def _check_text(self) -> None:
        text = self.source.text.removeprefix(BOM)
        if not text.strip(SPACES):
            raise DockerfileError(
                "the Dockerfile is empty",
                slug="dockerfile-empty",
                span=Span(source=self.source, start=0, end=0),
                hint="begin with FROM image",
            )
        self.faults.extend(find_text_faults(self.source))
        self._raise_faults()

    def _parse_lines(self) -> None:
        reader = self.reader
        while not reader.is_at_end:
            content = reader.peek().strip(SPACES)
            if content and not content.startswith("#"):
                self._parse_instruction(reader.take_logical())
                self.comments.clear()
                continue
            reader.take()
            if content == "#":
                self.comments.clear()
            elif content:
                self.comments.append(content[1:].strip(SPACES))

    def _parse_instruction(self, line: LogicalLine) -> None:
        if not line.text.strip(SPACES):
            self._refuse_dangling(line)
            return
        statement = split_statement(line, 0, self.reader.escape)
        statement.comments = tuple(self.comments)
        inner = None
        if statement.keyword == "ONBUILD" and statement.rest.text:
            inner = split_statement(line, statement.rest.start, self.reader.escape)
        carrier = inner or statement
        if carrier.keyword in _WITH_JSON:
            read_json(carrier)
        self._read_heredocs(carrier)
        end = self._end_of(line, carrier)
        for part in (statement, carrier):
            part.span = Span(source=self.source, start=part.span.start, end=end)
        node = self._dispatch(statement, inner)
        self._collect(line, (statement, inner) if inner else (statement,))
        is_sound = not statement.faults and not (inner and inner.faults)
        if node is not None and is_sound:
            self._cover(node)
            self.instructions.append(node)

    def _end_of(self, line: LogicalLine, carrier: Statement) -> int:
        if not carrier.heredocs:
            return line.end
        text = self.source.text
        end = self.reader.position
        while text[end - 1] in "\r\n":
            end -= 1
        return end

    def _read_heredocs(self, carrier: Statement) -> None:
        """Take the heredoc bodies below the line, also below a keyword that is only misspelt."""
        if "<<" not in carrier.line.text or carrier.json or carrier.faults:
            return
        if carrier.keyword not in _WITH_HEREDOCS and _nearest_keyword(carrier.keyword) not in _WITH_HEREDOCS:
            return
        announcements = find_announcements(carrier.line.text)
        carrier.has_unbalanced_quotes = announcements is None
        try:
            carrier.heredocs = take_bodies(self.reader, carrier.line, announcements or ())
        except DockerfileError as error:
            carrier.faults.extend(error.diagnostics)

    def _dispatch(self, statement: Statement, inner: Statement | None) -> AnyInstruction | None:
        self.keywords.append((_nearest_keyword(statement.keyword) or "", statement.keyword_span))
        if statement.keyword == "ONBUILD":
            return self._parse_onbuild(statement, inner)
        return self._parse_known(statement)

    def _parse_known(self, statement: Statement) -> AnyInstruction | None:
        parse = _PARSERS.get(statement.keyword)
        if parse is None:
            self._refuse_unknown(statement)
            return None
        try:
            return parse(statement)
        except DockerfileError as error:
            statement.faults.extend(error.diagnostics)
            return None

    def _parse_onbuild(self, statement: Statement, inner: Statement | None) -> Onbuild | None:
        read_flags(statement, {})
        if inner is None:
            statement.report("missing-argument", "ONBUILD needs an instruction", hint="write ONBUILD RUN command")
            return None
        if inner.keyword in _NOT_TRIGGERS:
            statement.faults.extend(_refuse_trigger(inner.keyword, inner.keyword_span).diagnostics)
            return None
        node = self._parse_known(inner)
        if node is None:
            return None
        start = statement.rest.start
        bodies = (f"\n{heredoc.body_span.text}{heredoc.name}" for heredoc in inner.heredocs)
        return Onbuild(
            span=statement.span,
            keyword=statement.keyword,
            keyword_span=statement.keyword_span,
            comments=statement.comments,
            trigger=statement.line.text[start:] + "".join(bodies),
            trigger_span=inner.span,
            instruction=node,
        )

    def _collect(self, line: LogicalLine, statements: Iterable[Statement]) -> None:
        if line.empty_lines:
            self.warnings.append(
                ParseWarning(
                    rule="NoEmptyContinuation",
                    message="an empty line inside an instruction; remove it, or put a '#' on it",
                    span=line.empty_lines[0],
                )
            )
        for statement in statements:
            self.faults.extend(statement.faults)
            self.warnings.extend(statement.warnings)

    def _refuse_dangling(self, line: LogicalLine) -> None:
        start = line.origin(0) if line.text else line.end - 1
        self.faults.append(
            Diagnostic(
                slug="dangling-continuation",
                message="a line is continued, but nothing follows",
                span=Span(source=self.source, start=start, end=line.end),
                hint=f"remove the '{self.reader.escape}'",
            )
        )

    def _refuse_unknown(self, statement: Statement) -> None:
        if len(self.keywords) > 1 and not self.keywords[-2][0]:
            return  # one complaint about a run of lines that probably belong together
        shown = statement.keyword_span.text
        foreign = find_foreign_syntax(self.source, statement.keyword_span.start)
        if foreign and len(self.keywords) == 1:
            statement.report(
                "foreign-frontend",
                "this file is for another frontend than Dockerfile's",
                foreign,
                hint="only the Dockerfile language is understood here; a Dockerfile begins with FROM",
            )
            return
        statement.report(
            "unknown-instruction", f"no instruction is called '{shown}'", hint=self._unknown_hint(statement)
        )

    def _unknown_hint(self, statement: Statement) -> str:
        keyword = statement.keyword
        if not _INVISIBLE.isdisjoint(keyword):
            return "an invisible character stands in it, perhaps a no-break space; type an ordinary blank"
        near = _nearest_keyword(keyword)
        if near:
            return f"did you mean '{near}'?"
        if len(self.keywords) > 1:
            return f"if the line belongs to the one above, end that with '{self.reader.escape}'"
        return "a Dockerfile begins with FROM image"

    def _check_order(self) -> None:
        """Check that there are instructions, that one is FROM, and that only ARG comes before it."""
        if not self.keywords:
            if not self.faults:
                self.faults.append(
                    Diagnostic(
                        slug="dockerfile-no-instructions",
                        message="the Dockerfile holds only comments",
                        span=Span(source=self.source, start=0, end=0),
                        hint="begin with FROM image",
                    )
                )
            return
        before: list[tuple[str, Span]] = []
        for keyword, span in self.keywords:
            if keyword == "FROM":
                self._refuse_before_from(before)
                return
            before.append((keyword, span))
        if any(fault.slug == "foreign-frontend" for fault in self.faults):
            return
        self.faults.append(
            Diagnostic(
                slug="no-from",
                message="the Dockerfile has no FROM",
                span=self.keywords[0][1],
                hint="begin with FROM image, or FROM scratch for nothing below",
            )
        )

    def _refuse_before_from(self, before: Sequence[tuple[str, Span]]) -> None:
        wrong = next(((keyword, span) for keyword, span in before if keyword not in {"", "ARG"}), None)
        if wrong is not None:
            self.faults.append(
                Diagnostic(
                    slug="instruction-before-from",
                    message=f"'{wrong[0]}' stands before the first FROM",
                    span=wrong[1],
                    hint="only ARG may stand there; move it below FROM",
                )
            )

    def _raise_faults(self) -> None:
        if not self.faults:
            return
        first, *others = sorted(self.faults, key=lambda fault: fault.span.start if fault.span else 0)
        raise DockerfileError(
            first.message,
            slug=first.slug,
            span=first.span,
            hint=first.hint,
            notes=first.notes,
            others=tuple(others),
        )

    def _cover(self, item: Directive | AnyInstruction) -> None:
        if item.span.start > self.covered:
            self.items.append(Trivia(span=Span(source=self.source, start=self.covered, end=item.span.start)))
        self.items.append(item)
        self.covered = item.span.end

    def _cover_rest(self) -> None:
        end = len(self.source.text)
        if end > self.covered:
            self.items.append(Trivia(span=Span(source=self.source, start=self.covered, end=end)))


@lru_cache(maxsize=256)
def _nearest_keyword(keyword: str) -> str | None:
    if keyword in _PARSERS or keyword == "ONBUILD":
        return keyword
    return nearest_name(keyword, KEYWORDS) if 3 <= len(keyword) <= 14 else None


def _refuse_trigger(keyword: str, span: Span) -> DockerfileError:
    return DockerfileError(
        f"'{keyword}' can't be an ONBUILD trigger",
        slug="onbuild-trigger",
        span=span,
        hint="put it into the Dockerfile that uses the image",
    )


__all__ = ["KEYWORDS", "parse_dockerfile", "parse_instruction"]
