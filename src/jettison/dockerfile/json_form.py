"""The JSON form of commands and paths: ``["program", "argument"]``.

Owns the rule of what counts as one: a JSON array of strings and nothing after it. Text that merely looks like one is not
an error but the other form of the instruction; an array of anything but strings is an error.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from jettison.dockerfile.nodes import Word
from jettison.dockerfile.spaces import SPACES
from jettison.errors import DockerfileError

if TYPE_CHECKING:
    from jettison.dockerfile.lines import Passage

_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"')


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonForm:
    """The strings of the array, decoded, each with the span of its JSON text."""

    words: tuple[Word, ...]

    @property
    def args(self) -> tuple[str, ...]:
        """The strings alone."""
        return tuple(word.text for word in self.words)


def parse_json_form(passage: Passage) -> JsonForm | None:
    """Return the array of strings, or None when the text is not a JSON array.

    Raises:
        DockerfileError: ``exec-not-strings``: the array holds something else than strings.

    """
    text = passage.text
    if not text.startswith("["):
        return None
    try:
        values = json.loads(text, parse_constant=_refuse_constant, parse_int=_no_number, parse_float=_no_number)
    except RecursionError:
        values = [None]
    except ValueError:
        return None
    if not all(isinstance(value, str) for value in values):
        raise DockerfileError(
            "a JSON array may hold only strings here",
            slug="exec-not-strings",
            span=passage.span(),
            hint='write every element in double quotes, numbers too: ["sleep", "5"]',
        )
    places = _STRING.finditer(text)
    has_escapes = "\\u" in text
    return JsonForm(
        words=tuple(
            Word(
                text=_without_surrogates(value) if has_escapes else value, span=passage.span(place.start(), place.end())
            )
            for value, place in zip(values, places, strict=True)
        )
    )


def looks_like_json(text: str) -> bool:
    """Tell whether text that is no JSON array was probably meant as one (``['a']``, ``["a",]``), and is no shell test."""
    return text.startswith("[") and text[1:].lstrip(SPACES)[:1] in {'"', "'", "\u201c"} and text[1:2] not in {" ", "\t"}


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _no_number(_text: str) -> None:
    return None


def _without_surrogates(value: str) -> str:
    """Join surrogate pairs and replace single surrogates that came from escapes with four hexadecimal digits."""
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
