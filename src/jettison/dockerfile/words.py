"""Word expansion: quotes, escapes and variables of a word as written -> the text that is meant.

The two doors to ``expander``, which owns the language: ``expand`` for the words of instructions, ``expand_heredoc`` for the
bodies of COPY and ADD. Refuses to know scopes: the caller gives the variables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jettison.dockerfile.expander import Expander, Expansion, check_size, split_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jettison.dockerfile.nodes import Word
    from jettison.span import Span


def expand(word: Word, variables: Mapping[str, str], *, escape: str = "\\") -> Expansion:
    """Return the word with quotes and escapes removed and variables replaced.

    Raises:
        DockerfileError: ``unclosed-quote``, ``unclosed-brace``, ``bad-substitution``, ``unsupported-modifier``,
            ``unclosed-pattern``, ``invalid-pattern``, ``variable-required``, ``expansion-too-large``, ``expansion-too-deep``.

    """
    text = word.text
    if "$" not in text and "'" not in text and '"' not in text and escape not in text:
        check_size(len(text), word.span)
        return Expansion(text=text, words=split_words([(text, True)]))
    return Expander(text, word.span, variables, escape=escape, has_quotes=True).run()


def expand_heredoc(text: str, variables: Mapping[str, str], *, span: Span) -> Expansion:
    """Return the body of a COPY or ADD heredoc with variables replaced.

    The escape character is always the backslash, and it goes away before every character; quotes are ordinary text.

    Raises:
        DockerfileError: as ``expand``, but for quotes.

    """
    return Expander(text, span, variables, escape="\\", has_quotes=False).run()


__all__ = ["Expansion", "expand", "expand_heredoc"]
